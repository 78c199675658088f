//! HTTP in: a thin layer of axum over [`api::Api::route`] and [`ingest_function::Ingest::write`], plus what belongs to the process: `/metrics`, health, reload.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use ingest_function::Ingest;
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::lenient::LenientListener;
use super::metering::{Trigger, as_function};
use super::reload::Reloader;

/// A request's body may be at most so large: forms with long queries.
const BODY_BYTES_MAX: usize = 10 << 20;
/// What is pushed may be larger: as much as Prometheus takes.
const PUSH_BYTES_MAX: usize = 32 << 20;
const WRITE: &str = "/api/v1/write";
/// A request's body must arrive within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) api: api::Api,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) ingest: Option<Arc<Ingest>>,
    pub(crate) queries: Arc<Semaphore>,
    pub(crate) pushes: Arc<Semaphore>,
    pub(crate) lifecycle_enabled: bool,
}

/// Serves until `stop` completes; answers that have begun are finished.
pub(crate) async fn serve(
    listener: TcpListener,
    http: Http,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new().fallback(answer).with_state(http);
    axum::serve(LenientListener(listener), router).with_graceful_shutdown(stop).await
}

/// Whether only this machine can reach the address.
pub(crate) fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().is_loopback()
}

async fn answer(State(http): State<Http>, request: http::Request<Body>) -> axum::response::Response {
    let started = http.api.clock.monotonic_ns();
    let handler = handler_name(request.uri().path());
    let headers = request.headers().clone();
    let response = match read_whole(request).await {
        Ok(request) if is_write(&request) => http.call_ingest(request).await,
        Ok(request) if is_api(request.uri().path()) => http.call_api(request).await,
        Ok(request) => api::compressed(&headers, http.dispatch(&request).await),
        Err(status) => plain(status, status.canonical_reason().unwrap_or_default()),
    };
    let seconds = http.api.clock.monotonic_ns().saturating_sub(started) as f64 / 1e9;
    http.metrics.http_request(handler, response.status().as_u16(), seconds, response.body().len());
    response.map(Body::from).into_response()
}

async fn read_whole(request: http::Request<Body>) -> Result<api::Request, StatusCode> {
    let (parts, body) = request.into_parts();
    let bytes_max = if parts.uri.path() == WRITE { PUSH_BYTES_MAX } else { BODY_BYTES_MAX };
    let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, bytes_max))
        .await
        .map_err(|_| StatusCode::REQUEST_TIMEOUT)?
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    Ok(http::Request::from_parts(parts, body))
}

impl Http {
    async fn dispatch(&self, request: &api::Request) -> api::Response {
        let read = [Method::GET, Method::HEAD].contains(request.method());
        match request.uri().path() {
            "/metrics" if read => text("text/plain; version=0.0.4; charset=utf-8", self.metrics.encode()),
            "/-/healthy" if read => plain(StatusCode::OK, "foxfire is Healthy.\n"),
            "/-/ready" if read => plain(StatusCode::OK, "foxfire is Ready.\n"),
            "/-/reload" => self.reload(request.method()).await,
            "/version" if read => self.version(),
            "/" | "/query" if read => text("text/html; charset=utf-8", HOME.to_owned()),
            "/graph" if read => redirect(&format!("/query?{}", request.uri().query().unwrap_or(""))),
            path if PAGES.contains(&path) => api::method_not_allowed("GET, HEAD, OPTIONS"),
            _ => api::not_found(),
        }
    }

