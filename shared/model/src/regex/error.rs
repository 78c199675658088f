//! What is wrong with a pattern, in the words of Go's `regexp/syntax`.

use regex_syntax::ast::{ErrorKind, Span};

/// Go's bound on repetition counts.
const REPEAT_MAX: u32 = 1000;

/// Why a pattern is refused. It prints as Go prints it for the pattern alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {message}: `{}`", self.shown())]
pub struct RegexError {
    message: String,
    pattern: String,
    part: Part,
}

/// Which part of the pattern Go prints.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From some place to the end.
    Tail(String),
    Exact(String),
}

impl RegexError {
    /// An error that concerns the whole pattern.
    pub(super) fn whole(message: &str, pattern: &str) -> Self {
        Self { message: message.to_owned(), pattern: pattern.to_owned(), part: Part::Whole }
    }

    /// The error for the pattern inside `^(?s:…)$`, which is how relabelling hands it to Go.
    #[must_use]
    pub fn wrapped(&self) -> Self {
        let whole = format!("^(?s:{})$", self.pattern);
        if self.message == TRAILING_BACKSLASH {
            return Self::whole("missing closing )", &whole);
        }
        let part = match &self.part {
            Part::Tail(tail) => Part::Tail(format!("{tail})$")),
            part => part.clone(),
        };
        Self { message: self.message.clone(), pattern: whole, part }
    }

    fn shown(&self) -> &str {
        match &self.part {
            Part::Whole => &self.pattern,
            Part::Tail(text) | Part::Exact(text) => text,
        }
    }
}

const TRAILING_BACKSLASH: &str = "trailing backslash at end of expression";

/// Whether Go would accept `pattern`, of which `translated` is the translation.
pub(super) fn check(pattern: &str, translated: &str) -> Result<(), RegexError> {
    let error =
        |message: &str, part| RegexError { message: message.to_owned(), pattern: pattern.to_owned(), part };
    let parsed = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build().parse(translated);
    match parsed {
        Ok(_) => {}
        Err(regex_syntax::Error::Parse(fault)) => {
            let (message, part) = describe(translated, fault.kind(), fault.span());
            return Err(error(message, part));
        }
        Err(regex_syntax::Error::Translate(fault)) => {
            let text = span_text(translated, fault.span());
            return Err(error("invalid character class range", Part::Exact(text.to_owned())));
        }
        Err(_) => return Err(RegexError::whole("invalid syntax", pattern)),
    }
    if let Some(text) = foreign_flags(translated) {
        return Err(error("invalid or unsupported Perl syntax", Part::Exact(text.to_owned())));
    }
    match repetition_fault(translated) {
        Some((message, text)) => Err(error(message, Part::Exact(text.to_owned()))),
        None => Ok(()),
    }
}

fn describe(text: &str, kind: &ErrorKind, span: &Span) -> (&'static str, Part) {
    let exact = || Part::Exact(span_text(text, span).to_owned());
    match kind {
        ErrorKind::GroupUnclosed => ("missing closing )", Part::Whole),
        ErrorKind::GroupUnopened => ("unexpected )", Part::Whole),
        ErrorKind::ClassUnclosed => {
            ("missing closing ]", Part::Tail(text.get(span.start.offset..).unwrap_or("").to_owned()))
        }
        ErrorKind::RepetitionMissing => {
            let operator = text.get(span.start.offset..).and_then(|rest| rest.chars().next());
            let operator = operator.map(String::from).unwrap_or_default();
            ("missing argument to repetition operator", Part::Exact(operator))
        }
        ErrorKind::EscapeUnexpectedEof => (TRAILING_BACKSLASH, Part::Exact(String::new())),
        ErrorKind::ClassRangeInvalid | ErrorKind::ClassRangeLiteral | ErrorKind::ClassEscapeInvalid => {
            ("invalid character class range", exact())
        }
        ErrorKind::RepetitionCountInvalid
        | ErrorKind::RepetitionCountDecimalEmpty
        | ErrorKind::RepetitionCountUnclosed
        | ErrorKind::DecimalInvalid
        | ErrorKind::DecimalEmpty => ("invalid repeat count", Part::Exact(braces(text, span))),
        ErrorKind::UnsupportedLookAround
        | ErrorKind::FlagUnrecognized
        | ErrorKind::FlagDuplicate { .. }
        | ErrorKind::FlagDanglingNegation
        | ErrorKind::FlagRepeatedNegation { .. }
        | ErrorKind::FlagUnexpectedEof => {
            ("invalid or unsupported Perl syntax", Part::Exact(group(text, span)))
        }
        ErrorKind::GroupNameDuplicate { .. } => ("duplicate capture group name", exact()),
        ErrorKind::GroupNameEmpty | ErrorKind::GroupNameInvalid | ErrorKind::GroupNameUnexpectedEof => {
            ("invalid named capture", Part::Exact(group(text, span)))
        }
        ErrorKind::NestLimitExceeded(_) => ("expression nests too deeply", Part::Whole),
        _ => ("invalid escape sequence", exact()),
    }
}

