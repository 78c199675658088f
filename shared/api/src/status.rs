//! `/status/*`.

use std::collections::BTreeMap;

use model::rfc3339;
use serde_json::{Value, json};
use wire::BlockMeta;

use crate::params::{MAX_TIME, MIN_TIME, Params};
use crate::route::Answer;
use crate::{Api, ApiError};

/// The version of Prometheus whose API this is. Clients such as Grafana take `version` for Prometheus's and switch off
/// what they believe an older one lacks, so foxfire's own version has a field of its own.
const COMPATIBLE_VERSION: &str = "3.14.0";
const TSDB_LIMIT_MAX: usize = 10_000;

impl Api {
    /// The configuration in force.
    pub(crate) async fn status_config(&self) -> Result<Answer, ApiError> {
        Ok(Answer::json(&json!({ "yaml": self.deployment.config_yaml().await? })))
    }

    /// How the process was started.
    pub(crate) fn status_flags(&self) -> Answer {
        let flags: BTreeMap<String, String> = self.deployment.flags().into_iter().collect();
        Answer::json(&json!(flags))
    }

    /// What was built, and which Prometheus it answers like. Fields without meaning here are there because clients expect
    /// them.
    pub(crate) fn status_buildinfo(&self) -> Answer {
        let build = self.deployment.build_info();
        Answer::json(&json!({
            "version": COMPATIBLE_VERSION,
            "revision": build.revision,
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
            "application": "foxfire",
            "applicationVersion": build.version,
        }))
    }

    /// Facts of the running process.
    pub(crate) fn status_runtimeinfo(&self) -> Answer {
        let info = self.deployment.runtime_info();
        Answer::json(&json!({
            "startTime": rfc3339::format(info.start_time),
            "CWD": info.cwd,
            "hostname": info.hostname,
            "serverTime": rfc3339::format(self.clock.now_ms()),
            "reloadConfigSuccess": info.reload_config_success,
            "lastConfigTime": rfc3339::format(info.last_config_time),
            "corruptionCount": 0,
            "goroutineCount": 0,
            "GOMAXPROCS": 0,
            "GOMEMLIMIT": 0,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": info.storage_retention,
        }))
    }

    /// How far reading the WAL at the start has come. There is no such phase: queries read the WAL where it lies.
    pub(crate) fn status_walreplay() -> Answer {
        Answer::json(&json!({ "min": 0, "max": 0, "current": 0 }))
    }

    /// Figures of the store.
    pub(crate) async fn status_tsdb(&self, params: &Params) -> Result<Answer, ApiError> {
        let limit = match params.value("limit") {
            "" => 10,
            text => match text.parse::<usize>() {
                Ok(limit) if limit > TSDB_LIMIT_MAX => {
                    return Err(ApiError::bad_data(format!("limit must not exceed {TSDB_LIMIT_MAX}")));
                }
                Ok(limit) if limit > 0 => limit,
                _ => return Err(ApiError::bad_data("limit must be a positive number")),
            },
        };
        let status = self.deployment.tsdb_status(limit).await?;
        let top = |pairs: &[(String, u64)]| -> Vec<Value> {
            pairs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
        };
        Ok(Answer::json(&json!({
            "headStats": {
                "numSeries": status.head_series,
                "numLabelPairs": status.head_label_pairs,
                "chunkCount": status.head_chunks,
                "minTime": status.head_min_time.unwrap_or(MAX_TIME),
                "maxTime": status.head_max_time.unwrap_or(MIN_TIME),
            },
            "seriesCountByMetricName": top(&status.series_by_metric_name),
            "labelValueCountByLabelName": top(&status.values_by_label_name),
            "memoryInBytesByLabelName": top(&status.bytes_by_label_name),
            "seriesCountByLabelValuePair": top(&status.series_by_label_pair),
        })))
    }

    /// The live blocks.
    pub(crate) async fn status_tsdb_blocks(&self) -> Result<Answer, ApiError> {
        let blocks = self.deployment.blocks().await?;
        let blocks: Vec<Value> = blocks.iter().map(block).collect();
        Ok(Answer::json(&json!({ "blocks": blocks })))
    }
}

/// A block as Prometheus writes its `tsdb.BlockMeta`.
fn block(block: &BlockMeta) -> Value {
    let mut compaction = json!({ "level": block.level });
    if block.parents.is_empty() {
        compaction["sources"] = json!([ulid(&block.id)]);
    } else {
        let parents: Vec<Value> = block.parents.iter().map(|id| json!({ "ulid": ulid(id) })).collect();
        compaction["parents"] = json!(parents);
    }
    json!({
        "ulid": ulid(&block.id),
        "minTime": block.min_time,
        "maxTime": block.max_time,
        "stats": {
            "numSamples": block.samples,
            "numFloatSamples": block.samples,
            "numSeries": block.series,
        },
        "compaction": compaction,
        "version": 1,
    })
}

/// A block's name within its scope: what stands before the slash is foxfire's own affair.
fn ulid(id: &str) -> &str {
    id.rsplit_once('/').map_or(id, |(_, ulid)| ulid)
}
