//! Redirects, as Go's client follows them; stricter in what is sent on.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use platform::FetchError;
use url::Url;

/// How many requests one fetch makes: Go stops at the tenth redirect.
pub(super) const REQUESTS_MAX: usize = 10;

/// What another host may know. Everything else may be a credential: an API key may be in any header.
const SENT_ON: [HeaderName; 5] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CONTENT_TYPE,
    USER_AGENT,
    HeaderName::from_static("x-prometheus-scrape-timeout-seconds"),
];

/// One request of a chain.
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Hop {
    /// The next request of the chain.
    pub(super) fn follow(self, status: StatusCode, location: &str) -> Result<Self, FetchError> {
        let failed = |error: url::ParseError| {
            FetchError::Protocol(format!("failed to parse Location header {location:?}: {error}"))
        };
        let url = check_scheme(self.url.join(location).map_err(failed)?)?;
        let Self { mut method, url: from, mut headers, mut body } = self;
        if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            method = Method::GET;
            body = Bytes::new();
            headers.remove(CONTENT_TYPE);
        }
        let downgraded = from.scheme() == "https" && url.scheme() == "http";
        if from.host() != url.host() || downgraded {
            let dropped: Vec<HeaderName> =
                headers.keys().filter(|name| !SENT_ON.contains(name)).cloned().collect();
            for name in dropped {
                headers.remove(name);
            }
        }
        Ok(Self { method, url, headers, body })
    }
}

/// Where an answer redirects to, if it does.
pub(super) fn location<B>(response: &Response<B>) -> Option<String> {
    let redirects = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned()).filter(|location| !location.is_empty())
}

/// Parses a URL that can be fetched.
pub(super) fn parse_url(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => {
            FetchError::Protocol("unsupported protocol scheme \"\"".to_owned())
        }
        url::ParseError::EmptyHost => FetchError::Protocol("http: no Host in request URL".to_owned()),
        error => FetchError::Protocol(format!("parse {text:?}: {error}")),
    })?;
    check_scheme(url)
}

fn check_scheme(url: Url) -> Result<Url, FetchError> {
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(FetchError::Protocol(format!("unsupported protocol scheme {other:?}"))),
    }
}

/// The `Authorization` of a URL's own user and password, if it has any.
pub(super) fn userinfo(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", base64(&credentials))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Base 64 of RFC 4648, padded.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * position)) as usize & 63];
            text.push(if position <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(url: &str) -> Hop {
        let headers = [("authorization", "Bearer secret"), ("x-api-key", "secret"), ("accept", "text/plain")];
        let headers = headers
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Hop {
            method: Method::POST,
            url: Url::parse(url).unwrap(),
            headers: headers.collect(),
            body: Bytes::from_static(b"body"),
        }
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let names = |hop: &Hop| hop.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(" ");
        let same = hop("https://a.example/x").follow(StatusCode::FOUND, "/y").unwrap();
        assert_eq!(
            (same.url.as_str(), names(&same).as_str()),
            ("https://a.example/y", "authorization x-api-key accept")
        );
        for location in ["https://b.example/", "//b.a.example/", "http://a.example/"] {
            let other = hop("https://a.example/x").follow(StatusCode::FOUND, location).unwrap();
            assert_eq!(names(&other), "accept", "{location}");
            let back = other.follow(StatusCode::FOUND, "https://a.example/").unwrap();
            assert_eq!(names(&back), "accept", "{location} and back");
        }
    }

    #[test]
    fn only_307_and_308_repeat_the_body() {
        for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
            let next = hop("http://a/").follow(StatusCode::from_u16(status).unwrap(), "/b").unwrap();
            assert_eq!((next.method.as_str(), next.body.is_empty()), (method, method == "GET"));
        }
    }

    #[test]
    fn a_redirect_out_of_http_is_refused() {
        let refused = hop("http://a/").follow(StatusCode::FOUND, "file:///etc/passwd").err().unwrap();
        assert_eq!(refused.to_string(), "unsupported protocol scheme \"file\"");
    }

    #[test]
    fn a_urls_own_user_becomes_basic_authentication() {
        let value =
            |url: &str| userinfo(&Url::parse(url).unwrap()).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(
            value("http://Aladdin:open%20sesame@a/").as_deref(),
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        );
        assert_eq!(value("http://u@a/").as_deref(), Some("Basic dTo="));
        assert_eq!(value("http://a/"), None);
    }
}
