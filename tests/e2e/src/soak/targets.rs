//! Targets that know what they served.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::now_ms;

/// Series of each scrape, besides the one that comes and goes.
pub(crate) const SERIES: usize = 40;
/// A series of `soak_churn` lives so many scrapes.
pub(crate) const CHURN: u64 = 3;

/// A target on a port of its own; it serves until it is stopped.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    /// When scrape `n` was served, ms, at index `n`.
    pub(crate) served: Arc<Mutex<Vec<i64>>>,
    stopped: Arc<AtomicBool>,
}

impl Target {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Self {
            address: listener.local_addr().unwrap().to_string(),
            served: Arc::default(),
            stopped: Arc::default(),
        };
        let (served, stopped) = (Arc::clone(&target.served), Arc::clone(&target.stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // One at a time: the order of the log is that of the answers.
                let _ = answer(stream, &served);
            }
        });
        target
    }

    /// Refuses from now on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
    }
}

/// The value of series `k` in scrape `n`: no two are the same, and most take all the bits of a double.
pub(crate) fn value(n: u64, k: usize) -> f64 {
    let whole = (n * 1_000 + k as u64 + 1) as f64;
    if k.is_multiple_of(2) { whole } else { whole / 3.0 }
}

fn answer(mut stream: TcpStream, served: &Mutex<Vec<i64>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&chunk[..length]),
        }
    }
    let n = {
        let mut served = served.lock().unwrap();
        served.push(now_ms());
        served.len() as u64 - 1
    };
    let mut body = String::from("# HELP soak_value Says which scrape it was in.\n# TYPE soak_value gauge\n");
    for k in 0..SERIES {
        body.push_str(&format!("soak_value{{k=\"{k}\"}} {}\n", value(n, k)));
    }
    body.push_str(&format!("soak_churn{{phase=\"{}\"}} {n}\n", n / CHURN));
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}
