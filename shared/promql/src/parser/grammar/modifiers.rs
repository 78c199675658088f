//! What stands behind an operator, `bool on (…) group_left (…) fill (0)`, and lists of labels.

use super::{Kind, Parsed, Parser};
use crate::parser::ast::{BinaryOp, Cardinality, VectorMatching};
use crate::parser::token::Keyword;
use model::labels::quote;

use model::labels::quote_bytes;

const GROUPING: &str = "grouping opts";

impl Parser<'_> {
    /// Whether results are 0 and 1, and how samples are matched.
    pub(super) fn operator_modifiers(&mut self) -> Parsed<(bool, VectorMatching)> {
        let mut matching = VectorMatching {
            cardinality: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        let return_bool = self.take(Kind::Keyword(Keyword::Bool))?;
        if let Kind::Keyword(word @ (Keyword::On | Keyword::Ignoring)) = self.peek()?.kind {
            self.advance()?;
            matching.on = word == Keyword::On;
            matching.labels = self.label_list()?;
            if let Kind::Keyword(word @ (Keyword::GroupLeft | Keyword::GroupRight)) = self.peek()?.kind {
                self.advance()?;
                matching.cardinality = match word {
                    Keyword::GroupLeft => Cardinality::ManyToOne,
                    _ => Cardinality::OneToMany,
                };
                // A list, or the right operand: whatever else is next should have opened a list.
                let next = self.peek()?.kind;
                if next == Kind::LeftParen || !next.starts_expression() {
                    matching.include = self.label_list()?;
                }
            }
        }
        self.fill_modifiers(&mut matching)?;
        Ok((return_bool, matching))
    }

    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        if self.take(Kind::Keyword(Keyword::Fill))? {
            let value = self.fill_value()?;
            matching.fill_left = Some(value);
            matching.fill_right = Some(value);
        } else if self.take(Kind::Keyword(Keyword::FillLeft))? {
            matching.fill_left = Some(self.fill_value()?);
            if self.take(Kind::Keyword(Keyword::FillRight))? {
                matching.fill_right = Some(self.fill_value()?);
            }
        } else if self.take(Kind::Keyword(Keyword::FillRight))? {
            matching.fill_right = Some(self.fill_value()?);
            if self.take(Kind::Keyword(Keyword::FillLeft))? {
                matching.fill_left = Some(self.fill_value()?);
            }
        }
        Ok(())
    }

    /// `(1)`, `(-5m)`
    fn fill_value(&mut self) -> Parsed<f64> {
        self.expect(Kind::LeftParen)?;
        let sign = match self.peek()?.kind {
            Kind::Operator(BinaryOp::Add) => Some(1.0),
            Kind::Operator(BinaryOp::Sub) => Some(-1.0),
            _ => None,
        };
        if sign.is_some() {
            self.advance()?;
        }
        let token = self.peek()?;
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected(token));
        }
        self.advance()?;
        let value = self.number(token)?;
        self.expect(Kind::RightParen)?;
        Ok(sign.map_or(value, |sign| sign * value))
    }

    /// `(a, b, "quoted")`, with or without a comma at the end.
    pub(super) fn label_list(&mut self) -> Parsed<Vec<String>> {
        let open = self.peek()?;
        if open.kind != Kind::LeftParen {
            return Err(self.unexpected_in(open, (GROUPING, "\"(\"")));
        }
        self.advance()?;
        let mut labels = Vec::new();
        loop {
            if self.take(Kind::RightParen)? {
                return Ok(labels);
            }
            labels.push(self.label()?);
            if !self.take(Kind::Comma)? {
                break;
            }
        }
        let token = self.peek()?;
        if token.kind != Kind::RightParen {
            return Err(self.unexpected_in(token, (GROUPING, "\",\" or \")\"")));
        }
        self.advance()?;
        Ok(labels)
    }

    fn label(&mut self) -> Parsed<String> {
        let token = self.peek()?;
        if token.kind.can_name_label() {
            self.advance()?;
            return Ok(token.text.to_owned());
        }
        if token.kind != Kind::String {
            return Err(self.unexpected_in(token, (GROUPING, "label")));
        }
        self.advance()?;
        let invalid =
            |name: String| self.error(token.span(), format!("invalid label name for grouping: {name}"));
        match String::from_utf8(self.unquote(token)?) {
            Ok(name) if name.is_empty() => Err(invalid(quote(&name))),
            Ok(name) => Ok(name),
            Err(error) => Err(invalid(quote_bytes(error.as_bytes()))),
        }
    }
}
