//! Scripts: text to commands.

use std::sync::LazyLock;

use model::Labels;
use promql::QueryTime;
use promql::parser::ast::ExprKind;
use regex::Regex;

use crate::numbers::duration;
use crate::runner::options;
use crate::series::{Value, parse_series, parse_starts};

/// One command of a script.
#[derive(Clone, Debug)]
pub enum Command {
    /// Empties the store.
    Clear,
    /// Adds samples.
    Load(Load),
    /// Evaluates a query.
    Eval(Box<Eval>),
}

/// Samples to be added.
#[derive(Clone, Debug)]
pub struct Load {
    /// The line, from 1.
    pub line: usize,
    /// Whether classic histograms are also added as native ones.
    pub with_nhcb: bool,
    /// The series; each label set once.
    pub series: Vec<Loaded>,
}

/// A series to be added.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its labels.
    pub labels: Labels,
    /// Instants in ms with the values there and, where they are known, their start timestamps.
    pub samples: Vec<(i64, Value, Option<i64>)>,
}

/// A query and what is expected of it.
#[derive(Clone, Debug)]
pub struct Eval {
    /// The line, from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// When it is evaluated.
    pub time: QueryTime,
    /// The instants of expected samples where that differs: first, last, distance, ms.
    pub range_vector: Option<(i64, i64, i64)>,
    /// What is expected.
    pub expect: Expect,
}

/// What is expected of a query.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Whether the order counts.
    pub ordered: bool,
    /// An error; which one, where that is said.
    pub fail: Option<Text>,
    /// Warnings; those that are named, or any.
    pub warn: Vec<Text>,
    /// Remarks.
    pub info: Vec<Text>,
    /// No warning.
    pub no_warn: bool,
    /// No remark.
    pub no_info: bool,
    /// A string.
    pub string: Option<Vec<u8>>,
    /// A number.
    pub scalar: Option<f64>,
    /// Series in the order written.
    pub series: Vec<(Labels, Vec<Value>)>,
}

/// A text that is expected.
#[derive(Clone, Debug)]
pub enum Text {
    /// Whatever it is.
    Any,
    /// Exactly this.
    Message(String),
    /// What this is found in.
    Pattern(Regex),
}

impl Text {
    /// Whether `text` is what is expected.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Message(message) => message == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// Why a script cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Patterns of the lines that begin commands.
struct Patterns {
    load: Regex,
    instant: Regex,
    range: Regex,
    expect: Regex,
    range_vector: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Some(Patterns {
        load: Regex::new(r"^load(?:_(with_nhcb))?\s+(.+?)$").ok()?,
        instant: Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$")
            .ok()?,
        range: Regex::new(
            r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$",
        )
        .ok()?,
        expect: Regex::new(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$")
            .ok()?,
        range_vector: Regex::new(r"^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$").ok()?,
    })
});

/// Reads a script.
///
/// # Errors
/// The first line that is not understood.
pub fn parse(text: &str) -> Result<Vec<Command>, ScriptError> {
    let Some(patterns) = PATTERNS.as_ref() else {
        return Err(ScriptError { line: 0, message: "the patterns do not compile".to_owned() });
    };
    let lines = text.split('\n').map(str::trim).map(|line| if line.starts_with('#') { "" } else { line });
    let mut reader = Reader { patterns, lines: lines.collect(), at: 0 };
    let mut commands = Vec::new();
    while let Some(line) = reader.lines.get(reader.at).copied() {
        if !line.is_empty() {
            commands.push(reader.command(line)?);
        }
        reader.at += 1;
    }
    Ok(commands)
}

struct Reader<'a> {
    patterns: &'a Patterns,
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn command(&mut self, line: &str) -> Result<Command, ScriptError> {
        let word = line.split([' ', '\t']).next().unwrap_or_default().to_lowercase();
        match word.as_str() {
            "clear" => Ok(Command::Clear),
            word if word.starts_with("load") => self.load(line).map(Command::Load),
            word if word.starts_with("eval") => self.eval(line).map(|eval| Command::Eval(Box::new(eval))),
            _ => Err(self.error(format!("invalid command {line:?}"))),
        }
    }

    fn error(&self, message: impl Into<String>) -> ScriptError {
        ScriptError { line: self.at + 1, message: message.into() }
    }

