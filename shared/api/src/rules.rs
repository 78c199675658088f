//! `/rules`, `/alerts`.

use config::{AlertingRule, RecordingRule, Rule};
use model::{Labels, Matcher, number, rfc3339};
use promql::{Features, parser};
use serde_json::{Map, Value, json};
use wire::{ActiveAlert, RuleState, WireLabels};

use crate::deployment::RuleGroupStatus;
use crate::params::Params;
use crate::route::Answer;
use crate::targets::{ZERO_TIME, label_map};
use crate::{Api, ApiError};

impl Api {
    /// The rule groups with their rules' state.
    pub(crate) async fn rules(&self, params: &Params) -> Result<Answer, ApiError> {
        params.check_form()?;
        let matcher_sets = params.matcher_sets().map_err(ApiError::bad_data)?;
        let kind = params.value("type").to_lowercase();
        if !["", "alert", "record"].contains(&kind.as_str()) {
            return Err(ApiError::invalid_parameter("type", format!("not supported value \"{kind}\"")));
        }
        let filter = RuleFilter {
            names: params.all("rule_name[]").collect(),
            matcher_sets: &matcher_sets,
            alerts: kind != "record",
            recordings: kind != "alert",
            exclude_alerts: exclude_alerts(params)?,
            features: self.engine.features,
        };
        let page = Page::of(params)?;
        let wanted_groups: Vec<&str> = params.all("rule_group[]").collect();
        let wanted_files: Vec<&str> = params.all("file[]").collect();
        let named = |wanted: &[&str], name: &str| wanted.is_empty() || wanted.contains(&name);
        let statuses = self.sorted_rule_groups().await?;
        let mut groups = Vec::new();
        let mut next = None;
        for status in page.rest(&statuses)? {
            if !named(&wanted_groups, &status.group.name) || !named(&wanted_files, &status.file) {
                continue;
            }
            let Some(group) = rule_group(status, &filter) else { continue };
            if page.size.is_some_and(|size| groups.len() >= size) {
                next = Some(page_token(status));
                break;
            }
            groups.push(group);
        }
        let mut data = json!({ "groups": groups });
        if let (Some(data), Some(token)) = (data.as_object_mut(), next) {
            data.insert("groupNextToken".into(), token.into());
        }
        Ok(Answer::json(&data))
    }

    /// All pending and firing alerts.
    pub(crate) async fn alerts(&self) -> Result<Answer, ApiError> {
        let groups = self.sorted_rule_groups().await?;
        let alerts: Vec<Value> = groups
            .iter()
            .flat_map(|status| status.state.iter().flat_map(|state| &state.rules))
            .flat_map(|rule| active_alerts(Some(rule)))
            .collect();
        Ok(Answer::json(&json!({ "alerts": alerts })))
    }

    /// By file and name, as Prometheus's rule manager lists them.
    async fn sorted_rule_groups(&self) -> Result<Vec<RuleGroupStatus>, ApiError> {
        let mut groups = self.deployment.rule_groups().await?;
        groups.sort_by(|a, b| (&a.file, &a.group.name).cmp(&(&b.file, &b.group.name)));
        Ok(groups)
    }
}

/// Which part of the groups is asked for: `group_limit`, `group_next_token`.
struct Page<'a> {
    size: Option<usize>,
    token: &'a str,
}

impl<'a> Page<'a> {
    fn of(params: &'a Params) -> Result<Self, ApiError> {
        let (limit, token) = (params.value("group_limit"), params.value("group_next_token"));
        if limit.is_empty() {
            if token.is_empty() {
                return Ok(Self { size: None, token });
            }
            let message = "group_limit needs to be present in order to paginate over the groups";
            return Err(ApiError::invalid_parameter("group_next_token", message));
        }
        let size: i32 = limit.parse().map_err(|_| {
            let quoted = model::labels::quote(limit);
            let message = format!(
                "group_limit needs to be a valid number: strconv.ParseInt: parsing {quoted}: invalid syntax"
            );
            ApiError::invalid_parameter("group_limit", message)
        })?;
        match usize::try_from(size) {
            Ok(size) if size > 0 => Ok(Self { size: Some(size), token }),
            _ => Err(ApiError::invalid_parameter("group_limit", "group_limit needs to be greater than 0")),
        }
    }

    fn rest<'g>(&self, groups: &'g [RuleGroupStatus]) -> Result<&'g [RuleGroupStatus], ApiError> {
        if self.token.is_empty() {
            return Ok(groups);
        }
        let first = groups.iter().position(|status| page_token(status) == self.token);
        first.and_then(|first| groups.get(first..)).ok_or_else(|| {
            let message = format!("invalid group_next_token '{}'. were rule groups changed?", self.token);
            ApiError::invalid_parameter("group_next_token", message)
        })
    }
}

/// Names the group with which a page begins; opaque to clients.
fn page_token(status: &RuleGroupStatus) -> String {
    use std::fmt::Write;
    format!("{};{}", status.file, status.group.name).bytes().fold(String::new(), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

struct RuleFilter<'a> {
    names: Vec<&'a str>,
    matcher_sets: &'a [Vec<Matcher>],
    alerts: bool,
    recordings: bool,
    exclude_alerts: bool,
    features: Features,
}

impl RuleFilter<'_> {
    fn accepts(&self, name: &str, labels: &Labels) -> bool {
        (self.names.is_empty() || self.names.contains(&name))
            && (self.matcher_sets.is_empty()
                || self.matcher_sets.iter().any(|set| model::matcher::matches_all(set, labels)))
    }
}

