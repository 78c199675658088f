//! One line, token by token: `promparse.go` of Prometheus. Slow, and the judge of what is valid.

use crate::error::{ParseError, quote_bytes};
use crate::event::{Event, MetricType, Series, metric_type};
use crate::lexer::{Lexer, Token};
use crate::number;

/// The event of the line that begins at `at` and where the next line begins; `None` at the end of the body. Empty
/// lines before it are skipped. `kind` is the type that the last `# TYPE` line gave.
pub(crate) fn parse_line(
    body: &[u8],
    mut at: usize,
    kind: MetricType,
) -> Result<Option<(Event<'_>, usize)>, ParseError> {
    let mut lexer = Lexer::new(body, at);
    loop {
        let mut line = Line { start: at, lexer: &mut lexer };
        let event = match line.lexer.next_token() {
            Token::Eof => return Ok(None),
            Token::Linebreak => {
                at = lexer.at();
                continue;
            }
            Token::Help => line.help()?,
            Token::Type => line.metric_type()?,
            Token::Comment => {
                let text = line.lexer.token();
                line.linebreak("linebreak expected after comment")?;
                Event::Comment(text)
            }
            Token::BraceOpen => {
                let has_name = line.labels(false)?;
                line.sample_after_labels(has_name, kind)?
            }
            Token::MetricName => line.sample_after_name(kind)?,
            token => return Err(line.unexpected("expected a valid start token", token)),
        };
        return Ok(Some((event, lexer.at())));
    }
}

struct Line<'l, 'a> {
    start: usize,
    lexer: &'l mut Lexer<'a>,
}

impl<'a> Line<'_, 'a> {
    fn help(&mut self) -> Result<Event<'a>, ParseError> {
        let metric = self.meta_name(Token::Help)?;
        let text = self.meta_text();
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(ParseError::new(format!(
                "help text {} is not a valid utf8 string",
                quote_bytes(text)
            )));
        };
        self.linebreak("linebreak expected after metadata")?;
        Ok(Event::Help { metric, text })
    }

    fn metric_type(&mut self) -> Result<Event<'a>, ParseError> {
        let metric = self.meta_name(Token::Type)?;
        let word = self.meta_text();
        let Some(kind) = metric_type(word) else {
            return Err(ParseError::new(format!("invalid metric type {}", quote_bytes(word))));
        };
        self.linebreak("linebreak expected after metadata")?;
        Ok(Event::Type { metric, kind })
    }

    fn meta_name(&mut self, keyword: Token) -> Result<&'a [u8], ParseError> {
        match self.lexer.next_token() {
            Token::MetricName => {
                let name = self.lexer.token();
                Ok(name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name))
            }
            token => Err(self.unexpected(&format!("expected metric name after {}", keyword.as_str()), token)),
        }
    }

    /// The text after a metric's name, less the one byte that sets it apart. After a name the lexer gives nothing
    /// but text.
    fn meta_text(&mut self) -> &'a [u8] {
        self.lexer.next_token();
        self.lexer.token().get(1..).unwrap_or_default()
    }

    fn linebreak(&mut self, expected: &str) -> Result<(), ParseError> {
        match self.lexer.next_token() {
            Token::Linebreak => Ok(()),
            token => Err(self.unexpected(expected, token)),
        }
    }

    fn sample_after_name(&mut self, kind: MetricType) -> Result<Event<'a>, ParseError> {
        let text = self.lexer.slice(self.start, self.lexer.at());
        match self.lexer.next_token() {
            Token::BraceOpen => {
                let has_name = self.labels(true)?;
                self.sample_after_labels(has_name, kind)
            }
            token => self.value(text, token, kind),
        }
    }

    fn sample_after_labels(&mut self, has_name: bool, kind: MetricType) -> Result<Event<'a>, ParseError> {
        let text = self.lexer.slice(self.start, self.lexer.at());
        let token = self.lexer.next_token();
        if !has_name {
            return Err(self.failed("metric name not set"));
        }
        self.value(text, token, kind)
    }

    /// Steps over everything between the braces; whether there is a metric name, before or between them.
    fn labels(&mut self, has_name: bool) -> Result<bool, ParseError> {
        let mut has_name = has_name;
        let mut token = self.lexer.next_token();
        loop {
            let quoted = match token {
                Token::BraceClose => return Ok(has_name),
                Token::LabelName => false,
                Token::QuotedString => true,
                _ => return Err(self.unexpected("expected label name", token)),
            };
            token = self.lexer.next_token();
            // A quoted string by itself is the metric name.
            if quoted && matches!(token, Token::Comma | Token::BraceClose) {
                if has_name {
                    return Err(self.failed("metric name already set"));
                }
                has_name = true;
                if token == Token::BraceClose {
                    return Ok(true);
                }
                token = self.lexer.next_token();
                continue;
            }
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
            // A comma may also trail, or be left out.
            token = self.lexer.next_token();
            if token == Token::Comma {
                token = self.lexer.next_token();
            }
        }
    }

    fn value(&mut self, text: &'a [u8], token: Token, kind: MetricType) -> Result<Event<'a>, ParseError> {
        if token != Token::Value {
            return Err(self.unexpected("expected value after metric", token));
        }
        let value =
            number::parse_value(self.lexer.token()).map_err(|error| self.failed(&error.to_string()))?;
        let timestamp = match self.lexer.next_token() {
            Token::Linebreak => None,
            Token::Timestamp => {
                let timestamp = number::parse_timestamp(self.lexer.token())
                    .map_err(|error| self.failed(&error.to_string()))?;
                self.linebreak("expected next entry after timestamp")?;
                Some(timestamp)
            }
            token => return Err(self.unexpected("expected timestamp or new record", token)),
        };
        Ok(Event::Series(Series { text, value, timestamp, kind }))
    }

    fn unexpected(&self, expected: &str, token: Token) -> ParseError {
        ParseError::new(format!(
            "{expected}, got {} ({:?}) while parsing: {}",
            quote_bytes(&self.lexer.context(self.lexer.start())),
            token.as_str(),
            quote_bytes(&self.lexer.context(self.start)),
        ))
    }

    /// An error about what has been read, not about the token that follows.
    fn failed(&self, reason: &str) -> ParseError {
        let read = self.lexer.slice(self.start, self.lexer.at());
        ParseError::new(format!("{reason} while parsing: {}", quote_bytes(read)))
    }
}
