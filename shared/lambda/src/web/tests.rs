use http::header::{CONTENT_ENCODING, VARY};
use proptest::prelude::*;

use super::*;

fn event(path: &str, stage: &str) -> Value {
    json!({
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "query=up&time=1",
        "headers": { "accept-encoding": "gzip", "host": "h" },
        "requestContext": { "http": { "method": "GET", "path": path }, "stage": stage },
        "isBase64Encoded": false,
    })
}

#[test]
fn a_request_is_what_the_client_sent() {
    let request = request(event("/api/v1/query", "$default")).unwrap();
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.uri(), "/api/v1/query?query=up&time=1");
    assert_eq!(request.headers()["accept-encoding"], "gzip");
    assert!(request.body().is_empty());
}

#[test]
fn a_body_is_decoded_only_if_it_was_encoded() {
    let mut event = event("/api/v1/write", "$default");
    event["requestContext"]["http"]["method"] = json!("POST");
    event["body"] = json!("AAH/");
    event["isBase64Encoded"] = json!(true);
    assert_eq!(request(event.clone()).unwrap().body().as_ref(), [0, 1, 255]);
    event["isBase64Encoded"] = json!(false);
    assert_eq!(request(event.clone()).unwrap().body().as_ref(), b"AAH/");
    event["isBase64Encoded"] = json!(true);
    event["body"] = json!("no base64!");
    assert!(request(event).unwrap_err().starts_with("body: "));
}

#[test]
fn the_stage_is_no_part_of_the_path() {
    let path = |path, stage| request(event(path, stage)).unwrap().uri().path().to_owned();
    assert_eq!(path("/prod/api/v1/query", "prod"), "/api/v1/query");
    assert_eq!(path("/prod", "prod"), "/");
    assert_eq!(path("/production/x", "prod"), "/production/x");
    assert_eq!(path("/prod/api", "$default"), "/prod/api");
    assert_eq!(path("", "$default"), "/");
}

#[test]
fn paths_may_come_decoded_or_encoded() {
    let path = |path| request(event(path, "$default")).unwrap().uri().path().to_owned();
    assert_eq!(path("/api/v1/label/a b ü/values"), "/api/v1/label/a%20b%20%C3%BC/values");
    assert_eq!(path("/api/v1/label/a%20b/values"), "/api/v1/label/a%20b/values");
    assert_eq!(path("/a?b#c"), "/a%3Fb%23c");
}

#[test]
fn several_values_of_a_header_become_one() {
    let mut response = http::Response::new(Bytes::from_static(b"{}"));
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    let answer = answer(response);
    assert_eq!(answer["headers"]["vary"], "Origin, Accept-Encoding");
    assert_eq!((answer["statusCode"].as_u64(), answer["body"].as_str()), (Some(200), Some("{}")));
}

#[test]
fn what_is_no_text_is_encoded() {
    let mut response = http::Response::new(Bytes::from_static(&[0x1f, 0x8b, 0xff]));
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let answer = answer(response);
    assert_eq!((answer["isBase64Encoded"].as_bool(), answer["body"].as_str()), (Some(true), Some("H4v/")));
}

#[test]
fn an_answer_that_lambda_would_not_take_is_an_error_that_says_so() {
    let quotes = http::Response::new(Bytes::from("\"".repeat(ANSWER_BYTES_MAX / 2)));
    assert_eq!(within_limit(quotes).status(), 200);
    let quotes = http::Response::new(Bytes::from("\"".repeat(ANSWER_BYTES_MAX / 2 + 1)));
    let response = within_limit(quotes);
    assert_eq!(response.status(), 422);
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!((body["status"].as_str(), body["errorType"].as_str()), (Some("error"), Some("execution")));
    assert!(serde_json::to_vec(&answer(response)).unwrap().len() < 6 << 20);
}

proptest! {
    #[test]
    fn no_event_from_outside_panics(path in "\\PC*", query in "\\PC*", method in "\\PC{0,8}", header in "\\PC*") {
        let event = json!({
            "rawPath": path,
            "rawQueryString": query,
            "headers": { header.clone(): header, "x": 1 },
            "requestContext": { "http": { "method": method } },
        });
        let _ = request(event);
    }

    #[test]
    fn the_length_of_a_body_in_its_answer_is_foretold(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let len = encoded_len(&body);
        let answer = answer(http::Response::new(Bytes::from(body)));
        prop_assert_eq!(serde_json::to_string(&answer["body"]).unwrap().len(), len + 2);
    }

    #[test]
    fn the_length_of_a_text_in_its_answer_is_foretold(body in "\\PC*[\n\t\u{1}\u{7f}\"\\\\]*") {
        let len = encoded_len(body.as_bytes());
        let answer = answer(http::Response::new(Bytes::from(body)));
        prop_assert_eq!(serde_json::to_string(&answer["body"]).unwrap().len(), len + 2);
    }
}
