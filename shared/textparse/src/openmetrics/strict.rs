//! One line, token by token: `openmetricsparse.go` of Prometheus. Slow, and the judge of what is valid.

use super::exemplar::ExposedExemplar;
use super::lexer::{Lexer, State};
use super::{Line, is_created};
use crate::error::{ParseError, quote_bytes};
use crate::event::{Event, MetricType, Series};
use crate::lexer::Token;
use crate::number;

const NO_END: &str = "data does not end with # EOF";

/// The line that begins at `at`. `kind` is the type that the last `# TYPE` line gave. The flag tells whether the end of
/// the body was seen: if so, an error may be no more than a lack of bytes.
pub(super) fn parse_line(body: &[u8], at: usize, kind: MetricType) -> (Result<Line<'_>, ParseError>, bool) {
    let mut reader = Reader { start: at, lexer: Lexer::new(body, at, State::Init), kind };
    let line = reader.line();
    (line, reader.lexer.saw_end())
}

struct Reader<'a> {
    start: usize,
    lexer: Lexer<'a>,
    kind: MetricType,
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Result<Line<'a>, ParseError> {
        match self.lexer.next_token() {
            Token::EofWord => match self.lexer.next_token() {
                Token::Eof => Ok(Line::End),
                _ => Err(ParseError::new("unexpected data after # EOF".to_owned())),
            },
            Token::Eof => Err(ParseError::new(NO_END.to_owned())),
            word @ (Token::Help | Token::Type | Token::Unit) => self.meta(word),
            Token::BraceOpen => {
                let name = self.labels(None)?;
                self.sample(name)
            }
            Token::MetricName => {
                let name = self.lexer.token();
                let mut before = self.lexer.clone();
                if before.next_token() == Token::BraceOpen {
                    self.lexer = before;
                    self.labels(Some(name))?;
                }
                self.sample(Some(name))
            }
            token => Err(self.unexpected("expected a valid start token", token)),
        }
    }

    fn meta(&mut self, word: Token) -> Result<Line<'a>, ParseError> {
        match self.lexer.next_token() {
            Token::MetricName => {}
            token => {
                return Err(self.unexpected(&format!("expected metric name after {}", word.as_str()), token));
            }
        }
        let metric = unquoted(self.lexer.token());
        if self.lexer.next_token() != Token::Text {
            return Err(ParseError::new(format!("expected text in {}", word.as_str())));
        }
        // Between the blank and the newline.
        let text = self.lexer.token();
        let text = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        let event = match word {
            Token::Type => {
                let kind = std::str::from_utf8(text)
                    .ok()
                    .and_then(MetricType::from_name)
                    .ok_or_else(|| ParseError::new(format!("invalid metric type {}", quote_bytes(text))))?;
                Event::Type { metric, kind }
            }
            Token::Help => {
                let text = std::str::from_utf8(text).map_err(|_| {
                    ParseError::new(format!("help text {} is not a valid utf8 string", quote_bytes(text)))
                })?;
                Event::Help { metric, text }
            }
            _ => {
                let is_suffix = metric.strip_suffix(text).is_some_and(|stem| stem.ends_with(b"_"));
                if !text.is_empty() && !is_suffix {
                    return Err(ParseError::new(format!(
                        "unit {} not a suffix of metric {}",
                        quote_bytes(text),
                        quote_bytes(metric)
                    )));
                }
                Event::Unit { metric, unit: text }
            }
        };
        Ok(Line::Event { event, exemplar: None, next: self.lexer.at() })
    }

    /// Steps over everything between the braces of a series; the metric name, from before or from between them.
    fn labels(&mut self, name: Option<&'a [u8]>) -> Result<Option<&'a [u8]>, ParseError> {
        let mut name = name;
        let mut token = self.lexer.next_token();
        loop {
            let quoted = match token {
                Token::BraceClose => return Ok(name),
                Token::LabelName => None,
                Token::QuotedString => Some(unquoted(self.lexer.token())),
                _ => return Err(self.unexpected("expected label name", token)),
            };
            token = self.lexer.next_token();
            // A quoted string by itself is the metric name.
            if let Some(quoted) = quoted
                && matches!(token, Token::Comma | Token::BraceClose)
            {
                if name.is_some() {
                    return Err(self.failed("metric name already set"));
                }
                name = Some(quoted);
                if token == Token::BraceClose {
                    return Ok(name);
                }
                token = self.lexer.next_token();
                continue;
            }
            token = self.label_value(token)?;
        }
    }

    /// Steps over everything between the braces of an exemplar.
    fn exemplar_labels(&mut self) -> Result<(), ParseError> {
        let mut token = self.lexer.next_token();
        loop {
            let quoted = match token {
                Token::BraceClose => return Ok(()),
                Token::LabelName => false,
                Token::QuotedString => true,
                _ => return Err(self.unexpected("expected label name", token)),
            };
            token = self.lexer.next_token();
            if quoted && matches!(token, Token::Comma | Token::BraceClose) {
                return Err(self.unexpected("expected label name", token));
            }
            token = self.label_value(token)?;
        }
    }

    /// `="value"` from the token after the name on; the token of the next label's name, or the closing brace.
    fn label_value(&mut self, token: Token) -> Result<Token, ParseError> {
        if token != Token::Equal {
            return Err(self.unexpected("expected equal", token));
        }
        match self.lexer.next_token() {
            Token::LabelValue => {}
            token => return Err(self.unexpected("expected label value", token)),
        }
        let value = self.lexer.token();
        if std::str::from_utf8(value).is_err() {
            return Err(ParseError::new(format!("invalid UTF-8 label value: {}", quote_bytes(value))));
        }
        match self.lexer.next_token() {
            // One may also trail.
            Token::Comma => Ok(self.lexer.next_token()),
            Token::BraceClose => Ok(Token::BraceClose),
            token => Err(self.unexpected("expected comma or brace close", token)),
        }
    }

    fn sample(&mut self, name: Option<&'a [u8]>) -> Result<Line<'a>, ParseError> {
        let text = self.lexer.slice(self.start, self.lexer.at());
        let token = self.lexer.next_token();
        let Some(name) = name else { return Err(self.failed("metric name not set")) };
        let value = self.value("metric", token)?;
        let (mut timestamp, mut exemplar) = (None, None);
        match self.lexer.next_token() {
            Token::Eof => return Err(ParseError::new(NO_END.to_owned())),
            Token::Comment => exemplar = Some(self.exemplar()?),
            Token::Timestamp => {
                timestamp = Some(self.timestamp("timestamp")?);
                match self.lexer.next_token() {
                    Token::Linebreak => {}
                    Token::Comment => exemplar = Some(self.exemplar()?),
                    token => {
                        return Err(self.unexpected("expected next entry after timestamp", token));
                    }
                }
            }
            Token::Linebreak => {}
            // Prometheus is silent here, and then fails at what it takes for the start of the next line.
            _ => {
                self.start = self.lexer.at();
                let token = self.lexer.next_token();
                return Err(match token {
                    Token::Eof => ParseError::new(NO_END.to_owned()),
                    token => self.unexpected("expected a valid start token", token),
                });
            }
        }
        let series = Series { text, value, timestamp, kind: self.kind };
        let event = if is_created(name, self.kind) { Event::Created(series) } else { Event::Series(series) };
        Ok(Line::Event { event, exemplar, next: self.lexer.at() })
    }

    fn exemplar(&mut self) -> Result<ExposedExemplar<'a>, ParseError> {
        let start = self.lexer.at();
        self.exemplar_labels()?;
        let text = self.lexer.slice(start, self.lexer.at());
        let token = self.lexer.next_token();
        let value = self.value("exemplar labels", token)?;
        let timestamp = match self.lexer.next_token() {
            Token::Eof => return Err(ParseError::new(NO_END.to_owned())),
            Token::Linebreak => None,
            Token::Timestamp => {
                let timestamp = self.timestamp("exemplar timestamp")?;
                match self.lexer.next_token() {
                    Token::Linebreak => Some(timestamp),
                    token => {
                        return Err(self.unexpected("expected next entry after exemplar timestamp", token));
                    }
                }
            }
            token => return Err(self.unexpected("expected timestamp or comment", token)),
        };
        Ok(ExposedExemplar { text, value, timestamp })
    }

    /// The value that is the current token, after a blank.
    fn value(&self, after: &str, token: Token) -> Result<f64, ParseError> {
        if token != Token::Value {
            return Err(self.unexpected(&format!("expected value after {after}"), token));
        }
        let text = self.lexer.token().get(1..).unwrap_or_default();
        number::parse_value(text).map_err(|error| self.failed(&error.to_string()))
    }

    /// The timestamp, ms, that is the current token: seconds after a blank.
    fn timestamp(&self, what: &str) -> Result<i64, ParseError> {
        let text = self.lexer.token().get(1..).unwrap_or_default();
        let seconds = number::parse_value(text).map_err(|error| self.failed(&error.to_string()))?;
        if !seconds.is_finite() {
            let text = if seconds.is_nan() {
                "NaN"
            } else if seconds > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            };
            return Err(ParseError::new(format!("invalid {what} {text}")));
        }
        Ok(super::millis(seconds))
    }

    fn unexpected(&self, expected: &str, token: Token) -> ParseError {
        ParseError::new(format!(
            "{expected}, got {} ({:?}) while parsing: {}",
            quote_bytes(self.lexer.context(self.lexer.start())),
            token.as_str(),
            quote_bytes(self.lexer.context(self.start)),
        ))
    }

    /// An error about what has been read, not about the token that follows.
    fn failed(&self, reason: &str) -> ParseError {
        let read = self.lexer.slice(self.start, self.lexer.at());
        ParseError::new(format!("{reason} while parsing: {}", quote_bytes(read)))
    }
}

fn unquoted(token: &[u8]) -> &[u8] {
    token.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(token)
}
