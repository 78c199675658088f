//! Rule files. Source: `model/rulefmt/rulefmt.go` of Prometheus, whose errors begin with the line and column of the
//! field at fault.

use std::collections::BTreeSet;
use std::time::Duration;

use model::Labels;
use model::labels::{METRIC_NAME, NameValidation, quote};

use crate::decode::{Decoded, Decoder, Fatal, Field};
use crate::error::ConfigError;
use crate::values::{AlertingRule, RecordingRule, Rule, RuleFile, RuleGroup};
use crate::yaml::resolve::Dialect;
use crate::yaml::{Document, NodeId};

/// Checks the template of a label or annotation: given the alert's name and the text.
pub type CheckTemplate<'a> = &'a dyn Fn(&str, &str) -> Result<(), String>;

/// Reads a rule file. `check_expr` says why an expression does not parse (`1:5: parse error: …`); `check_template` why a
/// template does not.
///
/// # Errors
/// Every fault of the file, in Prometheus's words.
pub fn load_rules(
    text: &str,
    file_name: &str,
    check_expr: &dyn Fn(&str) -> Result<(), String>,
    check_template: Option<CheckTemplate<'_>>,
) -> Result<RuleFile, Vec<ConfigError>> {
    let checks = Checks { expr: check_expr, template: check_template, names: NameValidation::Utf8 };
    parse(text, &checks).map_err(|faults| {
        let of_file = |message| ConfigError::Rules { file: file_name.to_owned(), message };
        faults.into_iter().map(of_file).collect()
    })
}

struct Checks<'a> {
    expr: &'a dyn Fn(&str) -> Result<(), String>,
    template: Option<CheckTemplate<'a>>,
    names: NameValidation,
}

