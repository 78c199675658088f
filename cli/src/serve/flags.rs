//! The flags of `serve`, as a Prometheus operator would type them.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use model::duration;
use promql::Features;

/// Flags of `foxfire serve`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeFlags {
    /// Prometheus configuration file path. Without it, prometheus.yml of the working directory is used where there is
    /// one; else foxfire scrapes itself.
    #[arg(long = "config.file", value_name = "PATH")]
    pub(crate) config_file: Option<PathBuf>,

    /// Base path for data storage.
    #[arg(long = "storage.path", alias = "storage.tsdb.path", default_value = "data/", value_name = "PATH")]
    pub(crate) storage_path: PathBuf,

    /// How long to retain samples in storage: 15d, 1y, … `0` keeps them for ever.
    #[arg(
        long = "storage.retention.time",
        alias = "storage.tsdb.retention.time",
        default_value = "15d",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) retention: Duration,

    /// Maximum number of bytes that blocks may have together; the oldest are dropped first. Units of 1024: B, KB, MB, GB, TB,
    /// PB, EB, as in 512MB. `0` is no limit.
    #[arg(
        long = "storage.retention.size",
        alias = "storage.tsdb.retention.size",
        default_value = "0B",
        value_name = "BYTES",
        value_parser = parse_bytes
    )]
    pub(crate) retention_size: u64,

    /// Length of the shortest blocks. For tests: short blocks make many small files.
    #[arg(
        long = "storage.tsdb.min-block-duration",
        default_value = "5m",
        value_name = "DURATION",
        value_parser = parse_duration,
        hide = true
    )]
    pub(crate) min_block_duration: Duration,

    /// Address to listen on for the API and telemetry.
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:9090", value_name = "ADDRESS", value_parser = parse_address)]
    pub(crate) listen_address: SocketAddr,

    /// The URL under which foxfire is externally reachable, for links in alerts.
    #[arg(long = "web.external-url", value_name = "URL", value_parser = parse_url)]
    pub(crate) external_url: Option<String>,

    /// Enable reload by HTTP request also where foxfire listens on more than the loopback interface.
    #[arg(long = "web.enable-lifecycle")]
    pub(crate) enable_lifecycle: bool,

    /// Enable API endpoints for admin control actions.
    #[arg(long = "web.enable-admin-api")]
    pub(crate) enable_admin_api: bool,

    /// Enable API endpoint accepting remote write requests.
    #[arg(long = "web.enable-remote-write-receiver")]
    pub(crate) enable_remote_write_receiver: bool,

    /// The maximum lookback duration for retrieving metrics during expression evaluations.
    #[arg(long = "query.lookback-delta", default_value = "5m", value_name = "DURATION", value_parser = parse_positive)]
    pub(crate) lookback_delta: Duration,

    /// Maximum time a query may take before being aborted.
    #[arg(long = "query.timeout", default_value = "2m", value_name = "DURATION", value_parser = parse_positive)]
    pub(crate) query_timeout: Duration,

    /// Maximum number of queries executed concurrently.
    #[arg(long = "query.max-concurrency", default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) query_concurrency: u32,

    /// Maximum number of samples a single query can load into memory.
    #[arg(long = "query.max-samples", default_value_t = 50_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) query_max_samples: u64,

    /// Minimum amount of time to wait before resending an alert to Alertmanager.
    #[arg(long = "rules.alert.resend-delay", default_value = "1m", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) resend_delay: Duration,

    /// Comma separated feature names to enable: promql-experimental-functions, promql-extended-range-selectors,
    /// promql-binop-fill-modifiers, promql-delayed-name-removal.
    #[arg(long = "enable-feature", value_name = "NAMES", value_delimiter = ',')]
    pub(crate) features: Vec<FeatureName>,

    /// Only log messages with the given severity or above.
    #[arg(long = "log.level", value_enum, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    pub(crate) log_level: LogLevel,

    /// Output format of log messages.
    #[arg(long = "log.format", value_enum, default_value_t = LogFormat::Logfmt, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// A feature flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(clippy::enum_variant_names, reason = "they are Prometheus's names")]
pub(crate) enum FeatureName {
    PromqlExperimentalFunctions,
    PromqlExtendedRangeSelectors,
    PromqlBinopFillModifiers,
    PromqlDelayedNameRemoval,
}

/// A severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Logfmt,
    Json,
}

impl ServeFlags {
    /// The features that are switched on.
    pub(crate) fn promql_features(&self) -> Features {
        let on = |name| self.features.contains(&name);
        Features {
            experimental_functions: on(FeatureName::PromqlExperimentalFunctions),
            extended_range_selectors: on(FeatureName::PromqlExtendedRangeSelectors),
            binop_fill_modifiers: on(FeatureName::PromqlBinopFillModifiers),
            delayed_name_removal: on(FeatureName::PromqlDelayedNameRemoval),
            ..Features::default()
        }
    }

    /// The URL for links in alerts, without a trailing slash. Where none is given it is made of the machine's name, as
    /// Prometheus does, unless only this machine can reach foxfire.
    pub(crate) fn external_url(&self, hostname: &str) -> String {
        let address = self.listen_address;
        let url = self.external_url.clone().unwrap_or_else(|| {
            if address.ip().is_loopback() || hostname.is_empty() {
                format!("http://{address}")
            } else {
                format!("http://{hostname}:{}", address.port())
            }
        });
        url.trim_end_matches('/').to_owned()
    }

