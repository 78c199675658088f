//! The store's settings on Lambda, with the reasons for those that differ from the defaults.

use crate::settings::{Settings, millis};

/// What is not stored so long after its tick is missed. A scraper that is killed is followed by another when its
/// message becomes visible again, a minute later at most; that one has to scrape (10 s by default) and to store.
const LATE_BOUND_MS: i64 = 90_000;
/// Between the late bound and the compaction of a tick. The clocks of sandboxes differ by milliseconds, but a request
/// that AWS holds up may still be carried out when its caller has long given up: attempts end after seconds, and so do
/// the invocations that made them.
const SPARE_MS: i64 = 60_000;

/// Of a function's memory, what each cache may take; as much again is for the work itself.
const SEGMENT_CACHE_PART: usize = 16;
const BLOCK_CACHE_PART: usize = 8;
const FETCH_PART: usize = 8;
const JOB_BYTES_PART: usize = 8;
/// Samples that a job of level 1 and a merge may hold, for each MB. A decoded sample takes some 30 bytes in all.
const JOB_SAMPLES_PER_MB: u64 = 8_000;
const SCAN_SAMPLES_PER_MB: usize = 4_000;
/// A part of a merge must be over well before the compactor's time is, which a template sets to five minutes or more, and
/// parts are small enough for that on one processor.
const PART_SAMPLES_MAX: u64 = 300_000_000;
const PART_TIME_MIN_MS: i64 = 150_000;
/// S3 answers in tens of milliseconds whatever else it does: more reads at once than on a disk.
const CONCURRENCY: usize = 32;

/// A larger payload of a segment becomes an object. Rows are read again by every rule and query until they are compacted, by
/// their size, while an object is read once by each process: that pays off earlier than the prices of writing alone say.
const INLINE_BYTES: usize = 2 << 10;

/// The settings of the store of a function.
#[must_use]
pub fn store_settings(settings: &Settings) -> tsdb::Settings {
    let defaults = tsdb::Settings::default();
    let late_bound_ms = settings.late_bound.map_or(LATE_BOUND_MS, millis);
    let memory = usize::try_from(settings.memory_mb).unwrap_or(usize::MAX >> 20).saturating_mul(1 << 20);
    let memory_mb = memory >> 20;
    tsdb::Settings {
        late_bound_ms,
        grace_ms: late_bound_ms.saturating_add(SPARE_MS),
        window_ms: settings.min_block_duration.map_or(defaults.window_ms, millis),
        retention_ms: (!settings.retention.is_zero()).then(|| millis(settings.retention)),
        retention_bytes: (settings.retention_size > 0).then_some(settings.retention_size),
        staleness_gap_ms: defaults.staleness_gap_ms.max(millis(settings.lookback_delta)),
        inline_bytes_max: settings.wal_inline_bytes.unwrap_or(INLINE_BYTES),
        segment_cache_bytes: memory / SEGMENT_CACHE_PART,
        block_cache_bytes: memory / BLOCK_CACHE_PART,
        fetch_bytes_max: (memory / FETCH_PART) as u64,
        job_bytes_max: ((memory / JOB_BYTES_PART) as u64).min(defaults.job_bytes_max),
        job_samples_max: (memory_mb as u64).saturating_mul(JOB_SAMPLES_PER_MB).min(defaults.job_samples_max),
        scan_samples_max: memory_mb.saturating_mul(SCAN_SAMPLES_PER_MB).min(defaults.scan_samples_max),
        part_samples_max: PART_SAMPLES_MAX,
        part_time_min_ms: PART_TIME_MIN_MS,
        concurrency: CONCURRENCY,
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> tsdb::Settings {
        let lookup = |name: &str| {
            let given =
                variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned());
            given.or_else(|| ["FOXFIRE_BUCKET", "FOXFIRE_TABLE"].contains(&name).then(|| "x".to_owned()))
        };
        store_settings(&Settings::from_lookup(&lookup).unwrap())
    }

    #[test]
    fn compaction_waits_for_longer_than_anything_may_be_late() {
        for settings in [settings(&[]), settings(&[("FOXFIRE_LATE_BOUND", "10m")])] {
            assert!(settings.grace_ms >= settings.late_bound_ms + 60_000);
        }
    }

    #[test]
    fn what_is_kept_in_memory_fits_the_function() {
        for memory in ["128", "512", "1769", "10240"] {
            let settings = settings(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory)]);
            let bytes = memory.parse::<u64>().unwrap() << 20;
            // Segments are kept twice: decoded, and as context of what is coded against them.
            let kept = 2 * settings.segment_cache_bytes as u64 + settings.block_cache_bytes as u64;
            let worked = settings.fetch_bytes_max.max(settings.job_bytes_max + 32 * settings.job_samples_max);
            assert!(kept + worked <= bytes * 3 / 4, "{memory} MB: {kept} + {worked}");
        }
    }

    #[test]
    fn a_retention_of_zero_keeps_all() {
        let none = settings(&[("FOXFIRE_RETENTION", "0s"), ("FOXFIRE_RETENTION_SIZE", "0")]);
        assert_eq!((none.retention_ms, none.retention_bytes), (None, None));
        let some = settings(&[("FOXFIRE_RETENTION", "30d"), ("FOXFIRE_RETENTION_SIZE", "1GB")]);
        assert_eq!((some.retention_ms, some.retention_bytes), (Some(30 * 86_400_000), Some(1 << 30)));
    }
}
