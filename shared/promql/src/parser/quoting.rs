//! Text and characters as Go quotes them in errors and printed expressions.

use model::labels::quote;

/// How many characters of a token an error shows.
const SHOWN_CHARS: usize = 10;

/// Go's `%q` of a character; the end of the input is shown as the replacement character.
pub(super) fn quote_char(c: Option<char>) -> String {
    let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        _ => format!("'{}'", quote(c.encode_utf8(&mut [0; 4])).trim_matches('"')),
    }
}

/// Go's `%#U` of a character: `U+0063 'c'`.
pub(super) fn unicode_char(c: char) -> String {
    let code = u32::from(c);
    let quoted = quote_char(Some(c));
    let is_printable = quoted.chars().count() == 3 || matches!(c, '\'' | '\\');
    if is_printable { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

/// The token's text, quoted; of a long one only the start. Source: `promql/parser/lex.go:Item.String`.
pub(super) fn quote_start(text: &str) -> String {
    if text.len() <= SHOWN_CHARS {
        return quote(text);
    }
    let end = text.char_indices().nth(SHOWN_CHARS).map_or(text.len(), |(at, _)| at);
    format!("{}...", quote(text.get(..end).unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_quoted_as_go_does() {
        assert_eq!(quote_char(Some('x')), "'x'");
        assert_eq!(quote_char(Some('"')), "'\"'");
        assert_eq!(quote_char(Some('\'')), "'\\''");
        assert_eq!(quote_char(Some('\\')), "'\\\\'");
        assert_eq!(quote_char(None), "'\u{fffd}'");
        assert_eq!(unicode_char('c'), "U+0063 'c'");
        assert_eq!(unicode_char('\n'), "U+000A");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_escaped() {
        assert_eq!(model::labels::quote_bytes(b"a\xff\"\xc3\xa9"), "\"a\\xff\\\"\u{e9}\"");
        assert_eq!(quote_start("0123456789abc"), "\"0123456789\"...");
    }
}
