//! What a scrape must look like to readers, told once for each attempt: it never changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;

use crate::fleet::{Exposed, Fleet, Served, series};

/// The series that a scrape reports about itself.
const REPORT: [&str; 5] = [
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
    "up",
];

/// An attempt that was answered.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) served: Served,
    /// The series at the instant of its scrape, sorted, with the bits of their values; none for those of the report.
    pub(super) expected: Vec<(Labels, Option<u64>)>,
    /// The samples with timestamps of their own.
    pub(super) backdated: Vec<Exposed>,
}

/// Report series of a target, each with what its value must be, where that is known.
type Reports = Vec<(Labels, Option<u64>)>;

/// All bodies that were asked for.
#[derive(Debug)]
pub(super) struct Bodies {
    fleet: Arc<Fleet>,
    told: BTreeMap<u64, Arc<Body>>,
    reports: BTreeMap<u32, Arc<Reports>>,
}

impl Bodies {
    pub(super) fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet, told: BTreeMap::new(), reports: BTreeMap::new() }
    }

    /// What attempt number `attempt` was.
    pub(super) fn get(&mut self, attempt: u64) -> Option<Arc<Body>> {
        if let Some(body) = self.told.get(&attempt) {
            return Some(Arc::clone(body));
        }
        let served = self.fleet.served(attempt)?;
        let mut expected = self.report(served.target).to_vec();
        let mut backdated = Vec::new();
        for exposed in self.fleet.body(attempt)? {
            match exposed.timestamp {
                Some(_) => backdated.push(exposed),
                None => expected.push((exposed.labels, Some(exposed.value.to_bits()))),
            }
        }
        expected.sort();
        let body = Arc::new(Body { served, expected, backdated });
        self.told.insert(attempt, Arc::clone(&body));
        Some(body)
    }

    /// What a scrape that failed looks like.
    pub(super) fn report(&mut self, target: u32) -> Arc<Vec<(Labels, Option<u64>)>> {
        let made = self.reports.entry(target).or_insert_with(|| {
            Arc::new(REPORT.iter().map(|name| (series(name, target, None), None)).collect())
        });
        Arc::clone(made)
    }
}
