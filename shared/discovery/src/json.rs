//! JSON files of target groups, read as Go's strict `encoding/json` reads them.

use config::TargetGroup;
use model::Labels;
use model::labels::quote;
use serde_json::{Map, Value};

/// The groups of a JSON file. Their `source` is left empty, for it depends on the file's name.
pub(crate) fn target_groups(text: &str) -> Result<Vec<TargetGroup>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(groups) => groups.iter().map(target_group).collect(),
        other => Err(mismatch(&other, "value", "[]*targetgroup.Group")),
    }
}

fn target_group(value: &Value) -> Result<TargetGroup, String> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Null => return Err("nil target group item found".to_owned()),
        other => return Err(mismatch(other, "value", "targetgroup.Group")),
    };
    let mut group = TargetGroup::default();
    for (name, value) in fields {
        match name.to_ascii_lowercase().as_str() {
            "targets" => group.targets = targets(value)?,
            "labels" => group.labels = labels(value)?,
            _ => return Err(format!("json: unknown field {}", quote(name))),
        }
    }
    Ok(group)
}

fn targets(value: &Value) -> Result<Vec<Labels>, String> {
    let addresses = match value {
        Value::Array(addresses) => addresses.as_slice(),
        Value::Null => &[],
        other => return Err(mismatch(other, "Go struct field .targets", "[]string")),
    };
    let address = |value: &Value| match value {
        Value::String(address) => Ok(Labels::from_pairs([("__address__", address.as_str())])),
        Value::Null => Ok(Labels::empty()),
        other => Err(mismatch(other, "Go struct field .targets", "string")),
    };
    addresses.iter().map(address).collect()
}

fn labels(value: &Value) -> Result<Labels, String> {
    let none = Map::new();
    let labels = match value {
        Value::Object(labels) => labels,
        Value::Null => &none,
        other => return Err(mismatch(other, "Go struct field .labels", "model.LabelSet")),
    };
    let mut pairs = Vec::with_capacity(labels.len());
    for (name, value) in labels {
        if name.is_empty() {
            return Err(format!("{} is not a valid label name", quote(name)));
        }
        match value {
            Value::String(value) => pairs.push((name.as_str(), value.as_str())),
            Value::Null => {}
            other => return Err(mismatch(other, "Go struct field .labels", "model.LabelValue")),
        }
    }
    Ok(Labels::from_pairs(pairs))
}

fn mismatch(found: &Value, place: &str, wanted: &str) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if place == "value" {
        format!("json: cannot unmarshal {found} into Go value of type {wanted}")
    } else {
        format!("json: cannot unmarshal {found} into {place} of type {wanted}")
    }
}
