//! One line of JSON that a function writes into its log: what it used since the line before.
//!
//! ```text
//! {"foxfire_usage":1,"function":"scraper","from_ms":…,"until_ms":…,"usage":{"invocations":{"queue":4},"seconds":0.31,…}}
//! ```
//!
//! A log group, an export of it, or `aws logs tail` may put other text before the line, and JSON logging may put it into a
//! string: it is found by its mark.

use serde::{Deserialize, Serialize};

use crate::usage::FunctionUsage;

/// What a record begins with.
pub const RECORD_MARK: &str = "{\"foxfire_usage\":";

/// What a process of a function used in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the format: 1.
    #[serde(rename = "foxfire_usage")]
    pub v: u32,
    /// The function.
    pub function: String,
    /// When the span begins, ms since the epoch: at the last record of this process, or when it started.
    pub from_ms: i64,
    /// When it ends.
    pub until_ms: i64,
    /// What was used.
    pub usage: FunctionUsage,
}

/// Why a line that has a record's mark is not one.
#[derive(Debug)]
pub struct RecordError(serde_json::Error);

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed usage record: {}", self.0)
    }
}

impl std::error::Error for RecordError {}

impl Record {
    /// The record as a line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        // Plain structs with string keys: serialisation has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The record in a log line, if there is one.
    ///
    /// # Errors
    /// Where the line has the mark and is cut off or malformed.
    pub fn find(line: &str) -> Result<Option<Self>, RecordError> {
        if let Some(at) = line.find(RECORD_MARK) {
            return first(line.get(at..).unwrap_or_default()).map(Some);
        }
        // In a string of JSON, as a log system may give it, quotes are escaped.
        let escaped = RECORD_MARK.replace('"', "\\\"");
        let Some(at) = line.find(&escaped) else { return Ok(None) };
        let text = line.get(at..).unwrap_or_default().replace("\\\"", "\"");
        first(&text).map(Some)
    }
}

/// The first value of a text that goes on.
fn first(text: &str) -> Result<Record, RecordError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Record>();
    values.next().unwrap_or_else(|| serde_json::from_str("")).map_err(RecordError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Requests, Trigger};

    fn record() -> Record {
        let mut usage = FunctionUsage::default();
        usage.invoke(Trigger::Queue, 0.25, 512, Architecture::Arm64);
        usage.count("s3", "PutObject", Requests { count: 1.0, units: 1.0, sent: 9_000.0, received: 0.0 });
        Record { v: 1, function: "scraper".to_owned(), from_ms: 1, until_ms: 60_001, usage }
    }

    #[test]
    fn a_record_is_one_line_of_json_that_reads_back() {
        let line = record().line();
        assert_eq!(
            line,
            "{\"foxfire_usage\":1,\"function\":\"scraper\",\"from_ms\":1,\"until_ms\":60001,\"usage\":{\
             \"invocations\":{\"queue\":1.0},\"seconds\":0.25,\"gb_seconds_arm64\":0.125,\
             \"gb_seconds_x86_64\":0.0,\"log_bytes\":0.0,\"requests\":{\"s3:PutObject\":{\"count\":1.0,\
             \"units\":1.0,\"sent\":9000.0,\"received\":0.0}}}}"
        );
        assert_eq!(Record::find(&line).unwrap(), Some(record()));
    }

    #[test]
    fn a_record_is_found_behind_other_text_and_inside_of_json() {
        let line = record().line();
        let tailed = format!("2026-11-22T22:00:00 2026/11/22/[$LATEST]ab {line}\n");
        assert_eq!(Record::find(&tailed).unwrap(), Some(record()));
        let exported = format!("{{\"message\":\"{}\\n\"}}", line.replace('"', "\\\""));
        assert_eq!(Record::find(&exported).unwrap(), Some(record()));
        assert_eq!(Record::find("level=info msg=\"nothing\"").unwrap(), None);
        let cut = line.get(..60).unwrap();
        assert!(Record::find(cut).is_err());
    }
}
