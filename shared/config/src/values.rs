//! A validated configuration: what the rest of foxfire sees. Defaults are filled in, regular expressions compiled,
//! per-job settings inherited from `global`.

use std::fmt;
use std::time::Duration;

use model::Labels;
use model::relabel::RelabelConfig;

/// A whole `prometheus.yml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `global`.
    pub global: GlobalConfig,
    /// `rule_files`: patterns as written, made absolute against the configuration's directory.
    pub rule_files: Vec<String>,
    /// `scrape_configs`, in order; job names are unique.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// `alerting`.
    pub alerting: AlertingConfig,
    /// What was read, written anew without comments and with every secret replaced by `<secret>`, for
    /// `/api/v1/status/config`. Loading it again gives the same but for the secrets.
    pub redacted_yaml: String,
}

/// `global`.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalConfig {
    /// `scrape_interval`, 1m by default.
    pub scrape_interval: Duration,
    /// `scrape_timeout`, 10s by default, never more than the interval.
    pub scrape_timeout: Duration,
    /// `evaluation_interval`, 1m by default.
    pub evaluation_interval: Duration,
    /// `rule_query_offset`.
    pub rule_query_offset: Duration,
    /// `external_labels`, with `${NAME}` expanded from the environment given to the loader.
    pub external_labels: Labels,
}

/// One entry of `scrape_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeConfig {
    /// `job_name`.
    pub job_name: String,
    /// `scrape_interval`, or the global one.
    pub scrape_interval: Duration,
    /// `scrape_timeout`, or the global one, never more than the interval.
    pub scrape_timeout: Duration,
    /// `metrics_path`, `/metrics` by default.
    pub metrics_path: String,
    /// `scheme`: `http` or `https`.
    pub scheme: String,
    /// `params`: query parameters of every scrape.
    pub params: Vec<(String, Vec<String>)>,
    /// `honor_labels`.
    pub honor_labels: bool,
    /// `honor_timestamps`, true by default.
    pub honor_timestamps: bool,
    /// `track_timestamps_staleness`.
    pub track_timestamps_staleness: bool,
    /// `enable_compression`, true by default.
    pub enable_compression: bool,
    /// `scrape_protocols`: what is asked of targets, most wanted first; never empty.
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// `fallback_scrape_protocol`: how to read an answer whose `Content-Type` is missing or unknown.
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Limits on one scrape.
    pub limits: ScrapeLimits,
    /// How to talk to targets.
    pub http: HttpClientConfig,
    /// Where targets come from.
    pub discovery: ServiceDiscovery,
    /// `relabel_configs`.
    pub relabel_configs: Vec<RelabelConfig>,
    /// `metric_relabel_configs`.
    pub metric_relabel_configs: Vec<RelabelConfig>,
}

/// An exposition format, as `scrape_protocols` names it. `PrometheusProto` is not among them yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrapeProtocol {
    /// `OpenMetricsText1.0.0`
    OpenMetricsText1_0_0,
    /// `OpenMetricsText0.0.1`
    OpenMetricsText0_0_1,
    /// `PrometheusText1.0.0`
    PrometheusText1_0_0,
    /// `PrometheusText0.0.4`
    PrometheusText0_0_4,
}

impl ScrapeProtocol {
    /// What is asked for where nothing is configured, most wanted first.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
            Self::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Self::PrometheusText1_0_0 => "PrometheusText1.0.0",
            Self::PrometheusText0_0_4 => "PrometheusText0.0.4",
        }
    }

    /// Its media type with version, for an `Accept` header.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
        }
    }
}

/// Limits on one scrape; 0 means none, as in Prometheus, except for the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// `body_size_limit` in bytes after decompression. Where Prometheus has no limit by default foxfire has 64 MiB.
    pub body_bytes_max: u64,
    /// `sample_limit`.
    pub samples_max: u64,
    /// `label_limit`.
    pub labels_max: u64,
    /// `label_name_length_limit`, bytes.
    pub label_name_bytes_max: u64,
    /// `label_value_length_limit`, bytes.
    pub label_value_bytes_max: u64,
    /// `target_limit`.
    pub targets_max: u64,
    /// `keep_dropped_targets`.
    pub keep_dropped_targets: u64,
}

/// The part of `http_config` that every client shares.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpClientConfig {
    /// `basic_auth`.
    pub basic_auth: Option<BasicAuth>,
    /// `authorization`.
    pub authorization: Option<Authorization>,
    /// `follow_redirects`, true by default.
    pub follow_redirects: bool,
    /// `tls_config.insecure_skip_verify`.
    pub insecure_skip_verify: bool,
}

