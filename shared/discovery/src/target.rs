//! One target: its labels before and after relabelling, and its URL. Source: `scrape/target.go` of Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use config::{ScrapeConfig, TargetGroup};
use model::labels::{INSTANCE_LABEL, JOB_LABEL, LabelsBuilder, quote};
use model::{Labels, duration, relabel};

pub(crate) const ADDRESS_LABEL: &str = "__address__";
pub(crate) const SCHEME_LABEL: &str = "__scheme__";
const METRICS_PATH_LABEL: &str = "__metrics_path__";
const INTERVAL_LABEL: &str = "__scrape_interval__";
const TIMEOUT_LABEL: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";
const META_PREFIX: &str = "__meta_";
const RESERVED_PREFIX: &str = "__";
const UNIX_SOCKET_LABEL: &str = "__unix_socket__";
/// Labels through which a target may ask for what jobs may ask for too, and what Prometheus calls them in errors.
const HISTOGRAM_LABELS: [(&str, &str); 3] = [
    ("__convert_classic_histograms_to_nhcb__", "convert classic histograms to nhcb"),
    ("__always_scrape_classic_histograms__", "always scrape classic histograms"),
    ("__scrape_native_histograms__", "scrape native histograms"),
];

/// A target that is scraped.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its labels after relabelling, those that begin with `__` included.
    pub(crate) labels: Labels,
    /// What to fetch.
    pub(crate) url: String,
    /// Interval between scrapes.
    pub(crate) interval: Duration,
    /// Bound on one scrape.
    pub(crate) timeout: Duration,
}

impl Target {
    /// Labels of all its samples.
    pub(crate) fn public_labels(&self) -> Labels {
        self.labels.filtered(|name| !name.starts_with(RESERVED_PREFIX))
    }

    /// Prometheus's `Target.hash`: FNV-1a of the labels' hash in decimal, and of the URL.
    pub(crate) fn hash(&self) -> u64 {
        let digits = format!("{:016}", self.labels.hash());
        fnv1a(digits.bytes().chain(self.url.bytes()))
    }
}

/// FNV-1a with 64 bits.
pub(crate) fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A target's labels before relabelling.
pub(crate) fn discovered(job: &ScrapeConfig, group: &TargetGroup, target: &Labels) -> Labels {
    let mut labels = group.labels.to_builder();
    for (name, value) in target {
        labels.set(name, value);
    }
    let mut default = |name: &str, value: &str| {
        if labels.value(name).is_empty() {
            labels.set(name, value);
        }
    };
    default(JOB_LABEL, &job.job_name);
    default(INTERVAL_LABEL, &duration::format(job.scrape_interval));
    default(TIMEOUT_LABEL, &duration::format(job.scrape_timeout));
    default(METRICS_PATH_LABEL, &job.metrics_path);
    default(SCHEME_LABEL, &job.scheme);
    for (name, _) in HISTOGRAM_LABELS {
        default(name, "false");
    }
    for (name, values) in &job.params {
        if let Some(value) = values.first() {
            default(&format!("{PARAM_PREFIX}{name}"), value);
        }
    }
    labels.build()
}

/// Relabels and checks; `None` where relabelling dropped the target.
///
/// # Errors
/// Why it cannot be scraped, in Prometheus's words.
pub(crate) fn populate(job: &ScrapeConfig, discovered: &Labels) -> Result<Option<Target>, String> {
    let mut labels = discovered.to_builder();
    if !relabel::process_builder(&mut labels, &job.relabel_configs) {
        return Ok(None);
    }
    let address = labels.value(ADDRESS_LABEL).to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    config::check_target_address(&address)?;
    let (interval, timeout) = interval_and_timeout(&labels)?;
    check_histogram_labels(&labels)?;
    if !labels.value(UNIX_SOCKET_LABEL).is_empty() {
        return Err(format!("{UNIX_SOCKET_LABEL} is not supported by foxfire yet"));
    }
    labels.retain(|name, _| !name.starts_with(META_PREFIX));
    if labels.value(INSTANCE_LABEL).is_empty() {
        labels.set(INSTANCE_LABEL, address);
    }
    let labels = labels.build();
    let url = url(job, &labels);
    Ok(Some(Target { labels, url, interval, timeout }))
}

fn interval_and_timeout(labels: &LabelsBuilder) -> Result<(Duration, Duration), String> {
    let parse = |label: &str, what: &str| {
        let parsed = duration::parse(labels.value(label))
            .map_err(|error| format!("error parsing scrape {what}: {error}"))?;
        if parsed.is_zero() { Err(format!("scrape {what} cannot be 0")) } else { Ok(parsed) }
    };
    let interval = parse(INTERVAL_LABEL, "interval")?;
    let timeout = parse(TIMEOUT_LABEL, "timeout")?;
    if timeout > interval {
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({} > {})",
            quote(labels.value(TIMEOUT_LABEL)),
            quote(labels.value(INTERVAL_LABEL))
        ));
    }
    Ok((interval, timeout))
}

fn check_histogram_labels(labels: &LabelsBuilder) -> Result<(), String> {
    for (label, description) in HISTOGRAM_LABELS {
        match labels.value(label) {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => {}
            "1" | "t" | "T" | "true" | "TRUE" | "True" => {
                // Without native histograms the classic ones are scraped anyway.
                if label != "__always_scrape_classic_histograms__" {
                    return Err(format!("{label} is not supported by foxfire yet"));
                }
            }
            other => {
                let reason = format!("strconv.ParseBool: parsing {}: invalid syntax", quote(other));
                return Err(format!("error parsing {description}: {reason}"));
            }
        }
    }
    Ok(())
}

fn url(job: &ScrapeConfig, labels: &Labels) -> String {
    let mut params: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in &job.params {
        params.insert(name, values.iter().map(String::as_str).collect());
    }
    for (name, value) in labels {
        let Some(name) = name.strip_prefix(PARAM_PREFIX) else { continue };
        let values = params.entry(name).or_default();
        match values.first_mut() {
            Some(first) => *first = value,
            None => values.push(value),
        }
    }
    let pairs = params.iter().flat_map(|(name, values)| values.iter().map(|value| (*name, *value)));
    let query = crate::url::query(pairs);
    let (scheme, host) = (labels.value(SCHEME_LABEL), labels.value(ADDRESS_LABEL));
    crate::url::format(scheme, host, labels.value(METRICS_PATH_LABEL), &query)
}
