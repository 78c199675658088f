//! Tokens, and the words that are keywords.

use model::labels::quote;

use super::ast::{AggregateOp, BinaryOp, Span};
use super::quoting::quote_start;

/// A piece of the query: what it is, where it starts and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) text: &'a str,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    EndOfInput,
    Identifier,
    MetricIdentifier,
    Number,
    Duration,
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    Equal,
    EqualRegex,
    NotEqualRegex,
    At,
    Operator(BinaryOp),
    Aggregator(AggregateOp),
    Keyword(Keyword),
    Query(QueryWord),
}

/// Words that modify what stands before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
}

/// Words that are functions of the query's times where a parenthesis follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryWord {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn span(&self) -> Span {
        Span { start: self.start, end: self.end() }
    }

    /// How an error names the token. Source: `promql/parser/lex.go:Item.desc`.
    pub(super) fn description(&self) -> String {
        let text = self.text;
        match self.kind {
            Kind::EndOfInput => "end of input".to_owned(),
            Kind::Identifier => format!("identifier {}", quote(text)),
            Kind::MetricIdentifier => format!("metric identifier {}", quote(text)),
            Kind::Number => format!("number {}", quote_start(text)),
            Kind::Duration => format!("duration {}", quote_start(text)),
            Kind::String => format!("string {}", quote_start(text)),
            Kind::EqualRegex | Kind::NotEqualRegex | Kind::At | Kind::Operator(_) => format!("<op:{text}>"),
            Kind::Aggregator(_) => format!("<aggr:{text}>"),
            Kind::Keyword(_) => format!("<{text}>"),
            _ => quote_start(text),
        }
    }
}

impl Kind {
    /// Whether the token can stand for a metric's name.
    pub(super) fn can_name_metric(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregator(_) | Self::Query(_) => true,
            Self::Operator(op) => matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless),
            Self::Keyword(word) => matches!(
                word,
                Keyword::By
                    | Keyword::Fill
                    | Keyword::FillLeft
                    | Keyword::FillRight
                    | Keyword::Offset
                    | Keyword::Without
                    | Keyword::Anchored
                    | Keyword::Smoothed
            ),
            _ => false,
        }
    }

    /// Whether the token can stand for a label's name in `by (…)`, `on (…)` and the like.
    pub(super) fn can_name_label(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregator(_) | Self::Query(_) => true,
            Self::Operator(op) => {
                matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2)
            }
            Self::Keyword(word) => word != Keyword::Without,
            _ => false,
        }
    }

    /// Whether an expression can start with the token.
    pub(super) fn starts_expression(self) -> bool {
        matches!(
            self,
            Self::Number
                | Self::Duration
                | Self::String
                | Self::LeftParen
                | Self::LeftBrace
                | Self::Operator(BinaryOp::Add | BinaryOp::Sub)
        ) || self.can_name_metric()
    }
}

/// What a word means, in any case; `None` for names.
pub(super) fn word_kind(word: &str) -> Option<Kind> {
    const LONGEST: usize = 12;
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let kind = match lower.as_str() {
        "and" => Kind::Operator(BinaryOp::And),
        "or" => Kind::Operator(BinaryOp::Or),
        "unless" => Kind::Operator(BinaryOp::Unless),
        "atan2" => Kind::Operator(BinaryOp::Atan2),
        "inf" | "nan" => Kind::Number,
        "offset" => Kind::Keyword(Keyword::Offset),
        "smoothed" => Kind::Keyword(Keyword::Smoothed),
        "anchored" => Kind::Keyword(Keyword::Anchored),
        "by" => Kind::Keyword(Keyword::By),
        "without" => Kind::Keyword(Keyword::Without),
        "on" => Kind::Keyword(Keyword::On),
        "ignoring" => Kind::Keyword(Keyword::Ignoring),
        "group_left" => Kind::Keyword(Keyword::GroupLeft),
        "group_right" => Kind::Keyword(Keyword::GroupRight),
        "fill" => Kind::Keyword(Keyword::Fill),
        "fill_left" => Kind::Keyword(Keyword::FillLeft),
        "fill_right" => Kind::Keyword(Keyword::FillRight),
        "bool" => Kind::Keyword(Keyword::Bool),
        "start" => Kind::Query(QueryWord::Start),
        "end" => Kind::Query(QueryWord::End),
        other => return duration_word_kind(other).or_else(|| aggregator_kind(other)),
    };
    Some(kind)
}

/// What a word means inside `[…]`, in lower case.
pub(super) fn duration_word_kind(word: &str) -> Option<Kind> {
    Some(Kind::Query(match word {
        "step" => QueryWord::Step,
        "range" => QueryWord::Range,
        "max_of" => QueryWord::MaxOf,
        "min_of" => QueryWord::MinOf,
        _ => return None,
    }))
}

fn aggregator_kind(word: &str) -> Option<Kind> {
    AggregateOp::ALL.into_iter().find(|op| op.as_str() == word).map(Kind::Aggregator)
}
