//! All targets of a task, each at its own instant.

use std::collections::BTreeSet;
use std::time::Duration;

use config::ScrapeConfig;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use model::TimestampMs;
use platform::{Clock, Deadline};
use storage::{Scrape, ScrapeOutcome, SourceId};
use tracing::error;
use wire::{ScrapeTarget, ScrapeTask};

use crate::scraper::{Job, ScrapePorts, Scraper};

/// How many scrapes run at once, those that wait for their instant included. Bounds connections and bodies in memory.
const CONCURRENT_SCRAPES_MAX: usize = 512;

impl Scraper {
    /// Does a task: scrapes every target at its own instant (see [`due_at`]), concurrently, each bounded by its own
    /// timeout and by `deadline`; then ends the sources that are gone, at the task's tick. One `Scrape` a target and
    /// source, in the task's order. A target that fails or hangs costs its own samples only.
    ///
    /// `configs` are those of the configuration that the task names.
    pub async fn scrape_batch(
        &self,
        task: &ScrapeTask,
        configs: &[ScrapeConfig],
        ports: ScrapePorts<'_>,
        deadline: Deadline,
    ) -> Vec<Scrape> {
        let mut jobs: Vec<(usize, Job<'_>)> = Vec::with_capacity(task.targets.len());
        for (index, target) in task.targets.iter().enumerate() {
            let Some(source) = parse_source(&target.source) else { continue };
            let config = configs.iter().find(|config| config.job_name == target.pool);
            let timeout = Duration::from_millis(target.timeout_ms);
            jobs.push((index, Job { source, target, config, due: due_at(target, task.tick), timeout }));
        }
        // Those that are due first go first, so that one that waits never keeps another from its instant.
        jobs.sort_by_key(|(index, job)| (job.due, *index));
        // A loop, not a `map`: a closure over these lifetimes is not general enough for the future to be `Send`.
        let mut waiting: Vec<BoxFuture<'_, (usize, Scrape)>> = Vec::with_capacity(jobs.len());
        for (index, job) in jobs {
            waiting.push(self.scrape_when_due(index, job, ports, deadline).boxed());
        }
        let mut scrapes: Vec<(usize, Scrape)> =
            stream::iter(waiting).buffer_unordered(CONCURRENT_SCRAPES_MAX).collect().await;
        scrapes.sort_by_key(|(index, _)| *index);
        let mut scrapes: Vec<Scrape> = scrapes.into_iter().map(|(_, scrape)| scrape).collect();
        let scraped: BTreeSet<SourceId> = scrapes.iter().map(|scrape| scrape.source).collect();
        let gone = task.gone.iter().filter_map(|source| parse_source(source));
        scrapes
            .extend(gone.filter(|source| !scraped.contains(source)).map(|source| end_of(source, task.tick)));
        scrapes
    }

    async fn scrape_when_due(
        &self,
        index: usize,
        job: Job<'_>,
        ports: ScrapePorts<'_>,
        deadline: Deadline,
    ) -> (usize, Scrape) {
        sleep_until(ports.clock, job.due.min(deadline.0)).await;
        let timeout = job.timeout.min(deadline.remaining(ports.clock));
        (index, self.run(Job { timeout, ..job }, ports).await)
    }
}

/// When a target is due that is part of the task of `tick`, ms: the first instant from `tick` on that is the target's
/// offset into its interval.
#[must_use]
pub fn due_at(target: &ScrapeTarget, tick: TimestampMs) -> TimestampMs {
    let interval = i128::from(target.interval_ms.max(1));
    let wait = (i128::from(target.offset_ms) - i128::from(tick)).rem_euclid(interval);
    tick.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX))
}

/// A clock may wake its sleeper a little early.
async fn sleep_until(clock: &dyn Clock, instant: TimestampMs) {
    while let Ok(wait @ 1..) = u64::try_from(instant.saturating_sub(clock.now_ms())) {
        clock.sleep(Duration::from_millis(wait)).await;
    }
}

fn end_of(source: SourceId, timestamp: TimestampMs) -> Scrape {
    Scrape { source, timestamp, outcome: ScrapeOutcome::default(), samples: Vec::new(), ..Scrape::default() }
}

fn parse_source(source: &str) -> Option<SourceId> {
    let parsed = u64::from_str_radix(source, 16).ok().map(SourceId);
    if parsed.is_none() {
        error!(source, "A task names a source that is not one");
    }
    parsed
}
