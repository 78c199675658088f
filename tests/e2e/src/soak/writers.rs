//! Remote writers that know what was acknowledged.

use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use model::Labels;
use remote::testing::{compress, encode_v1, encode_v2};
use remote::{Sample, TimeSeries, WriteRequest};

use super::{Stop, now_ms};
use crate::post_body;

/// Series of each request.
pub(crate) const SERIES: usize = 10;
/// Every so many requests, one is given up when it first fails: its outcome stays unknown.
const GIVE_UP_EVERY: u64 = 7;
/// Every so many requests, one brings samples of long ago, so that blocks of closed windows are written and merged.
const OLD_EVERY: u64 = 5;
/// How long ago, ms.
const OLD_MS: i64 = 7 * 3_600_000;

/// What a writer has sent.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) writer: usize,
    /// Instants of the samples of request `q`, and whether it was acknowledged, at index `q`.
    pub(crate) requests: Vec<(i64, bool)>,
    /// Requests that were sent more than once.
    pub(crate) repeated: usize,
}

/// Writes until it is stopped.
pub(crate) fn start(writer: usize, address: String, pause: Duration, stop: Stop) -> JoinHandle<Written> {
    std::thread::spawn(move || {
        let mut written = Written { writer, ..Written::default() };
        let mut last = 0;
        while !stop.load(Ordering::SeqCst) {
            let q = written.requests.len() as u64;
            let mut timestamp = now_ms().max(last + 1);
            last = timestamp;
            if q.is_multiple_of(OLD_EVERY) {
                timestamp -= OLD_MS;
            }
            let give_up = q % GIVE_UP_EVERY == GIVE_UP_EVERY - 1;
            let (acknowledged, attempts) = send(&address, writer, q, timestamp, give_up);
            written.requests.push((timestamp, acknowledged));
            written.repeated += usize::from(attempts > 1);
            std::thread::sleep(pause);
        }
        written
    })
}

/// The value of series `k` in request `q`.
pub(crate) fn value(q: u64, k: usize) -> f64 {
    (q * 100 + k as u64 + 1) as f64 / 7.0
}

/// Sends a request again and again until it is acknowledged. Also what is given up is sent at least once.
fn send(address: &str, writer: usize, q: u64, timestamp: i64, give_up: bool) -> (bool, usize) {
    let series = |k: usize| TimeSeries {
        labels: Labels::from_pairs([
            ("__name__", "soak_push".to_owned()),
            ("job", "push".to_owned()),
            ("k", k.to_string()),
            ("writer", writer.to_string()),
        ]),
        samples: vec![Sample { timestamp, value: value(q, k) }],
        ..TimeSeries::default()
    };
    let request = WriteRequest { series: (0..SERIES).map(series).collect(), ..WriteRequest::default() };
    let (kind, message) = if writer.is_multiple_of(2) {
        ("application/x-protobuf", encode_v1(&request))
    } else {
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", encode_v2(&request))
    };
    let headers = format!("Content-Encoding: snappy\r\nContent-Type: {kind}\r\n");
    let body = compress(&message);
    let mut attempts = 0;
    loop {
        attempts += 1;
        match post_body(address, "/api/v1/write", &headers, &body) {
            Ok((204, _)) => return (true, attempts),
            // It may be stopping, or starting; anything else is no answer to a good request.
            Ok((status, body)) => assert!(status >= 500, "a push was refused: {status} {body}"),
            Err(_) if give_up => return (false, attempts),
            Err(_) => {}
        }
        std::thread::sleep(Duration::from_millis(50));
        assert!(attempts < 3_000, "a push is never acknowledged");
    }
}
