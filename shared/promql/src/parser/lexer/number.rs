//! Numbers (`1e3`, `0x1F`, `1_000`) and durations (`1h30m`). Only their extent is found here; their value is
//! found, and what is malformed refused, in `literal`.

use super::{Lexed, Lexer, is_alphanumeric, is_digit};
use crate::parser::token::Kind;
use model::labels::quote;

impl<'a> Lexer<'a> {
    pub(super) fn number_or_duration(&mut self) -> Lexed<'a> {
        if self.scan_number() {
            return self.token(Kind::Number);
        }
        // What was read of the number goes on: `5m` has its digits behind it.
        if self.scan_units() {
            return self.token(Kind::Duration);
        }
        let seen = self.lexeme();
        self.fail(format!("bad number or duration syntax: {}", quote(seen)))
    }

    /// Reads as much as looks like a number, and tells whether it is one. Source: `lex.go:scanNumber`.
    fn scan_number(&mut self) -> bool {
        let is_hex = self.bump_if(|c| c == '0') && self.bump_if(|c| matches!(c, 'x' | 'X'));
        if is_hex {
            self.bump_if(|c| c == '_');
        }
        let is_number_digit = |c: char| if is_hex { c.is_ascii_hexdigit() } else { is_digit(c) };
        self.bump_if(|c| c == '.');
        self.bump_if(is_number_digit);
        let (mut got_dot, mut got_exponent) = (false, false);
        while let Some(c) = self.peek() {
            let is_exponent = matches!(c, 'e' | 'E');
            if c == '.' && got_dot || is_exponent && got_exponent {
                self.bump();
                return false;
            }
            match c {
                '.' => {
                    got_dot = true;
                    self.bump();
                    if self.bump_if(|c| matches!(c, '_' | '.')) || is_hex {
                        return false;
                    }
                }
                'e' | 'E' => {
                    got_exponent = true;
                    self.bump();
                    self.bump_if(|c| matches!(c, '+' | '-'));
                    if self.bump_if(ends_badly) || self.peek().is_none() {
                        return false;
                    }
                }
                '_' => {
                    self.bump();
                    if self.bump_if(ends_badly) || self.peek().is_none() {
                        return false;
                    }
                }
                _ if is_number_digit(c) => self.bump_while(is_number_digit),
                _ => break,
            }
        }
        self.pos != self.start && !self.peek().is_some_and(is_alphanumeric)
    }

    /// Reads units, and further numbers with units. Source: `lex.go:acceptRemainingDuration`.
    fn scan_units(&mut self) -> bool {
        if !self.bump_if(|c| "smhdwy".contains(c)) {
            return false;
        }
        self.bump_if(|c| c == 's');
        while self.bump_if(is_digit) {
            self.bump_while(is_digit);
            if !self.bump_if(|c| "smhdw".contains(c)) {
                return false;
            }
            self.bump_if(|c| c == 's');
        }
        // What makes it bad belongs to what the error shows.
        !self.bump_if(is_alphanumeric)
    }
}

fn ends_badly(c: char) -> bool {
    matches!(c, '.' | '_' | 'e' | 'E')
}
