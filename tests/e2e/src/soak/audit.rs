//! What is stored against what was served, acknowledged and seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::queries::{Queried, labels_of, points_of};
use super::targets::{self, Target};
use super::writers::{self, Written};
use super::{INTERVAL, Outage};
use crate::Foxfire;

/// A scrape that was served so long before a kill must be durable.
pub(crate) const SETTLED: Duration = Duration::from_secs(5);
/// Scrapes of each target at whose instants staleness is checked.
const STALENESS_CHECKS: usize = 40;

/// How much was compared. Whatever is wrong fails the audit.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Kills of the process.
    pub kills: usize,
    /// Scrapes that targets served, and how many of them are stored.
    pub scrapes: (usize, usize),
    /// Scrapes that are not, as a kill or a time-out came between: they were never acknowledged.
    pub scrapes_cut_off: usize,
    /// Pushed requests that were acknowledged: all are stored.
    pub pushes: usize,
    /// Requests that were sent more than once, and requests of unknown outcome with how many of them are stored.
    pub pushes_repeated: usize,
    /// See there.
    pub pushes_unknown: (usize, usize),
    /// Samples that are stored, each compared with what was served or sent.
    pub samples: usize,
    /// Samples that queries had shown before, each compared with what is stored.
    pub seen: usize,
    /// Queries that were answered, and that were not.
    pub queries: (usize, usize),
    /// Instants at which the series were compared with those of the scrape.
    pub staleness: usize,
}

impl Findings {
    /// What must not change once the load has ended.
    pub(crate) fn stored(&self) -> (usize, usize, usize) {
        (self.scrapes.1, self.pushes_unknown.1, self.samples)
    }
}

pub(crate) struct Audit<'a> {
    pub(crate) foxfire: &'a Foxfire,
    pub(crate) began: i64,
    pub(crate) end: i64,
    pub(crate) outages: Vec<Outage>,
    pub(crate) targets: Vec<Target>,
    pub(crate) writers: Vec<Written>,
    pub(crate) queries: Vec<Queried>,
}

/// What is stored: instants to bits of values, by series.
type Stored = BTreeMap<String, BTreeMap<i64, u64>>;

