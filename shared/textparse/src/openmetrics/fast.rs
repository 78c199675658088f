//! Samples as clients write them, without a lexer. It accepts less than [`super::strict`] and agrees with it on what it
//! accepts; `None` means: look again, strictly.
//!
//! Its callers promise that the body is UTF-8 and has no NUL byte.

use memchr::memchr3;

use super::{Line, is_created, millis};
use crate::event::{Event, MetricType, Series};
use crate::fast::{LABEL, METRIC, skip_class};
use crate::lexer::{is_label_start, is_metric_start};
use crate::number;

/// The line that begins at `at`.
pub(super) fn parse_line(body: &[u8], at: usize, kind: MetricType) -> Option<Line<'_>> {
    if !is_metric_start(*body.get(at)?) {
        return None;
    }
    let mut end = skip_class(body, at, METRIC);
    let name = body.get(at..end)?;
    if body.get(end)? == &b'{' {
        end = skip_labels(body, end + 1)?;
    }
    let text = body.get(at..end)?;
    let (value, mut end) = number::scan_value(body, after_blank(body, end)?)?;
    let mut timestamp = None;
    if body.get(end)? == &b' ' {
        let (seconds, after) = number::scan_value(body, end + 1)?;
        if !seconds.is_finite() {
            return None;
        }
        (timestamp, end) = (Some(millis(seconds)), after);
    }
    if body.get(end)? != &b'\n' {
        return None;
    }
    let series = Series { text, value, timestamp, kind };
    let event = if is_created(name, kind) { Event::Created(series) } else { Event::Series(series) };
    Some(Line::Event { event, exemplar: None, next: end + 1 })
}

/// Where the value starts: after one blank.
fn after_blank(body: &[u8], at: usize) -> Option<usize> {
    (body.get(at)? == &b' ').then_some(at + 1)
}

/// The byte after the brace that closes the labels which start at `at`.
fn skip_labels(body: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        match body.get(at)? {
            b'}' => return Some(at + 1),
            byte if is_label_start(*byte) => {}
            _ => return None,
        }
        at = skip_class(body, at, LABEL);
        if body.get(at..at + 2)? != b"=\"" {
            return None;
        }
        at = skip_quoted(body, at + 2)?;
        match body.get(at)? {
            b',' => at += 1,
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The byte after the quote that closes the text which starts at `at`, on the same line.
fn skip_quoted(body: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        at += memchr3(b'"', b'\\', b'\n', body.get(at..)?)?;
        match body.get(at)? {
            b'"' => return Some(at + 1),
            b'\n' => return None,
            _ if body.get(at + 1)? == &b'\n' => return None,
            _ => at += 2,
        }
    }
}
