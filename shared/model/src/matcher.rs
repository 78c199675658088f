//! Label matchers: `name="value"`, `!=`, `=~`, `!~`.

use std::fmt;

use crate::labels::{Labels, is_legacy_label_name, quote};
use crate::regex::{AnchoredRegex, RegexError};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as it is written in PromQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// Why a matcher cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    /// The pattern is not a regular expression.
    #[error(transparent)]
    Regex(#[from] RegexError),
}

/// One condition on one label. Compiled once; cheap to clone.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<AnchoredRegex>,
}

impl Matcher {
    /// A matcher of any kind.
    ///
    /// # Errors
    /// Where `op` is a regular expression match and `value` is not a regular expression.
    pub fn new(op: MatchOp, name: impl Into<String>, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(AnchoredRegex::new(&value)?),
        };
        Ok(Self { name, op, value, regex })
    }

    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or pattern as written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label value satisfies it; an absent label has the empty value.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let regex_matches = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => regex_matches(),
            MatchOp::NotRegex => !regex_matches(),
        }
    }

    /// Whether a series that lacks the label satisfies it.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// For `=` and for regular expressions that are plain alternatives (`a|b|c`): the only values that can match.
    #[must_use]
    pub fn set_matches(&self) -> Option<Vec<&str>> {
        match self.op {
            MatchOp::Equal => Some(vec![&self.value]),
            MatchOp::Regex => self.regex.as_ref().and_then(AnchoredRegex::alternatives),
            MatchOp::NotEqual | MatchOp::NotRegex => None,
        }
    }
}

/// Whether `labels` satisfy every one of `matchers`.
#[must_use]
pub fn matches_all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.value(&matcher.name)))
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.name, self.op, &self.value).cmp(&(&other.name, other.op, &other.value))
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_legacy_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            f.write_str(&quote(&self.name))?;
        }
        write!(f, "{}{}", self.op.as_str(), quote(&self.value))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_expression_is_anchored_and_dot_matches_newline() {
        let matcher = Matcher::new(MatchOp::Regex, "a", "x.y").unwrap();
        assert!(matcher.matches("x\ny"));
        assert!(!matcher.matches("xxyy"));
    }

    #[test]
    fn plain_alternatives_are_known_as_a_set() {
        let matcher = Matcher::new(MatchOp::Regex, "a", "web|db|api").unwrap();
        assert_eq!(matcher.set_matches(), Some(vec!["web", "db", "api"]));
        assert_eq!(Matcher::new(MatchOp::Regex, "a", "we.|db").unwrap().set_matches(), None);
    }
    fn parse(text: &str) -> Matcher {
        let at = text.find(['=', '!']).unwrap();
        let (name, rest) = text.split_at(at);
        let ops = [
            ("=~", MatchOp::Regex),
            ("!~", MatchOp::NotRegex),
            ("!=", MatchOp::NotEqual),
            ("=", MatchOp::Equal),
        ];
        let (sign, op) = ops.into_iter().find(|(sign, _)| rest.starts_with(sign)).unwrap();
        Matcher::new(op, name, rest[sign.len()..].trim_matches('"')).unwrap()
    }

    #[test]
    fn matchers_match_as_in_prometheus() {
        let Some(cases) = fixtures::json("labels/json/TestMatcher_tests.json") else { return };
        for case in cases.as_array().unwrap() {
            let matcher = parse(case["matcher"].as_str().unwrap());
            let expected = case["match"].as_bool().unwrap();
            assert_eq!(matcher.matches(case["value"].as_str().unwrap()), expected, "{case}");
            assert_eq!(matcher.to_string(), case["matcher"].as_str().unwrap());
        }
    }
}
