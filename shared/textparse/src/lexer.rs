//! Tokens of the text format: `promlex.l` of Prometheus by hand, state by state.
//!
//! Two of its habits show in what is accepted, so they are kept: a body always ends with a newline, here one past its
//! last byte; and NUL bytes are skipped inside label values, help texts and comments, but end the input elsewhere.

/// What the lexer is in the middle of, which decides what it takes the next byte for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Init,
    Comment,
    MetaName,
    MetaText,
    Labels,
    LabelValue,
    Value,
    Timestamp,
}

/// A token; its bytes are those between [`Lexer::start`] and [`Lexer::at`]. Units and the end marker are OpenMetrics's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Whitespace,
    Help,
    Type,
    Unit,
    EofWord,
    Text,
    Comment,
    MetricName,
    QuotedString,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Comma,
    Equal,
    Timestamp,
    Value,
}

impl Token {
    /// The token's name in error messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Eof => "EOF",
            Self::Linebreak => "LINEBREAK",
            Self::Whitespace => "WHITESPACE",
            Self::Help => "HELP",
            Self::Type => "TYPE",
            Self::Unit => "UNIT",
            Self::EofWord => "EOFWORD",
            Self::Text => "TEXT",
            Self::Comment => "COMMENT",
            Self::MetricName => "MNAME",
            Self::QuotedString => "QSTRING",
            Self::BraceOpen => "BOPEN",
            Self::BraceClose => "BCLOSE",
            Self::LabelName => "LNAME",
            Self::LabelValue => "LVALUE",
            Self::Comma => "COMMA",
            Self::Equal => "EQUAL",
            Self::Timestamp => "TIMESTAMP",
            Self::Value => "VALUE",
        }
    }
}

