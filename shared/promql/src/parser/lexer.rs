//! Text to tokens. What a character means depends on where it stands: in an expression, between braces or between
//! brackets. Source: `promql/parser/lex.go`, whose errors and positions are kept.

mod number;
mod text;

use super::ast::BinaryOp;
use super::quoting::quote_char;
use super::token::{Keyword, Kind, Token, duration_word_kind, word_kind};

/// Why a text has no tokens. The error reaches to the end of the query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LexError {
    /// Where, in bytes.
    pub(super) start: usize,
    /// What is wrong.
    pub(super) message: String,
}

/// Reads the tokens of a query one by one.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// What comes next.
    pos: usize,
    /// Where the token being read starts.
    start: usize,
    paren_depth: usize,
    in_braces: bool,
    in_brackets: bool,
    /// Whether nothing but signs, functions and parentheses has been read since the `[`.
    in_duration: bool,
    got_colon: bool,
    /// Whether any bracket so far had a number. Like upstream, never unset.
    got_duration: bool,
}

type Lexed<'a> = Result<Token<'a>, LexError>;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            pos: 0,
            start: 0,
            paren_depth: 0,
            in_braces: false,
            in_brackets: false,
            in_duration: false,
            got_colon: false,
            got_duration: false,
        }
    }

    /// The next token, comments and spaces left out. At the end it is [`Kind::EndOfInput`] for ever.
    pub(super) fn next_token(&mut self) -> Lexed<'a> {
        loop {
            self.start = self.pos;
            if self.in_duration {
                while self.peek().is_some_and(is_space) {
                    self.bump();
                }
                self.start = self.pos;
                return self.duration_token();
            }
            match self.peek() {
                Some(c) if is_space(c) => {
                    self.bump();
                }
                Some('#') => {
                    while self.peek().is_some_and(|c| !matches!(c, '\r' | '\n')) {
                        self.bump();
                    }
                }
                _ if self.in_braces => return self.brace_token(),
                _ => return self.expression_token(),
            }
        }
    }

    fn peek(&self) -> Option<char> {
        match self.text.as_bytes().get(self.pos) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            _ => self.text.get(self.pos..)?.chars().next(),
        }
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn bump_if(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let is_wanted = self.peek().is_some_and(wanted);
        if is_wanted {
            self.bump();
        }
        is_wanted
    }

    fn bump_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.bump_if(&wanted) {}
    }

    fn lexeme(&self) -> &'a str {
        self.text.get(self.start..self.pos).unwrap_or_default()
    }

    fn token(&self, kind: Kind) -> Lexed<'a> {
        Ok(Token { kind, start: self.start, text: self.lexeme() })
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, LexError> {
        Err(LexError { start: self.start, message: message.into() })
    }

    /// Like [`Self::fail`], for what upstream notices only after it has made a token of it.
    fn fail_after<T>(&mut self, message: impl Into<String>) -> Result<T, LexError> {
        self.start = self.pos;
        self.fail(message)
    }

    fn expression_token(&mut self) -> Lexed<'a> {
        let Some(c) = self.bump() else { return self.end_of_input() };
        if is_digit(c) || (c == '.' && self.peek().is_some_and(is_digit)) {
            self.pos = self.start;
            return self.number_or_duration();
        }
        if is_alpha(c) || c == ':' {
            return if self.in_brackets { self.bracket_word(c) } else { self.word() };
        }
        match c {
            ',' => self.token(Kind::Comma),
            '*' => self.token(Kind::Operator(BinaryOp::Mul)),
            '/' => self.token(Kind::Operator(BinaryOp::Div)),
            '%' => self.token(Kind::Operator(BinaryOp::Mod)),
            '+' => self.token(Kind::Operator(BinaryOp::Add)),
            '-' => self.token(Kind::Operator(BinaryOp::Sub)),
            '^' => self.token(Kind::Operator(BinaryOp::Pow)),
            '@' => self.token(Kind::At),
            '=' | '!' | '<' | '>' => self.comparison(c),
            '"' | '\'' => self.quoted_string(c),
            '`' => self.raw_string(),
            '(' => self.left_paren(),
            ')' => self.right_paren(),
            '{' => {
                self.in_braces = true;
                self.token(Kind::LeftBrace)
            }
            '[' if self.in_brackets => self.fail(format!("unexpected left bracket {}", quote_char(Some(c)))),
            '[' => {
                self.got_colon = false;
                self.in_brackets = true;
                self.in_duration = true;
                self.token(Kind::LeftBracket)
            }
            ']' if !self.in_brackets => {
                self.fail(format!("unexpected right bracket {}", quote_char(Some(c))))
            }
            ']' => {
                self.in_brackets = false;
                self.token(Kind::RightBracket)
            }
            _ => self.fail(format!("unexpected character: {}", quote_char(Some(c)))),
        }
    }

    fn end_of_input(&self) -> Lexed<'a> {
        if self.paren_depth != 0 {
            return self.fail("unclosed left parenthesis");
        }
        if self.in_brackets {
            return self.fail("unclosed left bracket");
        }
        self.token(Kind::EndOfInput)
    }

    fn comparison(&mut self, c: char) -> Lexed<'a> {
        let next = self.peek();
        let (op, is_long) = match (c, next) {
            ('=', Some('=')) => (BinaryOp::Eq, true),
            ('=', Some('~')) => {
                return self.fail(format!("unexpected character after '=': {}", quote_char(next)));
            }
            ('=', _) => return self.token(Kind::Equal),
            ('!', Some('=')) => (BinaryOp::Ne, true),
            ('!', _) => return self.fail(format!("unexpected character after '!': {}", quote_char(next))),
            ('<', Some('=')) => (BinaryOp::Le, true),
            ('<', Some('/')) => (BinaryOp::TrimUpper, true),
            ('<', _) => (BinaryOp::Lt, false),
            (_, Some('=')) => (BinaryOp::Ge, true),
            (_, Some('/')) => (BinaryOp::TrimLower, true),
            _ => (BinaryOp::Gt, false),
        };
        if is_long {
            self.bump();
        }
        self.token(Kind::Operator(op))
    }

    fn left_paren(&mut self) -> Lexed<'a> {
        self.paren_depth += 1;
        self.token(Kind::LeftParen)
    }

    fn right_paren(&mut self) -> Lexed<'a> {
        let Some(depth) = self.paren_depth.checked_sub(1) else {
            return self.fail_after("unexpected right parenthesis ')'");
        };
        self.paren_depth = depth;
        self.token(Kind::RightParen)
    }

    fn word(&mut self) -> Lexed<'a> {
        self.bump_while(|c| is_alphanumeric(c) || c == ':');
        let word = self.lexeme();
        let kind = match word_kind(word) {
            Some(Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.paren_follows() =>
            {
                Kind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        };
        self.token(kind)
    }

    /// So that metrics named `fill` stay usable.
    fn paren_follows(&self) -> bool {
        self.text.get(self.pos..).is_some_and(|rest| rest.trim_start_matches(is_space).starts_with('('))
    }

    /// A word or colon between brackets, after a number.
    fn bracket_word(&mut self, first: char) -> Lexed<'a> {
        if first == ':' {
            if self.got_colon {
                return self.fail("unexpected colon ':'");
            }
            self.got_colon = true;
            return self.token(Kind::Colon);
        }
        match self.duration_word(first) {
            Some(kind) => self.token(kind),
            None => self.fail(format!("unexpected character: {}, expected ':'", quote_char(Some(first)))),
        }
    }

    fn duration_word(&mut self, first: char) -> Option<Kind> {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        self.bump_while(is_alpha);
        duration_word_kind(&self.lexeme().to_ascii_lowercase())
    }

    /// Between brackets until the first number, which ends this mode.
    fn duration_token(&mut self) -> Lexed<'a> {
        let Some(c) = self.bump() else {
            return self.fail("unexpected end of input in duration expression");
        };
        match c {
            ']' => {
                self.in_brackets = false;
                self.in_duration = false;
                self.got_colon = false;
                self.token(Kind::RightBracket)
            }
            ':' if !self.got_duration => {
                self.fail_after("unexpected colon before duration in duration expression")
            }
            ':' if self.got_colon => self.fail_after("unexpected repeated colon in duration expression"),
            ':' => {
                self.got_colon = true;
                self.token(Kind::Colon)
            }
            '(' => self.left_paren(),
            ')' => self.right_paren(),
            '+' => self.token(Kind::Operator(BinaryOp::Add)),
            '-' => self.token(Kind::Operator(BinaryOp::Sub)),
            '*' => self.token(Kind::Operator(BinaryOp::Mul)),
            '/' => self.token(Kind::Operator(BinaryOp::Div)),
            '%' => self.token(Kind::Operator(BinaryOp::Mod)),
            '^' => self.token(Kind::Operator(BinaryOp::Pow)),
            ',' => self.token(Kind::Comma),
            _ if is_digit(c) || (c == '.' && self.peek().is_some_and(is_digit)) => {
                self.pos = self.start;
                self.got_duration = true;
                self.in_duration = false;
                self.number_or_duration()
            }
            _ => match self.duration_word(c) {
                Some(kind) => self.token(kind),
                None => {
                    self.fail(format!("unexpected character in duration expression: {}", quote_char(Some(c))))
                }
            },
        }
    }

    /// Between braces every word is a label's name.
    fn brace_token(&mut self) -> Lexed<'a> {
        let Some(c) = self.bump() else { return self.fail("unexpected end of input inside braces") };
        if is_alpha(c) {
            self.bump_while(is_alphanumeric);
            return self.token(Kind::Identifier);
        }
        match c {
            ',' => self.token(Kind::Comma),
            '"' | '\'' => self.quoted_string(c),
            '`' => self.raw_string(),
            '=' if self.bump_if(|c| c == '~') => self.token(Kind::EqualRegex),
            '=' => self.token(Kind::Equal),
            '!' if self.bump_if(|c| c == '~') => self.token(Kind::NotEqualRegex),
            '!' if self.bump_if(|c| c == '=') => self.token(Kind::Operator(BinaryOp::Ne)),
            '!' => {
                let next = self.peek();
                self.fail(format!("unexpected character after '!' inside braces: {}", quote_char(next)))
            }
            '{' => self.fail("unexpected left brace '{'"),
            '}' => {
                self.in_braces = false;
                self.token(Kind::RightBrace)
            }
            _ => self.fail(format!("unexpected character inside braces: {}", quote_char(Some(c)))),
        }
    }
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests;
