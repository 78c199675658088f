//! Log lines as Prometheus writes them:
//! `time=2026-01-31T11:01:54.123Z level=INFO source=scraper.rs:98 msg="Scrape failed" target=http://host:9100/metrics`.

use std::fmt;
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// Libraries that talk about every connection below this level.
const TALKATIVE: [&str; 7] = ["axum", "h2", "hyper", "hyper_util", "mio", "rustls", "tower"];

/// The least important lines that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug,
    /// What an operator may want to know.
    #[default]
    Info,
    /// What an operator should look at.
    Warn,
    /// What an operator must look at.
    Error,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `time=… level=INFO source=… msg="…" key=value`
    #[default]
    Logfmt,
    /// `{"time":"…","level":"INFO","source":"…","msg":"…","key":"value"}`
    Json,
}

/// Logging was set up before.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up logging: {0}")]
pub struct LoggingError(#[source] tracing_subscriber::util::TryInitError);

/// Writes log lines of `level` and above to stderr from now on; once a process.
///
/// # Errors
/// Where it was called before.
pub fn init_logging(level: Level, format: Format) -> Result<(), LoggingError> {
    subscriber(level, format, io::stderr).try_init().map_err(LoggingError)
}

fn subscriber<W>(level: Level, format: Format, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = match level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let filter = TALKATIVE.into_iter().fold(Targets::new().with_default(level), |filter, name| {
        filter.with_target(name, level.min(LevelFilter::WARN))
    });
    let lines =
        tracing_subscriber::fmt::layer().event_format(Lines { format }).with_writer(writer).with_ansi(false);
    Registry::default().with(lines.with_filter(filter))
}

struct Lines {
    format: Format,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let file =
            metadata.file().and_then(|path| path.rsplit(['/', '\\']).next()).unwrap_or(metadata.target());
        let source = metadata.line().map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
        let mut pairs = Pairs::default();
        pairs.text("time", &now()?);
        pairs.text("level", metadata.level().as_str());
        pairs.text("source", &source);
        // The message comes before what belongs to it, wherever the call names it.
        pairs.text("msg", "");
        event.record(&mut pairs);
        match self.format {
            Format::Logfmt => pairs.write_logfmt(&mut writer)?,
            Format::Json => pairs.write_json(&mut writer)?,
        }
        writeln!(writer)
    }
}

/// The time to milliseconds, as Prometheus writes it.
fn now() -> Result<String, fmt::Error> {
    let mut time = String::new();
    SystemTime.format_time(&mut Writer::new(&mut time))?;
    if let Some(point) = time.find('.') {
        time.truncate(point + 4);
        time.push('Z');
    }
    Ok(time)
}

#[derive(Default)]
struct Pairs {
    pairs: Vec<(&'static str, Value)>,
}

enum Value {
    Text(String),
    /// A number or a boolean: never quoted.
    Plain(String),
}

impl Pairs {
    fn text(&mut self, name: &'static str, text: &str) {
        self.pairs.push((name, Value::Text(text.to_owned())));
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        match self.pairs.iter_mut().find(|(existing, _)| *existing == "msg" && name == "msg") {
            Some((_, message)) => *message = value,
            None => self.pairs.push((name, value)),
        }
    }

    fn write_logfmt(&self, writer: &mut Writer<'_>) -> fmt::Result {
        for (index, (name, value)) in self.pairs.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            match value {
                Value::Text(text) if needs_quotes(text) => write!(writer, "{space}{name}={}", quoted(text))?,
                Value::Text(text) | Value::Plain(text) => write!(writer, "{space}{name}={text}")?,
            }
        }
        Ok(())
    }

    fn write_json(&self, writer: &mut Writer<'_>) -> fmt::Result {
        for (index, (name, value)) in self.pairs.iter().enumerate() {
            let before = if index > 0 { "," } else { "{" };
            match value {
                Value::Text(text) => write!(writer, "{before}{}:{}", quoted(name), quoted(text))?,
                Value::Plain(plain) => write!(writer, "{before}{}:{plain}", quoted(name))?,
            }
        }
        writer.write_char('}')
    }
}

impl Visit for Pairs {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, Value::Text(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinities.
        let text = value.to_string();
        self.put(field, if value.is_finite() { Value::Plain(text) } else { Value::Text(text) });
    }
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'))
}

/// `text` in quotes, escaped as JSON wants it, which logfmt readers take as well. No text can end its line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