impl Audit<'_> {
    pub(crate) fn run(&self) -> Findings {
        let mut findings = Findings { kills: self.outages.len(), ..Findings::default() };
        let mut all = Stored::new();
        for target in &self.targets {
            self.audit_target(target, &mut all, &mut findings);
        }
        for writer in &self.writers {
            self.audit_writer(writer, &mut all, &mut findings);
        }
        for queried in &self.queries {
            findings.queries.0 += queried.answers;
            findings.queries.1 += queried.unanswered;
            for ((labels, timestamp), value) in &queried.seen {
                let stored = all.get(labels).and_then(|points| points.get(timestamp));
                assert_eq!(
                    stored,
                    Some(value),
                    "{labels} at {timestamp} was visible once, and is not as it was"
                );
                findings.seen += 1;
            }
        }
        findings
    }

    /// All samples of a selector, from `back` ms before the beginning.
    fn stored(&self, selector: &str, back: i64) -> Stored {
        let seconds = (self.end - self.began + back) / 1000 + 60;
        let time = self.end as f64 / 1000.0 + 30.0;
        let mut stored = Stored::new();
        for series in self.foxfire.query(&format!("{selector}[{seconds}s]"), Some(time)) {
            let labels = labels_of(&series["metric"]);
            let points = points_of(&series["values"]);
            let count = points.len();
            let points: BTreeMap<i64, u64> = points.into_iter().collect();
            assert_eq!(points.len(), count, "{labels}: an instant is there twice");
            assert!(stored.insert(labels, points).is_none(), "a series is there twice");
        }
        stored
    }

    fn audit_target(&self, target: &Target, all: &mut Stored, findings: &mut Findings) {
        let served = target.served.lock().unwrap().clone();
        let address = &target.address;
        let by_series = self.stored(&format!("soak_value{{instance=\"{address}\"}}"), 0);
        let labels = |k: usize| {
            let pairs = [
                ("__name__", "soak_value".to_owned()),
                ("instance", address.clone()),
                ("job", "soak".to_owned()),
                ("k", k.to_string()),
            ];
            labels_of(&serde_json::to_value(BTreeMap::from(pairs)).unwrap())
        };
        let numbers: BTreeMap<u64, u64> =
            (0..served.len() as u64).map(|n| (targets::value(n, 0).to_bits(), n)).collect();
        // The first series says which scrape is at which instant; the others must agree.
        let none = BTreeMap::new();
        let mut stored: BTreeMap<u64, i64> = BTreeMap::new();
        let mut last = None;
        for (timestamp, value) in by_series.get(&labels(0)).unwrap_or(&none) {
            let n = *numbers.get(value).unwrap_or_else(|| panic!("{address}: {value:x} was never served"));
            assert!(last < Some(n), "{address}: scrape {n} comes after {last:?}, or twice");
            last = Some(n);
            let away = served[n as usize] - timestamp;
            let patience = INTERVAL.as_millis() as i64;
            assert!((-100..=2 * patience).contains(&away), "{address}: scrape {n} is {away} ms off");
            stored.insert(n, *timestamp);
        }
        assert_eq!(by_series.len(), targets::SERIES, "{address}: series");
        for k in 0..targets::SERIES {
            let expected: BTreeMap<i64, u64> =
                stored.iter().map(|(n, timestamp)| (*timestamp, targets::value(*n, k).to_bits())).collect();
            assert!(by_series[&labels(k)] == expected, "{}: not what was served", labels(k));
            findings.samples += expected.len();
        }
        findings.scrapes.0 += served.len();
        findings.scrapes.1 += stored.len();
        findings.scrapes_cut_off += self.check_missing(address, &served, &stored);
        self.audit_churn(address, &stored, findings);
        all.extend(by_series);
    }

    /// Scrapes that are not stored must have been cut off by a kill, or have timed out. How many there are.
    fn check_missing(&self, address: &str, served: &[i64], stored: &BTreeMap<u64, i64>) -> usize {
        let up = self.stored(&format!("up{{instance=\"{address}\"}}"), 0);
        let failed: Vec<i64> = up
            .values()
            .flatten()
            .filter(|(_, value)| f64::from_bits(**value) == 0.0)
            .map(|(timestamp, _)| *timestamp)
            .collect();
        let settled = SETTLED.as_millis() as i64;
        let interval = INTERVAL.as_millis() as i64;
        let missing = (0..served.len() as u64).filter(|n| !stored.contains_key(n));
        let mut count = 0;
        for n in missing {
            let at = served[n as usize];
            // While it is down it cannot scrape; right before, it could not finish.
            let cut_off = |outage: &Outage| outage.0 - settled <= at && at <= outage.1;
            let timed_out = failed.iter().any(|failed| (failed - 100..=failed + 2 * interval).contains(&at));
            assert!(
                self.outages.iter().any(cut_off) || timed_out,
                "{address}: scrape {n} was served at {at} and is lost; outages: {:?}",
                self.outages
            );
            count += 1;
        }
        count
    }

    /// At the instant of a scrape, the series that come and go are exactly those of that scrape.
    fn audit_churn(&self, address: &str, stored: &BTreeMap<u64, i64>, findings: &mut Findings) {
        let every = (stored.len() / STALENESS_CHECKS).max(1);
        for (n, timestamp) in stored.iter().step_by(every) {
            let expr = format!("soak_churn{{instance=\"{address}\"}}");
            let result = self.foxfire.query(&expr, Some(*timestamp as f64 / 1000.0));
            let show = |series: &Value| (series["metric"]["phase"].clone(), series["value"][1].clone());
            let found: Vec<_> = result.iter().map(show).collect();
            let expected = (Value::from((n / targets::CHURN).to_string()), Value::from(n.to_string()));
            assert_eq!(found, [expected], "{address}: series at scrape {n}, {timestamp}");
            findings.staleness += 1;
        }
    }

    fn audit_writer(&self, written: &Written, all: &mut Stored, findings: &mut Findings) {
        let writer = written.writer;
        let back = 8 * 3_600_000;
        let stored = self.stored(&format!("soak_push{{writer=\"{writer}\"}}"), back);
        let instants: BTreeSet<i64> = stored.values().flat_map(|points| points.keys().copied()).collect();
        let mut expected: Vec<BTreeMap<i64, u64>> = vec![BTreeMap::new(); writers::SERIES];
        for (q, (timestamp, acknowledged)) in written.requests.iter().enumerate() {
            let is_there = instants.contains(timestamp);
            if *acknowledged {
                findings.pushes += 1;
                assert!(is_there, "writer {writer}: request {q} was acknowledged and is lost");
            } else {
                findings.pushes_unknown.0 += 1;
                findings.pushes_unknown.1 += usize::from(is_there);
            }
            if is_there {
                for (k, points) in expected.iter_mut().enumerate() {
                    points.insert(*timestamp, writers::value(q as u64, k).to_bits());
                }
            }
        }
        findings.pushes_repeated += written.repeated;
        assert_eq!(stored.len(), writers::SERIES, "writer {writer}: series");
        for (k, expected) in expected.into_iter().enumerate() {
            let pairs = [
                ("__name__", "soak_push".to_owned()),
                ("job", "push".to_owned()),
                ("k", k.to_string()),
                ("writer", writer.to_string()),
            ];
            let labels = labels_of(&serde_json::to_value(BTreeMap::from(pairs)).unwrap());
            // Nothing that was not sent, requests whole or not at all, every value exact.
            assert!(stored[&labels] == expected, "{labels}: not what was sent");
            findings.samples += expected.len();
        }
        all.extend(stored);
    }
}
