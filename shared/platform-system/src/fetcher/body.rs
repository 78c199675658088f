//! Bodies: bounded as they arrive, and again after decompression.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http::{HeaderValue, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use platform::FetchError;

use super::connect::Connection;
use super::reason;

/// At most so much room is made before any byte has come, whatever the server announces.
const RESERVED_BYTES_MAX: u64 = 1 << 20;

/// How much of a redirect's body is read to keep its connection, as in Go.
const DRAINED_BYTES_MAX: usize = 2 << 10;

/// Reads a body of at most `bytes_max` bytes, before and after decompression.
pub(super) async fn read(response: Response<Incoming>, bytes_max: u64) -> Result<Bytes, FetchError> {
    let connection = response.extensions().get::<Connection>().cloned();
    let announced = announced_bytes(response.headers());
    if announced.is_some_and(|announced| announced > bytes_max) {
        return Err(FetchError::BodyTooLarge);
    }
    let room = announced.unwrap_or(0).min(RESERVED_BYTES_MAX);
    let mut sink = Sink::new(response.headers(), room, bytes_max)?;
    let mut body = response.into_body();
    let mut received = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| reason::of_body(&error, connection.as_ref()))?;
        let Ok(bytes) = frame.into_data() else { continue };
        received = received.saturating_add(bytes.len() as u64);
        if received > bytes_max {
            return Err(FetchError::BodyTooLarge);
        }
        sink.take(&bytes)?;
    }
    sink.finish(received)
}

/// Reads the rest of a short body, so that its connection can be used again; a longer one costs the connection.
pub(super) async fn drain(response: Response<Incoming>) {
    let mut body = response.into_body();
    let mut received = 0;
    while received <= DRAINED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        received += frame.data_ref().map_or(0, Bytes::len);
    }
}

fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

enum Sink {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Sink {
    fn new(headers: &HeaderMap, room: u64, bytes_max: u64) -> Result<Self, FetchError> {
        let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
        let bounded = |room: u64| Bounded {
            bytes: Vec::with_capacity(usize::try_from(room).unwrap_or(0)),
            bytes_max,
            overflowed: false,
        };
        if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
            Ok(Self::Plain(bounded(room)))
        } else if encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip") {
            // Expositions shrink to about a tenth.
            Ok(Self::Gzip(Box::new(MultiGzDecoder::new(bounded(room.saturating_mul(8).min(bytes_max))))))
        } else {
            let encoding = String::from_utf8_lossy(encoding);
            Err(FetchError::Protocol(format!("unsupported content encoding {encoding:?}")))
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        match self {
            Self::Plain(bounded) => bounded.write_all(bytes).map_err(|_| FetchError::BodyTooLarge),
            Self::Gzip(decoder) => {
                let written = decoder.write_all(bytes);
                written.map_err(|error| gzip_error(&error, decoder.get_ref()))
            }
        }
    }

    /// The whole body. One of no bytes at all is not even an empty gzip stream, but servers send it.
    fn finish(self, received: u64) -> Result<Bytes, FetchError> {
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes.into()),
            Self::Gzip(_) if received == 0 => Ok(Bytes::new()),
            Self::Gzip(mut decoder) => {
                let finished = decoder.try_finish();
                finished.map_err(|error| match (gzip_error(&error, decoder.get_ref()), error.kind()) {
                    // All was well up to the trailer, which does not fit or is cut short.
                    (FetchError::Protocol(_), io::ErrorKind::InvalidInput) => {
                        FetchError::Protocol("gzip: invalid checksum".to_owned())
                    }
                    (error, _) => error,
                })?;
                Ok(std::mem::take(&mut decoder.get_mut().bytes).into())
            }
        }
    }
}

fn gzip_error(error: &io::Error, bounded: &Bounded) -> FetchError {
    if bounded.overflowed {
        return FetchError::BodyTooLarge;
    }
    let words = match error.kind() {
        io::ErrorKind::UnexpectedEof => "unexpected EOF",
        _ if bounded.bytes.is_empty() => "gzip: invalid header",
        _ => "flate: corrupt input",
    };
    FetchError::Protocol(words.to_owned())
}

/// Bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: u64,
    overflowed: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() as u64).saturating_add(bytes.len() as u64) > self.bytes_max {
            self.overflowed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
