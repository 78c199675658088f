//! `/metadata` and `/targets/metadata`: what sources say of their metric families.

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, Metadata};
use promql::parser;
use serde_json::{Value, json};
use wire::ScrapeTarget;

use crate::params::Params;
use crate::route::Answer;
use crate::targets::label_map;
use crate::{Api, ApiError};

impl Api {
    /// Metadata by metric name.
    pub(crate) async fn metric_metadata(&self, params: &Params) -> Result<Answer, ApiError> {
        let limit = limit(params, "limit")?;
        let per_metric = limit_above_zero(params, "limit_per_metric")?;
        let metric = Some(params.value("metric")).filter(|metric| !metric.is_empty());
        let mut families: BTreeMap<String, BTreeSet<Value3>> = BTreeMap::new();
        for metadata in self.metadata.metadata(metric).await? {
            let Metadata { metric_family, kind, help, unit } = metadata;
            let said = families.entry(metric_family).or_default();
            if said.len() < per_metric {
                said.insert((kind.as_str(), unit, help));
            }
        }
        let said = |(kind, unit, help): &Value3| json!({ "type": kind, "unit": unit, "help": help });
        let data: serde_json::Map<String, Value> = families
            .iter()
            .take(limit)
            .map(|(family, all)| (family.clone(), all.iter().map(said).collect()))
            .collect();
        Ok(Answer::json(&Value::Object(data)))
    }

    /// Metadata by target.
    pub(crate) async fn target_metadata(&self, params: &Params) -> Result<Answer, ApiError> {
        let limit = limit(params, "limit")?;
        let matchers = match params.value("match_target") {
            "" => Vec::new(),
            text => parser::parse_metric_selector(text)
                .map_err(|error| ApiError::invalid_parameter("match_target", error))?,
        };
        let metric = params.value("metric");
        let mut targets = self.deployment.targets().await?;
        targets.pools.sort_by(|a, b| a.name.cmp(&b.name));
        let wanted = |target: &&ScrapeTarget| {
            let labels = Labels::from(&target.labels);
            matchers.iter().all(|matcher| matcher.matches(labels.value(matcher.name())))
        };
        let active: Vec<&ScrapeTarget> =
            targets.pools.iter().flat_map(|pool| &pool.active).filter(wanted).collect();
        let sources: Vec<&str> = active.iter().map(|target| target.source.as_str()).collect();
        let all = self.deployment.target_metadata(&sources).await?;
        let mut found: Vec<Value> = Vec::new();
        for target in active {
            // As in Prometheus, a target is listed whole or not at all.
            if found.len() >= limit {
                break;
            }
            let Some(said) = all.get(&target.source) else { continue };
            let wanted = |said: &&Metadata| metric.is_empty() || said.metric_family == metric;
            for said in said.iter().filter(wanted) {
                let mut entry = json!({
                    "target": label_map(&target.labels),
                    "type": said.kind.as_str(),
                    "help": said.help,
                    "unit": said.unit,
                });
                if metric.is_empty() {
                    entry["metric"] = said.metric_family.as_str().into();
                }
                found.push(entry);
            }
        }
        Ok(Answer::json(&Value::Array(found)))
    }
}

/// Type, unit and help of a family.
type Value3 = (&'static str, String, String);

/// A limit, which may be 0; absent or negative it is none.
fn limit(params: &Params, name: &str) -> Result<usize, ApiError> {
    let text = params.value(name);
    if text.is_empty() {
        return Ok(usize::MAX);
    }
    let limit: i64 = text.parse().map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// A limit where 0 is none too.
fn limit_above_zero(params: &Params, name: &str) -> Result<usize, ApiError> {
    Ok(match limit(params, name)? {
        0 => usize::MAX,
        limit => limit,
    })
}