    /// All flags with their values, for `/api/v1/status/flags`.
    pub(crate) fn as_pairs(&self) -> Vec<(String, String)> {
        let features: Vec<String> = self
            .features
            .iter()
            .filter_map(|feature| feature.to_possible_value().map(|value| value.get_name().to_owned()))
            .collect();
        let config = self.config_file.as_ref().map_or_else(String::new, |path| path.display().to_string());
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map_or_else(String::new, |value| value.get_name().to_owned())
        };
        [
            ("config.file", config),
            ("storage.path", self.storage_path.display().to_string()),
            ("storage.retention.size", format!("{}B", self.retention_size)),
            ("storage.retention.time", duration::format(self.retention)),
            ("storage.tsdb.min-block-duration", duration::format(self.min_block_duration)),
            ("web.listen-address", self.listen_address.to_string()),
            ("web.external-url", self.external_url.clone().unwrap_or_default()),
            ("web.enable-lifecycle", self.enable_lifecycle.to_string()),
            ("web.enable-admin-api", self.enable_admin_api.to_string()),
            ("web.enable-remote-write-receiver", self.enable_remote_write_receiver.to_string()),
            ("query.lookback-delta", duration::format(self.lookback_delta)),
            ("query.timeout", duration::format(self.query_timeout)),
            ("query.max-concurrency", self.query_concurrency.to_string()),
            ("query.max-samples", self.query_max_samples.to_string()),
            ("rules.alert.resend-delay", duration::format(self.resend_delay)),
            ("enable-feature", features.join(",")),
            ("log.level", name(self.log_level.to_possible_value())),
            ("log.format", name(self.log_format.to_possible_value())),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// As `units.Base2Bytes` of Prometheus's flags reads them.
fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("units: unknown unit in {text}"))?;
    let exponent = match (number, unit) {
        (0, "") | (_, "B") => 0,
        (_, unit) => UNITS
            .iter()
            .position(|known| {
                unit == *known
                    || unit.strip_suffix("iB").is_some_and(|unit| known.strip_suffix('B') == Some(unit))
            })
            .map(|at| at + 1)
            .ok_or_else(|| format!("units: unknown unit in {text}"))?,
    };
    number.checked_mul(1 << (10 * exponent)).ok_or_else(|| format!("{text} is too large"))
}

fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("must be greater than 0".to_owned()),
        parsed => Ok(parsed),
    }
}

/// `host:port` or, as Go has it, `:port` for every interface.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let complete = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let mut addresses = complete.to_socket_addrs().map_err(|error| error.to_string())?;
    addresses.next().ok_or_else(|| "no address found".to_owned())
}

fn parse_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url.into()),
        _ => Err("must be an http or https URL".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        serve: ServeFlags,
    }

    fn parse(arguments: &[&str]) -> Result<ServeFlags, String> {
        Flags::try_parse_from([&["serve"], arguments].concat())
            .map(|flags| flags.serve)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_are_those_of_prometheus() {
        let flags =
            parse(&["--config.file=p.yml", "--storage.tsdb.path", "d", "--web.listen-address=:0"]).unwrap();
        assert_eq!(flags.config_file, Some(PathBuf::from("p.yml")));
        assert_eq!(flags.listen_address, "0.0.0.0:0".parse().unwrap());
        assert_eq!(flags.retention, Duration::from_secs(15 * 86_400));
        assert_eq!(flags.retention_size, 0);
        for (text, bytes) in [
            ("512MB", Some(512 << 20)),
            ("1GiB", Some(1 << 30)),
            ("7B", Some(7)),
            ("0", Some(0)),
            ("7", None),
            ("1XB", None),
            ("GB", None),
            ("99EB", None),
        ] {
            assert_eq!(parse_bytes(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn wrong_values_are_refused_with_a_reason() {
        let error = parse(&["--query.timeout=5 minutes"]).unwrap_err();
        assert!(error.contains("unknown unit \" minutes\" in duration \"5 minutes\""), "{error}");
        assert!(parse(&["--log.level=loud"]).is_err());
        assert!(parse(&["--web.listen-address=nonsense"]).is_err());
        assert!(parse(&["--web.listn-address=:1"]).unwrap_err().contains("--web.listen-address"));
    }

    #[test]
    fn links_lead_to_the_machine_by_its_name_where_others_can_reach_it() {
        let url = |arguments: &[&str]| parse(arguments).unwrap().external_url("box");
        assert_eq!(url(&["--web.listen-address=0.0.0.0:9090"]), "http://box:9090");
        assert_eq!(url(&["--web.listen-address=127.0.0.1:9090"]), "http://127.0.0.1:9090");
        assert_eq!(url(&["--web.external-url=https://m.example/p/"]), "https://m.example/p");
    }

    #[test]
    fn every_flag_is_shown_by_the_api() {
        use clap::CommandFactory;
        let flags = parse(&[]).unwrap();
        let shown: Vec<String> = flags.as_pairs().into_iter().map(|(name, _)| name).collect();
        for argument in Flags::command().get_arguments() {
            let name = argument.get_long().unwrap_or_default();
            assert!(name == "help" || shown.iter().any(|s| s == name), "{name}");
        }
    }
}
