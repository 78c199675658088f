//! Prometheus's regular expressions: Go's RE2 dialect, fully anchored, `.` matching newline.
//!
//! Rust's `regex` accepts nearly the same language in the same linear time. What differs is translated, and errors are
//! in Go's words: see [`dialect`].

mod dialect;
mod expand;

use std::sync::Arc;

use regex::Regex;

/// Largest compiled program in bytes: a pattern that would need more is refused.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// Why a pattern is refused, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

    /// As [`AnchoredRegex::new`], but with the error that Go gives for the pattern inside `^(?s:…)$`, which is how
    /// Prometheus's relabelling hands it to Go.
    ///
    /// # Errors
    /// As [`AnchoredRegex::new`].
    pub fn new_for_relabelling(pattern: &str) -> Result<Self, RegexError> {
        Self::new(pattern).map_err(|error| match dialect::translate(&format!("^(?s:{pattern})$")) {
            Err(wrapped) => wrapped,
            // `a)(b` is balanced once it is wrapped, and still refused.
            Ok(_) => error,
        })
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
        Some(expand::expand(&captures, template))
    }

    /// The values that can match, where the pattern is plain alternatives.
    #[must_use]
    pub fn alternatives(&self) -> Option<Vec<&str>> {
        Some(self.alternatives.as_ref()?.iter().map(String::as_str).collect())
    }
}

/// A compiled regular expression that may match anywhere, `.` not matching newline: Go's `regexp.Compile`.
#[derive(Clone, Debug)]
pub struct SearchRegex {
    regex: Regex,
}

impl SearchRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// As [`AnchoredRegex::new`].
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        let translated = dialect::translate(pattern)?;
        Ok(Self { regex: compile(pattern, &translated)? })
    }

    /// Whether some part of `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// `text` with each match replaced by `template`, as Go's `Regexp.ReplaceAllString` does. Replacing ends with the
    /// match that makes the result longer than `bytes_max`.
    #[must_use]
    pub fn replace_all(&self, text: &str, template: &str, bytes_max: usize) -> String {
        let mut out = String::new();
        let mut rest_from = 0;
        for captures in self.regex.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            out.push_str(text.get(rest_from..whole.start()).unwrap_or(""));
            out.push_str(&expand::expand(&captures, template));
            rest_from = whole.end();
            if out.len() > bytes_max {
                break;
            }
        }
        out.push_str(text.get(rest_from..).unwrap_or(""));
        out
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
            (r"\p{Greek}+\x{41}", "αA", "aA"),
            (r"\101\0", "A\0", "101"),
            (r"\<b\>", "<b>", "b"),
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

    #[test]
    fn errors_are_those_of_go() {
        for (pattern, alone, wrapped) in [
            ("(foo", "missing closing ): `(foo`", "missing closing ): `^(?s:(foo)$`"),
            ("a)", "unexpected ): `a)`", "unexpected ): `^(?s:a))$`"),
            ("*foo", "missing argument to repetition operator: `*`", ""),
            ("[a", "missing closing ]: `[a`", "missing closing ]: `[a)$`"),
            ("[b-a]", "invalid character class range: `b-a`", ""),
            ("a\\", "trailing backslash at end of expression: ``", "missing closing ): `^(?s:a\\)$`"),
            ("a(?xi)b", "invalid or unsupported Perl syntax: `(?x`", ""),
            ("(?=x)", "invalid or unsupported Perl syntax: `(?=`", ""),
            (r"\1", r"invalid escape sequence: `\1`", ""),
            (r"a\y", r"invalid escape sequence: `\y`", ""),
            ("a{2,1}", "invalid repeat count: `{2,1}`", ""),
            ("a{1001}", "invalid repeat count: `{1001}`", ""),
            ("a**", "invalid nested repetition operator: `**`", ""),
            ("x(a+)?*b", "invalid nested repetition operator: `?*`", ""),
            (r"\p{Foo}", r"invalid character class range: `\p{Foo}`", ""),
        ] {
            let error = AnchoredRegex::new(pattern).unwrap_err();
            assert_eq!(error.to_string(), format!("error parsing regexp: {alone}"), "{pattern}");
            let wrapped = if wrapped.is_empty() { alone } else { wrapped };
            let error = AnchoredRegex::new_for_relabelling(pattern).unwrap_err();
            assert_eq!(error.to_string(), format!("error parsing regexp: {wrapped}"), "{pattern}");
        }
        for pattern in [r"a*?b+?c{2}?", r"[*]*", r"\**", "a{,2}*", "(a*)*"] {
            assert!(AnchoredRegex::new(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn templates_expand_as_in_go() {
        let regex = AnchoredRegex::new(r"(?P<first>\w+)-(\w+)").unwrap();
        for (template, expanded) in [
            ("$1.$2", "a.b"),
            ("${1}x$1x", "ax"),
            ("$first $$ $", "a $ $"),
            ("${2", "${2"),
            ("${01}|$3|$1é|", "|||"),
            ("é$2", "éb"),
        ] {
            assert_eq!(regex.expand("a-b", template).as_deref(), Some(expanded), "{template}");
        }
    }

    #[test]
    fn matches_are_those_of_prometheus() {
        let Some(golden) = fixtures::json("labels/json/regex_matches_golden.json") else { return };
        // Values that are not UTF-8 cannot be label values here.
        let values: Vec<&str> =
            golden["values"].as_array().unwrap().iter().filter_map(|value| value.as_str()).collect();
        let regexes = golden["regexes"].as_array().unwrap();
        for case in regexes {
            let regex = AnchoredRegex::new(case["regex"].as_str().unwrap()).unwrap();
            let found: Vec<&str> = values.iter().copied().filter(|value| regex.is_match(value)).collect();
            let expected: Vec<&str> =
                case["matches"].as_array().into_iter().flatten().filter_map(|value| value.as_str()).collect();
            assert_eq!(found, expected, "{}", case["regex"]);
            assert_eq!(regex.is_match(""), case["matches_empty"].as_bool().unwrap(), "{}", case["regex"]);
        }
        assert_eq!((values.len(), regexes.len()), (69, 70));
    }

    #[test]
    fn alternatives_are_among_those_that_prometheus_finds() {
        let Some(cases) = fixtures::json("labels/json/TestFindSetMatches_range.json") else { return };
        let mut found_some = 0;
        for case in cases.as_array().unwrap() {
            let regex = AnchoredRegex::new(case["pattern"].as_str().unwrap()).unwrap();
            if let Some(found) = regex.alternatives() {
                let expected: Vec<&str> = case["expMatches"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|value| value.as_str().unwrap())
                    .collect();
                assert_eq!(found, expected, "{}", case["pattern"]);
                found_some += 1;
            }
        }
        assert!(found_some > 3, "{found_some}");
    }
}