fn span_text<'t>(text: &'t str, span: &Span) -> &'t str {
    text.get(span.start.offset..span.end.offset).unwrap_or("")
}

/// The `{…}` around a span.
fn braces(text: &str, span: &Span) -> String {
    let before = text.get(..span.end.offset).unwrap_or(text);
    let start = before.rfind('{').unwrap_or(0);
    let tail = text.get(start..).unwrap_or("");
    tail.get(..tail.find('}').map_or(tail.len(), |end| end + 1)).unwrap_or("").to_owned()
}

/// From the `(` before a span's end to that end.
fn group(text: &str, span: &Span) -> String {
    let before = text.get(..span.end.offset).unwrap_or(text);
    before.get(before.rfind('(').unwrap_or(0)..).unwrap_or("").to_owned()
}

/// A group with flags that Go does not have, up to the first of them.
fn foreign_flags(text: &str) -> Option<&str> {
    let mut at = 0;
    while let Some(found) = text.get(at..)?.find("(?") {
        let start = at + found;
        at = start + 2;
        let escaped = text.get(..start)?.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1;
        let flags = text.get(at..)?.split([':', ')', 'P', '<']).next()?;
        // What translation puts in itself is no fault of the pattern.
        if let Some(bad) = flags.find(['x', 'u', 'R'])
            && !escaped
            && flags != "-u"
        {
            return text.get(start..=at + bad);
        }
    }
    None
}

/// What Go refuses in repetitions and the `regex` crate accepts: one upon another, and counts above 1000.
fn repetition_fault(text: &str) -> Option<(&'static str, &str)> {
    let bytes = text.as_bytes();
    let (mut at, mut in_class) = (0, false);
    let mut previous: Option<usize> = None;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        let is_repetition = match byte {
            b'\\' => {
                let named = matches!(bytes.get(at..at + 2), Some([b'p' | b'P' | b'x', b'{']));
                let end = text.get(at..).filter(|_| named).and_then(|rest| rest.find('}'));
                at += end.unwrap_or(0) + 1;
                false
            }
            b'[' if in_class && bytes.get(at) == Some(&b':') => {
                at = text.get(at..).and_then(|rest| rest.find(":]")).map_or(at, |end| at + end + 2);
                false
            }
            b'[' => {
                in_class = true;
                false
            }
            b']' => {
                in_class = false;
                false
            }
            b'*' | b'+' => !in_class,
            // `(?` opens a group with flags.
            b'?' => !in_class && start.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'('),
            b'{' if !in_class => {
                at = text.get(at..).and_then(|rest| rest.find('}')).map_or(at, |end| at + end + 1);
                let counts = text.get(start..at).unwrap_or("");
                let too_many = |count: &str| count.parse::<u32>().is_ok_and(|count| count > REPEAT_MAX);
                if counts.trim_matches(['{', '}']).split(',').any(too_many) {
                    return Some(("invalid repeat count", counts));
                }
                true
            }
            _ => false,
        };
        if !is_repetition {
            previous = None;
            continue;
        }
        if bytes.get(at) == Some(&b'?') {
            at += 1;
        }
        if let Some(previous) = previous {
            return Some(("invalid nested repetition operator", text.get(previous..at).unwrap_or("")));
        }
        previous = Some(start);
    }
    None
}
