//! Prometheus's regular expressions: Go's RE2 dialect, fully anchored, `.` matching newline.
//!
//! Rust's `regex` accepts nearly the same language in the same linear time. What differs is translated here:
//! - `\d \w \s \b` are ASCII in Go: perl classes are rewritten to be ASCII.
//! - A `{` that does not start a repetition is a literal in Go.
//! - `\Q…\E` quotes in Go.
//! - `&&`, `--`, `~~` and a nested `[` inside a class are literals in Go.

use std::sync::Arc;

use regex::Regex;

/// Largest compiled program in bytes: a pattern that would need more is refused.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// Why a pattern is refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("error parsing regexp: {message}: `{pattern}`")]
pub struct RegexError {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub message: String,
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
        let translated = translate(pattern);
        // Alone first: `a)(b` must not become valid by being wrapped.
        check(pattern, &translated)?;
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

/// Compiles `pattern` as Go's `regexp.Compile` does: not anchored, `.` not matching newline.
///
/// # Errors
/// Where it is not a regular expression of Go's dialect or would need too much memory.
pub fn unanchored(pattern: &str) -> Result<Regex, RegexError> {
    let translated = translate(pattern);
    check(pattern, &translated)?;
    compile(pattern, &translated)
}

fn check(pattern: &str, translated: &str) -> Result<(), RegexError> {
    regex_syntax::Parser::new().parse(translated).map(|_| ()).map_err(|error| {
        let message = match &error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            _ => "invalid syntax".to_owned(),
        };
        RegexError { pattern: pattern.to_owned(), message }
    })
}

fn compile(pattern: &str, translated: &str) -> Result<Regex, RegexError> {
    regex::RegexBuilder::new(translated).size_limit(COMPILED_BYTES_MAX).build().map_err(|error| RegexError {
        pattern: pattern.to_owned(),
        message: match error {
            regex::Error::CompiledTooBig(_) => "expression too large".to_owned(),
            _ => "invalid syntax".to_owned(),
        },
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

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        if c == '\\' {
            let Some(escaped) = tail.chars().next() else {
                out.push('\\');
                break;
            };
            rest = &tail[escaped.len_utf8()..];
            match escaped {
                'Q' if !in_class => {
                    let (literal, after) = rest.split_once("\\E").unwrap_or((rest, ""));
                    out.push_str(&regex_syntax::escape(literal));
                    rest = after;
                }
                'd' | 'D' | 's' | 'S' | 'w' | 'W' => out.push_str(ascii_class(escaped, in_class)),
                'b' => out.push_str("(?-u:\\b)"),
                'B' => out.push_str("(?-u:\\B)"),
                _ => {
                    out.push('\\');
                    out.push(escaped);
                }
            }
            continue;
        }
        rest = tail;
        if in_class {
            match c {
                ']' => in_class = false,
                '[' if !tail.starts_with(':') => out.push('\\'),
                '&' | '~' => out.push('\\'),
                '-' if tail.starts_with('-') => out.push('\\'),
                _ => {}
            }
            out.push(c);
            if c == '[' && tail.starts_with(':') {
                // A POSIX class such as [:alpha:] goes through whole.
                if let Some(end) = tail.find(":]") {
                    out.push_str(&tail[..end + 2]);
                    rest = &tail[end + 2..];
                }
            }
        } else if c == '[' {
            in_class = true;
            out.push(c);
            for first in ['^', ']'] {
                if rest.starts_with(first) {
                    if first == ']' {
                        out.push('\\');
                    }
                    out.push(first);
                    rest = &rest[1..];
                }
            }
        } else if c == '{' && !starts_repetition(tail) {
            out.push_str("\\{");
        } else {
            out.push(c);
        }
    }
    out
}

fn ascii_class(class: char, in_class: bool) -> &'static str {
    match (class, in_class) {
        ('d', true) => "0-9",
        ('d', false) => "[0-9]",
        ('D', _) => "[^0-9]",
        ('s', true) => "\\t\\n\\x0C\\r ",
        ('s', false) => "[\\t\\n\\x0C\\r ]",
        ('S', _) => "[^\\t\\n\\x0C\\r ]",
        ('w', true) => "0-9A-Za-z_",
        ('w', false) => "[0-9A-Za-z_]",
        _ => "[^0-9A-Za-z_]",
    }
}

/// Whether what follows a `{` makes it a repetition: `n}`, `n,}` or `n,m}`.
fn starts_repetition(tail: &str) -> bool {
    let Some((body, _)) = tail.split_once('}') else { return false };
    let (low, high) = body.split_once(',').unwrap_or((body, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
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
