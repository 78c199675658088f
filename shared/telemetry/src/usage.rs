//! What a function's process uses of AWS, counted and told as lines of its log.
//!
//! ```text
//! platform-aws ──► Meter::count ──┐
//! each invocation ──► invoked ────┼─► UsageMeter ──► record, at the end of an invocation ──► one line of JSON
//! each log line ──► logged ───────┘
//! ```
//!
//! A line for each invocation would itself be a large part of a small deployment's bill: so a process tells at the end of its
//! first invocation, and then at the end of one when a minute has passed. What it counted since its last line is lost when
//! it is ended: less than a minute's, of which the next process knows nothing. No custom metrics of CloudWatch: each costs
//! $0.30 a month.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cost::{Architecture, FunctionUsage, Record, Requests, Trigger};
use platform::{Billed, Meter};

/// A line at most so often, ms.
const RECORD_EVERY_MS: i64 = 60_000;

/// Counts what one process of a function uses.
#[derive(Debug)]
pub struct UsageMeter {
    function: String,
    memory_mb: u32,
    architecture: Architecture,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    from_ms: i64,
    told: bool,
    usage: FunctionUsage,
}

impl UsageMeter {
    /// A meter of a process of `function` that has so much memory and starts at `now_ms`.
    #[must_use]
    pub fn new(function: impl Into<String>, memory_mb: u32, architecture: Architecture, now_ms: i64) -> Self {
        let state = State { from_ms: now_ms, told: false, usage: FunctionUsage::default() };
        Self { function: function.into(), memory_mb, architecture, state: Mutex::new(state) }
    }

    /// The architecture that this program was built for.
    #[must_use]
    pub fn own_architecture() -> Architecture {
        if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 }
    }

    /// An invocation has run for so long, initialisation included where it was the first.
    pub fn invoked(&self, trigger: Trigger, seconds: f64) {
        // Billed by the millisecond, rounded up.
        let seconds = (seconds.max(0.0) * 1_000.0).ceil() / 1_000.0;
        self.lock().usage.invoke(trigger, seconds, self.memory_mb, self.architecture);
    }

    /// A line of so many bytes was written to the log.
    pub fn logged(&self, bytes: u64) {
        self.lock().usage.log_bytes += (bytes + cost::units::LOG_EVENT_BYTES) as f64;
    }

    /// The line to write to the log now, if one is due, its own bytes included; what it tells is counted anew.
    pub fn record(&self, now_ms: i64) -> Option<String> {
        let due = {
            let state = self.lock();
            !state.told || now_ms.saturating_sub(state.from_ms) >= RECORD_EVERY_MS
        };
        if due { self.flush(now_ms) } else { None }
    }

    /// The line of what has not been told; `None` where that is nothing.
    pub fn flush(&self, now_ms: i64) -> Option<String> {
        let mut state = self.lock();
        if state.usage == FunctionUsage::default() {
            return None;
        }
        let usage = std::mem::take(&mut state.usage);
        let from_ms = std::mem::replace(&mut state.from_ms, now_ms);
        state.told = true;
        drop(state);
        let mut record = Record { v: 1, function: self.function.clone(), from_ms, until_ms: now_ms, usage };
        // About: the number itself may make the line a few bytes longer.
        record.usage.log_bytes += (record.line().len() as u64 + cost::units::LOG_EVENT_BYTES) as f64;
        Some(record.line())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter for UsageMeter {
    fn count(&self, billed: Billed) {
        let Billed { service, operation, units, sent, received } = billed;
        let requests = Requests { count: 1.0, units, sent: sent as f64, received: received as f64 };
        self.lock().usage.count(service, operation, requests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(units: f64) -> Billed {
        Billed { service: "dynamodb", operation: "PutItem", units, sent: 100, received: 0 }
    }

    #[test]
    fn a_process_tells_at_its_first_invocation_and_then_once_a_minute() {
        let meter = UsageMeter::new("scraper", 512, Architecture::Arm64, 1_000);
        assert_eq!(meter.record(1_000), None, "nothing was used");
        meter.count(put(1.0));
        meter.invoked(Trigger::Queue, 0.012_3);
        let first = Record::find(&meter.record(1_100).unwrap()).unwrap().unwrap();
        assert_eq!((first.function.as_str(), first.from_ms, first.until_ms), ("scraper", 1_000, 1_100));
        assert!((first.usage.seconds - 0.013).abs() < 1e-12, "billed by the millisecond, rounded up");
        for second in 2..=60 {
            meter.count(put(2.0));
            meter.invoked(Trigger::Queue, 0.01);
            assert_eq!(meter.record(1_000 * second), None);
        }
        meter.invoked(Trigger::Queue, 0.01);
        let second = Record::find(&meter.record(61_100).unwrap()).unwrap().unwrap();
        assert_eq!((second.from_ms, second.until_ms), (1_100, 61_100));
        assert_eq!(second.usage.invocations[&Trigger::Queue], 60.0);
        let puts = second.usage.requests["dynamodb:PutItem"];
        assert_eq!((puts.count, puts.units, puts.sent), (59.0, 118.0, 5_900.0));
        assert_eq!(meter.flush(61_200), None, "everything has been told");
    }

    #[test]
    fn a_line_counts_the_bytes_of_the_log_and_its_own() {
        let meter = UsageMeter::new("query", 1_024, Architecture::X86_64, 0);
        meter.logged(100);
        let line = meter.flush(5).unwrap();
        let record = Record::find(&line).unwrap().unwrap();
        let own = (record.usage.log_bytes - 126.0 - 26.0 - line.len() as f64).abs();
        assert!(own < 8.0, "{own}");
    }
}
