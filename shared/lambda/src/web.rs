//! HTTP requests and responses as API Gateway's HTTP APIs and function URLs have them: payload format 2.0.
//!
//! The conversion is our own because a request from outside must never end the invocation: a path comes decoded from an
//! HTTP API and encoded from a function URL, and a stage other than `$default` stands before it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Lambda's bound on a buffered answer, 6 MB, less room for headers.
const ANSWER_BYTES_MAX: usize = (6 << 20) - (16 << 10);

/// What cannot stand in a path as it is. `%` can: what is encoded already stays so.
const NOT_IN_PATHS: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`');

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpEvent {
    #[serde(default)]
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    request_context: RequestContext,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
struct RequestContext {
    http: HttpContext,
    #[serde(default)]
    stage: String,
}

#[derive(Deserialize)]
struct HttpContext {
    method: String,
}

/// The request of an event.
pub(crate) fn request(payload: Value) -> Result<http::Request<Bytes>, String> {
    let event: HttpEvent = serde_json::from_value(payload).map_err(|error| error.to_string())?;
    let body = match event.body {
        None => Bytes::new(),
        Some(body) if event.is_base64_encoded => {
            Bytes::from(STANDARD.decode(body).map_err(|error| format!("body: {error}"))?)
        }
        Some(body) => Bytes::from(body),
    };
    let path =
        utf8_percent_encode(without_stage(&event.raw_path, &event.request_context.stage), NOT_IN_PATHS);
    let query = utf8_percent_encode(&event.raw_query_string, NOT_IN_PATHS);
    let uri = if event.raw_query_string.is_empty() { path.to_string() } else { format!("{path}?{query}") };
    let method =
        Method::from_bytes(event.request_context.http.method.as_bytes()).map_err(|e| e.to_string())?;
    let mut request =
        http::Request::builder().method(method).uri(uri).body(body).map_err(|e| e.to_string())?;
    let headers = request.headers_mut();
    for (name, value) in &event.headers {
        let Some(value) = value.as_str() else { continue };
        // What no HTTP server would have accepted cannot have come through one.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    if !event.cookies.is_empty()
        && let Ok(cookies) = HeaderValue::from_str(&event.cookies.join("; "))
    {
        headers.insert(COOKIE, cookies);
    }
    Ok(request)
}

/// The answer to an event.
pub(crate) fn answer(response: http::Response<Bytes>) -> Value {
    let (parts, body) = response.into_parts();
    let mut headers = Map::new();
    for name in parts.headers.keys() {
        // The format has one value a name.
        let values: Vec<_> = parts
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        headers.insert(name.as_str().to_owned(), Value::String(values.join(", ")));
    }
    let (body, is_base64) = match String::from_utf8(Vec::from(body)) {
        Ok(text) => (text, false),
        Err(error) => (STANDARD.encode(error.as_bytes()), true),
    };
    json!({
        "statusCode": parts.status.as_u16(),
        "headers": headers,
        "body": body,
        "isBase64Encoded": is_base64,
    })
}

/// The response, or what to say instead of one that Lambda would not take.
pub(crate) fn within_limit(response: http::Response<Bytes>) -> http::Response<Bytes> {
    let len = encoded_len(response.body());
    if len <= ANSWER_BYTES_MAX {
        return response;
    }
    let message = format!(
        "the answer is larger than the {ANSWER_BYTES_MAX} bytes that a Lambda function can give: {len}; ask for fewer \
         series or a longer step, or accept gzip"
    );
    failure(422, "execution", &message)
}

/// An error in the shape of Prometheus's API.
pub(crate) fn failure(status: u16, kind: &str, message: &str) -> http::Response<Bytes> {
    let body = json!({ "status": "error", "errorType": kind, "error": message });
    let mut response = http::Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// How long a body is within the answer's JSON.
fn encoded_len(body: &[u8]) -> usize {
    if std::str::from_utf8(body).is_err() {
        return body.len().div_ceil(3) * 4;
    }
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    body.len() + body.iter().map(escaped).sum::<usize>()
}

fn without_stage<'a>(path: &'a str, stage: &str) -> &'a str {
    let path = if path.is_empty() { "/" } else { path };
    if stage.is_empty() || stage == "$default" {
        return path;
    }
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    match rest {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests;
