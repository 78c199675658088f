//! Just enough HTTP for a server on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::Outcome;

/// A port that nobody listens on.
pub(super) fn free_port() -> Outcome<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Sends `body` (a GET if it is empty) and gives the whole answer.
pub(super) fn call(address: &str, path: &str, body: &[u8]) -> Outcome<String> {
    let mut answer = String::new();
    lines(address, path, body, |line| {
        answer.push_str(line);
        answer.push('\n');
        Ok(())
    })?;
    Ok(answer)
}

/// Sends `body` (a GET if it is empty) and gives each line of the answer to `take`.
///
/// HTTP 1.0: the answer is not in chunks, and ends with the connection.
pub(super) fn lines(
    address: &str,
    path: &str,
    body: &[u8],
    mut take: impl FnMut(&str) -> Outcome<()>,
) -> Outcome<()> {
    let mut stream = TcpStream::connect(address)?;
    let method = if body.is_empty() { "GET" } else { "POST" };
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)?;
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    if !status.starts_with('2') {
        let mut text = String::new();
        reader.take(1 << 10).read_to_string(&mut text)?;
        return Err(format!("{path}: status {status}: {text}").into());
    }
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        take(line.trim_end())?;
    }
}
