//! A network that loses things: a proxy in front of a real server.
//!
//! ```text
//!  adapter ─► Proxy ─► server        each request meets the next fate of a script; without one it passes
//! ```
//!
//! An answer that is lost here is the real thing: the server has acted, and the client cannot know.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It passes.
    Pass,
    /// It never reaches the server; the connection ends.
    LoseRequest,
    /// The server acts; the connection ends instead of its answer.
    LoseAnswer,
    /// The server acts; its answer never comes.
    Hang,
    /// The server acts; half of its answer comes.
    CutAnswer,
    /// The server never sees it: this is the answer.
    Answer(&'static str, &'static str),
}

/// A proxy; it ends when this is dropped.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    script: Arc<Mutex<VecDeque<Fate>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before the server at `endpoint`.
    pub(crate) async fn before(endpoint: &str) -> Self {
        let server = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(VecDeque::new()));
        let fates = Arc::clone(&script);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server.clone(), Arc::clone(&fates)));
            }
        });
        Self { endpoint: format!("http://{address}"), script, accepting }
    }

    /// The fates of the requests to come.
    pub(crate) fn script(&self, fates: impl IntoIterator<Item = Fate>) {
        *self.script.lock().unwrap() = fates.into_iter().collect();
    }

    /// How many fates have met no request yet.
    pub(crate) fn left(&self) -> usize {
        self.script.lock().unwrap().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves one request and ends the connection.
async fn serve(mut client: TcpStream, server: String, script: Arc<Mutex<VecDeque<Fate>>>) -> Option<()> {
    let request = read_request(&mut client).await?;
    let fate = script.lock().unwrap().pop_front().unwrap_or(Fate::Pass);
    match fate {
        Fate::LoseRequest => return None,
        Fate::Answer(status, body) => {
            let kind = if body.starts_with('<') { "application/xml" } else { "application/x-amz-json-1.0" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            return client.write_all(answer.as_bytes()).await.ok();
        }
        Fate::Pass | Fate::LoseAnswer | Fate::Hang | Fate::CutAnswer => {}
    }
    let mut upstream = TcpStream::connect(server).await.ok()?;
    upstream.write_all(&request).await.ok()?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await.ok()?;
    match fate {
        Fate::LoseAnswer => None,
        Fate::Hang => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            None
        }
        Fate::CutAnswer => client.write_all(&answer[..answer.len() - 2]).await.ok(),
        _ => client.write_all(&answer).await.ok(),
    }
}

/// A whole request, which asks that the connection be closed after its answer.
async fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let head_len = loop {
        if let Some(at) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(request[..head_len].to_vec()).unwrap().to_ascii_lowercase();
    assert!(!head.contains("transfer-encoding"), "requests tell their length: {head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    while request.len() < head_len + length {
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let line = request.windows(2).position(|window| window == b"\r\n").unwrap() + 2;
    request.splice(line..line, *b"Connection: close\r\n");
    Some(request)
}
