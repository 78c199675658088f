//! The configuration's files: read whole, before anything is validated.

use std::path::Path;

use wire::{ConfigBundle, RuleFileText};

/// A configuration or rule file may be at most so large.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// A file cannot be read. Texts follow Go's `os`.
    #[error("open {path}: {reason}")]
    Open { path: String, reason: String },
    /// The configuration does not even tell its rule files.
    #[error("{0}")]
    Config(String),
}

/// The configuration file `path` with the rule files that it names.
pub(crate) fn read_bundle(path: &str) -> Result<ConfigBundle, FilesError> {
    let text = read_text(path)?;
    bundle(path, text)
}

/// A configuration of the given text, with the rule files that it names.
pub(crate) fn bundle(path: &str, text: String) -> Result<ConfigBundle, FilesError> {
    let mut bundle = ConfigBundle { v: 1, path: path.to_owned(), prometheus_yml: text, rule_files: Vec::new() };
    let loaded = control::load_bundle("", &bundle, &|name| environment(name))
        .map_err(|error| FilesError::Config(error.to_string()))?;
    for pattern in &loaded.config.rule_files {
        let paths = platform_local::glob(pattern)
            .map_err(|error| FilesError::Config(format!("error retrieving rule files for {pattern}: {error}")))?;
        for path in paths {
            if !bundle.rule_files.iter().any(|file| file.path == path) {
                bundle.rule_files.push(read_rule_file(&path)?);
            }
        }
    }
    Ok(bundle)
}

/// The rule file `path`.
pub(crate) fn read_rule_file(path: &str) -> Result<RuleFileText, FilesError> {
    Ok(RuleFileText { path: path.to_owned(), text: read_text(path)? })
}

/// A variable of the environment, for `external_labels`.
#[expect(clippy::disallowed_methods, reason = "external_labels may name variables of the environment")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read_text(path: &str) -> Result<String, FilesError> {
    let open = |reason: String| FilesError::Open { path: path.to_owned(), reason };
    let reason = |error: std::io::Error| {
        open(match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
            _ => error.to_string(),
        })
    };
    let metadata = std::fs::metadata(Path::new(path)).map_err(reason)?;
    if metadata.is_dir() {
        return Err(open("is a directory".to_owned()));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(open(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(reason)?;
    String::from_utf8(bytes).map_err(|_| open("not valid UTF-8".to_owned()))
}
