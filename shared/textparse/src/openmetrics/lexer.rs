//! Tokens of OpenMetrics: `openmetricslex.l` of Prometheus by hand, state by state.
//!
//! As in the text format, NUL bytes are skipped inside label values, help texts and comments, but end the input
//! elsewhere. Unlike there, no newline is thought to follow the body, and blanks count.

use crate::lexer::{Token, is_label_byte, is_label_start, is_metric_byte, is_metric_start};

/// What the lexer is in the middle of, which decides what it takes the next byte for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Init,
    Comment,
    MetaName,
    MetaText,
    Labels,
    LabelValue,
    Value,
    Timestamp,
    Exemplar,
    ExemplarValue,
    ExemplarTimestamp,
}

/// Splits a body into tokens.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    body: &'a [u8],
    start: usize,
    at: usize,
    state: State,
}

impl<'a> Lexer<'a> {
    /// A lexer at `at`, in the middle of what `state` says.
    pub(super) fn new(body: &'a [u8], at: usize, state: State) -> Self {
        Self { body, start: at, at, state }
    }

    /// Where the current token starts.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// The byte after the current token.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether the end of the body was seen: more bytes could have made the token another one.
    pub(super) fn saw_end(&self) -> bool {
        self.at >= self.body.len()
    }

    /// The current token's bytes.
    pub(super) fn token(&self) -> &'a [u8] {
        self.slice(self.start, self.at)
    }

    /// Bytes of the body.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        self.body.get(from..to.min(self.body.len())).unwrap_or_default()
    }

    /// Bytes for an error message: up to and including the byte after the current token.
    pub(super) fn context(&self, from: usize) -> &'a [u8] {
        self.slice(from, self.at.saturating_add(1))
    }

    /// The next token.
    pub(super) fn next_token(&mut self) -> Token {
        if self.at >= self.body.len() {
            return Token::Eof;
        }
        self.start = self.at;
        let byte = self.current();
        match self.state {
            State::Init => self.lex_line_start(byte),
            State::Comment => self.lex_comment(byte),
            State::MetaName => match byte {
                b'"' if self.quoted(true) => self.then(State::MetaText, Token::MetricName),
                _ if is_metric_start(byte) => {
                    self.advance_while(is_metric_byte);
                    self.then(State::MetaText, Token::MetricName)
                }
                _ => Token::Invalid,
            },
            State::MetaText => self.lex_meta_text(byte),
            State::Labels => self.lex_labels(byte),
            State::LabelValue => match byte {
                b'"' if self.quoted(false) => self.then(State::Labels, Token::LabelValue),
                _ => Token::Invalid,
            },
            State::Value => match byte {
                b'{' => self.single(State::Labels, Token::BraceOpen),
                b' ' => self.word(State::Timestamp, Token::Value),
                _ => Token::Invalid,
            },
            State::Timestamp => self.lex_timestamp(byte),
            State::Exemplar => self.lex_exemplar(byte),
            State::ExemplarValue => match byte {
                b'"' if self.quoted(false) => self.then(State::Exemplar, Token::LabelValue),
                b' ' => self.word(State::ExemplarTimestamp, Token::Value),
                _ => Token::Invalid,
            },
            State::ExemplarTimestamp => match byte {
                b'\n' => self.single(State::Init, Token::Linebreak),
                b' ' => self.word(State::ExemplarTimestamp, Token::Timestamp),
                _ => Token::Invalid,
            },
        }
    }

    /// The current byte; 0 past the end.
    fn current(&self) -> u8 {
        self.body.get(self.at).copied().unwrap_or(0)
    }

    fn advance(&mut self) -> u8 {
        self.at = (self.at + 1).min(self.body.len());
        if matches!(self.state, State::LabelValue | State::MetaText | State::Comment) {
            while self.body.get(self.at) == Some(&0) {
                self.at += 1;
            }
        }
        self.current()
    }

    fn advance_while(&mut self, accept: impl Fn(u8) -> bool) -> u8 {
        loop {
            let byte = self.advance();
            if !accept(byte) {
                return byte;
            }
        }
    }

    fn lex_line_start(&mut self, byte: u8) -> Token {
        match byte {
            b'{' => self.single(State::Labels, Token::BraceOpen),
            b'#' if self.advance() == b' ' => {
                let byte = self.advance();
                self.state = State::Comment;
                self.lex_comment(byte)
            }
            _ if is_metric_start(byte) => {
                self.advance_while(is_metric_byte);
                self.then(State::Value, Token::MetricName)
            }
            _ => Token::Invalid,
        }
    }

    fn lex_comment(&mut self, byte: u8) -> Token {
        let (rest, token): (&[u8], Token) = match byte {
            b'E' => (b"OF", Token::EofWord),
            b'H' => (b"ELP ", Token::Help),
            b'T' => (b"YPE ", Token::Type),
            b'U' => (b"NIT ", Token::Unit),
            _ => return Token::Invalid,
        };
        for expected in rest {
            if self.advance() != *expected {
                return Token::Invalid;
            }
        }
        let after = self.advance();
        if token != Token::EofWord {
            return self.then(State::MetaName, token);
        }
        if after == b'\n' {
            self.advance();
        }
        self.then(State::Init, Token::EofWord)
    }

    fn lex_meta_text(&mut self, byte: u8) -> Token {
        if byte != b' ' || self.advance_while(|byte| !matches!(byte, 0 | b'\n')) != b'\n' {
            return Token::Invalid;
        }
        self.single(State::Init, Token::Text)
    }

    fn lex_labels(&mut self, byte: u8) -> Token {
        match byte {
            b'"' if self.quoted(true) => Token::QuotedString,
            b',' => self.single(State::Labels, Token::Comma),
            b'=' => self.single(State::LabelValue, Token::Equal),
            b'}' => self.single(State::Value, Token::BraceClose),
            _ if is_label_start(byte) => {
                self.advance_while(is_label_byte);
                Token::LabelName
            }
            _ => Token::Invalid,
        }
    }

    fn lex_exemplar(&mut self, byte: u8) -> Token {
        match byte {
            b'"' if self.quoted(false) => Token::QuotedString,
            b',' => self.single(State::Exemplar, Token::Comma),
            b'=' => self.single(State::ExemplarValue, Token::Equal),
            b'}' => self.single(State::ExemplarValue, Token::BraceClose),
            _ if is_label_start(byte) => {
                self.advance_while(is_label_byte);
                Token::LabelName
            }
            _ => Token::Invalid,
        }
    }

    fn lex_timestamp(&mut self, byte: u8) -> Token {
        match byte {
            b'\n' => self.single(State::Init, Token::Linebreak),
            b' ' => {
                if self.slice(self.at, self.at + 3) != b" # " {
                    return self.word(State::Timestamp, Token::Timestamp);
                }
                self.advance();
                self.advance();
                if self.advance() == b'{' {
                    return self.single(State::Exemplar, Token::Comment);
                }
                Token::Invalid
            }
            _ => Token::Invalid,
        }
    }

    /// A blank and at least one byte that is neither a blank nor a newline.
    fn word(&mut self, state: State, token: Token) -> Token {
        let is_word = |byte: u8| !matches!(byte, 0 | b' ' | b'\n');
        if !is_word(self.advance()) {
            return Token::Invalid;
        }
        self.advance_while(is_word);
        self.then(state, token)
    }

    /// A token of one byte. The step over it is still made in the old state.
    fn single(&mut self, state: State, token: Token) -> Token {
        self.advance();
        self.then(state, token)
    }

    fn then(&mut self, state: State, token: Token) -> Token {
        self.state = state;
        token
    }

    /// Steps over `"(\\.|[^\\"])*"`, where newlines count only if `with_newlines`; false, at the byte that does not fit,
    /// where there is none.
    fn quoted(&mut self, with_newlines: bool) -> bool {
        loop {
            match self.advance() {
                0 => return false,
                b'\n' if !with_newlines => return false,
                b'"' => {
                    self.advance();
                    return true;
                }
                b'\\' if matches!(self.advance(), 0 | b'\n') => return false,
                _ => {}
            }
        }
    }
}
