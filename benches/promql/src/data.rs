//! The samples: written once to a file that both engines load. `prometheus-engine`'s `measure.go` reads the same.
//!
//! All is in words of 8 bytes, little endian: the magic; the axes of instants (count, then each its length and instants);
//! the series (count, then each its labels, its axis, its number of buckets (0 for floats) and its values).

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use model::Labels;
use platform_sim::Random;
use storage::Series;
use storage_bench::Outcome;

const MAGIC: u64 = 0x6669_7265_666f_7831;

/// Distance of scrapes, ms.
pub(crate) const INTERVAL_MS: i64 = 15_000;
/// Scrapes of the families that dashboards of an hour look at: an hour and ten minutes.
pub(crate) const HOUR_STEPS: usize = 281;
/// Scrapes of the family that is looked at for long: half a day.
pub(crate) const DAY_STEPS: usize = 2_881;

/// A family of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// `http_requests_total`, 100 series an instance; resets now and then.
    Counter,
    /// `container_memory_working_set_bytes`, two containers a pod.
    Gauge,
    /// `container_spec_memory_limit_bytes` of the same containers.
    Limit,
    /// `kube_pod_info` of the same pods: half as many.
    Info,
    /// `http_request_duration_seconds_bucket`, twelve buckets each.
    Classic,
    /// `node_load1` over half a day: a tenth as many.
    Long,
}

const LE: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
const METHODS: [&str; 4] = ["DELETE", "GET", "POST", "PUT"];
const CODES: [&str; 5] = ["200", "301", "404", "500", "503"];
const HANDLERS: [&str; 5] = ["/", "/api/v1/items", "/api/v1/users", "/healthz", "/login"];

/// Writes these families at a scale where the main one has `series` series.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn write(path: &Path, families: &[Family], series: usize) -> Outcome<()> {
    let mut out = Words(BufWriter::with_capacity(1 << 20, File::create(path)?));
    out.word(MAGIC)?;
    out.word(2)?;
    for steps in [HOUR_STEPS, DAY_STEPS] {
        out.word(steps as u64)?;
        for step in 0..steps as i64 {
            out.word((step * INTERVAL_MS).cast_unsigned())?;
        }
    }
    out.word(families.iter().map(|family| family.count(series) as u64).sum())?;
    for family in families {
        family.write(&mut out, series)?;
    }
    out.0.flush()?;
    Ok(())
}

impl Family {
    fn count(self, series: usize) -> usize {
        match self {
            Self::Counter | Self::Gauge | Self::Limit => series,
            Self::Info => series / 2,
            Self::Classic => series / LE.len() * LE.len(),
            Self::Long => series / 10,
        }
    }

    fn write(self, out: &mut Words<impl Write>, series: usize) -> Outcome<()> {
        let mut random = Random::new(self as u64 + 1);
        let steps = if self == Self::Long { DAY_STEPS } else { HOUR_STEPS };
        let mut buckets = [0.0; LE.len()];
        let mut histogram = Vec::new();
        for n in 0..self.count(series) {
            out.labels(&self.labels(n))?;
            out.word(u64::from(self == Self::Long))?;
            out.word(0)?;
            if self == Self::Classic {
                if n % LE.len() == 0 {
                    histogram = classic(&mut random, &mut buckets);
                }
                for row in &histogram {
                    out.float(row.get(n % LE.len()).copied().unwrap_or_default())?;
                }
                continue;
            }
            let mut level = 1.0 + random.unit() * 100.0;
            let mut value = level * 1e6;
            for _ in 0..steps {
                match self {
                    Self::Counter => {
                        value = if random.unit() < 0.0005 {
                            0.0
                        } else {
                            value + (random.unit() * level).round()
                        };
                        out.float(value)?;
                    }
                    Self::Gauge => {
                        // Memory stands still half of the time.
                        if random.unit() < 0.5 {
                            value = (value * (0.99 + 0.02 * random.unit()) / 4096.0).round() * 4096.0;
                        }
                        out.float(value)?;
                    }
                    Self::Long => {
                        level = (level + random.unit() - 0.5).clamp(0.0, 100.0);
                        out.float((level * 100.0).round() / 100.0)?;
                    }
                    Self::Limit => out.float(2.0_f64.powi(28))?,
                    _ => out.float(1.0)?,
                }
            }
        }
        Ok(())
    }

