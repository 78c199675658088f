//! Lines as clients write them, without a lexer. It accepts less than [`crate::strict`] and agrees with it on what it
//! accepts; `None` means: look again, strictly.
//!
//! Its callers promise that the body is UTF-8 and has no NUL byte.

use memchr::{memchr, memchr2};

use crate::event::{Event, MetricType, Series, metric_type};
use crate::lexer::{is_blank, is_label_start, is_metric_start};
use crate::number;

pub(crate) const LABEL: u8 = 1;
pub(crate) const METRIC: u8 = 2;

/// Which bytes names may have, as a table: one load a byte.
static CLASSES: [u8; 256] = classes();

/// The event of the line that begins at `at`, and where the next one begins.
pub(crate) fn parse_line(body: &[u8], at: usize, kind: MetricType) -> Option<(Event<'_>, usize)> {
    match body.get(at)? {
        b'#' => parse_meta(body, at),
        byte if is_metric_start(*byte) => parse_sample(body, at, kind),
        _ => None,
    }
}

fn parse_meta(body: &[u8], at: usize) -> Option<(Event<'_>, usize)> {
    let end = at + memchr(b'\n', body.get(at..)?)?;
    let line = body.get(at..end)?;
    let (keyword, rest) = line.split_at_checked(b"# HELP ".len())?;
    let name_end = rest.iter().position(|byte| CLASSES[usize::from(*byte)] & METRIC == 0)?;
    let (metric, rest) = rest.split_at_checked(name_end)?;
    let text = rest.strip_prefix(b" ")?;
    if !is_metric_start(*metric.first()?) || is_blank(*text.first()?) {
        return None;
    }
    let event = match keyword {
        b"# HELP " => Event::Help { metric, text: std::str::from_utf8(text).ok()? },
        b"# TYPE " => Event::Type { metric, kind: metric_type(text)? },
        _ => return None,
    };
    Some((event, end + 1))
}

fn parse_sample(body: &[u8], at: usize, kind: MetricType) -> Option<(Event<'_>, usize)> {
    let mut end = skip_class(body, at, METRIC);
    match body.get(end)? {
        b'{' => end = skip_labels(body, end + 1)?,
        byte if is_blank(*byte) => {}
        _ => return None,
    }
    let text = body.get(at..end)?;
    let (value, end) = number::scan_value(body, skip_blanks(body, end))?;
    let mut end = skip_blanks(body, end);
    let mut timestamp = None;
    if body.get(end)?.is_ascii_digit() {
        let (ms, after) = number::scan_timestamp(body, end)?;
        timestamp = Some(ms);
        end = skip_blanks(body, after);
    }
    if body.get(end)? != &b'\n' {
        return None;
    }
    Some((Event::Series(Series { text, value, timestamp, kind }), end + 1))
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

/// The byte after the quote that closes the text which starts at `at`.
fn skip_quoted(body: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        at += memchr2(b'"', b'\\', body.get(at..)?)?;
        if body.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        if body.get(at + 1)? == &b'\n' {
            return None;
        }
        at += 2;
    }
}

pub(crate) fn skip_class(body: &[u8], at: usize, class: u8) -> usize {
    let mut at = at;
    while body.get(at).is_some_and(|byte| CLASSES[usize::from(*byte)] & class != 0) {
        at += 1;
    }
    at
}

fn skip_blanks(body: &[u8], at: usize) -> usize {
    let mut at = at;
    while body.get(at).is_some_and(|byte| is_blank(*byte)) {
        at += 1;
    }
    at
}

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric() || c == b'_' {
            classes[byte] = LABEL | METRIC;
        } else if c == b':' {
            classes[byte] = METRIC;
        }
        byte += 1;
    }
    classes
}
