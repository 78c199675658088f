//! Targets that misbehave.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// How a target misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTarget {
    /// Accepts and never answers.
    Hangs,
    /// Answers 500.
    Fails,
    /// Answers with something that is no exposition.
    Garbage,
    /// Answers with 100 MB.
    Huge,
}

/// Starts one on a port of its own; it lives as long as the test process. Gives its `host:port`.
pub fn start_bad_target(kind: BadTarget) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || misbehave(kind, stream));
        }
    });
    address
}

fn misbehave(kind: BadTarget, mut stream: TcpStream) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    let _ = match kind {
        BadTarget::Hangs => {
            std::thread::sleep(Duration::from_secs(120));
            Ok(())
        }
        BadTarget::Fails => stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
        BadTarget::Garbage => stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 22\r\n\r\nthis is {{{ no metric\n",
        ),
        BadTarget::Huge => huge(&mut stream),
    };
}

fn huge(stream: &mut TcpStream) -> std::io::Result<()> {
    const LINE: &[u8] = b"huge_metric{label=\"a value that is repeated for ever and ever\"} 1234567\n";
    let block = LINE.repeat((1 << 20) / LINE.len());
    let blocks = 100_000_000 / block.len() + 1;
    let length = blocks * block.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    for _ in 0..blocks {
        stream.write_all(&block)?;
    }
    Ok(())
}
