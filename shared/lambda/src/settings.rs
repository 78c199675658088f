//! What a function is told by its environment. Names follow the flags of `foxfire serve`.

use std::time::Duration;

use promql::{EngineOptions, Features};
use telemetry::Level;

/// Memory of a function that does not know its own, MB: Lambda's least.
const MEMORY_MB_MIN: u64 = 128;
/// Samples that a query may hold for each MB of memory: of 16 bytes each, half of it.
const SAMPLES_PER_MB: u64 = 30_000;
/// Less than the 30 s after which an HTTP API gives up, so that the answer says what happened.
const QUERY_TIMEOUT: Duration = Duration::from_secs(28);

/// The settings of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `FOXFIRE_BUCKET`: where blocks, bulky segments, configurations and files are.
    pub bucket: String,
    /// `FOXFIRE_TABLE`: where segments and registers are.
    pub table: String,
    /// `FOXFIRE_SCRAPE_QUEUE_URL`
    pub scrape_queue_url: Option<String>,
    /// `FOXFIRE_RULE_QUEUE_URL`
    pub rule_queue_url: Option<String>,
    /// `FOXFIRE_DEAD_LETTER_QUEUE_URL`: where messages that can never be handled go, with the reason.
    pub dead_letter_queue_url: Option<String>,
    /// `FOXFIRE_ALERT_TOPIC_ARN`
    pub alert_topic_arn: Option<String>,
    /// `FOXFIRE_RETENTION`: a Prometheus duration; `0s` keeps all.
    pub retention: Duration,
    /// `FOXFIRE_RETENTION_SIZE` in bytes; 0 for no limit.
    pub retention_size: u64,
    /// `FOXFIRE_LOG_LEVEL`: `debug`, `info`, `warn` or `error`.
    pub log_level: Level,
    /// `FOXFIRE_ENABLE_ADMIN_API`
    pub enable_admin_api: bool,
    /// `FOXFIRE_EXTERNAL_URL`: for links in alerts; without a slash at its end.
    pub external_url: String,
    /// `FOXFIRE_ENABLE_FEATURE`: comma separated names, as they were given.
    pub features: Vec<String>,
    /// `FOXFIRE_QUERY_LOOKBACK_DELTA`
    pub lookback_delta: Duration,
    /// `FOXFIRE_QUERY_TIMEOUT`
    pub query_timeout: Duration,
    /// `FOXFIRE_QUERY_MAX_SAMPLES`
    pub query_max_samples: u64,
    /// `FOXFIRE_RULES_ALERT_RESEND_DELAY`
    pub resend_delay: Duration,
    /// `FOXFIRE_WAL_INLINE_BYTES`: larger payloads of segments become objects.
    pub wal_inline_bytes: Option<usize>,
    /// `FOXFIRE_MIN_BLOCK_DURATION`: length of the shortest blocks.
    pub min_block_duration: Option<Duration>,
    /// `FOXFIRE_LATE_BOUND`: what is not stored so long after its tick is missed.
    pub late_bound: Option<Duration>,
    /// `FOXFIRE_ALLOW_LOOPBACK`: for tests; on Lambda the Runtime API is there.
    pub allow_loopback: bool,
    /// `FOXFIRE_METRICS_NAMESPACE`: none, and no metrics are made in CloudWatch.
    pub metrics_namespace: Option<String>,
    /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`, MB.
    pub memory_mb: u64,
    /// `AWS_LAMBDA_FUNCTION_NAME`
    pub function_name: String,
}

/// Everything that is wrong with the environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsError(Vec<String>);

impl Settings {
    /// Settings by the variables that `lookup` gives. Empty ones count as missing: templates have no other way to leave
    /// one out.
    ///
    /// # Errors
    /// [`SettingsError`] names every variable that is missing or wrong.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader { lookup, wrong: Vec::new() };
        let memory_mb = reader
            .parsed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", number)
            .unwrap_or(MEMORY_MB_MIN)
            .max(MEMORY_MB_MIN);
        let samples_max = EngineOptions::default().samples_max.min(memory_mb.saturating_mul(SAMPLES_PER_MB));
        let settings = Self {
            bucket: reader.required("FOXFIRE_BUCKET"),
            table: reader.required("FOXFIRE_TABLE"),
            scrape_queue_url: reader.text("FOXFIRE_SCRAPE_QUEUE_URL"),
            rule_queue_url: reader.text("FOXFIRE_RULE_QUEUE_URL"),
            dead_letter_queue_url: reader.text("FOXFIRE_DEAD_LETTER_QUEUE_URL"),
            alert_topic_arn: reader.text("FOXFIRE_ALERT_TOPIC_ARN"),
            retention: reader
                .parsed("FOXFIRE_RETENTION", duration)
                .unwrap_or(Duration::from_secs(15 * 86_400)),
            retention_size: reader.parsed("FOXFIRE_RETENTION_SIZE", size).unwrap_or(0),
            log_level: reader.parsed("FOXFIRE_LOG_LEVEL", level).unwrap_or_default(),
            enable_admin_api: reader.parsed("FOXFIRE_ENABLE_ADMIN_API", boolean).unwrap_or(false),
            external_url: reader.parsed("FOXFIRE_EXTERNAL_URL", url).unwrap_or_default(),
            features: reader.parsed("FOXFIRE_ENABLE_FEATURE", features).unwrap_or_default(),
            lookback_delta: reader
                .parsed("FOXFIRE_QUERY_LOOKBACK_DELTA", positive)
                .unwrap_or(Duration::from_secs(300)),
            query_timeout: reader.parsed("FOXFIRE_QUERY_TIMEOUT", positive).unwrap_or(QUERY_TIMEOUT),
            query_max_samples: reader
                .parsed("FOXFIRE_QUERY_MAX_SAMPLES", positive_number)
                .unwrap_or(samples_max),
            resend_delay: reader
                .parsed("FOXFIRE_RULES_ALERT_RESEND_DELAY", duration)
                .unwrap_or(Duration::from_secs(60)),
            wal_inline_bytes: reader.parsed("FOXFIRE_WAL_INLINE_BYTES", inline_bytes),
            min_block_duration: reader.parsed("FOXFIRE_MIN_BLOCK_DURATION", block_duration),
            late_bound: reader.parsed("FOXFIRE_LATE_BOUND", late_bound),
            allow_loopback: reader.parsed("FOXFIRE_ALLOW_LOOPBACK", boolean).unwrap_or(false),
            metrics_namespace: reader.parsed("FOXFIRE_METRICS_NAMESPACE", namespace),
            memory_mb,
            function_name: reader.text("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
        };
        if reader.wrong.is_empty() { Ok(settings) } else { Err(SettingsError(reader.wrong)) }
    }

    /// How expressions are evaluated.
    #[must_use]
    pub fn engine(&self) -> EngineOptions {
        EngineOptions {
            lookback_delta_ms: millis(self.lookback_delta),
            samples_max: self.query_max_samples,
            features: self.promql_features(),
            ..EngineOptions::default()
        }
    }

    /// The settings as flags of `foxfire serve`, for `/api/v1/status/flags`.
    #[must_use]
    pub fn as_flags(&self) -> Vec<(String, String)> {
        let duration = model::duration::format;
        [
            ("enable-feature", self.features.join(",")),
            ("query.lookback-delta", duration(self.lookback_delta)),
            ("query.max-samples", self.query_max_samples.to_string()),
            ("query.timeout", duration(self.query_timeout)),
            ("rules.alert.resend-delay", duration(self.resend_delay)),
            ("storage.bucket", self.bucket.clone()),
            ("storage.table", self.table.clone()),
            ("storage.retention.size", format!("{}B", self.retention_size)),
            ("storage.retention.time", duration(self.retention)),
            ("web.enable-admin-api", self.enable_admin_api.to_string()),
            ("web.external-url", self.external_url.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    fn promql_features(&self) -> Features {
        let on = |name| self.features.iter().any(|feature| feature == name);
        let [experimental, extended, fill, delayed] = FEATURES;
        Features {
            experimental_functions: on(experimental),
            extended_range_selectors: on(extended),
            binop_fill_modifiers: on(fill),
            delayed_name_removal: on(delayed),
            ..Features::default()
        }
    }
}

/// Names of features, in the order of the fields of [`Features`].
const FEATURES: [&str; 4] = [
    "promql-experimental-functions",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
];

struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    wrong: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &str) -> String {
        let text = self.text(name);
        if text.is_none() {
            self.wrong.push(format!("{name} is not set"));
        }
        text.unwrap_or_default()
    }

    fn parsed<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong.push(format!("{name}={text:?}: {error}"));
                None
            }
        }
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "must be a number".to_owned())
}

fn positive_number(text: &str) -> Result<u64, String> {
    number(text)
        .and_then(|number| if number == 0 { Err("must be greater than 0".to_owned()) } else { Ok(number) })
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    model::duration::parse(text).map_err(|error| error.to_string())
}

fn positive(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|parsed| within(parsed, Duration::from_millis(1), Duration::MAX))
}

/// Blocks of a window of two hours hold whole windows of the shortest ones.
fn block_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|parsed| within(parsed, Duration::from_secs(5), Duration::from_secs(3_600)))
}

/// A scrape may take its interval's length; and readers list what is not compacted, each time.
fn late_bound(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|parsed| within(parsed, Duration::from_secs(20), Duration::from_secs(600)))
}

fn within(value: Duration, least: Duration, most: Duration) -> Result<Duration, String> {
    let shown = model::duration::format;
    match value {
        value if value < least => Err(format!("must be at least {}", shown(least))),
        value if value > most => Err(format!("must be at most {}", shown(most))),
        value => Ok(value),
    }
}

fn size(text: &str) -> Result<u64, String> {
    let bytes = config::parse_base2_bytes(text)?;
    u64::try_from(bytes).map_err(|_| "must not be negative".to_owned())
}

/// A row of DynamoDB may have 400 KB, its key and attributes included.
fn inline_bytes(text: &str) -> Result<usize, String> {
    const INLINE_BYTES_MAX: u64 = 350 << 10;
    let bytes = number(text)?;
    if bytes > INLINE_BYTES_MAX {
        return Err(format!("must be at most {INLINE_BYTES_MAX}"));
    }
    usize::try_from(bytes).map_err(|error| error.to_string())
}

fn level(text: &str) -> Result<Level, String> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(Level::Debug),
        "info" => Ok(Level::Info),
        "warn" => Ok(Level::Warn),
        "error" => Ok(Level::Error),
        _ => Err("must be debug, info, warn or error".to_owned()),
    }
}

fn url(text: &str) -> Result<String, String> {
    let parsed: http::Uri = text.parse().map_err(|_| "must be a URL".to_owned())?;
    match parsed.scheme_str() {
        Some("http" | "https") if parsed.query().is_none() => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("must be an http or https URL without a query".to_owned()),
    }
}

fn features(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> =
        text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    match names.iter().find(|name| !FEATURES.contains(&name.as_str())) {
        Some(unknown) => Err(format!("unknown feature {unknown:?}; known are {}", FEATURES.join(", "))),
        None => Ok(names),
    }
}

/// As CloudWatch wants it.
fn namespace(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_/#:".contains(c);
    if text.len() > 255 || !text.chars().all(fits) || text.starts_with(':') {
        return Err("must be at most 255 letters, digits and . - _ / # :".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
