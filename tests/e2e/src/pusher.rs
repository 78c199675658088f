//! A remote writer for tests that look at one push at a time.

use std::collections::BTreeMap;

use model::Labels;
use remote::testing::{compress, encode_v1};
use remote::{Sample, TimeSeries, WriteRequest};
use serde_json::Value;

use crate::{Foxfire, post_body};

/// Sends samples of one series, a value at a time, and knows what was acknowledged.
#[derive(Debug, Default)]
pub struct Pusher {
    /// Acknowledged values by instant, ms.
    pub acknowledged: BTreeMap<i64, f64>,
    /// Values whose outcome is unknown, or that were refused.
    pub others: BTreeMap<i64, f64>,
    /// A label whose value makes requests large, as many bytes of noise each.
    pub ballast: usize,
    sent: u64,
    last: i64,
}

impl Pusher {
    /// Pushes the next value at `timestamp`, ms, or right after the one before; gives status and body.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn push(&mut self, address: &str, timestamp: i64) -> Result<(u16, String), String> {
        // Of two values at one instant the first would stand.
        let timestamp = timestamp.max(self.last + 1);
        self.last = timestamp;
        self.sent += 1;
        let value = self.sent as f64 / 3.0;
        let series = |name: &str, noise: String| TimeSeries {
            labels: Labels::from_pairs([("__name__", name.to_owned()), ("noise", noise)]),
            samples: vec![Sample { timestamp, value }],
            ..TimeSeries::default()
        };
        let mut all = vec![series("pushed", String::new())];
        if self.ballast > 0 {
            all.push(series("ballast", self.noise()));
        }
        let body = compress(&encode_v1(&WriteRequest { series: all, ..WriteRequest::default() }));
        let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n";
        let answer = post_body(address, "/api/v1/write", headers, &body);
        let into = if matches!(answer, Ok((204, _))) { &mut self.acknowledged } else { &mut self.others };
        into.insert(timestamp, value);
        answer
    }

    /// Every value that was acknowledged is stored, exactly; of the others any; nothing else is.
    pub fn check(&self, foxfire: &Foxfire, time: f64) {
        // Pushes that follow each other faster than a millisecond have instants ahead of the clock.
        let time = time.max(self.last as f64 / 1000.0);
        let result = foxfire.query("pushed[1h]", Some(time));
        let points = result.first().map(|series| series["values"].as_array().cloned().unwrap_or_default());
        let point = |p: &Value| {
            let timestamp = (p[0].as_f64().unwrap() * 1000.0).round() as i64;
            (timestamp, p[1].as_str().unwrap().parse::<f64>().unwrap())
        };
        let stored: BTreeMap<i64, f64> = points.unwrap_or_default().iter().map(point).collect();
        for (timestamp, value) in &self.acknowledged {
            assert_eq!(stored.get(timestamp), Some(value), "acknowledged at {timestamp}");
        }
        for (timestamp, value) in &stored {
            let sent = self.acknowledged.get(timestamp).or(self.others.get(timestamp));
            assert_eq!(sent, Some(value), "stored at {timestamp}");
        }
    }

    /// Text that does not compress, other each time.
    fn noise(&self) -> String {
        let mut state = self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            format!("{state:016x}")
        };
        (0..self.ballast / 16).map(|_| next()).collect()
    }
}
