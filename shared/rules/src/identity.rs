//! Which source a rule's samples come from.

use std::collections::BTreeMap;

use config::{Rule, RuleGroup};
use model::Labels;
use storage::SourceId;

/// The sources of a group's rules, in order.
///
/// A rule is known by its file, its group, its name and its labels, and equals are told apart by their order: as
/// Prometheus matches the rules of an old configuration to those of a new one (`Group.CopyState`). So a rule keeps its
/// alerts, and its vanished series end, when its expression changes or other rules come and go around it.
#[must_use]
pub fn rule_sources(file: &str, group: &RuleGroup) -> Vec<SourceId> {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    group
        .rules
        .iter()
        .map(|rule| {
            let (kind, name, labels) = match rule {
                Rule::Recording(rule) => ("record", &rule.record, rule.labels.clone()),
                Rule::Alerting(rule) => ("alert", &rule.alert, Labels::from_pairs(rule.labels.clone())),
            };
            let labels = labels.to_string();
            let identity = |ordinal: u64| {
                Labels::from_pairs([
                    ("file", file.to_owned()),
                    ("group", group.name.clone()),
                    ("kind", kind.to_owned()),
                    ("labels", labels.clone()),
                    ("name", name.clone()),
                    ("ordinal", ordinal.to_string()),
                ])
                .hash()
            };
            let ordinal = seen.entry(identity(0)).or_default();
            let source = SourceId(identity(*ordinal));
            *ordinal += 1;
            source
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use config::{AlertingRule, RecordingRule};

    use super::*;

    fn recording(record: &str, expr: &str, labels: &[(&str, &str)]) -> Rule {
        let labels = labels.iter().copied().collect();
        Rule::Recording(RecordingRule { record: record.to_owned(), expr: expr.to_owned(), labels })
    }

    fn group(rules: Vec<Rule>) -> RuleGroup {
        let labels = Labels::empty();
        RuleGroup { name: "g".to_owned(), interval: None, query_offset: None, limit: 0, labels, rules }
    }

    #[test]
    fn a_rule_keeps_its_source_when_its_expression_or_its_neighbours_change() {
        let before = rule_sources("f", &group(vec![recording("a", "1", &[]), recording("b", "1", &[])]));
        let after = rule_sources("f", &group(vec![recording("b", "2", &[])]));
        assert_eq!(after, vec![before[1]]);
    }

    #[test]
    fn rules_that_differ_have_different_sources() {
        let alert = Rule::Alerting(AlertingRule {
            alert: "a".to_owned(),
            expr: "1".to_owned(),
            hold_duration: std::time::Duration::ZERO,
            keep_firing_for: std::time::Duration::ZERO,
            labels: Vec::new(),
            annotations: Vec::new(),
        });
        let rules = vec![
            recording("a", "1", &[]),
            recording("a", "1", &[]),
            recording("a", "1", &[("x", "y")]),
            recording("b", "1", &[]),
            alert,
        ];
        let mut sources = rule_sources("f", &group(rules.clone()));
        sources.extend(rule_sources("other", &group(rules)));
        let count = sources.len();
        sources.sort();
        sources.dedup();
        assert_eq!(sources.len(), count);
    }
}