/// Splits a body into tokens.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    body: &'a [u8],
    start: usize,
    at: usize,
    state: State,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of the line that begins at `at`.
    pub(crate) fn new(body: &'a [u8], at: usize) -> Self {
        Self { body, start: at, at, state: State::Init }
    }

    /// Where the current token starts.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The byte after the current token.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The current token's bytes.
    pub(crate) fn token(&self) -> &'a [u8] {
        self.slice(self.start, self.at)
    }

    /// Bytes of the body, less the newline that is thought to follow it.
    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        self.body.get(from..to.min(self.body.len())).unwrap_or_default()
    }

    /// Bytes for an error message, including the newline that is thought to follow the body.
    pub(crate) fn context(&self, from: usize) -> Vec<u8> {
        let to = self.at.saturating_add(1).min(self.len());
        let mut bytes = self.slice(from, to).to_vec();
        if to > self.body.len() && from <= self.body.len() {
            bytes.push(b'\n');
        }
        bytes
    }

    /// The next token that is not white space.
    pub(crate) fn next_token(&mut self) -> Token {
        loop {
            let token = self.lex();
            if token != Token::Whitespace {
                return token;
            }
        }
    }

    fn len(&self) -> usize {
        self.body.len() + 1
    }

    /// The current byte; 0 past the end.
    fn current(&self) -> u8 {
        match self.body.get(self.at) {
            Some(byte) => *byte,
            None if self.at == self.body.len() => b'\n',
            None => 0,
        }
    }

    fn advance(&mut self) -> u8 {
        if self.at < self.len() {
            self.at += 1;
        }
        if matches!(self.state, State::LabelValue | State::MetaText | State::Comment) {
            while self.at < self.body.len() && self.current() == 0 {
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

    fn lex(&mut self) -> Token {
        if self.at >= self.len() {
            return Token::Eof;
        }
        self.start = self.at;
        let byte = self.current();
        match self.state {
            State::Init => self.lex_line_start(byte),
            State::Comment => self.lex_comment(byte),
            State::MetaName => self.lex_meta_name(byte),
            State::MetaText => self.lex_meta_text(byte),
            State::Labels => self.lex_labels(byte),
            State::LabelValue => match byte {
                b'"' if self.quoted() => self.then(State::Labels, Token::LabelValue),
                _ if is_blank(byte) => self.whitespace(),
                _ => Token::Invalid,
            },
            State::Value => self.lex_value(byte),
            State::Timestamp => self.lex_timestamp(byte),
        }
    }

    fn lex_line_start(&mut self, byte: u8) -> Token {
        match byte {
            0 => {
                self.advance();
                Token::Eof
            }
            b'\n' => self.single(State::Init, Token::Linebreak),
            b'{' => self.single(State::Labels, Token::BraceOpen),
            b'#' => {
                if !is_blank(self.advance()) {
                    return self.rest_of_comment();
                }
                let byte = self.advance_while(is_blank);
                self.state = State::Comment;
                self.lex_comment(byte)
            }
            _ if is_metric_start(byte) => {
                self.advance_while(is_metric_byte);
                self.then(State::Value, Token::MetricName)
            }
            _ if is_blank(byte) => self.whitespace(),
            _ => Token::Invalid,
        }
    }

    fn lex_comment(&mut self, byte: u8) -> Token {
        let (rest, token): (&[u8], Token) = match byte {
            b'H' => (b"ELP", Token::Help),
            b'T' => (b"YPE", Token::Type),
            _ => return self.rest_of_comment(),
        };
        for expected in rest {
            if self.advance() != *expected {
                return self.rest_of_comment();
            }
        }
        if !is_blank(self.advance()) {
            return self.rest_of_comment();
        }
        self.advance_while(is_blank);
        self.then(State::MetaName, token)
    }

    fn rest_of_comment(&mut self) -> Token {
        let mut byte = self.current();
        loop {
            match byte {
                0 => return Token::Eof,
                b'\n' => return self.then(State::Init, Token::Comment),
                _ => byte = self.advance(),
            }
        }
    }

    fn lex_meta_name(&mut self, byte: u8) -> Token {
        match byte {
            b'"' if self.quoted() => self.then(State::MetaText, Token::MetricName),
            _ if is_metric_start(byte) => {
                self.advance_while(is_metric_byte);
                self.then(State::MetaText, Token::MetricName)
            }
            _ if is_blank(byte) => self.whitespace(),
            _ => Token::Invalid,
        }
    }

    fn lex_meta_text(&mut self, byte: u8) -> Token {
        let mut byte = byte;
        if is_blank(byte) {
            byte = self.advance_while(is_blank);
            if matches!(byte, 0 | b'\n') {
                return Token::Whitespace;
            }
        }
        if !matches!(byte, 0 | b'\n') {
            self.advance_while(|byte| !matches!(byte, 0 | b'\n'));
        }
        self.then(State::Init, Token::Text)
    }

    fn lex_labels(&mut self, byte: u8) -> Token {
        match byte {
            b'"' if self.quoted() => Token::QuotedString,
            b',' => self.single(State::Labels, Token::Comma),
            b'=' => self.single(State::LabelValue, Token::Equal),
            b'}' => self.single(State::Value, Token::BraceClose),
            _ if is_blank(byte) => self.whitespace(),
            _ if is_label_start(byte) => {
                self.advance_while(is_label_byte);
                Token::LabelName
            }
            _ => Token::Invalid,
        }
    }

    fn lex_value(&mut self, byte: u8) -> Token {
        match byte {
            b'{' => self.single(State::Labels, Token::BraceOpen),
            0 | b'\n' => Token::Invalid,
            _ if is_blank(byte) => self.whitespace(),
            _ => {
                self.advance_while(|byte| !matches!(byte, 0 | b'\t' | b'\n' | b' ' | b'{'));
                self.then(State::Timestamp, Token::Value)
            }
        }
    }

    fn lex_timestamp(&mut self, byte: u8) -> Token {
        match byte {
            b'\n' => self.single(State::Init, Token::Linebreak),
            b'0'..=b'9' => {
                self.advance_while(|byte| byte.is_ascii_digit());
                Token::Timestamp
            }
            _ if is_blank(byte) => self.whitespace(),
            _ => Token::Invalid,
        }
    }

    fn whitespace(&mut self) -> Token {
        self.advance_while(is_blank);
        Token::Whitespace
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

    /// Steps over `"(\\.|[^\\"])*"`; false, at the byte that does not fit, where there is none.
    fn quoted(&mut self) -> bool {
        loop {
            match self.advance() {
                0 => return false,
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

/// Blank within a line.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether an unquoted metric name may start with `byte`.
pub(crate) fn is_metric_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':')
}

/// Whether an unquoted metric name may have `byte`.
pub(crate) fn is_metric_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}

/// Whether an unquoted label name may start with `byte`.
pub(crate) fn is_label_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Whether an unquoted label name may have `byte`.
pub(crate) fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
