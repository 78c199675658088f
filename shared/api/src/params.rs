//! Parameters of a request: from the URL's query and, for a form, from the body.

use std::time::Duration;

use model::{Matcher, TimestampMs, duration, rfc3339};
use promql::parser;

use crate::ApiError;

/// The earliest instant that Prometheus's API knows.
pub(crate) const MIN_TIME: TimestampMs = (i64::MIN / 1000 + 62_135_596_801) * 1000;
/// The latest.
pub(crate) const MAX_TIME: TimestampMs = (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999;

const MIN_TIME_TEXT: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";

/// All parameters, those of the body before those of the URL, as Go's `FormValue` has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    malformed: Option<String>,
}

impl Params {
    /// Reads a URL's query and a form body (empty for none).
    pub(crate) fn new(query: Option<&str>, form: &[u8]) -> Self {
        let mut params = Self::default();
        for bytes in [form, query.unwrap_or("").as_bytes()] {
            for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
                match check_pair(pair) {
                    Ok(()) => params.pairs.extend(
                        url::form_urlencoded::parse(pair)
                            .map(|(name, value)| (name.into_owned(), value.into_owned())),
                    ),
                    Err(error) => {
                        params.malformed.get_or_insert(error);
                    }
                }
            }
        }
        params
    }

    /// Fails where a pair could not be read. Most endpoints pass over such a pair, as Go's `FormValue` does.
    pub(crate) fn check_form(&self) -> Result<(), ApiError> {
        match &self.malformed {
            None => Ok(()),
            Some(error) => Err(ApiError::bad_data(format!("error parsing form values: {error}"))),
        }
    }

    /// The first value of `name`, or the empty string.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// Every value of `name`.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        self.pairs.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// A required instant.
    pub(crate) fn time(&self, name: &str) -> Result<TimestampMs, ApiError> {
        parse_time(self.value(name)).map_err(|error| ApiError::invalid_parameter(name, error))
    }

    /// An instant with a default.
    pub(crate) fn time_or(&self, name: &str, default: TimestampMs) -> Result<TimestampMs, ApiError> {
        match self.value(name) {
            "" => Ok(default),
            text => parse_time(text).map_err(|error| {
                ApiError::invalid_parameter(name, format!("invalid time value for '{name}': {error}"))
            }),
        }
    }

    /// A duration in milliseconds, which may be negative.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<i64, ApiError> {
        parse_duration_ms(self.value(name)).map_err(|error| ApiError::invalid_parameter(name, error))
    }

    /// The query's time-out: at most `default`.
    pub(crate) fn timeout(&self, default: Duration) -> Result<Duration, ApiError> {
        if self.value("timeout").is_empty() {
            return Ok(default);
        }
        let asked = Duration::from_millis(u64::try_from(self.duration_ms("timeout")?).unwrap_or(0));
        Ok(asked.min(default))
    }

    /// `limit`; 0 means none.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        let text = self.value("limit");
        if text.is_empty() {
            return Ok(0);
        }
        let limit: i64 = text.parse().map_err(|_| {
            ApiError::invalid_parameter(
                "limit",
                format!("strconv.Atoi: parsing {}: invalid syntax", model::labels::quote(text)),
            )
        })?;
        usize::try_from(limit).map_err(|_| ApiError::invalid_parameter("limit", "limit must be non-negative"))
    }

    /// The selectors of `match[]`.
    pub(crate) fn matcher_sets(&self) -> Result<Vec<Vec<Matcher>>, String> {
        self.all("match[]")
            .map(|text| {
                let matchers = parser::parse_metric_selector(text).map_err(|error| error.to_string())?;
                if matchers.iter().all(Matcher::matches_empty) {
                    return Err("match[] must contain at least one non-empty matcher".to_owned());
                }
                Ok(matchers)
            })
            .collect()
    }
}

/// What Go's `url.ParseQuery` refuses.
fn check_pair(pair: &[u8]) -> Result<(), String> {
    if pair.contains(&b';') {
        return Err("invalid semicolon separator in query".to_owned());
    }
    for (at, _) in pair.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let escape = &pair[at..pair.len().min(at + 3)];
        if escape.len() < 3 || !escape[1..].iter().all(u8::is_ascii_hexdigit) {
            let escape = String::from_utf8_lossy(escape);
            return Err(format!("invalid URL escape {}", model::labels::quote(&escape)));
        }
    }
    Ok(())
}

/// Seconds since the epoch with decimals, or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<TimestampMs, String> {
    let invalid = || format!("cannot parse {} to a valid timestamp", model::labels::quote(text));
    if let Some(seconds) = model::number::parse_float(text) {
        let ms = (seconds * 1000.0).round();
        return if ms.is_finite() && ms.abs() < 9.2e18 { Ok(ms as i64) } else { Err(invalid()) };
    }
    match text {
        MIN_TIME_TEXT => Ok(MIN_TIME),
        MAX_TIME_TEXT => Ok(MAX_TIME),
        _ => rfc3339::parse(text).ok_or_else(invalid),
    }
}

fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let quoted = || model::labels::quote(text);
    if let Some(seconds) = model::number::parse_float(text) {
        if !(seconds * 1e9).is_finite() || (seconds * 1e9).abs() > i64::MAX as f64 {
            return Err(format!("cannot parse {} to a valid duration. It overflows int64", quoted()));
        }
        return Ok((seconds * 1000.0) as i64);
    }
    let parsed =
        duration::parse(text).map_err(|_| format!("cannot parse {} to a valid duration", quoted()))?;
    Ok(i64::try_from(parsed.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_seconds_or_rfc_3339() {
        assert_eq!(parse_time("1435781430.781"), Ok(1_435_781_430_781));
        assert_eq!(parse_time("2015-07-01T20:10:30.781Z"), Ok(1_435_781_430_781));
        assert_eq!(parse_time("foo"), Err("cannot parse \"foo\" to a valid timestamp".to_owned()));
        assert!(parse_time("NaN").is_err());
    }

    #[test]
    fn a_form_body_comes_before_the_url() {
        let params = Params::new(Some("query=url&x=1"), b"query=body&match%5B%5D=up");
        assert_eq!(params.value("query"), "body");
        assert_eq!(params.value("x"), "1");
        assert_eq!(params.matcher_sets().map(|sets| sets.len()), Ok(1));
    }

    #[test]
    fn malformed_pairs_are_passed_over_and_named_where_an_endpoint_checks() {
        let params = Params::new(Some("query=1%zz&time=5;a=b&x=%41"), b"");
        assert_eq!((params.value("query"), params.value("time"), params.value("x")), ("", "", "A"));
        let error = params.check_form().unwrap_err();
        assert_eq!(error.message, "error parsing form values: invalid URL escape \"%zz\"");
        let error = Params::new(Some("a=1;b=2"), b"").check_form().unwrap_err();
        assert_eq!(error.message, "error parsing form values: invalid semicolon separator in query");
        assert!(Params::new(Some("a=%2"), b"").check_form().is_err());
    }

    #[test]
    fn a_limit_is_a_whole_number() {
        assert_eq!(Params::new(Some("limit=5"), b"").limit(), Ok(5));
        let error = Params::new(Some("limit=-1"), b"").limit().unwrap_err();
        assert_eq!(error.message, "invalid parameter \"limit\": limit must be non-negative");
    }
}
