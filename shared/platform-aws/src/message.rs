//! Bytes as the text of a message.
//!
//! SQS carries the characters of XML 1.0, and at least one of them. What is such a text (JSON is) travels as it is, so
//! that people can read it in a dead-letter queue; anything else in base 64, and an attribute says so.

use aws_smithy_types::base64;
use bytes::Bytes;

/// The attribute that names the encoding of a body that is not what was sent.
pub const ENCODING_ATTRIBUTE: &str = "encoding";

const BASE64: &str = "base64";
/// The base 64 of nothing would be an empty body.
const EMPTY: &str = "empty";
const EMPTY_BODY: &str = "-";

/// A message as SQS takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedMessage {
    /// Its body.
    pub body: String,
    /// The value of [`ENCODING_ATTRIBUTE`], absent where the body is what was sent.
    pub encoding: Option<&'static str>,
}

/// A message of these bytes.
#[must_use]
pub fn encode_message(body: &Bytes) -> EncodedMessage {
    if body.is_empty() {
        return EncodedMessage { body: EMPTY_BODY.to_owned(), encoding: Some(EMPTY) };
    }
    match std::str::from_utf8(body) {
        Ok(text) if text.chars().all(is_carried) => EncodedMessage { body: text.to_owned(), encoding: None },
        _ => EncodedMessage { body: base64::encode(body), encoding: Some(BASE64) },
    }
}

/// The bytes of a message; `None` where it is not of this encoding.
#[must_use]
pub fn decode_message(body: &str, encoding: Option<&str>) -> Option<Bytes> {
    match encoding {
        None => Some(Bytes::copy_from_slice(body.as_bytes())),
        Some(EMPTY) => Some(Bytes::new()),
        Some(BASE64) => base64::decode(body).ok().map(Bytes::from),
        Some(_) => None,
    }
}

/// Carriage returns are left out: what reads XML may turn them into newlines.
fn is_carried(character: char) -> bool {
    matches!(character, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(body);
            let encoded = encode_message(&body);
            prop_assert!(!encoded.body.is_empty() && encoded.body.chars().all(is_carried));
            prop_assert_eq!(decode_message(&encoded.body, encoded.encoding), Some(body));
        }

        #[test]
        fn any_text_comes_back(text in ".*") {
            let body = Bytes::from(text);
            let encoded = encode_message(&body);
            prop_assert_eq!(decode_message(&encoded.body, encoded.encoding), Some(body));
        }
    }

    #[test]
    fn json_stays_readable_and_what_is_no_message_of_ours_is_told() {
        let json = Bytes::from_static(b"{\"tick\":1,\"name\":\"\xc3\xa9\"}");
        assert_eq!(
            encode_message(&json),
            EncodedMessage { body: "{\"tick\":1,\"name\":\"é\"}".to_owned(), encoding: None }
        );
        assert_eq!(decode_message("x", Some("zstd")), None);
        assert_eq!(decode_message("*", Some("base64")), None);
    }
}
