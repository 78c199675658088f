//! What this process has used, as Linux tells; zero elsewhere.

use std::fs;
use std::time::Duration;

/// Clock ticks a second in `/proc`, the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The most memory that this process had resident since its start or since [`reset_peak`], bytes.
#[must_use]
pub fn peak_rss_bytes() -> u64 {
    status_kb("VmHWM:") << 10
}

/// Resident memory now, bytes.
#[must_use]
pub fn rss_bytes() -> u64 {
    status_kb("VmRSS:") << 10
}

/// Lets [`peak_rss_bytes`] begin anew; where that is not allowed, nothing happens.
pub fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// CPU time of all threads so far, user and system.
#[must_use]
pub fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; the fields after it do not.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
}

fn status_kb(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
