//! The iterator over a body's events.

use crate::error::ParseError;
use crate::event::{Event, MetricType};
use crate::{fast, strict};

/// Parses a body of the text format. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    body: &'a [u8],
    at: usize,
    kind: MetricType,
    plain: bool,
    done: bool,
}

impl<'a> Parser<'a> {
    /// A parser at the start of `body`.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        // Checked once for the whole body, at memory speed, instead of in every label value.
        let plain = std::str::from_utf8(body).is_ok() && memchr::memchr(0, body).is_none();
        Self { body, at: 0, kind: MetricType::Unknown, plain, done: false }
    }

    /// The parser that looks at every line strictly, for comparison.
    #[cfg(test)]
    pub(crate) fn strict(body: &'a [u8]) -> Self {
        Self { plain: false, ..Self::new(body) }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Event<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let fast = if self.plain { fast::parse_line(self.body, self.at, self.kind) } else { None };
        let line = match fast {
            Some(line) => Ok(Some(line)),
            None => strict::parse_line(self.body, self.at, self.kind),
        };
        match line {
            Ok(Some((event, next))) => {
                self.at = next;
                if let Event::Type { kind, .. } = event {
                    self.kind = kind;
                }
                Some(Ok(event))
            }
            Ok(None) => {
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

#[cfg(test)]
mod tests;
