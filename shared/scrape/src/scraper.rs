//! One scrape of one target.

use std::time::Duration;

use config::{ScrapeConfig, ScrapeProtocol};
use futures::FutureExt;
use futures::future::{self, Either};
use model::{Labels, TimestampMs};
use platform::{Clock, FetchError, Fetcher, Files, HttpResponse, Platform};
use storage::{Scrape, ScrapeOutcome, SourceId};
use tracing::{debug, warn};
use wire::ScrapeTarget;

use crate::body::{BodyCounts, BodyRules, Contents, LABEL_BYTES_MAX, SERIES_MAX, read_body};
use crate::cache::Caches;
use crate::counts::{Counters, ScrapeCounts, add};
use crate::error::ScrapeError;
use crate::labels::Recipe;
use crate::report::add_report;
use crate::request::{body_bytes_limit, build_request, shown_url};

/// How late a scrape may start and still be given its scheduled instant, ms: `ScrapeTimestampTolerance` of
/// Prometheus. Instants at even distances compress far better.
const TOLERANCE_MS_MAX: i64 = 2;
/// The same as a part of the interval.
const TOLERANCE_INTERVAL_PARTS: i64 = 100;

/// What a scraper remembers by default: about as many bytes for a million series.
const CACHE_BYTES_MAX: usize = 512 << 20;

/// What a scrape asks of the world.
#[derive(Clone, Copy)]
pub struct ScrapePorts<'a> {
    /// The client that targets are fetched with.
    pub fetcher: &'a dyn Fetcher,
    /// Where password files are read.
    pub files: &'a dyn Files,
    /// Time.
    pub clock: &'a dyn Clock,
}

impl<'a> From<&'a Platform> for ScrapePorts<'a> {
    fn from(platform: &'a Platform) -> Self {
        Self { fetcher: &*platform.fetcher, files: &*platform.files, clock: &*platform.clock }
    }
}

impl std::fmt::Debug for ScrapePorts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScrapePorts").finish_non_exhaustive()
    }
}

/// Scrapes targets, and remembers the labels of their series from scrape to scrape. Made once a process.
#[derive(Debug)]
pub struct Scraper {
    caches: Caches,
    counters: Counters,
}

/// A target and what its scrape needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) source: SourceId,
    pub(crate) target: &'a ScrapeTarget,
    /// The scrape pool's configuration, or `None` where it is not there.
    pub(crate) config: Option<&'a ScrapeConfig>,
    /// When the scrape is due, ms.
    pub(crate) due: TimestampMs,
    /// Bound on the scrape.
    pub(crate) timeout: Duration,
}

impl Default for Scraper {
    fn default() -> Self {
        Self::new(CACHE_BYTES_MAX)
    }
}

impl Scraper {
    /// A scraper whose memory of series occupies at most about `cache_bytes_max`.
    #[must_use]
    pub fn new(cache_bytes_max: usize) -> Self {
        Self { caches: Caches::new(cache_bytes_max), counters: Counters::default() }
    }

    /// Totals of everything that this scraper has scraped.
    #[must_use]
    pub fn counts(&self) -> ScrapeCounts {
        self.counters.totals()
    }

    /// Scrapes `target` now. `due` is the instant that was scheduled for it, ms: the scrape gets that timestamp where
    /// it starts within Prometheus's tolerance of it, and otherwise that of its start. A failure of any kind is the
    /// `Scrape`'s outcome.
    pub async fn scrape(
        &self,
        source: SourceId,
        target: &ScrapeTarget,
        config: &ScrapeConfig,
        due: TimestampMs,
        ports: ScrapePorts<'_>,
    ) -> Scrape {
        let timeout = Duration::from_millis(target.timeout_ms);
        self.run(Job { source, target, config: Some(config), due, timeout }, ports).await
    }

    pub(crate) async fn run(&self, job: Job<'_>, ports: ScrapePorts<'_>) -> Scrape {
        let timestamp = scrape_timestamp(ports.clock.now_ms(), job.due, job.target.interval_ms);
        let start = ports.clock.monotonic_ns();
        let labels = Labels::from(&job.target.labels);
        let answer = self.fetch(&job, ports).await;
        let (counts, result) = match answer {
            Ok((config, answer)) => self.read(&job, config, &labels, &answer, timestamp),
            Err(error) => (BodyCounts::default(), Err(error)),
        };
        let duration = Duration::from_nanos(ports.clock.monotonic_ns().saturating_sub(start));
        self.count(&job, counts, &result);
        let (Contents { mut samples, metadata }, error) = match result {
            Ok(contents) => (contents, None),
            Err(error) => (Contents::default(), Some(error.to_string())),
        };
        add_report(&mut samples, &labels, error.is_none(), duration, counts);
        add(&self.counters.samples, samples.len() as u64);
        Scrape {
            source: job.source,
            timestamp,
            outcome: ScrapeOutcome { duration, error },
            samples,
            metadata,
            ..Scrape::default()
        }
    }

