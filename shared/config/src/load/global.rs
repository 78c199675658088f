//! `global`.

use std::time::Duration;

use model::Labels;
use model::labels::quote;

use super::scrape::{Naming, Protocols, limit};
use crate::decode::{Decoded, Decoder, Fatal, Field, quote_bytes};
use crate::values::{GlobalConfig, ScrapeLimits};
use crate::yaml::NodeId;

/// `global`, and what jobs inherit from it.
#[derive(Default)]
pub(super) struct Raw {
    pub(super) config: GlobalConfig,
    /// As written: 0 is "not set", for the body too.
    pub(super) limits: Limits,
    pub(super) protocols: Option<Protocols>,
    pub(super) naming: Naming,
}

/// Limits as written, where 0 inherits.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) body_bytes_max: i64,
    pub(super) samples_max: u64,
    pub(super) labels_max: u64,
    pub(super) label_name_bytes_max: u64,
    pub(super) label_value_bytes_max: u64,
    pub(super) targets_max: u64,
    pub(super) keep_dropped_targets: u64,
}

impl Limits {
    /// These, with those of `global` where they are not set.
    pub(super) fn inherit(self, global: &Self) -> ScrapeLimits {
        let or = |own: u64, inherited: u64| if own == 0 { inherited } else { own };
        let body = if self.body_bytes_max == 0 { global.body_bytes_max } else { self.body_bytes_max };
        ScrapeLimits {
            body_bytes_max: match u64::try_from(body) {
                Ok(0) | Err(_) => ScrapeLimits::default().body_bytes_max,
                Ok(bytes) => bytes,
            },
            samples_max: or(self.samples_max, global.samples_max),
            labels_max: or(self.labels_max, global.labels_max),
            label_name_bytes_max: or(self.label_name_bytes_max, global.label_name_bytes_max),
            label_value_bytes_max: or(self.label_value_bytes_max, global.label_value_bytes_max),
            targets_max: or(self.targets_max, global.targets_max),
            keep_dropped_targets: or(self.keep_dropped_targets, global.keep_dropped_targets),
        }
    }
}

pub(super) fn decode(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Raw> {
    let mut raw = Raw::default();
    if decoder.is_null(id) {
        return Ok(raw);
    }
    let mark = decoder.mark();
    // Zero is "not set", as it is for every setting of `global`.
    raw.config.scrape_interval = Duration::ZERO;
    raw.config.scrape_timeout = Duration::ZERO;
    raw.config.evaluation_interval = Duration::ZERO;
    let mut external_labels = Vec::new();
    decoder.structure(id, "config.plain", &mut |decoder, key, value| {
        let global = &mut raw.config;
        match key {
            "scrape_interval" => global.scrape_interval = decoder.duration(value)?,
            "scrape_timeout" => global.scrape_timeout = decoder.duration(value)?,
            "evaluation_interval" => global.evaluation_interval = decoder.duration(value)?,
            "rule_query_offset" => global.rule_query_offset = decoder.duration(value)?,
            "external_labels" => external_labels = decoder.byte_map(value, "map[string]string")?,
            "scrape_protocols" => raw.protocols = Protocols::decode(decoder, value)?,
            "query_log_file" | "scrape_failure_log_file" => {
                super::inert::text(decoder, key, value)?;
            }
            _ if limit(decoder, key, value, &mut raw.limits)? => {}
            _ if raw.naming.field(decoder, key, value)? => {}
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    if decoder.clean_since(mark) {
        raw.config.external_labels = labels(external_labels)?;
        validate(&mut raw)?;
    }
    Ok(raw)
}

fn labels(pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Decoded<Labels> {
    let mut out = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let name = String::from_utf8(name)
            .map_err(|bad| Fatal(format!("{} is not a valid label name", quote_bytes(bad.as_bytes()))))?;
        if name.is_empty() {
            return Err(Fatal(format!("{} is not a valid label name", quote(&name))));
        }
        let value = String::from_utf8(value)
            .map_err(|bad| Fatal(format!("{} is not a valid label value", quote_bytes(bad.as_bytes()))))?;
        out.push((name, value));
    }
    Ok(Labels::from_pairs(out))
}

fn validate(raw: &mut Raw) -> Decoded<()> {
    let defaults = GlobalConfig::default();
    let global = &mut raw.config;
    if global.scrape_interval.is_zero() {
        global.scrape_interval = defaults.scrape_interval;
    }
    if global.scrape_timeout > global.scrape_interval {
        return Err(Fatal("global scrape timeout greater than scrape interval".to_owned()));
    }
    if global.scrape_timeout.is_zero() {
        global.scrape_timeout = defaults.scrape_timeout.min(global.scrape_interval);
    }
    if global.evaluation_interval.is_zero() {
        global.evaluation_interval = defaults.evaluation_interval;
    }
    if let Some(protocols) = &raw.protocols {
        protocols.validate().map_err(|text| Fatal(format!("{text} for global config")))?;
    }
    Ok(())
}
