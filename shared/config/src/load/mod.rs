//! `prometheus.yml`: one module a section, each as Prometheus decodes and validates it.

mod alerting;
mod discovery;
mod global;
mod http;
mod inert;
mod relabel;
mod scrape;

use model::labels::{NameValidation, quote};

use crate::decode::{Decoded, Decoder, Fatal, Field};
use crate::error::ConfigError;
use crate::paths;
use crate::values::{Config, GlobalConfig, ScrapeConfig};
use crate::yaml::emit::redacted;
use crate::yaml::resolve::Dialect;
use crate::yaml::{Document, NodeId};

pub use discovery::check_target_address;
pub(crate) use discovery::target_group;

/// What the loader knows besides the text.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// The configuration's name in messages, as the operator gave it.
    pub file_name: &'a str,
    /// The directory that relative paths are relative to.
    pub directory: &'a str,
    /// An environment variable's value, for `external_labels`.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("file_name", &self.file_name)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// A configuration, and what of it has no effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// For the operator: `line 7: field gogc has no effect in foxfire`.
    pub warnings: Vec<String>,
}

/// Reads a `prometheus.yml`.
///
/// # Errors
/// Whatever Prometheus refuses, in its words; and what it accepts but foxfire would not honour where that changes what
/// is collected or sent.
pub fn load(text: &str, options: &LoadOptions<'_>) -> Result<Loaded, ConfigError> {
    parse(text, options)
        .map_err(|message| ConfigError::Config { file: options.file_name.to_owned(), message })
}

fn parse(text: &str, options: &LoadOptions<'_>) -> Result<Loaded, String> {
    let document = Document::parse(text)?;
    let mut decoder = Decoder::new(&document, Dialect::V2, true);
    let mut raw = Raw::default();
    if let Some(root) = document.root().filter(|root| !decoder.is_null(*root)) {
        raw.decode(&mut decoder, root).map_err(|Fatal(text)| text)?;
    }
    let mut warnings = decoder.finish()?;
    let mut config = raw.validate().map_err(|Fatal(text)| text)?;
    expand_external_labels(&mut config.global, options, &mut warnings);
    set_directory(&mut config, options.directory);
    config.redacted_yaml = redacted(&document);
    Ok(Loaded { config, warnings })
}

/// The document as it is written, before anything is inherited.
#[derive(Default)]
struct Raw {
    global: global::Raw,
    rule_files: Vec<String>,
    scrape_configs: Vec<Option<scrape::Raw>>,
    alerting: crate::values::AlertingConfig,
}

impl Raw {
    fn decode(&mut self, decoder: &mut Decoder<'_>, root: NodeId) -> Decoded<()> {
        decoder.structure(root, "config.plain", &mut |decoder, key, value| {
            match key {
                "global" => self.global = global::decode(decoder, value)?,
                "rule_files" => self.rule_files = decoder.strings(value, "[]string")?,
                "scrape_configs" => {
                    self.scrape_configs =
                        decoder.list(value, "[]*config.ScrapeConfig", &mut |decoder, id| {
                            if decoder.is_null(id) { Ok(None) } else { scrape::decode(decoder, id).map(Some) }
                        })?;
                }
                "alerting" => self.alerting = alerting::decode(decoder, value)?,
                "runtime" => inert::runtime(decoder, value)?,
                "storage" => inert::storage(decoder, value)?,
                "tracing" => inert::tracing(decoder, value)?,
                "scrape_config_files" | "remote_write" | "remote_read" | "otlp" => {
                    return Ok(Field::Unsupported);
                }
                _ => return Ok(Field::Unknown),
            }
            Ok(Field::Known)
        })?;
        Ok(())
    }

    fn validate(self) -> Decoded<Config> {
        if let Some(path) = self.rule_files.iter().find(|path| !paths::is_rule_pattern(path)) {
            return Err(Fatal(format!("invalid rule file path {}", quote(path))));
        }
        let mut scrape_configs: Vec<ScrapeConfig> = Vec::with_capacity(self.scrape_configs.len());
        for raw in self.scrape_configs {
            let raw = raw.ok_or_else(|| Fatal("empty or null scrape config section".to_owned()))?;
            let scrape = raw.validate(&self.global)?;
            if scrape_configs.iter().any(|other| other.job_name == scrape.job_name) {
                let job = quote(&scrape.job_name);
                return Err(Fatal(format!("found multiple scrape configs with job name {job}")));
            }
            scrape_configs.push(scrape);
        }
        alerting::validate(&self.alerting, NameValidation::Utf8)?;
        Ok(Config {
            global: self.global.config,
            rule_files: self.rule_files,
            scrape_configs,
            alerting: self.alerting,
            redacted_yaml: String::new(),
        })
    }
}

fn expand_external_labels(global: &mut GlobalConfig, options: &LoadOptions<'_>, warnings: &mut Vec<String>) {
    let mut builder = global.external_labels.to_builder();
    for (name, value) in &global.external_labels {
        let expanded = crate::expand::expand(value, &mut |variable| {
            if variable == "$" {
                return "$".to_owned();
            }
            let found = (options.environment)(variable).unwrap_or_default();
            if found.is_empty() {
                warnings.push(format!("Empty environment variable {} in external_labels", quote(variable)));
            }
            found
        });
        builder.set(name, expanded);
    }
    global.external_labels = builder.build();
}

fn set_directory(config: &mut Config, directory: &str) {
    let join_all = |paths: &mut Vec<String>| {
        for path in paths {
            *path = paths::join(directory, path);
        }
    };
    join_all(&mut config.rule_files);
    let scraped = config.scrape_configs.iter_mut().map(|job| (&mut job.discovery, &mut job.http));
    let alerted = config.alerting.alertmanagers.iter_mut().map(|am| (&mut am.discovery, &mut am.http));
    for (discovery, http) in scraped.chain(alerted) {
        for file_sd in &mut discovery.file_sd_configs {
            join_all(&mut file_sd.files);
        }
        http::set_directory(http, directory);
    }
}

#[cfg(test)]
mod tests;
