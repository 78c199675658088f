//! Connections to addresses that the rules allow.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection as Connects};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::AddressRules;
use crate::system_words;

/// How long one address may take before the next one is tried beside it, as in Go's dialer.
const FALLBACK_DELAY: Duration = Duration::from_millis(300);

/// Resolves names, checks what they come to, and connects.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuardedConnector {
    rules: AddressRules,
}

/// Why there is no connection, in Go's words.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{0}")]
    Resolve(String),
    #[error("{0}")]
    Connect(String),
    #[error("address {0} is not allowed")]
    Denied(IpAddr),
}

/// What is known of a connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    local: SocketAddr,
    peer: SocketAddr,
    used: Arc<AtomicBool>,
}

impl Connection {
    /// Notes that an answer has come over it.
    pub(super) fn mark_used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Whether an answer had come over it before.
    pub(super) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Its two ends, as in `read tcp 10.0.0.1:5000->10.0.0.2:80: …`.
    pub(super) fn ends(&self) -> String {
        format!("{}->{}", self.local, self.peer)
    }
}

impl GuardedConnector {
    pub(super) fn new(rules: AddressRules) -> Self {
        Self { rules }
    }

    async fn connect(self, uri: Uri) -> Result<GuardedStream, ConnectError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let addresses = resolve(host, port).await?;
        let (allowed, denied): (Vec<SocketAddr>, Vec<SocketAddr>) =
            addresses.into_iter().partition(|address| self.rules.allow(address.ip()));
        if allowed.is_empty()
            && let Some(address) = denied.first()
        {
            return Err(ConnectError::Denied(address.ip()));
        }
        let stream = dial_any(host, &allowed).await?;
        let failed = |error: io::Error| ConnectError::Connect(format!("dial tcp: {}", system_words(&error)));
        let (local, peer) = (stream.local_addr().map_err(failed)?, stream.peer_addr().map_err(failed)?);
        if !self.rules.allow(peer.ip()) {
            return Err(ConnectError::Denied(peer.ip()));
        }
        stream.set_nodelay(true).map_err(failed)?;
        let connection = Connection { local, peer, used: Arc::default() };
        Ok(GuardedStream { stream: TokioIo::new(stream), connection })
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = GuardedStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<GuardedStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.connect(uri))
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let failed = |error: io::Error| {
        let text = error.to_string();
        let words = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        let words = match words {
            "Name or service not known" | "No address associated with hostname" => "no such host",
            other => other,
        };
        ConnectError::Resolve(format!("dial tcp: lookup {host}: {words}"))
    };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(failed)?.collect();
    if addresses.is_empty() {
        return Err(ConnectError::Resolve(format!("dial tcp: lookup {host}: no such host")));
    }
    Ok(addresses)
}

/// The first connection to come about; the first error where none does.
async fn dial_any(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut waiting = addresses.iter();
    let mut dialing = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        if dialing.is_empty() {
            let Some(address) = waiting.next() else { break };
            dialing.push(dial(*address));
        }
        let fallback = tokio::time::sleep(FALLBACK_DELAY);
        tokio::select! {
            Some(dialed) = dialing.next() => match dialed {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            },
            () = fallback, if waiting.len() > 0 => {
                dialing.extend(waiting.next().map(|address| dial(*address)));
            }
        }
    }
    Err(first_error
        .unwrap_or_else(|| ConnectError::Resolve(format!("dial tcp: lookup {host}: no such host"))))
}

async fn dial(address: SocketAddr) -> Result<TcpStream, ConnectError> {
    let failed = |error: io::Error| {
        let words = match error.kind() {
            io::ErrorKind::TimedOut => "connection timed out".to_owned(),
            _ => system_words(&error),
        };
        ConnectError::Connect(format!("dial tcp {address}: connect: {words}"))
    };
    TcpStream::connect(address).await.map_err(failed)
}

/// A stream that knows its ends.
#[derive(Debug)]
pub(super) struct GuardedStream {
    stream: TokioIo<TcpStream>,
    connection: Connection,
}

impl Connects for GuardedStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.connection.clone())
    }
}

impl Read for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl Write for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, buffers)
    }
}
