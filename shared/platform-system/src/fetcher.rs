//! HTTP out.
//!
//! ```text
//!  fetch ─► redirects ─► hyper's pool ─► TLS ─► connect: resolve, check every address, dial ─► target
//!    ▲                                                                                           │
//!    └────────────── body: bounded as received and again after gzip ◄────────────────────────────┘
//! ```
//!
//! Errors read as Go's `net/http` gives them, for users know them from Prometheus. A connection that the server closed
//! while it lay idle is replaced, as Go does; nothing else is tried twice.

mod address;
mod body;
mod connect;
mod reason;
mod redirect;
mod tls;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use platform::{FetchError, Fetcher, HttpMethod, HttpRequest, HttpResponse, PlatformFuture};
use url::Url;

pub use address::AddressRules;

use connect::{Connection, GuardedConnector};

/// How long an unused connection is kept, as Go's transport does.
const IDLE_MAX: Duration = Duration::from_secs(90);

/// How many unused connections are kept for one host.
const IDLE_PER_HOST_MAX: usize = 4;

/// How many connections in a row may turn out to have been closed while idle.
const STALE_MAX: usize = 5;

type Pool = Client<HttpsConnector<GuardedConnector>, Full<Bytes>>;

/// The HTTP client cannot be set up.
#[derive(Clone, Debug, thiserror::Error)]
#[error("HTTP client: {reason}")]
pub struct FetcherError {
    /// Why.
    pub reason: String,
}

/// An HTTP/1.1 client with connections kept open between requests.
#[derive(Debug)]
pub struct SystemFetcher {
    verified: OnceLock<Pool>,
    unverified: OnceLock<Pool>,
    connector: GuardedConnector,
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl SystemFetcher {
    /// A client that reaches only the addresses that `rules` allow.
    ///
    /// # Errors
    /// [`FetcherError`] where TLS cannot be set up.
    pub fn new(rules: AddressRules) -> Result<Self, FetcherError> {
        let fetcher = Self {
            verified: OnceLock::new(),
            unverified: OnceLock::new(),
            connector: GuardedConnector::new(rules),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        };
        // The cheap one of the two: it fails where the provider itself does not work, now and not at the first scrape.
        fetcher.pool(true).map_err(|error| FetcherError { reason: error.to_string() })?;
        Ok(fetcher)
    }

    /// The connections with or without verified certificates; the system's roots are read when first needed.
    fn pool(&self, insecure_skip_verify: bool) -> Result<&Pool, FetchError> {
        let cell = if insecure_skip_verify { &self.unverified } else { &self.verified };
        if let Some(pool) = cell.get() {
            return Ok(pool);
        }
        let config = tls::config(&self.provider, insecure_skip_verify)?;
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(self.connector);
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .build(connector);
        Ok(cell.get_or_init(|| pool))
    }

    async fn fetch_all(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let pool = self.pool(request.insecure_skip_verify)?;
        let url = redirect::parse_url(&request.url)?;
        let mut headers = header_map(&request.headers)?;
        if let Some(credentials) = redirect::userinfo(&url)
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, credentials);
        }
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
        let method = match request.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
        };
        let mut hop = redirect::Hop { method, url, headers, body: request.body };
        for _ in 0..redirect::REQUESTS_MAX {
            let response = send(pool, &hop).await?;
            let location = redirect::location(&response).filter(|_| request.follow_redirects);
            let Some(location) = location else { return whole(response, request.body_bytes_max).await };
            hop = hop.follow(response.status(), &location)?;
            body::drain(response).await;
        }
        Err(FetchError::Protocol(format!("stopped after {} redirects", redirect::REQUESTS_MAX)))
    }
}

impl Fetcher for SystemFetcher {
    fn fetch(&self, request: HttpRequest) -> PlatformFuture<'_, HttpResponse, FetchError> {
        Box::pin(async move {
            match tokio::time::timeout(request.timeout, self.fetch_all(request)).await {
                Ok(result) => result,
                Err(_) => Err(FetchError::Timeout),
            }
        })
    }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, FetchError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        // The value may be a secret, so it is never part of the error.
        let parsed_name: HeaderName = name
            .parse()
            .map_err(|_| FetchError::Protocol(format!("net/http: invalid header field name {name:?}")))?;
        let mut parsed_value: HeaderValue = value.parse().map_err(|_| {
            FetchError::Protocol(format!("net/http: invalid header field value for {name:?}"))
        })?;
        parsed_value.set_sensitive(true);
        map.append(parsed_name, parsed_value);
    }
    Ok(map)
}

/// Sends one request and reads the head of its answer.
async fn send(pool: &Pool, hop: &redirect::Hop) -> Result<Response<Incoming>, FetchError> {
    let mut target: Url = hop.url.clone();
    target.set_fragment(None);
    // Neither can fail for a URL with a host; were one to, the credentials would be refused by the server's name check.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    let uri: Uri = target
        .as_str()
        .parse()
        .map_err(|error| FetchError::Protocol(format!("parse {:?}: {error}", target.as_str())))?;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut request = Request::new(Full::new(hop.body.clone()));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = hop.headers.clone();
        match pool.request(request).await {
            Ok(response) => {
                if let Some(connection) = response.extensions().get::<Connection>() {
                    connection.mark_used();
                }
                return Ok(response);
            }
            Err(error) => {
                let connection = reason::connection_of(&error);
                let was_idle = connection.as_ref().is_some_and(Connection::was_used);
                let harmless = hop.method == Method::GET && hop.body.is_empty();
                if !(was_idle && harmless && attempts < STALE_MAX && reason::is_closed(&error)) {
                    return Err(reason::of_request(&error, connection.as_ref(), &hop.url));
                }
            }
        }
    }
}

/// Reads the rest of an answer.
async fn whole(response: Response<Incoming>, body_bytes_max: u64) -> Result<HttpResponse, FetchError> {
    let status = response.status();
    let phrase = match response.extensions().get::<ReasonPhrase>() {
        Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    };
    let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let content_type = String::from_utf8_lossy(content_type).into_owned();
    let body = body::read(response, body_bytes_max).await?;
    Ok(HttpResponse {
        status: status.as_u16(),
        status_line: format!("{} {phrase}", status.as_u16()),
        content_type,
        body,
    })
}

#[cfg(test)]
mod tests;
