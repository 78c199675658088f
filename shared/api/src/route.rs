//! From a request to the endpoint that answers it, and back.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::compress::compressed;
use crate::params::Params;
use crate::{Api, ApiError, ErrorType, cors, json};

/// A request with its whole body.
pub type Request = http::Request<Bytes>;
/// A response with its whole body.
pub type Response = http::Response<Bytes>;

const PREFIX: &str = "/api/v1/";
const FORM: &str = "application/x-www-form-urlencoded";

/// A successful answer before it is wrapped in the envelope.
#[derive(Debug)]
pub(crate) struct Answer {
    data: Option<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl Answer {
    /// An answer whose data is already JSON.
    pub(crate) fn raw(data: String) -> Self {
        Self { data: Some(data), warnings: Vec::new(), infos: Vec::new() }
    }

    /// An answer without data: 204.
    pub(crate) fn nothing() -> Self {
        Self { data: None, warnings: Vec::new(), infos: Vec::new() }
    }

    /// An answer of plain data.
    pub(crate) fn json(data: &serde_json::Value) -> Self {
        Self::raw(data.to_string())
    }
}

impl Api {
    /// Answers a request to `/api/v1/…` or `/federate`, compressed where the client can read that. Never fails: errors
    /// are answers.
    pub async fn route(&self, request: Request) -> Response {
        let response = self.dispatch(&request).await;
        compressed(request.headers(), response)
    }

    async fn dispatch(&self, request: &Request) -> Response {
        let form = if is_form(request) { request.body().as_ref() } else { &[] };
        let params = Params::new(request.uri().query(), form);
        if request.uri().path() == "/federate" {
            return match *request.method() {
                Method::GET => self.federate(&params, request.headers()).await,
                _ => method_not_allowed("GET, OPTIONS"),
            };
        }
        let Some(path) = request.uri().path().strip_prefix(PREFIX) else {
            return not_found();
        };
        let response = if request.method() == Method::OPTIONS {
            empty(StatusCode::NO_CONTENT)
        } else {
            match methods(path) {
                None => return not_found(),
                Some(allowed) if !allowed.contains(request.method()) => {
                    return method_not_allowed(match allowed {
                        CHANGE => "OPTIONS, POST, PUT",
                        READ_OR_FORM => "GET, OPTIONS, POST",
                        _ => "GET, OPTIONS",
                    });
                }
                Some(_) => match self.answer(path, &params).await {
                    Ok(answer) => success(&answer),
                    Err(error) => failure(&error),
                },
            }
        };
        cors::allowed(request.headers(), response)
    }

    async fn answer(&self, path: &str, params: &Params) -> Result<Answer, ApiError> {
        match path {
            "query" => self.query(params).await,
            "query_range" => self.query_range(params).await,
            "format_query" => self.format_query(params),
            "query_exemplars" => self.query_exemplars(params).await,
            "series" => self.series(params).await,
            "labels" => self.label_names(params).await,
            "targets" => self.targets(params).await,
            "targets/metadata" => self.target_metadata(params).await,
            "metadata" => self.metric_metadata(params).await,
            "scrape_pools" => self.scrape_pools().await,
            "alertmanagers" => self.alertmanagers().await,
            "rules" => self.rules(params).await,
            "alerts" => self.alerts().await,
            "status/config" => self.status_config().await,
            "status/flags" => Ok(self.status_flags()),
            "status/buildinfo" => Ok(self.status_buildinfo()),
            "status/runtimeinfo" => Ok(self.status_runtimeinfo()),
            "status/walreplay" => Ok(Self::status_walreplay()),
            "status/tsdb" => self.status_tsdb(params).await,
            "status/tsdb/blocks" => self.status_tsdb_blocks().await,
            "admin/tsdb/delete_series" => self.delete_series(params).await,
            "admin/tsdb/clean_tombstones" => self.clean_tombstones().await,
            "admin/tsdb/snapshot" => self.snapshot(),
            _ => match label_name(path) {
                Some(name) => self.label_values(&name, params).await,
                None => Err(ApiError::new(ErrorType::NotFound, "not found")),
            },
        }
    }
}

const READ: &[Method] = &[Method::GET];
const READ_OR_FORM: &[Method] = &[Method::GET, Method::POST];
const CHANGE: &[Method] = &[Method::POST, Method::PUT];

/// The methods of an endpoint; `None` where there is no such endpoint.
fn methods(path: &str) -> Option<&'static [Method]> {
    match path {
        "query" | "query_range" | "query_exemplars" | "format_query" | "series" | "labels" => {
            Some(READ_OR_FORM)
        }
        "targets" | "targets/metadata" | "metadata" | "scrape_pools" | "alertmanagers" | "rules"
        | "alerts" | "status/config" | "status/flags" | "status/buildinfo" | "status/runtimeinfo"
        | "status/walreplay" | "status/tsdb" | "status/tsdb/blocks" => Some(READ),
        "admin/tsdb/delete_series" | "admin/tsdb/clean_tombstones" | "admin/tsdb/snapshot" => Some(CHANGE),
        _ => label_name(path).map(|_| READ),
    }
}

fn label_name(path: &str) -> Option<String> {
    let name = path.strip_prefix("label/")?.strip_suffix("/values")?;
    (!name.contains('/')).then(|| percent_decode_str(name).decode_utf8_lossy().into_owned())
}

fn is_form(request: &Request) -> bool {
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    CHANGE.contains(request.method())
        && content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM))
}

fn success(answer: &Answer) -> Response {
    let Some(data) = &answer.data else { return empty(StatusCode::NO_CONTENT) };
    let mut body = String::with_capacity(data.len() + 64);
    body.push_str(r#"{"status":"success","data":"#);
    body.push_str(data);
    for (name, texts) in [("warnings", &answer.warnings), ("infos", &answer.infos)] {
        if !texts.is_empty() {
            body.push_str(",\"");
            body.push_str(name);
            body.push_str("\":");
            json::array(&mut body, texts, |out, text| json::string(out, text));
        }
    }
    body.push('}');
    respond(StatusCode::OK, body)
}

fn failure(error: &ApiError) -> Response {
    let mut body = String::from(r#"{"status":"error","errorType":""#);
    body.push_str(error.kind.as_str());
    body.push_str(r#"","error":"#);
    json::string(&mut body, &error.message);
    body.push('}');
    respond(error.kind.status(), body)
}

fn respond(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Go's `http.NotFound`.
#[must_use]
pub fn not_found() -> Response {
    http_error(StatusCode::NOT_FOUND, "404 page not found")
}

/// What Prometheus's router answers where the path exists, but not for this method.
#[must_use]
pub fn method_not_allowed(allow: &'static str) -> Response {
    let mut response = http_error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Go's `http.Error`.
pub(crate) fn http_error(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(Bytes::from(format!("{message}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
