//! The recorded scrapes of real exporters.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::Labels;
use model::labels::METRIC_NAME;
use platform_sim::Random;
use storage::{Scrape, ScrapeOutcome, ScrapeSample, SourceId};
use textparse::{Event, MetricType, Parser, Series};

use crate::Outcome;
use crate::data::DataSet;

/// How often the recorded exporters were scraped, ms.
pub const INTERVAL_MS: i64 = 15_000;

/// What was recorded: file, job, instance, and whether the exporter's own `job` and `instance` stand, as for a Pushgateway.
const TARGETS: [(&str, &str, &str, bool); 4] = [
    ("capture-node", "node", "localhost:9100", false),
    ("capture-prom", "prometheus", "localhost:9090", false),
    ("capture-vm", "victoriametrics", "localhost:8428", false),
    ("capture-push", "pushgateway", "localhost:9091", true),
];

/// One target's scrapes in order of time.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Its job.
    pub job: String,
    /// Bodies as served, and when, ms.
    pub bodies: Vec<(i64, Vec<u8>)>,
    labels: Labels,
    honor_labels: bool,
    source: SourceId,
}

/// Whose instants scrapes get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instants {
    /// Those at which the bodies were recorded, which drift by some milliseconds a scrape.
    Recorded,
    /// Those that Prometheus gives: exact multiples of the interval after the target's offset, but for two of the
    /// targets in a third of their scrapes, which are 2 to 4 ms later.
    Scheduled,
}

/// All recorded targets; `None`, said aloud, where the recordings are not there.
///
/// # Errors
/// Where an archive cannot be read.
///
/// # Panics
/// On CI, where the recordings must be there.
pub fn load() -> Outcome<Option<Vec<Capture>>> {
    let Some(folder) = fixtures::captures() else { return Ok(None) };
    let mut captures = Vec::new();
    for (number, (archive, job, instance, honor_labels)) in TARGETS.into_iter().enumerate() {
        captures.push(Capture {
            job: job.to_owned(),
            bodies: bodies(&folder.join(format!("{archive}.tar.zst")))?,
            labels: Labels::from_pairs([("instance", instance), ("job", job)]),
            honor_labels,
            source: SourceId(number as u64 + 1),
        });
    }
    Ok(Some(captures))
}

/// The scrapes of all captures as the content of one store.
///
/// # Errors
/// Where a body does not parse.
pub fn data_set(captures: &[Capture], instants: Instants) -> Outcome<DataSet> {
    let mut scrapes = Vec::new();
    for capture in captures {
        scrapes.extend(capture.scrapes(instants)?);
    }
    let name = match instants {
        Instants::Recorded => "real, instants as recorded",
        Instants::Scheduled => "real",
    };
    Ok(DataSet::of_scrapes(name, &scrapes))
}

impl Capture {
    /// The bodies parsed, every sample, NaNs included; without report series, for nobody knows how long it took.
    ///
    /// # Errors
    /// Where a body does not parse.
    pub fn scrapes(&self, instants: Instants) -> Outcome<Vec<Scrape>> {
        let mut known: BTreeMap<(Vec<u8>, u8), Labels> = BTreeMap::new();
        let mut random = Random::new(self.source.0);
        let first = self.bodies.first().map_or(0, |(at, _)| *at);
        let wavers = self.source.0.is_multiple_of(2);
        let mut scrapes = Vec::with_capacity(self.bodies.len());
        for (at, body) in &self.bodies {
            let late = if wavers && random.chance(0.35) { 2 + random.below(3) as i64 } else { 0 };
            let timestamp = match instants {
                Instants::Recorded => *at,
                Instants::Scheduled => {
                    let number = (at - first + INTERVAL_MS / 2).div_euclid(INTERVAL_MS);
                    first + number * INTERVAL_MS + late
                }
            };
            let mut samples = Vec::new();
            for event in Parser::new(body) {
                let Event::Series(series) = event? else { continue };
                let labels = self.labels_of(&series, &mut known)?;
                let timestamp = series.timestamp;
                samples.push(ScrapeSample { labels, value: series.value, timestamp });
            }
            let outcome = ScrapeOutcome { duration: Duration::from_millis(5), error: None };
            let metadata = Arc::from([]);
            scrapes.push(Scrape {
                source: self.source,
                timestamp,
                outcome,
                samples,
                metadata,
                ..Scrape::default()
            });
        }
        Ok(scrapes)
    }

    fn labels_of(&self, series: &Series<'_>, known: &mut BTreeMap<(Vec<u8>, u8), Labels>) -> Outcome<Labels> {
        let kind = match series.label_kind() {
            MetricType::Histogram => 1,
            MetricType::Summary => 2,
            _ => 0,
        };
        let key = (series.text.to_vec(), kind);
        if let Some(labels) = known.get(&key) {
            return Ok(labels.clone());
        }
        let mut exposed = Vec::new();
        series.labels(&mut exposed)?;
        let mut labels = self.labels.to_builder();
        for label in exposed {
            let taken = label.name != METRIC_NAME && !self.labels.value(&label.name).is_empty();
            let name = if taken && !self.honor_labels {
                format!("exported_{}", label.name)
            } else {
                label.name.into_owned()
            };
            labels.set(name, label.value);
        }
        let labels = labels.build();
        known.insert(key, labels.clone());
        Ok(labels)
    }
}

/// The files of a tar archive, by the instant in their names.
fn bodies(archive: &Path) -> Outcome<Vec<(i64, Vec<u8>)>> {
    let file = std::fs::File::open(archive).map_err(|error| format!("{}: {error}", archive.display()))?;
    let mut tar = zstd::stream::read::Decoder::new(file)?;
    tar.window_log_max(27)?;
    let mut bodies = Vec::new();
    let mut header = [0u8; 512];
    while tar.read_exact(&mut header).is_ok() && header.first() != Some(&0) {
        let text = |range: std::ops::Range<usize>| {
            let bytes = header.get(range).unwrap_or_default();
            String::from_utf8_lossy(bytes).trim_end_matches(['\0', ' ']).to_owned()
        };
        let len = usize::from_str_radix(&text(124..136), 8)?;
        let mut body = vec![0; len.next_multiple_of(512)];
        tar.read_exact(&mut body)?;
        body.truncate(len);
        let name = text(0..100);
        let at = name.trim_end_matches(".txt").rsplit('_').next().and_then(|ms| ms.parse().ok());
        if let (Some(at), Some(b'0')) = (at, header.get(156)) {
            bodies.push((at, body));
        }
    }
    bodies.sort();
    Ok(bodies)
}
