//! What a running `foxfire serve` would use on AWS, by its own metrics.
//!
//! It does the same work, but asks more often whether there is any: it plans windows of seconds and looks for what to compact
//! every few seconds, which costs nothing there. So what such looks take is counted as often as the schedules of a deployment
//! would fire.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cost::{Architecture, Deployment, FunctionUsage, MONTH_SECONDS, Requests, Trigger, Usage};
use platform::{Fetcher, HttpMethod, HttpRequest};
use platform_system::{AddressRules, SystemFetcher};
use textparse::{Event, ExposedLabel, Parser};

use super::Estimate;

const TIMEOUT: Duration = Duration::from_secs(30);
const BODY_BYTES_MAX: u64 = 64 << 20;
/// A shorter run says nothing.
const SECONDS_MIN: f64 = 60.0;

/// Asks a `foxfire serve` for its metrics.
pub(crate) fn read(url: &str) -> Result<Estimate, String> {
    let url = format!("{}/metrics", url.trim_end_matches('/'));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let body = runtime.block_on(fetch(&url))?;
    estimate(&body, platform_system::now_ms() as f64 / 1e3).map_err(|error| format!("{url}: {error}"))
}

async fn fetch(url: &str) -> Result<Bytes, String> {
    let rules = AddressRules { loopback: true, unspecified: true, link_local: false };
    let fetcher = SystemFetcher::new(rules).map_err(|error| error.to_string())?;
    let request = HttpRequest {
        method: HttpMethod::Get,
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: TIMEOUT,
        body_bytes_max: BODY_BYTES_MAX,
        follow_redirects: true,
        insecure_skip_verify: false,
    };
    let answer = fetcher.fetch(request).await.map_err(|error| format!("{url}: {error}"))?;
    if answer.status != 200 {
        return Err(format!("{url}: {}", answer.status_line));
    }
    Ok(answer.body)
}

/// The month that some metrics lead to, at `now`, seconds since the epoch.
pub(crate) fn estimate(body: &[u8], now: f64) -> Result<Estimate, String> {
    let samples = samples(body)?;
    let started = samples.iter().find(|sample| sample.name == "process_start_time_seconds");
    let started = started.ok_or("no process_start_time_seconds: is it foxfire?")?.value;
    let seconds = now - started;
    if seconds < SECONDS_MIN {
        return Err(format!("it runs for {seconds:.0} s only: wait for a minute at least, better for hours"));
    }
    let deployment = Deployment::default();
    let mut month = Usage::default();
    for (name, function) in by_function(&samples) {
        let Some(on_aws) = deployment.as_deployed(&name) else { continue };
        let usage = function.usage(&deployment, on_aws);
        let mut usage = usage.scaled(MONTH_SECONDS / seconds);
        if let Some(runs) = deployment.runs_a_month(&name) {
            deployment.look_as_often(&name, &mut usage, runs);
        }
        *month.function(on_aws) += &usage;
    }
    if month.functions.is_empty() {
        return Err("no foxfire_aws_* metrics: is it foxfire serve?".to_owned());
    }
    deployment.shared(&mut month);
    let block_bytes = samples.iter().find(|sample| sample.name == "prometheus_tsdb_storage_blocks_bytes");
    month.object_gb = block_bytes.map_or(0.0, |sample| sample.value / cost::GB);
    let notes = vec![
        format!("what foxfire serve did in {:.1} hours, as if it had been done on AWS", seconds / 3_600.0),
        "time as it took here; blocks as they are now".to_owned(),
    ];
    Ok(Estimate { notes, workload: None, month })
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

fn samples(body: &[u8]) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    let mut labels: Vec<ExposedLabel<'_>> = Vec::new();
    for event in Parser::new(body) {
        let Event::Series(series) = event.map_err(|error| error.to_string())? else { continue };
        if series.labels(&mut labels).is_err() {
            continue;
        }
        let mut labels: BTreeMap<String, String> =
            labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect();
        let name = labels.remove("__name__").unwrap_or_default();
        samples.push(Sample { name, labels, value: series.value });
    }
    Ok(samples)
}

/// What one function did here.
#[derive(Default)]
struct Counted {
    requests: FunctionUsage,
    seconds: f64,
    invocations: BTreeMap<Trigger, f64>,
}

impl Counted {
    fn usage(self, deployment: &Deployment, on_aws: &str) -> FunctionUsage {
        let gb = f64::from(deployment.memory_mb(on_aws)) / 1_024.0;
        let mut usage =
            FunctionUsage { invocations: self.invocations, seconds: self.seconds, ..self.requests };
        match deployment.architecture {
            Architecture::Arm64 => usage.gb_seconds_arm64 = self.seconds * gb,
            Architecture::X86_64 => usage.gb_seconds_x86_64 = self.seconds * gb,
        }
        usage
    }
}

fn by_function(samples: &[Sample]) -> BTreeMap<String, Counted> {
    let mut functions: BTreeMap<String, Counted> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.name.starts_with("foxfire_aws_")) {
        let counted = functions.entry(sample.label("function").to_owned()).or_default();
        let mut count = |requests| {
            counted.requests.count(sample.label("service"), sample.label("operation"), requests);
        };
        let (value, none) = (sample.value, Requests::default());
        match sample.name.as_str() {
            "foxfire_aws_requests_total" => count(Requests { count: value, ..none }),
            "foxfire_aws_billed_units_total" => count(Requests { units: value, ..none }),
            "foxfire_aws_sent_bytes_total" => count(Requests { sent: value, ..none }),
            "foxfire_aws_received_bytes_total" => count(Requests { received: value, ..none }),
            "foxfire_aws_invocation_seconds_total" => counted.seconds += value,
            "foxfire_aws_invocations_total" => {
                let trigger = match sample.label("trigger") {
                    "queue" => Trigger::Queue,
                    "http" => Trigger::Http,
                    _ => Trigger::Schedule,
                };
                *counted.invocations.entry(trigger).or_default() += value;
            }
            _ => {}
        }
    }
    functions
}
