//! What a scraper has met with, for its own metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the scraper was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Scrapes, failed ones included.
    pub scrapes: u64,
    /// Scrapes that failed.
    pub failed: u64,
    /// Samples written, report series included.
    pub samples: u64,
    /// Scrapes that `body_size_limit` ended.
    pub exceeded_body_size_limit: u64,
    /// Scrapes that `sample_limit` ended.
    pub exceeded_sample_limit: u64,
    /// Scrapes that a limit on labels ended.
    pub exceeded_label_limits: u64,
    /// Samples dropped because their series already had one for the instant.
    pub duplicate_samples: u64,
    /// Samples dropped because their series had a newer one.
    pub out_of_order_samples: u64,
    /// Samples dropped because their own timestamp was too far in the future or the past.
    pub out_of_bounds_samples: u64,
}

/// [`ScrapeCounts`] as they are counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) scrapes: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) samples: AtomicU64,
    pub(crate) exceeded_body_size_limit: AtomicU64,
    pub(crate) exceeded_sample_limit: AtomicU64,
    pub(crate) exceeded_label_limits: AtomicU64,
    pub(crate) duplicate_samples: AtomicU64,
    pub(crate) out_of_order_samples: AtomicU64,
    pub(crate) out_of_bounds_samples: AtomicU64,
}

impl Counters {
    pub(crate) fn totals(&self) -> ScrapeCounts {
        let total = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScrapeCounts {
            scrapes: total(&self.scrapes),
            failed: total(&self.failed),
            samples: total(&self.samples),
            exceeded_body_size_limit: total(&self.exceeded_body_size_limit),
            exceeded_sample_limit: total(&self.exceeded_sample_limit),
            exceeded_label_limits: total(&self.exceeded_label_limits),
            duplicate_samples: total(&self.duplicate_samples),
            out_of_order_samples: total(&self.out_of_order_samples),
            out_of_bounds_samples: total(&self.out_of_bounds_samples),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
