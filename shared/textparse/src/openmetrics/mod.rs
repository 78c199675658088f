//! OpenMetrics 1.0: the iterator over a body's events, or over the pieces of an input that is too large for memory.
//!
//! What is accepted, and the text of every error, is what Prometheus's own parser accepts and says
//! (`model/textparse/openmetricsparse.go` and `openmetricslex.l`): less than the specification forbids.

mod exemplar;
mod fast;
mod lexer;
mod strict;
#[cfg(test)]
mod tests;

pub use exemplar::ExposedExemplar;

use crate::error::ParseError;
use crate::event::{Event, MetricType};

/// Parses OpenMetrics text. Ends after `# EOF`, or after the first error.
///
/// An input may also come in pieces, each with what the parser of the one before left over: see [`Self::resume`].
#[derive(Clone, Debug)]
pub struct OpenMetricsParser<'a> {
    body: &'a [u8],
    at: usize,
    kind: MetricType,
    exemplar: Option<ExposedExemplar<'a>>,
    plain: bool,
    is_last: bool,
    done: bool,
}

/// What one piece of an input tells the parser of the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenMetricsState {
    kind: MetricType,
}

/// A line that was read.
#[derive(Debug)]
enum Line<'a> {
    /// `# EOF`, and nothing after it.
    End,
    Event {
        event: Event<'a>,
        exemplar: Option<ExposedExemplar<'a>>,
        /// Where the next line begins.
        next: usize,
    },
}

impl<'a> OpenMetricsParser<'a> {
    /// A parser of a whole body.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self::resume(body, OpenMetricsState::default(), true)
    }

    /// A parser of a piece of an input, after what `state` says of the pieces before. A line that may go on beyond the
    /// piece is left over ([`Self::consumed`]): the next piece must begin with it. Nothing comes after the last piece.
    #[must_use]
    pub fn resume(piece: &'a [u8], state: OpenMetricsState, is_last: bool) -> Self {
        // Checked once for the whole body, at memory speed, instead of in every label value.
        let plain = std::str::from_utf8(piece).is_ok() && memchr::memchr(0, piece).is_none();
        Self { body: piece, at: 0, kind: state.kind, exemplar: None, plain, is_last, done: false }
    }

    /// The parser that looks at every line strictly, for comparison.
    #[cfg(test)]
    pub(crate) fn strict(body: &'a [u8]) -> Self {
        Self { plain: false, ..Self::new(body) }
    }

    /// How many bytes the lines so far took; after an error, where the faulty line begins.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.at
    }

    /// What the parser of the next piece must know.
    #[must_use]
    pub fn state(&self) -> OpenMetricsState {
        OpenMetricsState { kind: self.kind }
    }
}

impl<'a> Iterator for OpenMetricsParser<'a> {
    type Item = Result<Event<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(exemplar) = self.exemplar.take() {
            return Some(Ok(Event::Exemplar(exemplar)));
        }
        if self.done {
            return None;
        }
        let fast = if self.plain { fast::parse_line(self.body, self.at, self.kind) } else { None };
        let (line, saw_end) = match fast {
            Some(line) => (Ok(line), false),
            None => strict::parse_line(self.body, self.at, self.kind),
        };
        match line {
            // NUL bytes after a line of metadata belong to it, and the next piece may begin with some.
            Ok(Line::Event {
                event: Event::Help { .. } | Event::Type { .. } | Event::Unit { .. }, ..
            }) if saw_end && !self.is_last => {
                self.done = true;
                None
            }
            Ok(Line::Event { event, exemplar, next }) => {
                self.at = next;
                self.exemplar = exemplar;
                if let Event::Type { kind, .. } = event {
                    self.kind = kind;
                }
                Some(Ok(event))
            }
            Ok(Line::End) => {
                self.done = true;
                if self.is_last {
                    self.at = self.body.len();
                }
                None
            }
            Err(_) if saw_end && !self.is_last => {
                self.done = true;
                None
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }
}

/// Whether a series tells when others of its family began, instead of a sample of its own.
fn is_created(name: &[u8], kind: MetricType) -> bool {
    matches!(kind, MetricType::Counter | MetricType::Summary | MetricType::Histogram)
        && name.ends_with(b"_created")
}

/// Seconds, finite, as ms: cut off, not rounded, as Prometheus does. What is out of range becomes the least instant, as
/// in Go on amd64.
fn millis(seconds: f64) -> i64 {
    let ms = (seconds * 1000.0).trunc();
    if (-(2f64.powi(63))..2f64.powi(63)).contains(&ms) { ms as i64 } else { i64::MIN }
}
