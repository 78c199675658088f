//! One entry of `scrape_configs`.

use std::collections::BTreeMap;
use std::time::Duration;

use model::labels::{NameValidation, quote};
use model::relabel::RelabelConfig;

use super::global::{self, Limits};
use super::{discovery, http, relabel};
use crate::decode::{Decoded, Decoder, Fatal, Field};
use crate::units::parse_base2_bytes;
use crate::values::{ScrapeConfig, ScrapeProtocol};
use crate::yaml::NodeId;

const TYPE: &str = "config.ScrapeConfig";

/// A job as written.
pub(super) struct Raw {
    config: ScrapeConfig,
    limits: Limits,
    protocols: Option<Protocols>,
    fallback: String,
    naming: Naming,
}

pub(super) fn decode(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Raw> {
    let mark = decoder.mark();
    let mut raw = Raw {
        // Zero inherits.
        config: ScrapeConfig {
            scrape_interval: Duration::ZERO,
            scrape_timeout: Duration::ZERO,
            ..ScrapeConfig::default()
        },
        limits: Limits::default(),
        protocols: None,
        fallback: String::new(),
        naming: Naming::default(),
    };
    let mut http = http::Raw::default();
    let mut discovery = discovery::Raw::default();
    let mut steps = RelabelSteps::default();
    decoder.structure(id, TYPE, &mut |decoder, key, value| {
        if let Some(field) = raw.field(decoder, key, value)? {
            return Ok(field);
        }
        if let Some(field) = http.field(decoder, key, value)? {
            return Ok(field);
        }
        match key {
            "relabel_configs" => steps.target = relabel::decode_list(decoder, value)?,
            "metric_relabel_configs" => steps.metric = relabel::decode_list(decoder, value)?,
            _ => return discovery.field(decoder, key, value),
        }
        Ok(Field::Known)
    })?;
    if decoder.clean_since(mark) {
        raw.config.discovery = discovery.validate()?;
        if raw.config.job_name.is_empty() {
            return Err(Fatal("job_name is empty".to_owned()));
        }
        raw.config.http = http.validate()?;
        if steps.target.is_empty() {
            discovery::check_static_targets(&raw.config.discovery)?;
        }
        let target = "empty or null target relabeling rule in scrape config";
        raw.config.relabel_configs = relabel::none_null(steps.target, target)?;
        let metric = "empty or null metric relabeling rule in scrape config";
        raw.config.metric_relabel_configs = relabel::none_null(steps.metric, metric)?;
    }
    Ok(raw)
}

#[derive(Default)]
struct RelabelSteps {
    target: Vec<Option<RelabelConfig>>,
    metric: Vec<Option<RelabelConfig>>,
}

impl Raw {
    fn field(&mut self, decoder: &mut Decoder<'_>, key: &str, value: NodeId) -> Decoded<Option<Field>> {
        let job = &mut self.config;
        match key {
            "job_name" => job.job_name = decoder.string(value, "string")?,
            "honor_labels" => job.honor_labels = decoder.bool(value)?,
            "honor_timestamps" => job.honor_timestamps = decoder.bool(value)?,
            "track_timestamps_staleness" => {
                job.track_timestamps_staleness = decoder.bool(value)?;
                if job.track_timestamps_staleness {
                    decoder.warn(value, "field track_timestamps_staleness has no effect in foxfire yet");
                }
            }
            "params" => job.params = params(decoder, value)?,
            "scrape_interval" => job.scrape_interval = decoder.duration(value)?,
            "scrape_timeout" => job.scrape_timeout = decoder.duration(value)?,
            "scrape_protocols" => self.protocols = Protocols::decode(decoder, value)?,
            "fallback_scrape_protocol" => {
                self.fallback = decoder.string(value, "config.ScrapeProtocol")?;
                if self.fallback == PROTO {
                    decoder.refuse(value, "fallback_scrape_protocol PrometheusProto");
                }
            }
            "metrics_path" => job.metrics_path = decoder.string(value, "string")?,
            "scheme" => job.scheme = decoder.string(value, "string")?,
            "enable_compression" => job.enable_compression = decoder.bool(value)?,
            "scrape_failure_log_file" => super::inert::text(decoder, key, value)?,
            "native_histogram_bucket_limit" => {
                decoder.uint(value, "uint")?;
                super::inert::note(decoder, key, value);
            }
            "native_histogram_min_bucket_factor" => {
                decoder.float(value)?;
                super::inert::note(decoder, key, value);
            }
            _ => {
                let known = limit(decoder, key, value, &mut self.limits)?
                    || self.naming.field(decoder, key, value)?;
                return Ok(known.then_some(Field::Known));
            }
        }
        Ok(Some(Field::Known))
    }

    /// Fills in what is inherited and checks what depends on it.
    pub(super) fn validate(self, global: &global::Raw) -> Decoded<ScrapeConfig> {
        let mut job = self.config;
        let quoted = quote(&job.job_name);
        let of_job = |text: &str| Fatal(format!("{text} for scrape config with job name {quoted}"));
        if job.scrape_interval.is_zero() {
            job.scrape_interval = global.config.scrape_interval;
        }
        if job.scrape_timeout > job.scrape_interval {
            return Err(of_job("scrape timeout greater than scrape interval"));
        }
        if job.scrape_timeout.is_zero() {
            job.scrape_timeout = global.config.scrape_timeout.min(job.scrape_interval);
        }
        job.limits = self.limits.inherit(&global.limits);
        if let Some(protocols) = self.protocols.as_ref().or(global.protocols.as_ref()) {
            protocols.validate().map_err(|text| of_job(&text))?;
            job.scrape_protocols = protocols.known();
        }
        if !self.fallback.is_empty() {
            let fallback = protocol(&self.fallback).map_err(|text| {
                Fatal(format!(
                    "invalid fallback_scrape_protocol for scrape config with job name {quoted}: {text}"
                ))
            })?;
            job.fallback_scrape_protocol = fallback;
        }
        global.naming.validate("global")?;
        self.naming.validate("scrape config")?;
        for step in job.relabel_configs.iter().chain(&job.metric_relabel_configs) {
            step.validate(NameValidation::Utf8)?;
        }
        Ok(job)
    }
}

fn params(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Vec<(String, Vec<String>)>> {
    let params = decoder
        .map(id, "url.Values", &mut |decoder, value| decoder.strings(value, "[]string"))?
        .into_iter()
        // In order of their names, as they are sent.
        .collect::<BTreeMap<_, _>>();
    Ok(params.into_iter().collect())
}

/// Decodes `key` where it is one of the limits. Whether it is.
pub(super) fn limit(
    decoder: &mut Decoder<'_>,
    key: &str,
    value: NodeId,
    limits: &mut Limits,
) -> Decoded<bool> {
    let count = match key {
        "body_size_limit" => {
            if !decoder.is_null(value) {
                let mark = decoder.mark();
                let text = decoder.string(value, "units.Base2Bytes")?;
                if decoder.clean_since(mark) {
                    limits.body_bytes_max = parse_base2_bytes(&text).map_err(Fatal)?;
                }
            }
            return Ok(true);
        }
        "sample_limit" => &mut limits.samples_max,
        "target_limit" => &mut limits.targets_max,
        "label_limit" => &mut limits.labels_max,
        "label_name_length_limit" => &mut limits.label_name_bytes_max,
        "label_value_length_limit" => &mut limits.label_value_bytes_max,
        "keep_dropped_targets" => &mut limits.keep_dropped_targets,
        _ => return Ok(false),
    };
    *count = decoder.uint(value, "uint")?;
    Ok(true)
}

/// How names and histograms are treated: what foxfire does is accepted, what differs is refused.
#[derive(Default)]
pub(super) struct Naming {
    escaping: String,
}

const ESCAPING: [&str; 4] = ["allow-utf-8", "underscores", "dots", "values"];

impl Naming {
    /// Decodes `key` where it is one of these. Whether it is.
    pub(super) fn field(&mut self, decoder: &mut Decoder<'_>, key: &str, value: NodeId) -> Decoded<bool> {
        match key {
            "metric_name_validation_scheme" => {
                let scheme = decoder.string(value, "string")?;
                match scheme.as_str() {
                    "" | "utf8" => {}
                    "legacy" => decoder.refuse(value, "metric_name_validation_scheme legacy"),
                    _ => return Err(Fatal(format!("unrecognized ValidationScheme: {}", quote(&scheme)))),
                }
            }
            "metric_name_escaping_scheme" => {
                self.escaping = decoder.string(value, "string")?;
                if ESCAPING[1..].contains(&self.escaping.as_str()) {
                    decoder.refuse(value, &format!("metric_name_escaping_scheme {}", self.escaping));
                }
            }
            "scrape_native_histograms" | "convert_classic_histograms_to_nhcb" | "extra_scrape_metrics" => {
                if decoder.bool(value)? {
                    decoder.refuse(value, &format!("{key}: true"));
                }
            }
            // Without native histograms the classic ones are scraped whatever this says.
            "always_scrape_classic_histograms" => {
                decoder.bool(value)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn validate(&self, place: &str) -> Decoded<()> {
        if self.escaping.is_empty() || ESCAPING.contains(&self.escaping.as_str()) {
            return Ok(());
        }
        let [a, b, c, d] = ESCAPING;
        Err(Fatal(format!(
            "unknown {place} name escaping method specified, must be one of '{a}', '{b}', '{c}', or '{d}', got {}",
            quote(&self.escaping)
        )))
    }
}

const PROTO: &str = "PrometheusProto";
const OPEN_METRICS: &str = "OpenMetricsText";

/// `scrape_protocols` as written.
pub(super) struct Protocols(Vec<String>);

impl Protocols {
    /// `None` where it is null.
    pub(super) fn decode(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Option<Self>> {
        if decoder.is_null(id) {
            return Ok(None);
        }
        let names = decoder.strings(id, "[]config.ScrapeProtocol")?;
        if names.len() == 1 && names.iter().any(|name| name == PROTO) {
            decoder.refuse(id, "scrape protocol PrometheusProto");
            return Ok(Some(Self(names)));
        }
        for name in names.iter().filter(|name| *name == PROTO || name.starts_with(OPEN_METRICS)) {
            decoder.warn(id, &format!("scrape protocol {name} is not asked for by foxfire yet"));
        }
        Ok(Some(Self(names)))
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        if self.0.is_empty() {
            return Err("scrape_protocols cannot be empty".to_owned());
        }
        let mut seen: Vec<String> = Vec::new();
        for name in &self.0 {
            let lower = name.to_lowercase();
            if seen.contains(&lower) {
                let all = self.0.join(" ");
                return Err(format!("duplicated protocol in scrape_protocols, got [{all}]"));
            }
            protocol(name).map_err(|text| format!("scrape_protocols: {text}"))?;
            seen.push(lower);
        }
        Ok(())
    }

    fn known(&self) -> Vec<ScrapeProtocol> {
        self.0.iter().filter_map(|name| protocol(name).ok().flatten()).collect()
    }
}

/// The protocol of a name; `None` is `PrometheusProto`, which exists but is not asked for.
fn protocol(name: &str) -> Result<Option<ScrapeProtocol>, String> {
    if name == PROTO {
        return Ok(None);
    }
    let known = ScrapeProtocol::DEFAULT.into_iter().find(|protocol| protocol.as_str() == name);
    known.map(Some).ok_or_else(|| {
        format!(
            "unknown scrape protocol {name}, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 \
             PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]"
        )
    })
}
