//! Requests to LocalStack. It checks no signatures, so a few lines of HTTP do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use localstack::REGION;
use serde_json::Value;

/// An answer to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// LocalStack's address.
#[derive(Clone, Debug)]
pub struct Cloud {
    address: String,
}

impl Cloud {
    /// The one at `host:port`.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    /// A request to SQS, whose actions take and give JSON.
    pub fn sqs(&self, action: &str, input: &Value) -> Value {
        self.json("sqs", &format!("AmazonSQS.{action}"), input)
    }

    /// A request to DynamoDB.
    pub fn dynamodb(&self, action: &str, input: &Value) -> Value {
        self.json("dynamodb", &format!("DynamoDB_20120810.{action}"), input)
    }

    /// Invokes a function and waits for its answer; fails where the function does.
    pub fn invoke(&self, function: &str, event: &Value) -> Value {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer = self.signed("POST", &path, "lambda", "", &event.to_string());
        assert_eq!(answer.status, 200, "{function}: {}", answer.body);
        assert!(!answer.body.contains("\"errorMessage\""), "{function}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    /// Invokes a function as schedules do: without waiting.
    pub fn invoke_later(&self, function: &str, event: &Value) {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let answer =
            self.signed("POST", &path, "lambda", "X-Amz-Invocation-Type: Event\r\n", &event.to_string());
        assert_eq!(answer.status, 202, "{function}: {}", answer.body);
    }

    /// GETs what is not AWS's: the deployed HTTP API.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "", "")
    }

    /// POSTs to what is not AWS's.
    pub fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.request("POST", path, headers, body)
    }

    fn json(&self, service: &str, target: &str, input: &Value) -> Value {
        let headers = format!("Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: {target}\r\n");
        let answer = self.signed("POST", "/", service, &headers, &input.to_string());
        assert_eq!(answer.status, 200, "{target} {input}: {}", answer.body);
        if answer.body.is_empty() { Value::Null } else { serde_json::from_str(&answer.body).unwrap() }
    }

    fn signed(&self, method: &str, path: &str, service: &str, headers: &str, body: &str) -> Answer {
        let headers = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=test/20200101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\nX-Amz-Date: 20200101T000000Z\r\n{headers}"
        );
        self.request(method, path, &headers, body)
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\n{headers}Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{method} {path}: no answer: {answer}"));
        Answer { status, body: body.to_owned() }
    }
}
