//! What a query function answers besides the API itself.

use api::{Api, Request, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response as HttpResponse};

/// Answers a request to the API, to `/federate`, or of somebody who asks whether anyone is there.
pub async fn answer(api: &Api, request: Request) -> Response {
    let read = [Method::GET, Method::HEAD].contains(request.method());
    match request.uri().path() {
        "/federate" => api.route(request).await,
        path if path.starts_with("/api/") => api.route(request).await,
        "/-/healthy" if read => text("foxfire is Healthy.\n"),
        "/-/ready" if read => text("foxfire is Ready.\n"),
        "/-/healthy" | "/-/ready" => api::method_not_allowed("GET, HEAD, OPTIONS"),
        _ => api::not_found(),
    }
}

fn text(body: &'static str) -> Response {
    let mut response = HttpResponse::new(Bytes::from_static(body.as_bytes()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
