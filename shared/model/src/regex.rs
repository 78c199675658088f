//! Prometheus's regular expressions: Go's RE2 dialect, fully anchored, `.` matching newline.
//!
//! Rust's `regex` accepts nearly the same language in the same linear time. What differs is translated, and errors are
//! in Go's words: see [`dialect`].

mod dialect;

use std::sync::Arc;

use regex::Regex;

/// Largest compiled program in bytes: a pattern that would need more is refused.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// Why a pattern is refused, in Go's words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("error parsing regexp: {message}: `{part}`")]
pub struct RegexError {
    /// What is wrong.
    pub message: String,
    /// The part of the pattern that is wrong.
    pub part: String,
}

impl RegexError {
    fn new(message: &str, part: &str) -> Self {
        Self { message: message.to_owned(), part: part.to_owned() }
    }
}

/// A compiled, fully anchored regular expression. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AnchoredRegex {
    regex: Arc<Regex>,
    alternatives: Option<Arc<[String]>>,
}

impl AnchoredRegex {
    /// Compiles `pattern` as `^(?s:pattern)$`.
    ///
    /// # Errors
    /// Where it is not a regular expression of Go's dialect or would need too much memory.
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        // Translated alone, so that `a)(b` does not become valid by being wrapped.
        let translated = dialect::translate(pattern)?;
        let regex = compile(pattern, &format!("^(?s:{translated})$"))?;
        Ok(Self { regex: Arc::new(regex), alternatives: plain_alternatives(pattern) })
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        match &self.alternatives {
            Some(alternatives) => alternatives.iter().any(|alternative| alternative == text),
            None => self.regex.is_match(text),
        }
    }

    /// The compiled expression, for captures.
    #[must_use]
    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// `template` with `$1`, `${1}`, `$name`, `$$` replaced by what `text` captured, as Go's `Regexp.Expand` does; or
    /// `None` where `text` does not match.
    #[must_use]
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let mut out = String::new();
        captures.expand(template, &mut out);
        Some(out)
    }

    /// The values that can match, where the pattern is plain alternatives.
    #[must_use]
    pub fn alternatives(&self) -> Option<Vec<&str>> {
        Some(self.alternatives.as_ref()?.iter().map(String::as_str).collect())
    }
}

fn compile(pattern: &str, translated: &str) -> Result<Regex, RegexError> {
    regex::RegexBuilder::new(translated).size_limit(COMPILED_BYTES_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => RegexError::new("expression too large", pattern),
        _ => RegexError::new("expression nests too deeply", pattern),
    })
}

fn plain_alternatives(pattern: &str) -> Option<Arc<[String]>> {
    let plain =
        |c: char| !matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$');
    if !pattern.chars().all(plain) {
        return None;
    }
    Some(pattern.split('|').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_only_syntax_is_understood() {
        for (pattern, yes, no) in [
            (r"a{x}", "a{x}", "ax"),
            (r"a{,2}", "a{,2}", "aa"),
            (r"\Qa.b\E+", "a.bb", "axb"),
            (r"\d+", "12", "١٢"),
            (r"[\w-]+", "a-b", "é"),
            (r"[a&&b]", "&", "c"),
            (r"[]a]", "]", "b"),
            (r"[^]a]", "b", "]"),
            (r"[[:alpha:]_]+", "a_", "1"),
        ] {
            let regex = AnchoredRegex::new(pattern).unwrap();
            assert!(regex.is_match(yes), "{pattern} should match {yes}");
            assert!(!regex.is_match(no), "{pattern} should not match {no}");
        }
    }

    #[test]
    fn a_pattern_must_be_valid_by_itself() {
        assert!(AnchoredRegex::new("a)(b").is_err());
        assert!(AnchoredRegex::new("(").is_err());
    }
}