    /// The next line of the same block.
    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.at + 1).copied().filter(|line| !line.is_empty())?;
        self.at += 1;
        Some(line)
    }

    fn load(&mut self, line: &str) -> Result<Load, ScriptError> {
        let invalid = "invalid load command. (load[_with_nhcb] <step:duration>)";
        let groups = self.patterns.load.captures(line).ok_or_else(|| self.error(invalid))?;
        let with_nhcb = groups.get(1).is_some();
        let step = groups.get(2).map_or("", |step| step.as_str());
        let step = duration(step).ok_or_else(|| self.error(format!("invalid step definition {step:?}")))?;
        let mut load = Load { line: self.at + 1, with_nhcb, series: Vec::new() };
        let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
        while let Some(line) = self.next() {
            let word = line.find(char::is_whitespace).unwrap_or(line.len());
            let (metric, sequence) = line.split_at(word);
            if let Some(metric) = metric.strip_suffix("@st") {
                if starts.is_some() {
                    return Err(self.error("@st line has no following sample line"));
                }
                let (labels, _) = parse_series(metric).map_err(|error| self.error(error.0))?;
                starts = Some((labels, parse_starts(sequence).map_err(|error| self.error(error.0))?));
                continue;
            }
            let (labels, values) = parse_series(line).map_err(|error| self.error(error.0))?;
            let starts = self.starts_of(starts.take(), &labels, values.len())?;
            let samples = values.into_iter().enumerate().filter(|(_, value)| *value != Value::Omitted);
            let samples = samples.map(|(at, value)| {
                let time = step.saturating_mul(i64::try_from(at).unwrap_or(i64::MAX));
                let start = starts.get(at).copied().flatten().map(|start| time.saturating_add(start));
                (time, value, start)
            });
            let loaded = Loaded { labels, samples: samples.collect() };
            match load.series.iter_mut().find(|known| known.labels == loaded.labels) {
                Some(known) => *known = loaded,
                None => load.series.push(loaded),
            }
        }
        if starts.is_some() {
            return Err(self.error("@st line has no following sample line"));
        }
        Ok(load)
    }

    fn starts_of(
        &self,
        starts: Option<(Labels, Vec<Option<i64>>)>,
        labels: &Labels,
        values: usize,
    ) -> Result<Vec<Option<i64>>, ScriptError> {
        let Some((of, starts)) = starts else { return Ok(Vec::new()) };
        if of != *labels {
            return Err(self.error("@st metric does not match the following sample line metric"));
        }
        if starts.len() != values {
            let message = format!("@st line has {} values but sample line has {values}", starts.len());
            return Err(self.error(message));
        }
        Ok(starts)
    }

    fn durations(&self, texts: [&str; 3]) -> Result<(i64, i64, i64), ScriptError> {
        let [from, to, step] = texts;
        let read = |what: &str, text: &str| {
            duration(text).ok_or_else(|| self.error(format!("invalid {what} definition {text:?}")))
        };
        let (start, end) = (read("start timestamp", from)?, read("end timestamp", to)?);
        if end < start {
            let message =
                format!("invalid test definition, end timestamp ({to}) is before start timestamp ({from})");
            return Err(self.error(message));
        }
        Ok((start, end, read("step", step)?))
    }

    fn eval(&mut self, line: &str) -> Result<Eval, ScriptError> {
        let patterns = self.patterns;
        let (mode, query, time) = if let Some(groups) = patterns.instant.captures(line) {
            let text = |at: usize| groups.get(at).map_or("", |group| group.as_str());
            let invalid = || self.error(format!("invalid timestamp definition {:?}", text(2)));
            (
                text(1).to_owned(),
                text(3).to_owned(),
                QueryTime::Instant(duration(text(2)).ok_or_else(invalid)?),
            )
        } else if let Some(groups) = patterns.range.captures(line) {
            let text = |at: usize| groups.get(at).map_or("", |group| group.as_str());
            let (start, end, step) = self.durations([text(2), text(3), text(4)])?;
            (text(1).to_owned(), text(5).to_owned(), QueryTime::Range { start, end, step })
        } else {
            return Err(self.error(
                "invalid evaluation command. Must be either 'eval[_fail|_warn|_ordered] instant [at <offset:duration>] \
                 <query>' or 'eval[_fail|_warn] range from <from> to <to> step <step> <query>'",
            ));
        };
        promql::parser::parse(&query, &options().features).map_err(|error| self.error(error.to_string()))?;
        let mut eval = Eval { line: self.at + 1, query, time, range_vector: None, expect: Expect::default() };
        match mode.as_str() {
            "ordered" => eval.expect.ordered = true,
            "fail" => eval.expect.fail = Some(Text::Any),
            "warn" => eval.expect.warn.push(Text::Any),
            "info" => eval.expect.info.push(Text::Any),
            _ => {}
        }
        let legacy_fail = mode == "fail";
        while let Some(line) = self.next() {
            if !self.expectation(line, legacy_fail, &mut eval)? {
                break;
            }
        }
        Ok(eval)
    }

    /// Reads a line of an `eval`; whether more may follow.
    fn expectation(&self, line: &str, legacy_fail: bool, eval: &mut Eval) -> Result<bool, ScriptError> {
        let expect = &mut eval.expect;
        if let Some(message) = line.strip_prefix("expected_fail_message").filter(|_| legacy_fail) {
            expect.fail = Some(Text::Message(message.trim().to_owned()));
            return Ok(false);
        }
        if let Some(pattern) = line.strip_prefix("expected_fail_regexp").filter(|_| legacy_fail) {
            expect.fail = Some(self.pattern(pattern)?);
            return Ok(false);
        }
        if line.starts_with("expect range vector") {
            let invalid = || self.error(format!("invalid range vector definition {line:?}"));
            let groups = self.patterns.range_vector.captures(line).ok_or_else(invalid)?;
            let text = |at: usize| groups.get(at).map_or("", |group| group.as_str());
            let range = self.durations([text(1), text(2), text(3)])?;
            eval.range_vector = Some(range);
            eval.time = QueryTime::Instant(range.1);
            return Ok(true);
        }
        if let Some(literal) = line.strip_prefix("expect string") {
            expect.string = Some(self.string(literal.trim())?);
            return Ok(true);
        }
        if line.split(' ').next() == Some("expect") {
            self.annotation(line, expect)?;
            return Ok(true);
        }
        if let Some(value) = scalar(line) {
            expect.scalar = Some(value);
            return Ok(false);
        }
        let (labels, values) = parse_series(line).map_err(|error| self.error(error.0))?;
        if values.len() > 1 && matches!(eval.time, QueryTime::Instant(_)) && eval.range_vector.is_none() {
            return Err(self.error(
                "expecting multiple values in instant evaluation not allowed. consider using 'expect range vector' \
                 directive to enable a range vector result for an instant query",
            ));
        }
        match expect.series.iter_mut().find(|(known, _)| *known == labels) {
            Some(known) => known.1 = values,
            None => expect.series.push((labels, values)),
        }
        Ok(true)
    }

    fn annotation(&self, line: &str, expect: &mut Expect) -> Result<(), ScriptError> {
        let invalid = "invalid expect statement, must match `expect <type> <match_type>: <string>` format";
        let groups = self.patterns.expect.captures(line).ok_or_else(|| self.error(invalid))?;
        let text = |at: usize| groups.get(at).map_or("", |group| group.as_str());
        let expected = match text(2) {
            "msg" => Text::Message(text(3).trim().to_owned()),
            "regex" => self.pattern(text(3))?,
            _ => Text::Any,
        };
        match text(1) {
            "ordered" => expect.ordered = true,
            "fail" if expect.fail.is_some() => {
                return Err(self.error("invalid expect lines, multiple expect fail lines are not allowed"));
            }
            "fail" => expect.fail = Some(expected),
            "warn" => expect.warn.push(expected),
            "info" => expect.info.push(expected),
            "no_warn" => expect.no_warn = true,
            _ => expect.no_info = true,
        }
        for (kind, both) in [
            ("info", expect.no_info && !expect.info.is_empty()),
            ("warn", expect.no_warn && !expect.warn.is_empty()),
        ] {
            if both {
                let message = format!("invalid expect lines, {kind} and no_{kind} cannot be used together");
                return Err(self.error(message));
            }
        }
        Ok(())
    }

    fn pattern(&self, text: &str) -> Result<Text, ScriptError> {
        let text = text.trim();
        Regex::new(text).map(Text::Pattern).map_err(|_| self.error(format!("invalid regex {text}")))
    }

    fn string(&self, literal: &str) -> Result<Vec<u8>, ScriptError> {
        let quoted = literal.starts_with(['"', '`']);
        match promql::parser::parse(literal, &options().features).map(|expr| expr.kind.clone()) {
            Ok(ExprKind::String(bytes)) if quoted => Ok(bytes),
            _ => {
                Err(self
                    .error("expected string literal not valid - check that the string is correctly quoted"))
            }
        }
    }
}

/// A number alone on its line, as Go's `ParseInt` with base 0 and `ParseFloat` read it.
fn scalar(line: &str) -> Option<f64> {
    let (sign, digits) = line.strip_prefix('-').map_or((1.0, line), |digits| (-1.0, digits));
    if let Some(hex) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(|value| sign * value as f64);
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        return i64::from_str_radix(digits, 8).ok().map(|value| sign * value as f64);
    }
    model::number::parse_float(line)
}
