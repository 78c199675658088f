//! Whether an answer is in the text format, by its `Content-Type`. Source: `extractMediaType` of Prometheus, and
//! `mime.ParseMediaType` of Go for what a well-formed one is.

use model::labels::quote;

/// Longest `Content-Type` that is looked at, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 1 << 10;

/// Why an answer is not taken, in Prometheus's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentTypeError {
    /// There is none.
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    )]
    Blank,
    /// It is not a media type.
    #[error(
        "cannot parse Content-Type {content_type} and no fallback_scrape_protocol for target\nmime: {reason}"
    )]
    Malformed {
        /// What was sent, quoted.
        content_type: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It is another media type.
    #[error(
        "received unsupported Content-Type {content_type} and no fallback_scrape_protocol specified for target"
    )]
    Unsupported {
        /// What was sent, quoted.
        content_type: String,
    },
}

/// Accepts `text/plain` with any parameters; and, where `text_is_fallback` (a `fallback_scrape_protocol` of the text
/// format), also what is blank, malformed or of a media type that is no exposition format.
///
/// # Errors
/// [`ContentTypeError`] for everything else.
pub fn check_text_content_type(content_type: &str, text_is_fallback: bool) -> Result<(), ContentTypeError> {
    match judge(content_type) {
        Err(_) if text_is_fallback && !is_other_exposition(content_type) => Ok(()),
        judged => judged,
    }
}

fn judge(content_type: &str) -> Result<(), ContentTypeError> {
    if content_type.is_empty() {
        return Err(ContentTypeError::Blank);
    }
    let quoted = || quote(&content_type.chars().take(CONTENT_TYPE_BYTES_MAX).collect::<String>());
    if content_type.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(ContentTypeError::Unsupported { content_type: quoted() });
    }
    match media_type(content_type) {
        Ok(media_type) if media_type == "text/plain" => Ok(()),
        Ok(_) => Err(ContentTypeError::Unsupported { content_type: quoted() }),
        Err(reason) => Err(ContentTypeError::Malformed { content_type: quoted(), reason }),
    }
}

/// Whether the target says that it sends a format which is not the text format, whatever the fallback.
fn is_other_exposition(content_type: &str) -> bool {
    let other = ["application/openmetrics-text", "application/vnd.google.protobuf"];
    media_type(content_type).is_ok_and(|media_type| other.contains(&media_type.as_str()))
}

fn media_type(content_type: &str) -> Result<String, &'static str> {
    let (base, _) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media_type = base.to_lowercase().trim().to_owned();
    check_type_and_subtype(&media_type)?;
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut rest = content_type.get(base.len()..).unwrap_or_default();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(media_type);
        }
        let Some((name, value, after)) = take_parameter(rest) else {
            // One semicolon may trail.
            return if rest.trim() == ";" { Ok(media_type) } else { Err("invalid media parameter") };
        };
        if seen.iter().any(|(other, other_value)| *other == name && *other_value != value) {
            return Err("duplicate parameter name");
        }
        seen.push((name, value));
        rest = after;
    }
}

fn check_type_and_subtype(media_type: &str) -> Result<(), &'static str> {
    let (first, rest) = take_token(media_type);
    if first.is_empty() {
        return Err("no media type");
    }
    if rest.is_empty() {
        return Ok(());
    }
    let rest = rest.strip_prefix('/').ok_or("expected slash after first token")?;
    let (subtype, rest) = take_token(rest);
    if subtype.is_empty() {
        return Err("expected token after slash");
    }
    if rest.is_empty() { Ok(()) } else { Err("unexpected content after media subtype") }
}

/// `; name=value` at the start of `text`: the name in lower case, the value, and what follows.
fn take_parameter(text: &str) -> Option<(String, String, &str)> {
    let rest = text.trim_start().strip_prefix(';')?.trim_start();
    let (name, rest) = take_token(rest);
    if name.is_empty() {
        return None;
    }
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, rest) = take_value(rest)?;
    Some((name.to_lowercase(), value, rest))
}

fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = take_token(text);
        return if token.is_empty() { None } else { Some((token.to_owned(), rest)) };
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\r' | '\n' => return None,
            '\\' => match chars.clone().next() {
                Some((_, next)) if "()<>@,;:\\\"/[]?=".contains(next) => {
                    value.push(next);
                    chars.next();
                }
                _ => value.push(c),
            },
            c => value.push(c),
        }
    }
    None
}

fn take_token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_judged_as_prometheus_does() {
        let blank = "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified \
                     for target";
        let malformed = |sent: &str, reason: &str| {
            format!(
                "cannot parse Content-Type {sent:?} and no fallback_scrape_protocol for target\nmime: {reason}"
            )
        };
        let unsupported = |sent: &str| {
            format!(
                "received unsupported Content-Type {sent:?} and no fallback_scrape_protocol specified for target"
            )
        };
        for (sent, error) in [
            ("text/plain", None),
            ("text/plain; version=0.0.4; charset=utf-8; escaping=values", None),
            ("Text/Plain ;charset=\"utf-8\" ;", None),
            ("text/plain; charset=a; charset=a", None),
            ("", Some(blank.to_owned())),
            ("invalid/", Some(malformed("invalid/", "expected token after slash"))),
            ("a/b/c", Some(malformed("a/b/c", "unexpected content after media subtype"))),
            ("/", Some(malformed("/", "no media type"))),
            ("text/plain; charset", Some(malformed("text/plain; charset", "invalid media parameter"))),
            ("text/plain; a=1; a=2", Some(malformed("text/plain; a=1; a=2", "duplicate parameter name"))),
            ("text/html", Some(unsupported("text/html"))),
            ("application/json; charset=utf-8", Some(unsupported("application/json; charset=utf-8"))),
        ] {
            let judged = check_text_content_type(sent, false).map_err(|error| error.to_string());
            assert_eq!(judged.err(), error, "{sent}");
        }
    }

    #[test]
    fn a_fallback_reads_what_does_not_say_otherwise() {
        for (sent, accepted) in [("", true), ("invalid/", true), ("text/html", true), ("text/plain", true)] {
            assert_eq!(check_text_content_type(sent, true).is_ok(), accepted, "{sent}");
        }
        assert!(check_text_content_type("application/openmetrics-text; version=1.0.0", true).is_err());
    }
}
