//! `kill -9` again and again under load, and an audit of what is left.
//!
//! ```text
//! targets (log what they served) ◄── scrape ── foxfire serve ◄── push ── writers (log what was acknowledged)
//!                                               ▲  ▲
//!                                 kill -9 every few seconds    queries (log what was visible)
//! ```
//!
//! Every value says which scrape or request it was in, so the audit needs no tolerance: what is stored is compared with the
//! three logs, value by value.

mod audit;
mod queries;
mod targets;
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::{Foxfire, eventually};

pub use audit::Findings;

/// How long, and how hard.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// How long it is killed.
    pub duration: Duration,
    /// How often, about.
    pub kill_every: Duration,
    /// Scraped targets.
    pub targets: usize,
    /// Remote writers.
    pub writers: usize,
    /// Each waits so long between two requests.
    pub push_pause: Duration,
}

/// A time at which foxfire did not run: from the kill until it was ready again, ms since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage(pub(crate) i64, pub(crate) i64);

/// Set once the load is to end.
pub(crate) type Stop = Arc<AtomicBool>;

/// Scrapes of a target come so far apart.
pub(crate) const INTERVAL: Duration = Duration::from_secs(2);

impl Soak {
    /// Runs it. Fails where anything is lost, doubled, invented or changed; else tells how much was compared.
    pub fn run(&self) -> Findings {
        let stop: Stop = Stop::default();
        let targets: Vec<_> = (0..self.targets).map(|_| targets::Target::start()).collect();
        let addresses: Vec<String> = targets.iter().map(|target| format!("'{}'", target.address)).collect();
        let interval = INTERVAL.as_secs();
        let config = format!(
            "global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}\n\
             scrape_configs: [{{job_name: soak, static_configs: [{{targets: [{}]}}]}}]\n",
            addresses.join(", ")
        );
        let mut foxfire = Foxfire::start(
            &config,
            &[],
            &[
                "--web.enable-remote-write-receiver",
                "--storage.tsdb.min-block-duration=5s",
                "--log.level=warn",
            ],
        );
        let began = now_ms();
        let writers: Vec<_> = (0..self.writers)
            .map(|n| writers::start(n, foxfire.address.clone(), self.push_pause, Arc::clone(&stop)))
            .collect();
        let queries: Vec<_> =
            (0..2).map(|n| queries::start(n, foxfire.address.clone(), Arc::clone(&stop))).collect();

        let outages = self.kill(&mut foxfire);
        // What was served last gets the time to become durable.
        std::thread::sleep(audit::SETTLED);
        targets.iter().for_each(targets::Target::stop);
        stop.store(true, Ordering::SeqCst);
        let writers: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let queries: Vec<_> = queries.into_iter().map(|querier| querier.join().unwrap()).collect();
        let end = now_ms();
        std::thread::sleep(audit::SETTLED);
        let audit = audit::Audit { foxfire: &foxfire, began, end, outages, targets, writers, queries };
        let findings = audit.run();
        // The same again once it has all become blocks.
        eventually("everything is in blocks", Duration::from_secs(600), || {
            let blocks = foxfire.data("/api/v1/status/tsdb/blocks");
            let max = blocks["blocks"].as_array().unwrap().iter().filter_map(|b| b["maxTime"].as_i64()).max();
            if max > Some(end) { Ok(()) } else { Err(format!("blocks up to {max:?}, not {end}")) }
        });
        assert_eq!(
            audit.run().stored(),
            findings.stored(),
            "the audit of blocks differs from that of the WAL"
        );
        let log = foxfire.process().log();
        assert!(!log.contains("panicked"), "{log}");
        let violations: Vec<&str> = log.lines().filter(|line| line.contains("violated")).collect();
        assert!(violations.is_empty(), "{violations:?}");
        findings
    }

    fn kill(&self, foxfire: &mut Foxfire) -> Vec<Outage> {
        let mut outages = Vec::new();
        let started = Instant::now();
        while started.elapsed() < self.duration {
            // Instants that do not keep step with scrapes or compactions.
            let jitter = Duration::from_nanos(u64::from(now().subsec_nanos()) * 7_919 % 2_000_000_000);
            std::thread::sleep((self.kill_every + jitter).saturating_sub(Duration::from_secs(1)));
            let killed = now_ms();
            foxfire.process().kill();
            // Long enough for some to notice.
            std::thread::sleep(jitter / 4);
            foxfire.restart();
            outages.push(Outage(killed, now_ms()));
        }
        outages
    }
}

pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

pub(crate) fn now_ms() -> i64 {
    i64::try_from(now().as_millis()).unwrap()
}
