//! A client of a few lines: HTTP/1.0 needs neither chunks nor keep-alive.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// GETs `http://<address><path>`: status and body.
///
/// # Errors
/// Where there is no answer.
pub fn get(address: &str, path: &str) -> Result<(u16, String), String> {
    request(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"))
}

/// POSTs a form: status and body.
///
/// # Errors
/// Where there is no answer.
pub fn post(address: &str, path: &str, form: &str) -> Result<(u16, String), String> {
    let length = form.len();
    let kind = "application/x-www-form-urlencoded";
    request(
        address,
        &format!(
            "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{form}"
        ),
    )
}

/// POSTs a body with headers (`Name: value` lines, each ended): status and body.
///
/// # Errors
/// Where there is no answer.
pub fn post_body(address: &str, path: &str, headers: &str, body: &[u8]) -> Result<(u16, String), String> {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n");
    exchange(address, &[head.as_bytes(), body].concat())
}

fn request(address: &str, text: &str) -> Result<(u16, String), String> {
    exchange(address, text.as_bytes())
}

fn exchange(address: &str, request: &[u8]) -> Result<(u16, String), String> {
    let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
    stream.write_all(request).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
    Ok((status, body.to_owned()))
}
