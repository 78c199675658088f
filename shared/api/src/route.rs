//! From a request to the endpoint that answers it, and back.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::params::Params;
use crate::{Api, ApiError, ErrorType, json};

/// A request with its whole body.
pub type Request = http::Request<Bytes>;
/// A response with its whole body.
pub type Response = http::Response<Bytes>;

const PREFIX: &str = "/api/v1/";
const FORM: &str = "application/x-www-form-urlencoded";

/// A successful answer before it is wrapped in the envelope.
#[derive(Debug)]
pub(crate) struct Answer {
    data: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl Answer {
    /// An answer whose data is already JSON.
    pub(crate) fn raw(data: String) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new() }
    }

    /// An answer of plain data.
    pub(crate) fn json(data: &serde_json::Value) -> Self {
        Self::raw(data.to_string())
    }
}

impl Api {
    /// Answers a request to `/api/v1/…`. Never fails: errors are answers.
    pub async fn route(&self, request: Request) -> Response {
        let Some(path) = request.uri().path().strip_prefix(PREFIX) else {
            return not_found();
        };
        let form = if is_form(&request) { request.body().as_ref() } else { &[] };
        let params = Params::new(request.uri().query(), form);
        let Some(allowed) = methods(path) else { return not_found() };
        if request.method() == Method::OPTIONS {
            return empty(StatusCode::NO_CONTENT);
        }
        if !allowed.contains(request.method()) {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, OPTIONS, POST"));
            return response;
        }
        match self.answer(path, &params).await {
            Ok(answer) => success(&answer),
            Err(error) => failure(&error),
        }
    }

    async fn answer(&self, path: &str, params: &Params) -> Result<Answer, ApiError> {
        match path {
            "query" => self.query(params).await,
            "query_range" => self.query_range(params).await,
            "format_query" => self.format_query(params),
            "series" => self.series(params).await,
            "labels" => self.label_names(params).await,
            "targets" => self.targets(params).await,
            "scrape_pools" => self.scrape_pools().await,
            "alertmanagers" => self.alertmanagers().await,
            "rules" => self.rules(params).await,
            "alerts" => self.alerts().await,
            "status/config" => self.status_config().await,
            "status/flags" => Ok(self.status_flags()),
            "status/buildinfo" => Ok(self.status_buildinfo()),
            "status/runtimeinfo" => Ok(self.status_runtimeinfo()),
            "status/tsdb" => self.status_tsdb(params).await,
            "status/tsdb/blocks" => self.status_tsdb_blocks().await,
            _ => match label_name(path) {
                Some(name) => self.label_values(&name, params).await,
                None => Err(ApiError::new(ErrorType::NotFound, "not found")),
            },
        }
    }
}

/// The methods of an endpoint; `None` where there is no such endpoint.
fn methods(path: &str) -> Option<&'static [Method]> {
    const READ: &[Method] = &[Method::GET];
    const READ_OR_FORM: &[Method] = &[Method::GET, Method::POST];
    match path {
        "query" | "query_range" | "format_query" | "series" | "labels" => Some(READ_OR_FORM),
        "targets" | "scrape_pools" | "alertmanagers" | "rules" | "alerts" | "status/config"
        | "status/flags" | "status/buildinfo" | "status/runtimeinfo" | "status/tsdb"
        | "status/tsdb/blocks" => Some(READ),
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
    request.method() == Method::POST && content_type.split(';').next().is_some_and(|kind| kind.trim() == FORM)
}

fn success(answer: &Answer) -> Response {
    let mut body = String::with_capacity(answer.data.len() + 64);
    body.push_str(r#"{"status":"success","data":"#);
    body.push_str(&answer.data);
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

fn not_found() -> Response {
    let mut response = Response::new(Bytes::from_static(b"404 page not found\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
