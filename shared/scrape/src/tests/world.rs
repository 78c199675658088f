//! Doubles of the ports, and shorthands.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use config::ScrapeConfig;
use model::labels::METRIC_NAME;
use platform::{Clock, FetchError, Fetcher, FileError, Files, HttpRequest, HttpResponse, PlatformFuture};
use storage::{Scrape, SourceId};
use wire::{ScrapeTarget, WireLabels};

use crate::{ScrapePorts, Scraper};

/// When tests start, ms: a multiple of every interval that they use.
pub(super) const START: i64 = 1_700_000_100_000;

/// What a scripted target does.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Answers after so long.
    After(Duration, Result<HttpResponse, FetchError>),
    /// Never answers, and the fetcher does not see to the timeout.
    Hang,
}

/// The whole world of a scrape.
#[derive(Default)]
pub(super) struct World {
    now_ns: Mutex<u64>,
    sleepers: Mutex<Vec<(u64, Waker)>>,
    replies: Mutex<BTreeMap<String, Reply>>,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(super) requests: Mutex<Vec<HttpRequest>>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn reply(&self, url: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(url.to_owned(), reply);
    }

    /// Makes the target of [`target`] answer `body` at once.
    pub(super) fn expose(&self, body: impl Into<Bytes>) {
        self.reply("http://host:9100/metrics", Reply::After(Duration::ZERO, Ok(text(body))));
    }

    pub(super) fn file(&self, path: &str, content: &str) {
        self.files.lock().unwrap().insert(path.to_owned(), content.as_bytes().to_vec());
    }

    pub(super) fn ports(&self) -> ScrapePorts<'_> {
        ScrapePorts { fetcher: self, files: self, clock: self }
    }

    /// Runs `future` to its end; time passes only when it waits.
    pub(super) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            let mut sleepers = self.sleepers.lock().unwrap();
            let next = sleepers.iter().map(|(until, _)| *until).min().expect("waits for nothing");
            *self.now_ns.lock().unwrap() = next;
            let (due, waiting) = sleepers.drain(..).partition(|(until, _)| *until <= next);
            *sleepers = waiting;
            drop(sleepers);
            let due: Vec<(u64, Waker)> = due;
            due.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }

    pub(super) fn pass(&self, time: Duration) {
        *self.now_ns.lock().unwrap() += u64::try_from(time.as_nanos()).unwrap();
    }
}

struct Sleep<'a> {
    world: &'a World,
    until: u64,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if *self.world.now_ns.lock().unwrap() >= self.until {
            return Poll::Ready(());
        }
        self.world.sleepers.lock().unwrap().push((self.until, context.waker().clone()));
        Poll::Pending
    }
}

impl Clock for World {
    fn now_ms(&self) -> i64 {
        START + i64::try_from(*self.now_ns.lock().unwrap() / 1_000_000).unwrap()
    }

    fn monotonic_ns(&self) -> u64 {
        *self.now_ns.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let until = self.monotonic_ns() + u64::try_from(duration.as_nanos()).unwrap();
        Box::pin(Sleep { world: self, until })
    }
}

impl Fetcher for World {
    fn fetch(&self, request: HttpRequest) -> PlatformFuture<'_, HttpResponse, FetchError> {
        let reply = self.replies.lock().unwrap().get(&request.url).cloned().expect("a scripted target");
        self.requests.lock().unwrap().push(request);
        Box::pin(async move {
            match reply {
                Reply::After(delay, answer) => {
                    self.sleep(delay).await;
                    answer
                }
                Reply::Hang => std::future::pending().await,
            }
        })
    }
}

impl Files for World {
    fn read<'a>(&'a self, path: &'a str, _: u64) -> PlatformFuture<'a, Vec<u8>, FileError> {
        let content = self.files.lock().unwrap().get(path).cloned();
        Box::pin(async move { content.ok_or(FileError::NotFound { path: path.to_owned() }) })
    }

    fn glob<'a>(&'a self, _: &'a str) -> PlatformFuture<'a, Vec<String>, FileError> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

pub(super) fn text(body: impl Into<Bytes>) -> HttpResponse {
    answer(200, "200 OK", "text/plain; version=0.0.4; charset=utf-8", body)
}

pub(super) fn answer(
    status: u16,
    status_line: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> HttpResponse {
    HttpResponse {
        status,
        status_line: status_line.to_owned(),
        content_type: content_type.to_owned(),
        body: body.into(),
    }
}

pub(super) fn target() -> ScrapeTarget {
    let pairs = [("instance", "host:9100"), ("job", "node")];
    ScrapeTarget {
        source: "00000000000000ab".to_owned(),
        pool: "node".to_owned(),
        url: "http://host:9100/metrics".to_owned(),
        labels: WireLabels(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()),
        discovered: WireLabels::default(),
        interval_ms: 15_000,
        timeout_ms: 10_000,
        offset_ms: 0,
        forced_error: None,
    }
}

pub(super) fn pool() -> ScrapeConfig {
    ScrapeConfig { job_name: "node".to_owned(), ..ScrapeConfig::default() }
}

pub(super) fn scraper() -> Scraper {
    Scraper::new(16 << 20)
}

/// Scrapes `body` once with a new scraper.
pub(super) fn scrape_body(body: &str, config: &ScrapeConfig) -> Scrape {
    let world = World::new();
    world.expose(body.to_owned());
    scrape_once(&world, config)
}

pub(super) fn scrape_once(world: &World, config: &ScrapeConfig) -> Scrape {
    scrape_with(&scraper(), world, config)
}

pub(super) fn scrape_with(scraper: &Scraper, world: &World, config: &ScrapeConfig) -> Scrape {
    let target = target();
    let due = world.now_ms();
    world.run(scraper.scrape(SourceId(0xab), &target, config, due, world.ports()))
}

/// The samples that are no report series, as `labels value @timestamp`, sorted; labels of the target left out.
pub(super) fn samples(scrape: &Scrape) -> Vec<String> {
    let mut lines: Vec<String> = scrape
        .samples
        .iter()
        .filter(|sample| !is_report(sample.labels.metric_name()))
        .map(|sample| {
            let timestamp = sample.timestamp.map_or(String::new(), |ms| format!(" @{}", ms - START));
            format!("{} {}{timestamp}", sample.labels.without(&["job", "instance"]), sample.value)
        })
        .collect();
    lines.sort();
    lines
}

/// The values of `up`, samples scraped, samples left by relabelling, and series added.
pub(super) fn report(scrape: &Scrape) -> [f64; 4] {
    let names =
        ["up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"];
    names.map(|name| value(scrape, name).unwrap())
}

pub(super) fn value(scrape: &Scrape, name: &str) -> Option<f64> {
    scrape
        .samples
        .iter()
        .find(|sample| sample.labels.get(METRIC_NAME) == Some(name))
        .map(|sample| sample.value)
}

pub(super) fn error(scrape: &Scrape) -> &str {
    scrape.outcome.error.as_deref().unwrap_or_default()
}

fn is_report(name: &str) -> bool {
    name == "up" || name.starts_with("scrape_")
}
