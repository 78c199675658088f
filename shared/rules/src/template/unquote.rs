//! Go's `strconv.Unquote` for template literals.

/// The text of a quoted (`"`) or raw (`` ` ``) literal. Bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// `invalid syntax`.
pub(super) fn unquote(literal: &str) -> Result<String, String> {
    if let Some(raw) = literal.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return Ok(raw.replace('\r', ""));
    }
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or("invalid syntax")?;
    unescape(inner, '"').ok_or_else(|| "invalid syntax".to_owned())
}

/// The character of a `'x'` literal.
///
/// # Errors
/// Go's message.
pub(super) fn unquote_char(literal: &str) -> Result<char, String> {
    let inner =
        literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).ok_or("invalid syntax")?;
    let text = unescape(inner, '\'').ok_or("invalid syntax")?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        (None, _) => Err("invalid syntax".to_owned()),
        _ => Err(format!("malformed character constant: {literal}")),
    }
}

fn unescape(inner: &str, quote: char) -> Option<String> {
    let mut out: Vec<u8> = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..)?;
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next()?;
        rest = rest.get(escape.len_utf8()..)?;
        let plain = match escape {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' => Some(b'\\'),
            c if c == quote => u8::try_from(c).ok(),
            _ => None,
        };
        if let Some(byte) = plain {
            out.push(byte);
            continue;
        }
        let (radix, length) = match escape {
            'x' => (16, 2),
            'u' => (16, 4),
            'U' => (16, 8),
            '0'..='7' => (8, 3),
            _ => return None,
        };
        let from = if radix == 8 { inner.len() - rest.len() - 1 } else { inner.len() - rest.len() };
        let code = u32::from_str_radix(inner.get(from..from + length)?, radix).ok()?;
        rest = inner.get(from + length..)?;
        if matches!(escape, 'u' | 'U') {
            out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            out.push(u8::try_from(code).ok()?);
        }
    }
    Some(
        String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}
