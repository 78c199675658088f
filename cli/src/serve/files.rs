//! The configuration's files: read whole, before anything is validated.

use platform::{FileError, Files};
use wire::{ConfigBundle, RuleFileText};

/// A configuration or rule file may be at most so large.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not text.
    #[error("open {0}: not valid UTF-8")]
    NotText(String),
    /// The configuration itself is refused, so its rule files are not known.
    #[error("{0}")]
    Config(String),
}

/// The configuration file `path` with the rule files that it names.
pub(crate) async fn read_bundle(files: &dyn Files, path: &str) -> Result<ConfigBundle, FilesError> {
    let text = read_text(files, path).await?;
    bundle(files, path, text).await
}

/// A configuration of the given text, with the rule files that it names.
pub(crate) async fn bundle(files: &dyn Files, path: &str, text: String) -> Result<ConfigBundle, FilesError> {
    let mut bundle =
        ConfigBundle { v: 1, path: path.to_owned(), prometheus_yml: text, rule_files: Vec::new() };
    let loaded = control::load_bundle("", &bundle, &environment)
        .map_err(|error| FilesError::Config(error.to_string()))?;
    for pattern in &loaded.config.rule_files {
        for path in files.glob(pattern).await? {
            if !bundle.rule_files.iter().any(|file| file.path == path) {
                bundle.rule_files.push(read_rule_file(files, &path).await?);
            }
        }
    }
    Ok(bundle)
}

/// The rule file `path`.
pub(crate) async fn read_rule_file(files: &dyn Files, path: &str) -> Result<RuleFileText, FilesError> {
    Ok(RuleFileText { path: path.to_owned(), text: read_text(files, path).await? })
}

/// A variable of the environment, for `external_labels`.
#[expect(clippy::disallowed_methods, reason = "external_labels may name variables of the environment")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn read_text(files: &dyn Files, path: &str) -> Result<String, FilesError> {
    let bytes = files.read(path, FILE_BYTES_MAX).await?;
    String::from_utf8(bytes).map_err(|_| FilesError::NotText(path.to_owned()))
}
