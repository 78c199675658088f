//! `file_sd_configs`: target groups in files. Source: `discovery/file/file.go`.

use std::collections::BTreeMap;

use config::{FileSdConfig, TargetGroup, target_groups_from_yaml};
use model::Labels;
use platform::{FileError, Files};
use serde_json::Value;

/// A target file may be at most so large.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Names the file that a target came from.
const FILE_PATH_LABEL: &str = "__meta_filepath";

/// The groups of each file as they were last read without an error.
pub(crate) type LastGoodFiles = BTreeMap<String, Vec<TargetGroup>>;

/// The groups of all files of one `file_sd_configs` entry. A file that cannot be read or understood keeps the groups
/// that it had; a file that is gone has none.
pub(crate) async fn read(
    config: &FileSdConfig,
    files: &dyn Files,
    last_good: &mut LastGoodFiles,
    seen: &mut Vec<String>,
    errors: &mut Vec<String>,
) -> Vec<TargetGroup> {
    let mut groups = Vec::new();
    for pattern in &config.files {
        let paths = match files.glob(pattern).await {
            Ok(paths) => paths,
            Err(error) => {
                errors.push(format!("Error expanding glob: {error}"));
                continue;
            }
        };
        for path in paths {
            match read_file(&path, files).await {
                Ok(found) => {
                    last_good.insert(path.clone(), found);
                }
                Err(FileSdError::Gone) => {
                    last_good.remove(&path);
                }
                Err(FileSdError::Unreadable(error)) => {
                    errors.push(format!("Error reading file {path}: {error}"))
                }
            }
            groups.extend(last_good.get(&path).into_iter().flatten().cloned());
            seen.push(path);
        }
    }
    groups
}

enum FileSdError {
    Gone,
    Unreadable(String),
}

async fn read_file(path: &str, files: &dyn Files) -> Result<Vec<TargetGroup>, FileSdError> {
    let bytes = files.read(path, FILE_BYTES_MAX).await.map_err(|error| match error {
        FileError::NotFound { .. } => FileSdError::Gone,
        FileError::TooLarge { .. } | FileError::Other { .. } => FileSdError::Unreadable(error.to_string()),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| FileSdError::Unreadable("not valid UTF-8".to_owned()))?;
    let groups = if path.ends_with(".json") { groups_from_json(&text) } else { groups_from_yaml(&text) };
    let mut groups = groups.map_err(FileSdError::Unreadable)?;
    for (index, group) in groups.iter_mut().enumerate() {
        group.source = format!("{path}:{index}");
        let mut labels = group.labels.to_builder();
        labels.set(FILE_PATH_LABEL, path);
        group.labels = labels.build();
    }
    Ok(groups)
}

fn groups_from_yaml(text: &str) -> Result<Vec<TargetGroup>, String> {
    target_groups_from_yaml(text).map_err(|error| error.to_string())
}

fn groups_from_json(text: &str) -> Result<Vec<TargetGroup>, String> {
    let groups: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let groups = groups.as_array().ok_or("a target file is a list of target groups")?;
    groups.iter().map(group_from_json).collect()
}

fn group_from_json(group: &Value) -> Result<TargetGroup, String> {
    let fields = group.as_object().ok_or("nil target group item found")?;
    let mut built = TargetGroup::default();
    for (name, value) in fields {
        match name.as_str() {
            "targets" => {
                let addresses = value.as_array().ok_or("targets is a list of addresses")?;
                for address in addresses {
                    let address = address.as_str().ok_or("a target is an address")?;
                    built.targets.push(Labels::from_pairs([(crate::target::ADDRESS_LABEL, address)]));
                }
            }
            "labels" => {
                let labels = value.as_object().ok_or("labels maps names to values")?;
                let pairs =
                    labels.iter().map(|(name, value)| Ok((name.as_str(), value.as_str().ok_or(name)?)));
                let pairs: Result<Vec<(&str, &str)>, &String> = pairs.collect();
                built.labels = Labels::from_pairs(pairs.map_err(|name| format!("label {name} is not text"))?);
            }
            unknown => return Err(format!("json: unknown field \"{unknown}\"")),
        }
    }
    Ok(built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_groups_are_read_strictly() {
        let groups = groups_from_json(r#"[{"targets": ["a:1", "b:2"], "labels": {"env": "x"}}]"#).unwrap();
        assert_eq!(groups[0].targets.len(), 2);
        assert_eq!(groups[0].labels, Labels::from_pairs([("env", "x")]));
        for bad in
            [r#"[{"target": []}]"#, "[null]", "{}", "[", r#"[{"targets": [1]}]"#, r#"[{"labels": {"a": 1}}]"#]
        {
            assert!(groups_from_json(bad).is_err(), "{bad}");
        }
    }
}
