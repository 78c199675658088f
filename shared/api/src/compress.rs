//! Answers compressed as the client asks. Source: `util/httputil/compression.go`.

use std::io::{Result, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};

use crate::Response;

/// Below this many bytes an answer travels in one packet anyhow.
const LEN_MIN: usize = 1 << 10;

/// The answer, compressed by the first coding that the request accepts and that is known: gzip or deflate. Small
/// answers and those without a body stay as they are.
#[must_use]
pub fn compressed(request: &HeaderMap, mut response: Response) -> Response {
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    if response.body().len() < LEN_MIN {
        return response;
    }
    let Some(coding) = request.get_all(ACCEPT_ENCODING).iter().find_map(Coding::first_of) else {
        return response;
    };
    if let Ok(body) = coding.encode(response.body()) {
        *response.body_mut() = Bytes::from(body);
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    }
    response
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    fn first_of(value: &HeaderValue) -> Option<Self> {
        value.to_str().ok()?.split(',').find_map(|item| {
            let (name, parameter) = item.split_once(';').unwrap_or((item, ""));
            let refused = parameter
                .trim()
                .strip_prefix("q=")
                .is_some_and(|weight| weight.parse::<f64>().is_ok_and(|weight| weight <= 0.0));
            match name.trim() {
                _ if refused => None,
                "gzip" => Some(Self::Gzip),
                "deflate" => Some(Self::Deflate),
                _ => None,
            }
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn encode(self, body: &[u8]) -> Result<Vec<u8>> {
        let out = Vec::with_capacity(body.len() / 4);
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(out, Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(out, Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn ask(accepted: &'static str, body: &str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        compressed(&headers, Response::new(Bytes::from(body.to_owned())))
    }

    #[test]
    fn the_first_known_coding_is_used_and_gives_the_body_back() {
        let body = "sample ".repeat(1000);
        let response = ask("br, gzip, deflate", &body);
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        let mut back = String::new();
        flate2::read::GzDecoder::new(&response.body()[..]).read_to_string(&mut back).unwrap();
        assert_eq!(back, body);
        let response = ask("deflate;q=0.5", &body);
        assert_eq!(response.headers()[CONTENT_ENCODING], "deflate");
        let mut back = String::new();
        flate2::read::ZlibDecoder::new(&response.body()[..]).read_to_string(&mut back).unwrap();
        assert_eq!(back, body);
    }

    #[test]
    fn nothing_is_compressed_unasked_or_for_nothing() {
        let body = "sample ".repeat(1000);
        for accepted in ["", "br", "identity", "gzip;q=0"] {
            assert!(!ask(accepted, &body).headers().contains_key(CONTENT_ENCODING), "{accepted}");
        }
        assert!(!ask("gzip", "short").headers().contains_key(CONTENT_ENCODING));
    }
}
