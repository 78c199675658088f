//! Strings: where they end, and whether their escapes are sound. What they say is found in `literal`.

use super::{LexError, Lexed, Lexer};
use crate::parser::quoting::unicode_char;
use crate::parser::token::Kind;

impl<'a> Lexer<'a> {
    /// After the opening quote, `"` or `'`.
    pub(super) fn quoted_string(&mut self, quote: char) -> Lexed<'a> {
        loop {
            match self.bump() {
                Some('\\') => self.escape(quote)?,
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                None | Some('\n') => return self.fail("unterminated quoted string"),
                Some(c) if c == quote => return self.token(Kind::String),
                Some(_) => {}
            }
        }
    }

    /// After the opening backtick.
    pub(super) fn raw_string(&mut self) -> Lexed<'a> {
        loop {
            match self.bump() {
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                None => return self.fail("unterminated raw string"),
                Some('`') => return self.token(Kind::String),
                Some(_) => {}
            }
        }
    }

    /// After a backslash.
    fn escape(&mut self, quote: char) -> Result<(), LexError> {
        let Some(c) = self.bump() else { return self.fail("escape sequence not terminated") };
        let (digits, base, max) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            _ if c == quote => return Ok(()),
            '0'..='7' => {
                self.pos -= 1;
                (3, 8, 0xff)
            }
            'x' => (2, 16, 0xff),
            'u' => (4, 16, u32::from(char::MAX)),
            'U' => (8, 16, u32::from(char::MAX)),
            _ => return self.fail(format!("unknown escape sequence {}", unicode_char(c))),
        };
        let mut code: u32 = 0;
        for _ in 0..digits {
            let Some(c) = self.bump() else { return self.fail("escape sequence not terminated") };
            let Some(digit) = c.to_digit(base) else {
                return self.fail(format!("illegal character {} in escape sequence", unicode_char(c)));
            };
            code = code.wrapping_mul(base).wrapping_add(digit);
        }
        if code > max || (0xd800..0xe000).contains(&code) {
            return self.fail("escape sequence is an invalid Unicode code point");
        }
        Ok(())
    }
}
