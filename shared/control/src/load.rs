//! From the texts of a configuration to its validated values.

use config::{Config, LoadOptions, RuleGroup};
use promql::Features;
use wire::{ConfigBundle, RuleFileText};

use crate::ControlError;

/// A configuration with its rule groups.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The object that holds it.
    pub key: String,
    /// `prometheus.yml`.
    pub config: Config,
    /// All rule groups in the order of their files.
    pub rule_groups: Vec<RuleGroupOfFile>,
    /// What the configuration asks for that has no effect here.
    pub warnings: Vec<String>,
}

/// A rule group and the file that it stands in.
#[derive(Clone, Debug)]
pub struct RuleGroupOfFile {
    /// The file's path.
    pub file: String,
    /// The group.
    pub group: RuleGroup,
}

/// Validates the texts of a bundle. `environment` gives the variables that `external_labels` may name.
///
/// # Errors
/// [`ControlError::Config`] with every complaint about the first file that is refused.
pub fn load_bundle(
    key: &str,
    bundle: &ConfigBundle,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ControlError> {
    let options = LoadOptions { file_name: &bundle.path, directory: directory_of(&bundle.path), environment };
    let loaded = config::load(&bundle.prometheus_yml, &options)
        .map_err(|error| ControlError::Config(error.to_string()))?;
    let mut rule_groups = Vec::new();
    for file in &bundle.rule_files {
        rule_groups.extend(load_rule_file(file)?);
    }
    Ok(Loaded { key: key.to_owned(), config: loaded.config, rule_groups, warnings: loaded.warnings })
}

/// Validates one rule file.
///
/// # Errors
/// [`ControlError::Config`] with every complaint about it.
pub fn load_rule_file(file: &RuleFileText) -> Result<Vec<RuleGroupOfFile>, ControlError> {
    let rules = config::load_rules(&file.text, &file.path, &check_expression, Some(&check_template))
        .map_err(|errors| ControlError::Config(rule_errors(&file.path, &errors)))?;
    let in_file = |group| RuleGroupOfFile { file: file.path.clone(), group };
    Ok(rules.groups.into_iter().map(in_file).collect())
}

/// The directory that relative paths of a configuration file refer to.
fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(directory, _)| if directory.is_empty() { "/" } else { directory })
}

fn check_expression(expr: &str) -> Result<(), String> {
    promql::parser::parse(expr, &Features::default()).map(|_| ()).map_err(|error| error.to_string())
}

fn check_template(alert: &str, text: &str) -> Result<(), String> {
    rules::template::check(alert, text)
}

fn rule_errors(file: &str, errors: &[config::ConfigError]) -> String {
    let lines: Vec<String> = errors.iter().map(|error| format!("{file}: {error}")).collect();
    lines.join("\n")
}