    async fn fetch<'a>(
        &self,
        job: &Job<'a>,
        ports: ScrapePorts<'_>,
    ) -> Result<(&'a ScrapeConfig, HttpResponse), ScrapeError> {
        if let Some(error) = &job.target.forced_error {
            return Err(ScrapeError::Forced(error.clone()));
        }
        let config = job.config.ok_or_else(|| ScrapeError::UnknownPool(job.target.pool.clone()))?;
        let failed = |reason: String| ScrapeError::Get { url: shown_url(&job.target.url), reason };
        let exchange = async {
            let request =
                build_request(job.target, config, job.timeout, ports.files).await.map_err(failed)?;
            ports.fetcher.fetch(request).await.map_err(|error| match error {
                FetchError::BodyTooLarge => ScrapeError::BodySizeLimit,
                error => failed(error.to_string()),
            })
        };
        // The fetcher is to keep to the timeout; a target must not cost others their samples where it does not.
        match future::select(exchange.boxed(), ports.clock.sleep(job.timeout)).await {
            Either::Left((answer, _)) => Ok((config, answer?)),
            Either::Right(_) => Err(failed(FetchError::Timeout.to_string())),
        }
    }

    fn read(
        &self,
        job: &Job<'_>,
        config: &ScrapeConfig,
        labels: &Labels,
        answer: &HttpResponse,
        timestamp: TimestampMs,
    ) -> (BodyCounts, Result<Contents, ScrapeError>) {
        if let Err(error) = check_answer(answer, config) {
            return (BodyCounts::default(), Err(error));
        }
        let recipe = Recipe {
            target: labels.clone(),
            honor_labels: config.honor_labels,
            relabel_configs: config.metric_relabel_configs.clone(),
            labels_max: config.limits.labels_max,
            label_name_bytes_max: config.limits.label_name_bytes_max,
            label_value_bytes_max: config.limits.label_value_bytes_max,
        };
        let rules = BodyRules {
            timestamp,
            honor_timestamps: config.honor_timestamps,
            samples_max: config.limits.samples_max,
            series_max: SERIES_MAX,
            label_bytes_max: LABEL_BYTES_MAX,
        };
        let mut cache = self.caches.take(job.source, recipe);
        let read = read_body(&answer.body, rules, &mut cache);
        self.caches.put_back(job.source, cache);
        read
    }

    fn count(&self, job: &Job<'_>, counts: BodyCounts, result: &Result<Contents, ScrapeError>) {
        add(&self.counters.scrapes, 1);
        add(&self.counters.duplicate_samples, counts.duplicate);
        add(&self.counters.out_of_order_samples, counts.out_of_order);
        add(&self.counters.out_of_bounds_samples, counts.out_of_bounds);
        let (scrape_pool, target) = (job.target.pool.as_str(), shown_url(&job.target.url));
        if counts.out_of_order > 0 {
            let num_dropped = counts.out_of_order;
            warn!(scrape_pool, target, num_dropped, "Error on ingesting out-of-order samples");
        }
        if counts.duplicate > 0 {
            let num_dropped = counts.duplicate;
            warn!(
                scrape_pool,
                target, num_dropped, "Error on ingesting samples with different value but same timestamp"
            );
        }
        if counts.out_of_bounds > 0 {
            let num_dropped = counts.out_of_bounds;
            warn!(
                scrape_pool,
                target,
                num_dropped,
                "Error on ingesting samples that are too old or are too far into the future"
            );
        }
        let Err(error) = result else { return };
        debug!(scrape_pool, target, err = %error, "Scrape failed");
        add(&self.counters.failed, 1);
        match error {
            ScrapeError::BodySizeLimit => add(&self.counters.exceeded_body_size_limit, 1),
            ScrapeError::SampleLimit => add(&self.counters.exceeded_sample_limit, 1),
            ScrapeError::LabelLimit { .. }
            | ScrapeError::LabelNameLengthLimit { .. }
            | ScrapeError::LabelValueLengthLimit { .. } => add(&self.counters.exceeded_label_limits, 1),
            _ => {}
        }
    }
}

fn check_answer(answer: &HttpResponse, config: &ScrapeConfig) -> Result<(), ScrapeError> {
    if answer.status != 200 {
        return Err(ScrapeError::Status(answer.status_line.clone()));
    }
    if answer.body.len() as u64 >= body_bytes_limit(&config.limits) {
        return Err(ScrapeError::BodySizeLimit);
    }
    if answer.body.is_empty() {
        return Ok(());
    }
    let text_is_fallback = matches!(
        config.fallback_scrape_protocol,
        Some(ScrapeProtocol::PrometheusText0_0_4 | ScrapeProtocol::PrometheusText1_0_0)
    );
    Ok(textparse::check_text_content_type(&answer.content_type, text_is_fallback)?)
}

fn scrape_timestamp(start: TimestampMs, due: TimestampMs, interval_ms: u64) -> TimestampMs {
    let interval = i64::try_from(interval_ms).unwrap_or(i64::MAX);
    let tolerance = (interval / TOLERANCE_INTERVAL_PARTS).min(TOLERANCE_MS_MAX);
    if (0..=tolerance).contains(&start.saturating_sub(due)) { due } else { start }
}