/// `basic_auth`.
#[derive(Clone, Debug, PartialEq)]
pub struct BasicAuth {
    /// `username`.
    pub username: String,
    /// `password` or `password_file`.
    pub password: SecretSource,
}

/// `authorization`.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// `type`, `Bearer` by default.
    pub scheme: String,
    /// `credentials` or `credentials_file`.
    pub credentials: SecretSource,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// Read from a file each time it is needed.
    File(String),
}

/// A secret. It prints as `<secret>` and is not serialisable.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where targets come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceDiscovery {
    /// `static_configs`.
    pub static_configs: Vec<TargetGroup>,
    /// `file_sd_configs`.
    pub file_sd_configs: Vec<FileSdConfig>,
}

/// Targets that share labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroup {
    /// One label set a target, with `__address__` and its meta labels.
    pub targets: Vec<Labels>,
    /// Labels of all of them.
    pub labels: Labels,
    /// Where the group came from: a file's path, or the index of a static config.
    pub source: String,
}

/// One entry of `file_sd_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSdConfig {
    /// `files`: patterns, made absolute against the configuration's directory.
    pub files: Vec<String>,
    /// `refresh_interval`, 5m by default.
    pub refresh_interval: Duration,
}

/// `alerting`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertingConfig {
    /// `alert_relabel_configs`.
    pub alert_relabel_configs: Vec<RelabelConfig>,
    /// `alertmanagers`.
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// One entry of `alerting.alertmanagers`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertmanagerConfig {
    /// `scheme`: `http` or `https`.
    pub scheme: String,
    /// `path_prefix`, `/` by default.
    pub path_prefix: String,
    /// `timeout`, 10s by default.
    pub timeout: Duration,
    /// How to talk to it.
    pub http: HttpClientConfig,
    /// Where they come from.
    pub discovery: ServiceDiscovery,
    /// `relabel_configs`.
    pub relabel_configs: Vec<RelabelConfig>,
    /// `alert_relabel_configs` of this entry.
    pub alert_relabel_configs: Vec<RelabelConfig>,
}

/// A rule file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleFile {
    /// `groups`, names unique within the file.
    pub groups: Vec<RuleGroup>,
}

/// A rule group. Its expressions have been checked to parse by whoever gave the loader a checker.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleGroup {
    /// `name`.
    pub name: String,
    /// `interval`, or `None` for the global evaluation interval.
    pub interval: Option<Duration>,
    /// `query_offset`, or `None` for the global one.
    pub query_offset: Option<Duration>,
    /// `limit` on a rule's alerts or series; 0 for none.
    pub limit: u64,
    /// `labels` added to every rule's.
    pub labels: Labels,
    /// `rules`, evaluated in order.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `record`.
    Recording(RecordingRule),
    /// `alert`.
    Alerting(AlertingRule),
}

/// A recording rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingRule {
    /// `record`: the metric it makes.
    pub record: String,
    /// `expr`.
    pub expr: String,
    /// `labels`, the group's included.
    pub labels: Labels,
}

/// An alerting rule.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingRule {
    /// `alert`.
    pub alert: String,
    /// `expr`.
    pub expr: String,
    /// `for`.
    pub hold_duration: Duration,
    /// `keep_firing_for`.
    pub keep_firing_for: Duration,
    /// `labels`, templates; the group's included.
    pub labels: Vec<(String, String)>,
    /// `annotations`, templates.
    pub annotations: Vec<(String, String)>,
}

impl Default for GlobalConfig {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            evaluation_interval: Duration::from_secs(60),
            rule_query_offset: Duration::ZERO,
            external_labels: Labels::empty(),
        }
    }
}

impl Default for ScrapeConfig {
    /// What a job has that sets nothing but its name.
    fn default() -> Self {
        Self {
            job_name: String::new(),
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            enable_compression: true,
            scrape_protocols: ScrapeProtocol::DEFAULT.to_vec(),
            fallback_scrape_protocol: None,
            limits: ScrapeLimits::default(),
            http: HttpClientConfig::default(),
            discovery: ServiceDiscovery::default(),
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
        }
    }
}

impl Default for ScrapeLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            samples_max: 0,
            labels_max: 0,
            label_name_bytes_max: 0,
            label_value_bytes_max: 0,
            targets_max: 0,
            keep_dropped_targets: 0,
        }
    }
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self { basic_auth: None, authorization: None, follow_redirects: true, insecure_skip_verify: false }
    }
}