/// The expression as PromQL's printer spells it, as Prometheus shows it.
fn printed(expr: &str, features: &Features) -> String {
    parser::parse(expr, features).map_or_else(|_| expr.to_owned(), |parsed| parsed.to_string())
}

fn exclude_alerts(params: &Params) -> Result<bool, ApiError> {
    match params.value("exclude_alerts").to_lowercase().as_str() {
        "" | "0" | "f" | "false" => Ok(false),
        "1" | "t" | "true" => Ok(true),
        other => Err(ApiError::invalid_parameter(
            "exclude_alerts",
            format!(
                "error converting exclude_alerts: strconv.ParseBool: parsing \"{other}\": invalid syntax"
            ),
        )),
    }
}

fn rule_group(status: &RuleGroupStatus, filter: &RuleFilter<'_>) -> Option<Value> {
    let states = status.state.as_ref().map_or(&[][..], |state| &state.rules);
    let rules: Vec<Value> = status
        .group
        .rules
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| match rule {
            Rule::Alerting(rule) => {
                let labels: Labels = rule.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                (filter.alerts && filter.accepts(&rule.alert, &labels))
                    .then(|| alerting_rule(rule, states.get(index), filter))
            }
            Rule::Recording(rule) => (filter.recordings && filter.accepts(&rule.record, &rule.labels))
                .then(|| recording_rule(rule, states.get(index), filter)),
        })
        .collect();
    if rules.is_empty() {
        return None;
    }
    Some(json!({
        "name": status.group.name,
        "file": status.file,
        "rules": rules,
        "interval": status.interval.as_secs_f64(),
        "limit": status.group.limit,
        "evaluationTime": status.state.as_ref().map_or(0.0, |state| state.evaluation_seconds),
        "lastEvaluation": instant(status.state.as_ref().map_or(0, |state| state.last_evaluation)),
    }))
}

fn alerting_rule(rule: &AlertingRule, state: Option<&RuleState>, filter: &RuleFilter<'_>) -> Value {
    let pairs = |pairs: &[(String, String)]| label_map(&WireLabels(pairs.to_vec()));
    let alerts = if filter.exclude_alerts { Value::Null } else { Value::Array(active_alerts(state)) };
    let mut fields = evaluation(state);
    fields.insert("state".into(), state.map_or("unknown", RuleState::alerting_state).into());
    fields.insert("name".into(), rule.alert.as_str().into());
    fields.insert("query".into(), printed(&rule.expr, &filter.features).into());
    fields.insert("duration".into(), rule.hold_duration.as_secs_f64().into());
    fields.insert("keepFiringFor".into(), rule.keep_firing_for.as_secs_f64().into());
    fields.insert("labels".into(), pairs(&rule.labels));
    fields.insert("annotations".into(), pairs(&rule.annotations));
    fields.insert("alerts".into(), alerts);
    fields.insert("type".into(), "alerting".into());
    Value::Object(fields)
}

fn recording_rule(rule: &RecordingRule, state: Option<&RuleState>, filter: &RuleFilter<'_>) -> Value {
    let mut fields = evaluation(state);
    fields.insert("name".into(), rule.record.as_str().into());
    fields.insert("query".into(), printed(&rule.expr, &filter.features).into());
    fields.insert("labels".into(), label_map(&WireLabels::from(&rule.labels)));
    fields.insert("type".into(), "recording".into());
    Value::Object(fields)
}

fn evaluation(state: Option<&RuleState>) -> Map<String, Value> {
    let health = state.map_or("unknown", |state| state.health().as_str());
    let mut fields = Map::new();
    fields.insert("health".into(), health.into());
    if let Some(error) = state.and_then(|state| state.last_error.as_deref()) {
        fields.insert("lastError".into(), error.into());
    }
    fields.insert("evaluationTime".into(), state.map_or(0.0, |state| state.evaluation_seconds).into());
    fields.insert("lastEvaluation".into(), instant(state.map_or(0, |state| state.last_evaluation)).into());
    fields
}

fn instant(timestamp: i64) -> String {
    if timestamp == 0 { ZERO_TIME.to_owned() } else { rfc3339::format(timestamp) }
}

fn active_alerts(state: Option<&RuleState>) -> Vec<Value> {
    state.into_iter().flat_map(|state| state.alerts.active()).map(active_alert).collect()
}

fn active_alert(alert: &ActiveAlert) -> Value {
    let mut fields = json!({
        "labels": label_map(&alert.labels),
        "annotations": label_map(&alert.annotations),
        "state": alert.phase.as_str(),
        "activeAt": rfc3339::format(alert.active_at),
        "value": number::format_e(f64::from_bits(alert.value_bits)),
    });
    if let (Some(fields), true) = (fields.as_object_mut(), alert.keep_firing_since != 0) {
        fields.insert("keepFiringSince".into(), rfc3339::format(alert.keep_firing_since).into());
    }
    fields
}
