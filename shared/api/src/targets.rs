//! `/targets`, `/scrape_pools`, `/alertmanagers`.

use std::collections::BTreeMap;
use std::time::Duration;

use model::rfc3339;
use serde_json::{Value, json};
use wire::{ScrapePool, ScrapeTarget, WireLabels};

use crate::deployment::LastScrape;
use crate::params::Params;
use crate::route::Answer;
use crate::{Api, ApiError, GlobalUrlOptions};

/// What Go prints for an instant that never was.
pub(crate) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

impl Api {
    /// Active and dropped targets.
    pub(crate) async fn targets(&self, params: &Params) -> Result<Answer, ApiError> {
        let state = params.value("state").to_lowercase();
        let wants = |kind: &str| state.is_empty() || state == "any" || state == kind;
        let pool_wanted = params.value("scrapePool");
        let targets = self.deployment.targets().await?;
        let mut pools: Vec<&ScrapePool> = targets.pools.iter().collect();
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        let dropped_counts: BTreeMap<&str, usize> =
            pools.iter().map(|pool| (pool.name.as_str(), pool.dropped.len())).collect();
        pools.retain(|pool| pool_wanted.is_empty() || pool.name == pool_wanted);

        let global_url = self.deployment.global_url();
        let (mut active, mut dropped) = (Vec::new(), Vec::new());
        for pool in pools {
            if wants("active") {
                active.extend(pool.active.iter().map(|target| {
                    active_target(target, targets.last_scrapes.get(&target.source), &global_url)
                }));
            }
            if wants("dropped") {
                dropped.extend(pool.dropped.iter().map(|target| {
                    json!({ "discoveredLabels": label_map(&target.discovered), "scrapePool": pool.name })
                }));
            }
        }
        let counts = if wants("dropped") { json!(dropped_counts) } else { Value::Null };
        Ok(Answer::json(&json!({
            "activeTargets": active,
            "droppedTargets": dropped,
            "droppedTargetCounts": counts,
        })))
    }

    /// The names of the scrape pools.
    pub(crate) async fn scrape_pools(&self) -> Result<Answer, ApiError> {
        let targets = self.deployment.targets().await?;
        let mut names: Vec<&str> = targets.pools.iter().map(|pool| pool.name.as_str()).collect();
        names.sort_unstable();
        Ok(Answer::json(&json!({ "scrapePools": names })))
    }

    /// Where alerts are sent.
    pub(crate) async fn alertmanagers(&self) -> Result<Answer, ApiError> {
        let urls = self.deployment.alertmanagers().await?;
        let active: Vec<Value> = urls.iter().map(|url| json!({ "url": url })).collect();
        Ok(Answer::json(&json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] })))
    }
}

/// Labels as a JSON object.
pub(crate) fn label_map(labels: &WireLabels) -> Value {
    Value::Object(labels.0.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
}

fn active_target(target: &ScrapeTarget, last: Option<&LastScrape>, global_url: &GlobalUrlOptions) -> Value {
    let duration = |ms: u64| model::duration::format(Duration::from_millis(ms));
    let (health, error) = match last {
        None => ("unknown", ""),
        Some(LastScrape { error: None, .. }) => ("up", ""),
        Some(LastScrape { error: Some(error), .. }) => ("down", error.as_str()),
    };
    json!({
        "discoveredLabels": label_map(&target.discovered),
        "labels": label_map(&target.labels),
        "scrapePool": target.pool,
        "scrapeUrl": target.url,
        "globalUrl": global_url.global_url(&target.url),
        "lastError": error,
        "lastScrape": last.map_or_else(|| ZERO_TIME.to_owned(), |last| rfc3339::format(last.timestamp)),
        "lastScrapeDuration": last.map_or(0.0, |last| last.duration.as_secs_f64()),
        "health": health,
        "scrapeInterval": duration(target.interval_ms),
        "scrapeTimeout": duration(target.timeout_ms),
    })
}