fn parse(text: &str, checks: &Checks<'_>) -> Result<RuleFile, Vec<String>> {
    let document = Document::parse(text).map_err(|fault| vec![fault.clone(), fault])?;
    let mut faults = Vec::new();
    // Prometheus decodes twice, the second time for positions alone, and reports what fails in both.
    let mut groups = Vec::new();
    for names in [TypeNames::VALUES, TypeNames::POSITIONS] {
        match decode_file(&document, &names) {
            Ok(decoded) if names.known_fields => groups = decoded,
            Ok(_) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        validate(&groups, checks, &mut faults);
    }
    if faults.is_empty() {
        Ok(RuleFile { groups: groups.into_iter().map(RawGroup::finish).collect() })
    } else {
        Err(faults)
    }
}

/// What go-yaml calls the types in its messages.
struct TypeNames {
    file: &'static str,
    group: &'static str,
    groups: &'static str,
    rule: &'static str,
    rules: &'static str,
    /// Whether unknown fields are faults. Where not, `record`, `alert` and `expr` may be anything.
    known_fields: bool,
}

impl TypeNames {
    const VALUES: Self = Self {
        file: "rulefmt.RuleGroups",
        group: "rulefmt.RuleGroup",
        groups: "[]rulefmt.RuleGroup",
        rule: "rulefmt.Rule",
        rules: "[]rulefmt.Rule",
        known_fields: true,
    };
    const POSITIONS: Self = Self {
        file: "rulefmt.ruleGroups",
        group: "rulefmt.RuleGroupNode",
        groups: "[]rulefmt.RuleGroupNode",
        rule: "rulefmt.RuleNode",
        rules: "[]rulefmt.RuleNode",
        known_fields: false,
    };
}

#[derive(Default)]
struct RawGroup {
    name: String,
    interval: Duration,
    query_offset: Option<Duration>,
    limit: i64,
    labels: Vec<(String, String)>,
    rules: Vec<RawRule>,
}

#[derive(Default)]
struct RawRule {
    record: Positioned,
    alert: Positioned,
    expr: Positioned,
    hold_duration: Duration,
    keep_firing_for: Duration,
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
}

/// A text and where it stands; 0:0 where it is not there at all, as in Prometheus.
#[derive(Default)]
struct Positioned {
    text: String,
    line: usize,
    column: usize,
}

fn decode_file(document: &Document, names: &TypeNames) -> Result<Vec<RawGroup>, String> {
    let mut decoder = Decoder::new(document, Dialect::V3, names.known_fields);
    let mut groups = Vec::new();
    if let Some(root) = document.root().filter(|root| !decoder.is_null(*root)) {
        let decoded = decoder.structure(root, names.file, &mut |decoder, key, value| {
            if key != "groups" {
                return Ok(Field::Unknown);
            }
            groups = decoder.list(value, names.groups, &mut |decoder, id| group(decoder, id, names))?;
            Ok(Field::Known)
        });
        decoded.map_err(|Fatal(text)| text)?;
    }
    decoder.finish()?;
    Ok(groups)
}

fn group(decoder: &mut Decoder<'_>, id: NodeId, names: &TypeNames) -> Decoded<RawGroup> {
    let mut group = RawGroup::default();
    if decoder.is_null(id) {
        return Ok(group);
    }
    decoder.structure(id, names.group, &mut |decoder, key, value| {
        match key {
            "name" => group.name = decoder.string(value, "string")?,
            "interval" => group.interval = decoder.duration(value)?,
            "query_offset" => {
                group.query_offset =
                    if decoder.is_null(value) { None } else { Some(decoder.duration(value)?) };
            }
            "limit" => group.limit = decoder.int(value, "int")?,
            "labels" => group.labels = texts(decoder, value)?,
            "rules" => {
                group.rules =
                    decoder.list(value, names.rules, &mut |decoder, id| rule(decoder, id, names))?;
            }
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    Ok(group)
}

fn rule(decoder: &mut Decoder<'_>, id: NodeId, names: &TypeNames) -> Decoded<RawRule> {
    let mut rule = RawRule::default();
    if decoder.is_null(id) {
        return Ok(rule);
    }
    decoder.structure(id, names.rule, &mut |decoder, key, value| {
        match key {
            "record" => rule.record = positioned(decoder, value, names)?,
            "alert" => rule.alert = positioned(decoder, value, names)?,
            "expr" => rule.expr = positioned(decoder, value, names)?,
            "for" => rule.hold_duration = decoder.duration(value)?,
            "keep_firing_for" => rule.keep_firing_for = decoder.duration(value)?,
            "labels" => rule.labels = texts(decoder, value)?,
            "annotations" => rule.annotations = texts(decoder, value)?,
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    Ok(rule)
}

fn positioned(decoder: &mut Decoder<'_>, id: NodeId, names: &TypeNames) -> Decoded<Positioned> {
    if !names.known_fields {
        return Ok(Positioned::default());
    }
    let (line, column) = (decoder.node(id).line, decoder.node(id).column);
    Ok(Positioned { text: decoder.string(id, "string")?, line, column })
}

fn texts(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Vec<(String, String)>> {
    decoder.map(id, "map[string]string", &mut |decoder, value| decoder.string(value, "string"))
}

fn validate(groups: &[RawGroup], checks: &Checks<'_>, faults: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for group in groups {
        // Prometheus means to print the group's position here, but has none.
        if group.name.is_empty() {
            faults.push("0:0: Groupname must not be empty".to_owned());
        }
        if !seen.insert(&group.name) {
            faults.push(format!("0:0: groupname: \"{}\" is repeated in the same file", group.name));
        }
        for (name, _) in &group.labels {
            if !checks.names.is_label_name(name) || name == METRIC_NAME {
                faults.push(format!("invalid label name: {name}"));
            }
        }
        for (index, rule) in group.rules.iter().enumerate() {
            let name = quote(if rule.alert.text.is_empty() { &rule.record.text } else { &rule.alert.text });
            let place = format!("group {}, rule {}, {name}", quote(&group.name), index + 1);
            rule.validate(checks, &mut |at, text| faults.push(format!("{at}{place}: {text}")));
        }
    }
}

impl Positioned {
    fn at(&self) -> String {
        format!("{}:{}: ", self.line, self.column)
    }
}

impl RawRule {
    fn validate(&self, checks: &Checks<'_>, fault: &mut dyn FnMut(String, String)) {
        let both = format!("{}{}", self.record.at(), self.alert.at());
        match (self.record.text.is_empty(), self.alert.text.is_empty()) {
            (false, false) => fault(both, "only one of 'record' and 'alert' must be set".to_owned()),
            (true, true) => fault(both, "one of 'record' or 'alert' must be set".to_owned()),
            _ => {}
        }
        if self.expr.text.is_empty() {
            fault(self.expr.at(), "field 'expr' must be set in rule".to_owned());
        } else if let Err(error) = (checks.expr)(&self.expr.text) {
            fault(self.expr.at(), format!("could not parse expression: {error}"));
        }
        if !self.record.text.is_empty() {
            self.validate_recording(checks, fault);
        }
        for (name, _) in &self.labels {
            if !checks.names.is_label_name(name) || name == METRIC_NAME {
                fault(String::new(), format!("invalid label name: {name}"));
            }
        }
        for (name, _) in &self.annotations {
            if !checks.names.is_label_name(name) {
                fault(String::new(), format!("invalid annotation name: {name}"));
            }
        }
        if self.alert.text.is_empty() {
            return;
        }
        let Some(check) = checks.template else { return };
        for (what, templates) in [("label", &self.labels), ("annotation", &self.annotations)] {
            for (name, text) in templates {
                if let Err(error) = check(&self.alert.text, text) {
                    fault(String::new(), format!("{what} {}: {error}", quote(name)));
                }
            }
        }
    }

    fn validate_recording(&self, checks: &Checks<'_>, fault: &mut dyn FnMut(String, String)) {
        let record = &self.record;
        for (is_set, field) in [
            (!self.annotations.is_empty(), "annotations"),
            (!self.hold_duration.is_zero(), "for"),
            (!self.keep_firing_for.is_zero(), "keep_firing_for"),
        ] {
            if is_set {
                fault(record.at(), format!("invalid field '{field}' in recording rule"));
            }
        }
        if !checks.names.is_metric_name(&record.text) {
            fault(record.at(), format!("invalid recording rule name: {}", record.text));
        }
        if record.text.contains(['{', '}']) {
            let text = "braces present in the recording rule name; should it be in expr?: ";
            fault(record.at(), format!("{text}{}", record.text));
        }
    }

    fn finish(self, group_labels: &[(String, String)]) -> Rule {
        let mut labels = group_labels.to_vec();
        labels.retain(|(name, _)| self.labels.iter().all(|(own, _)| own != name));
        labels.extend(self.labels);
        labels.sort();
        if self.alert.text.is_empty() {
            return Rule::Recording(RecordingRule {
                record: self.record.text,
                expr: self.expr.text,
                labels: Labels::from_pairs(labels),
            });
        }
        let mut annotations = self.annotations;
        annotations.sort();
        Rule::Alerting(AlertingRule {
            alert: self.alert.text,
            expr: self.expr.text,
            hold_duration: self.hold_duration,
            keep_firing_for: self.keep_firing_for,
            labels,
            annotations,
        })
    }
}

impl RawGroup {
    fn finish(self) -> RuleGroup {
        RuleGroup {
            name: self.name,
            interval: (!self.interval.is_zero()).then_some(self.interval),
            query_offset: self.query_offset,
            // A limit below zero limits nothing, in Prometheus too.
            limit: u64::try_from(self.limit).unwrap_or(0),
            rules: self.rules.into_iter().map(|rule| rule.finish(&self.labels)).collect(),
            labels: Labels::from_pairs(self.labels),
        }
    }
}

#[cfg(test)]
mod tests;
