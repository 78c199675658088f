//! Splits a template's text into tokens, as Go's `text/template/parse` does, so that errors name the same tokens.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The lexer gave up; the value says why.
    Error,
    Bool,
    /// A printable ASCII character that means nothing by itself.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Dot,
    /// `block`, `break`, `if` …: the value is the word.
    Keyword(Keyword),
    Nil,
}

/// Words with a meaning of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Byte offset in the text.
    pub(super) at: usize,
    pub(super) text: String,
    /// The line that it starts on, from 1.
    pub(super) line: usize,
}

impl Token {
    /// As error messages show it.
    pub(super) fn describe(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.text.clone(),
            Kind::Keyword(_) | Kind::Dot | Kind::Nil => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                format!("{}...", model::labels::quote(&start))
            }
            _ => model::labels::quote(&self.text),
        }
    }
}

/// The tokens of `text`. The last is `Eof` or `Error`.
pub(super) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, start: 0, line: 1, start_line: 1, tokens: Vec::new() };
    lexer.text_state();
    lexer.tokens
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    start: usize,
    line: usize,
    start_line: usize,
    tokens: Vec<Token>,
}

/// Whether lexing goes on.
type Going = bool;

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn value(&self) -> &'a str {
        self.text.get(self.start..self.at).unwrap_or("")
    }

    fn emit(&mut self, kind: Kind) -> Going {
        let text = self.value().to_owned();
        self.tokens.push(Token { kind, at: self.start, text, line: self.start_line });
        self.start = self.at;
        self.start_line = self.line;
        true
    }

    fn error(&mut self, message: impl Into<String>) -> Going {
        let (at, line) = (self.start, self.start_line);
        self.tokens.push(Token { kind: Kind::Error, at, text: message.into(), line });
        false
    }

    /// Moves on by `bytes` and forgets what was passed.
    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.line += newlines(self.value());
        self.start = self.at;
        self.start_line = self.line;
    }

    /// Alternates between text and actions until the end or an error.
    fn text_state(&mut self) {
        loop {
            let Some(length) = self.rest().find("{{") else {
                self.at = self.text.len();
                self.line += newlines(self.value());
                if self.at > self.start {
                    self.emit(Kind::Text);
                }
                self.emit(Kind::Eof);
                return;
            };
            if length > 0 {
                let after = self.text.get(self.at + length + 2..).unwrap_or("");
                let whole = self.rest().get(..length).unwrap_or("");
                let kept = if has_left_trim_marker(after) { whole.trim_end_matches(SPACES) } else { whole };
                let trimmed = whole.len() - kept.len();
                self.at += kept.len();
                self.line += newlines(kept);
                if kept.is_empty() {
                    self.start = self.at;
                } else {
                    self.emit(Kind::Text);
                }
                self.skip(trimmed);
            }
            if !self.action() {
                return;
            }
        }
    }

    /// An action or a comment, from its left delimiter to its right one.
    fn action(&mut self) -> Going {
        let after = self.rest().get(2..).unwrap_or("");
        let marker = if has_left_trim_marker(after) { 2 } else { 0 };
        if after.get(marker..).is_some_and(|rest| rest.starts_with("/*")) {
            self.skip(2 + marker);
            return self.comment();
        }
        self.at += 2;
        self.emit(Kind::LeftDelim);
        self.skip(marker);
        let mut parens = 0usize;
        loop {
            if let Some(trim) = self.at_right_delim() {
                if parens > 0 {
                    return self.error("unclosed left paren");
                }
                return self.right_delim(trim);
            }
            if !self.inside_action(&mut parens) {
                return false;
            }
        }
    }

    fn comment(&mut self) -> Going {
        self.at += 2;
        let Some(length) = self.rest().find("*/") else { return self.error("unclosed comment") };
        self.at += length + 2;
        let Some(trim) = self.at_right_delim() else {
            return self.error("comment ends before closing delimiter");
        };
        let mut skipped = if trim { 4 } else { 2 };
        if trim {
            skipped += leading_spaces(self.rest().get(skipped..).unwrap_or(""));
        }
        self.skip(skipped);
        true
    }

    /// Whether here is a right delimiter, and if so whether it trims.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest) && rest.get(2..).is_some_and(|rest| rest.starts_with("}}")) {
            return Some(true);
        }
        rest.starts_with("}}").then_some(false)
    }

    fn right_delim(&mut self, trim: bool) -> Going {
        if trim {
            self.skip(2);
        }
        self.at += 2;
        self.emit(Kind::RightDelim);
        if trim {
            self.skip(leading_spaces(self.rest()));
        }
        true
    }

    fn inside_action(&mut self, parens: &mut usize) -> Going {
        let Some(c) = self.next() else { return self.error("unclosed action") };
        match c {
            c if SPACES.contains(&c) => self.spaces(),
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.next() == Some('=') {
                    self.emit(Kind::Declare)
                } else {
                    self.error("expected :=")
                }
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => self.raw_string(),
            '$' => self.field_or_variable(Kind::Variable),
            '.' if self.peek().is_some_and(|c| !c.is_ascii_digit()) => self.field_or_variable(Kind::Field),
            '.' | '+' | '-' | '0'..='9' => {
                self.at = self.start;
                self.number()
            }
            c if is_alphanumeric(c) => self.identifier(),
            '(' => {
                *parens += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => match parens.checked_sub(1) {
                Some(left) => {
                    *parens = left;
                    self.emit(Kind::RightParen)
                }
                None => self.error("unexpected right paren"),
            },
            ' '..='~' => self.emit(Kind::Char),
            c => self.error(format!("unrecognized character in action: {}", describe_char(c))),
        }
    }

    fn spaces(&mut self) -> Going {
        // The last space belongs to a right delimiter that trims.
        while self.peek().is_some_and(|c| SPACES.contains(&c)) && self.at_right_delim().is_none() {
            self.next();
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Going {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = match self.value() {
            "block" => Kind::Keyword(Keyword::Block),
            "break" => Kind::Keyword(Keyword::Break),
            "continue" => Kind::Keyword(Keyword::Continue),
            "define" => Kind::Keyword(Keyword::Define),
            "else" => Kind::Keyword(Keyword::Else),
            "end" => Kind::Keyword(Keyword::End),
            "if" => Kind::Keyword(Keyword::If),
            "range" => Kind::Keyword(Keyword::Range),
            "template" => Kind::Keyword(Keyword::Template),
            "with" => Kind::Keyword(Keyword::With),
            "nil" => Kind::Nil,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    fn field_or_variable(&mut self, kind: Kind) -> Going {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable { kind } else { Kind::Dot });
        }
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind)
    }

    fn bad_character(&mut self) -> Going {
        let c = self.peek().unwrap_or(char::REPLACEMENT_CHARACTER);
        self.error(format!("bad character {}", describe_char(c)))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => SPACES.contains(&c) || self.rest().starts_with("}}"),
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Going {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return self.error(unterminated);
                    }
                }
                None | Some('\n') => return self.error(unterminated),
                Some(c) if c == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Going {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Kind::RawString),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Going {
        let good = self.scan_number();
        if good && !matches!(self.peek(), Some('+' | '-')) {
            return self.emit(Kind::Number);
        }
        if good && self.scan_number() && self.value().ends_with('i') {
            return self.emit(Kind::Complex);
        }
        let text = model::labels::quote(self.value());
        self.error(format!("bad number syntax: {text}"))
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        while self.accept(digits) {}
        if self.accept(".") {
            while self.accept(digits) {}
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            while self.accept("0123456789_") {}
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }

    fn accept(&mut self, valid: &str) -> bool {
        let accepted = self.peek().is_some_and(|c| valid.contains(c));
        if accepted {
            self.next();
        }
        accepted
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}

fn leading_spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(SPACES).len()
}

fn has_left_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(|c| SPACES.contains(&c))
}

fn has_right_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| SPACES.contains(&c)) && chars.next() == Some('-')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Go's `%#U`: `U+002A '*'`.
fn describe_char(c: char) -> String {
    let code = format!("U+{:04X}", u32::from(c));
    let printable = c == ' ' || !(c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER);
    if printable { format!("{code} '{c}'") } else { code }
}
