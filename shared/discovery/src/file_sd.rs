//! `file_sd_configs`: files of target groups. A file that cannot be read or is malformed keeps the groups that it had.

use std::collections::{BTreeMap, BTreeSet};

use config::{FileSdConfig, TargetGroup};
use futures::{StreamExt, stream};
use platform::Files;

/// Largest file of target groups, bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Files that are read at a time.
const CONCURRENT_READS: usize = 8;
/// Names the file that a target came from.
const FILEPATH_LABEL: &str = "__meta_filepath";

/// What files held when they were last readable.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastGoodFiles {
    /// The groups of each file.
    groups: BTreeMap<String, Vec<TargetGroup>>,
    /// The files that each pattern matched.
    matched: BTreeMap<String, Vec<String>>,
}

impl LastGoodFiles {
    /// Forgets what no pattern of `patterns` names any more.
    pub(crate) fn retain(&mut self, patterns: &BTreeSet<&str>) {
        self.matched.retain(|pattern, _| patterns.contains(pattern.as_str()));
        let files: BTreeSet<&String> = self.matched.values().flatten().collect();
        self.groups.retain(|path, _| files.contains(path));
    }
}

/// The groups of all files that `config` names; what could not be read is told in `errors`.
pub(crate) async fn refresh(
    config: &FileSdConfig,
    files: &dyn Files,
    last_good: &mut LastGoodFiles,
    errors: &mut Vec<String>,
) -> Vec<TargetGroup> {
    let mut groups = Vec::new();
    for pattern in &config.files {
        match files.glob(pattern).await {
            Ok(paths) => {
                last_good.matched.insert(pattern.clone(), paths);
            }
            Err(error) => errors.push(format!("error expanding glob {pattern}: {error}")),
        }
        let paths = last_good.matched.get(pattern).cloned().unwrap_or_default();
        let reads = paths.clone().into_iter().map(|path| read(files, path));
        let results: Vec<_> = stream::iter(reads).buffered(CONCURRENT_READS).collect().await;
        for (path, result) in paths.iter().zip(results) {
            match result {
                Ok(found) => {
                    last_good.groups.insert(path.clone(), found);
                }
                Err(error) => errors.push(format!("error reading file {path}: {error}")),
            }
            groups.extend(last_good.groups.get(path).into_iter().flatten().cloned());
        }
    }
    groups
}

async fn read(files: &dyn Files, path: String) -> Result<Vec<TargetGroup>, String> {
    let bytes = files.read(&path, FILE_BYTES_MAX).await.map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "invalid UTF-8".to_owned())?;
    let is_json = path.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("json"));
    let mut groups = if is_json {
        crate::json::target_groups(text)?
    } else {
        config::target_groups_from_yaml(text).map_err(|error| error.to_string())?
    };
    for (index, group) in groups.iter_mut().enumerate() {
        group.source = format!("{path}:{index}");
        let mut labels = group.labels.to_builder();
        labels.set(FILEPATH_LABEL, path.as_str());
        group.labels = labels.build();
    }
    Ok(groups)
}
