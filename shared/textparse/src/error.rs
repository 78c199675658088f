//! Errors in Prometheus's words.

/// Longest piece of the body that an error quotes, in bytes. Prometheus has no such bound; only a body whose line has
/// more than that before the error is told apart.
const QUOTED_BYTES_MAX: usize = 8 << 10;

/// Why a body is not an exposition: Prometheus's text, with the line up to the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    message: String,
}

impl ParseError {
    pub(crate) fn new(message: String) -> Self {
        Self { message }
    }
}

/// `bytes` as Go's `%q` prints them: quoted, escaped, bytes that are not UTF-8 as `\xff`.
#[must_use]
pub fn quote_bytes(bytes: &[u8]) -> String {
    let bytes = bytes.get(..QUOTED_BYTES_MAX).unwrap_or(bytes);
    model::labels::quote_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_quoted_as_go_does() {
        assert_eq!(quote_bytes(b"a{\xff\"\n\0"), r#""a{\xff\"\n\x00""#);
        assert_eq!(quote_bytes("é€".as_bytes()), "\"é€\"");
    }

    #[test]
    fn a_quotation_is_bounded() {
        assert!(quote_bytes(&vec![b'a'; 1 << 20]).len() < QUOTED_BYTES_MAX + 16);
    }
}