    fn labels(self, n: usize) -> Vec<(&'static str, String)> {
        let pick =
            |list: &[&str], at: usize| list.get(at % list.len()).copied().unwrap_or_default().to_owned();
        let instance = |n: usize| format!("10.{}.{}.{}:8080", n >> 16, (n >> 8) & 255, n & 255);
        let job = |instance: usize| format!("service-{}", instance % 20);
        let pod = |pod: usize| (format!("namespace-{}", pod % 50), format!("workload-{}-{pod}", pod % 400));
        let ip = |pod: usize| format!("10.0.{}.{}", (pod / 30) >> 8, (pod / 30) & 255);
        match self {
            Self::Counter => {
                let at = n / 100;
                vec![
                    ("__name__", "http_requests_total".to_owned()),
                    ("cluster", "eu-central-1".to_owned()),
                    ("code", pick(&CODES, n)),
                    ("handler", pick(&HANDLERS, n / 5)),
                    ("instance", instance(at)),
                    ("job", job(at)),
                    ("method", pick(&METHODS, n / 25)),
                ]
            }
            Self::Gauge | Self::Limit => {
                let (namespace, pod_name) = pod(n / 2);
                let name = if self == Self::Gauge { "working_set" } else { "limit" };
                let name = match name {
                    "limit" => "container_spec_memory_limit_bytes",
                    _ => "container_memory_working_set_bytes",
                };
                vec![
                    ("__name__", name.to_owned()),
                    ("container", pick(&["main", "sidecar"], n)),
                    ("namespace", namespace),
                    ("node", format!("node-{}", n / 60)),
                    ("pod", pod_name),
                ]
            }
            Self::Info => {
                let (namespace, pod_name) = pod(n);
                vec![
                    ("__name__", "kube_pod_info".to_owned()),
                    ("host_ip", ip(n)),
                    ("namespace", namespace),
                    ("pod", pod_name),
                ]
            }
            Self::Classic => {
                let at = n / LE.len();
                vec![
                    ("__name__", "http_request_duration_seconds_bucket".to_owned()),
                    ("handler", pick(&HANDLERS, at)),
                    ("instance", instance(at / 5)),
                    ("job", job(at / 5)),
                    ("le", pick(&LE, n)),
                ]
            }
            Self::Long => vec![
                ("__name__", "node_load1".to_owned()),
                ("instance", instance(n)),
                ("job", "node".to_owned()),
            ],
        }
    }
}

/// The buckets of one classic histogram at each scrape.
fn classic(random: &mut Random, buckets: &mut [f64; LE.len()]) -> Vec<[f64; LE.len()]> {
    *buckets = [0.0; LE.len()];
    let steps = (0..HOUR_STEPS).map(|_| {
        for _ in 0..4 {
            let bucket = (random.unit() * random.unit() * LE.len() as f64) as usize;
            let events = (random.unit() * 10.0).round();
            for count in buckets.iter_mut().skip(bucket) {
                *count += events;
            }
        }
        *buckets
    });
    steps.collect()
}

struct Words<W: Write>(BufWriter<W>);

impl<W: Write> Words<W> {
    fn word(&mut self, word: u64) -> Outcome<()> {
        Ok(self.0.write_all(&word.to_le_bytes())?)
    }

    fn float(&mut self, value: f64) -> Outcome<()> {
        self.word(value.to_bits())
    }

    fn text(&mut self, text: &str) -> Outcome<()> {
        self.word(text.len() as u64)?;
        self.0.write_all(text.as_bytes())?;
        Ok(self.0.write_all(&[0; 8][..(8 - text.len() % 8) % 8])?)
    }

    fn labels(&mut self, labels: &[(&'static str, String)]) -> Outcome<()> {
        self.word(labels.len() as u64)?;
        for (name, value) in labels {
            self.text(name)?;
            self.text(value)?;
        }
        Ok(())
    }
}

/// Reads a file of samples, sorted by labels as a store gives them.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn read(path: &Path) -> Outcome<Vec<Series>> {
    let mut input = Reader(BufReader::with_capacity(1 << 20, File::open(path)?));
    if input.word()? != MAGIC {
        return Err("not a file of samples".into());
    }
    let mut axes: Vec<Arc<[i64]>> = Vec::new();
    for _ in 0..input.word()? {
        let steps = input.word()?;
        axes.push(input.words(steps as usize)?.into_iter().map(u64::cast_signed).collect());
    }
    let mut all = Vec::new();
    for _ in 0..input.word()? {
        let mut labels = Vec::new();
        for _ in 0..input.word()? {
            labels.push((input.text()?, input.text()?));
        }
        let axis = input.word()? as usize;
        let timestamps = Arc::clone(axes.get(axis).ok_or("no such axis")?);
        input.word()?;
        let values = input.words(timestamps.len())?.into_iter().map(f64::from_bits).collect();
        all.push(Series::floats(Labels::from_pairs(labels), timestamps, values));
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(all)
}

struct Reader<R: Read>(BufReader<R>);

impl<R: Read> Reader<R> {
    fn word(&mut self) -> Outcome<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn words(&mut self, n: usize) -> Outcome<Vec<u64>> {
        (0..n).map(|_| self.word()).collect()
    }

    fn text(&mut self) -> Outcome<String> {
        let length = self.word()? as usize;
        let mut bytes = vec![0; length.div_ceil(8) * 8];
        self.0.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(String::from_utf8(bytes)?)
    }
}
