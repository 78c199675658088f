//! Request lines as people type them: `curl -g 'host/api/v1/query?query=up{job="x"} > 0'`. Go's server takes quotes and
//! angle brackets in a URL, hyper refuses them; so they are percent-encoded before hyper sees them.
//!
//! Only the first request of a connection is looked at: who types URLs makes one, and libraries encode theirs.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A longer request line is left as it is, for hyper to refuse.
const LINE_BYTES_MAX: usize = 64 << 10;

/// A listener whose connections are [`Lenient`].
pub(crate) struct LenientListener<L>(pub(crate) L);

impl<L: Listener> Listener for LenientListener<L> {
    type Io = Lenient<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = self.0.accept().await;
        (Lenient { stream, state: State::Line(Vec::new()) }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A connection whose first line is made palatable.
pub(crate) struct Lenient<S> {
    stream: S,
    state: State,
}

enum State {
    /// The bytes so far of a line that has not ended.
    Line(Vec<u8>),
    /// What was read and not yet handed on begins at this position.
    Buffered(Vec<u8>, usize),
    Through,
}

impl<S: AsyncRead + Unpin> Lenient<S> {
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let State::Line(line) = &mut self.state {
            let mut bytes = [0; 4 << 10];
            let mut chunk = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            line.extend_from_slice(chunk.filled());
            let end = line.iter().position(|byte| *byte == b'\n');
            if let Some((first, rest)) = end.and_then(|end| line.split_at_checked(end)) {
                let mut encoded = encode(first);
                encoded.extend_from_slice(rest);
                self.state = State::Buffered(encoded, 0);
            } else if chunk.filled().is_empty() || line.len() > LINE_BYTES_MAX {
                self.state = State::Buffered(std::mem::take(line), 0);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_line(cx))?;
        if let State::Buffered(bytes, from) = &mut self.state {
            let rest = bytes.get(*from..).unwrap_or_default();
            let (now, later) = rest.split_at(rest.len().min(out.remaining()));
            out.put_slice(now);
            *from += now.len();
            let (any, done) = (!now.is_empty(), later.is_empty());
            if done {
                self.state = State::Through;
            }
            if any || !done {
                return Poll::Ready(Ok(()));
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, out)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

fn encode(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for byte in line {
        match byte {
            b'"' | b'<' | b'>' | b'`' | b'\\' | 0x80.. => out.extend(format!("%{byte:02X}").bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Everything that is read through `Lenient`, `chunk` bytes at a time in and `room` out.
    fn through(input: &[u8], chunk: usize, room: usize) -> Vec<u8> {
        struct Chunks<'a>(&'a [u8], usize);
        impl AsyncRead for Chunks<'_> {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                out: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let (now, later) = self.0.split_at(self.0.len().min(self.1).min(out.remaining()));
                out.put_slice(now);
                self.0 = later;
                Poll::Ready(Ok(()))
            }
        }
        let mut lenient = Lenient { stream: Chunks(input, chunk), state: State::Line(Vec::new()) };
        let mut all = Vec::new();
        loop {
            let mut bytes = vec![0; room];
            let mut out = ReadBuf::new(&mut bytes);
            let polled = Pin::new(&mut lenient).poll_read(&mut Context::from_waker(Waker::noop()), &mut out);
            assert!(matches!(polled, Poll::Ready(Ok(()))));
            if out.filled().is_empty() {
                return all;
            }
            all.extend_from_slice(out.filled());
        }
    }

    #[test]
    fn quotes_and_brackets_of_the_first_line_are_encoded_and_nothing_else_changes() {
        let input = "POST /q?query=up{a=\"é\"}>0 HTTP/1.1\r\nx: \"<\"\r\n\r\n\"body\"\n".as_bytes();
        let expected =
            "POST /q?query=up{a=%22%C3%A9%22}%3E0 HTTP/1.1\r\nx: \"<\"\r\n\r\n\"body\"\n".as_bytes();
        for (chunk, room) in [(1, 1), (7, 3), (1_000, 1_000), (1_000, 5)] {
            assert_eq!(through(input, chunk, room), expected, "{chunk} {room}");
        }
    }

    #[test]
    fn what_has_no_end_of_line_passes_unchanged() {
        assert_eq!(through(b"", 1, 1), b"");
        assert_eq!(through(b"GET \"", 2, 2), b"GET \"");
        let long = vec![b'"'; LINE_BYTES_MAX + 10_000];
        assert_eq!(through(&long, 5_000, 5_000), long);
    }
}
