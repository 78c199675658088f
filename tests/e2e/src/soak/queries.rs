//! Queries that note what was visible: whatever an answer has shown must be there ever after.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::{Stop, now_ms};
use crate::get;

/// What was seen: bits of the value, by series and instant, ms.
pub(crate) type Seen = BTreeMap<(String, i64), u64>;

/// What a querier has seen.
#[derive(Debug, Default)]
pub(crate) struct Queried {
    pub(crate) seen: Seen,
    pub(crate) answers: usize,
    /// Queries that were not answered, for foxfire was not running.
    pub(crate) unanswered: usize,
}

/// Asks until it is stopped.
pub(crate) fn start(n: usize, address: String, stop: Stop) -> JoinHandle<Queried> {
    std::thread::spawn(move || {
        let mut queried = Queried::default();
        let mut round = n;
        while !stop.load(Ordering::SeqCst) {
            round += 1;
            let path = path(round);
            match get(&address, &path) {
                Ok((200, body)) => {
                    queried.answers += 1;
                    queried.note(&body, round.is_multiple_of(3));
                }
                // A query that meets the end of the process is not answered; none is answered with an error.
                Ok((status, body)) => {
                    assert!(status >= 500 && body.contains("shutting"), "{path}: {status} {body}")
                }
                Err(_) => queried.unanswered += 1,
            }
            std::thread::sleep(Duration::from_millis(150));
        }
        queried
    })
}

/// Raw samples by an instant query; in every other round evaluated steps, which only keep the engine busy.
fn path(round: usize) -> String {
    let now = now_ms() as f64 / 1000.0;
    let encoded = |expr: &str| -> String { url::form_urlencoded::byte_serialize(expr.as_bytes()).collect() };
    if round.is_multiple_of(3) {
        let expr = encoded("{__name__=~\"soak_(value|push)\"}[15s]");
        return format!("/api/v1/query?query={expr}&time={now}");
    }
    let expr = ["sum by (instance) (soak_value)", "rate(soak_push[1m])", "count(soak_churn)"][round % 3];
    format!("/api/v1/query_range?query={}&start={}&end={now}&step=2", encoded(expr), now - 120.0)
}

impl Queried {
    fn note(&mut self, body: &str, raw: bool) {
        let answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(answer["status"], "success", "{body}");
        if raw {
            for series in answer["data"]["result"].as_array().unwrap() {
                let labels = labels_of(&series["metric"]);
                for (timestamp, value) in points_of(&series["values"]) {
                    let before = self.seen.insert((labels.clone(), timestamp), value);
                    let same = before.is_none_or(|before| before == value);
                    assert!(same, "{labels} at {timestamp} has changed before a querier's eyes");
                }
            }
        }
    }
}

/// Labels in one spelling.
pub(crate) fn labels_of(metric: &Value) -> String {
    let sorted: BTreeMap<String, String> = serde_json::from_value(metric.clone()).unwrap();
    format!("{sorted:?}")
}

/// Instants, ms, and bits of values.
pub(crate) fn points_of(values: &Value) -> Vec<(i64, u64)> {
    let point = |p: &Value| {
        let timestamp = (p[0].as_f64().unwrap() * 1000.0).round() as i64;
        (timestamp, p[1].as_str().unwrap().parse::<f64>().unwrap().to_bits())
    };
    values.as_array().unwrap().iter().map(point).collect()
}