    /// Queries compute for long: they run beside the threads that serve sockets, at most so many at once.
    async fn call_api(&self, request: api::Request) -> api::Response {
        let is_query = request.uri().path().starts_with("/api/v1/query");
        let waiting_since = self.api.clock.monotonic_ns();
        let Ok(_permit) = Arc::clone(&self.queries).acquire_owned().await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
        };
        let began = self.api.clock.monotonic_ns();
        let (api, metrics) = (self.api.clone(), Arc::clone(&self.metrics));
        let runtime = tokio::runtime::Handle::current();
        let answered = tokio::task::spawn_blocking(move || {
            let answering = api.route(request);
            runtime.block_on(as_function("query", Trigger::Http, &metrics, &*api.clock, answering))
        })
        .await;
        if is_query {
            let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9;
            self.metrics.query("queue_time", seconds(waiting_since, began));
            self.metrics.query("inner_eval", seconds(began, self.api.clock.monotonic_ns()));
        }
        answered.unwrap_or_else(|error| {
            tracing::error!(%error, "a request failed unexpectedly");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
        })
    }

    /// Decoding and encoding compute, if not for long: beside the threads that serve sockets, too.
    async fn call_ingest(&self, request: api::Request) -> api::Response {
        let Some(ingest) = self.ingest.clone() else {
            return plain(
                StatusCode::NOT_FOUND,
                "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n",
            );
        };
        let Ok(_permit) = Arc::clone(&self.pushes).acquire_owned().await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
        };
        let (clock, metrics) = (Arc::clone(&self.api.clock), Arc::clone(&self.metrics));
        let runtime = tokio::runtime::Handle::current();
        let answered = tokio::task::spawn_blocking(move || {
            let writing = ingest.write(request);
            runtime.block_on(as_function("ingest", Trigger::Http, &metrics, &*clock, writing))
        })
        .await;
        answered.unwrap_or_else(|error| {
            tracing::error!(%error, "a pushed request failed unexpectedly");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
        })
    }

    async fn reload(&self, method: &Method) -> api::Response {
        if ![Method::POST, Method::PUT].contains(method) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "This endpoint requires a POST or PUT request.\n");
        }
        if !self.lifecycle_enabled {
            return plain(StatusCode::FORBIDDEN, "Lifecycle API is not enabled.\n");
        }
        match self.reloader.reload().await {
            Ok(()) => plain(StatusCode::OK, ""),
            Err(error) => {
                plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to reload config: {error}\n"))
            }
        }
    }

    fn version(&self) -> api::Response {
        let build = self.api.deployment.build_info();
        let body = serde_json::json!({
            "version": build.version,
            "revision": build.revision,
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        });
        text("application/json", body.to_string())
    }
}

/// What can be read besides the API.
const PAGES: &[&str] = &["/metrics", "/-/healthy", "/-/ready", "/version", "/", "/graph", "/query"];

/// Whether somebody pushes. Preflights are the API's to answer.
fn is_write(request: &api::Request) -> bool {
    request.uri().path() == WRITE && request.method() != Method::OPTIONS
}

fn is_api(path: &str) -> bool {
    path.starts_with("/api/") || path == "/federate"
}

/// The label that dashboards know: one a route, not one a path.
fn handler_name(path: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        "/api/v1/query",
        "/api/v1/query_range",
        "/api/v1/query_exemplars",
        "/api/v1/format_query",
        "/api/v1/series",
        "/api/v1/labels",
        "/api/v1/targets",
        "/api/v1/targets/metadata",
        "/api/v1/metadata",
        "/api/v1/scrape_pools",
        "/api/v1/alertmanagers",
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v1/status/config",
        "/api/v1/status/flags",
        "/api/v1/status/buildinfo",
        "/api/v1/status/runtimeinfo",
        "/api/v1/status/walreplay",
        "/api/v1/status/tsdb",
        "/api/v1/status/tsdb/blocks",
        WRITE,
        "/federate",
        "/metrics",
        "/-/healthy",
        "/-/ready",
        "/-/reload",
        "/version",
        "/",
    ];
    match KNOWN.iter().find(|known| **known == path) {
        Some(known) => known,
        None if path.starts_with("/api/v1/label/") => "/api/v1/label/:name/values",
        None => "other",
    }
}

fn plain(status: StatusCode, body: &str) -> api::Response {
    let mut response = text("text/plain; charset=utf-8", body.to_owned());
    *response.status_mut() = status;
    response
}

fn text(content_type: &'static str, body: String) -> api::Response {
    let mut response = http::Response::new(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn redirect(to: &str) -> api::Response {
    let mut response = plain(StatusCode::FOUND, "");
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

const HOME: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>foxfire</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}
input{width:100%;font:inherit;padding:.4rem;box-sizing:border-box}pre{background:#f4f4f4;padding:1rem;overflow:auto}</style>
</head><body><h1>foxfire</h1>
<p>The HTTP API is Prometheus's: point Grafana or <code>promtool query</code> at this address.</p>
<form id="f"><input id="q" value="up" aria-label="PromQL query"></form><pre id="r"></pre>
<p><a href="/api/v1/targets">targets</a> · <a href="/api/v1/rules">rules</a> · <a href="/api/v1/alerts">alerts</a> ·
<a href="/api/v1/status/config">configuration</a> · <a href="/api/v1/status/flags">flags</a> ·
<a href="/api/v1/status/tsdb/blocks">blocks</a> · <a href="/metrics">metrics</a></p>
<script>
const show=async e=>{e&&e.preventDefault();const a=await fetch('/api/v1/query?query='+encodeURIComponent(q.value));
r.textContent=JSON.stringify(await a.json(),null,2)};f.onsubmit=show;
q.value=new URLSearchParams(location.search).get('g0.expr')||q.value;show();
</script></body></html>
"#;
