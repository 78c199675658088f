//! What a scalar means. Source: `resolve.go` of go-yaml v2 and v3, which Prometheus reads its configuration and its
//! rule files with.

/// Which of go-yaml's two generations decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// v2: `prometheus.yml` and target files. `yes`, `on` and `y` are booleans.
    V2,
    /// v3: rule files. They are strings, but a boolean field takes them.
    V3,
}

/// The value of a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resolved {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond `i64`.
    Uint(u64),
    /// A number.
    Float(f64),
    /// Text; dates too, for nothing here wants them as dates.
    Text,
    /// Base64 of bytes.
    Binary,
}

const TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// The tag as it is printed: `!!int`.
pub(crate) fn short_tag(tag: &str) -> String {
    match tag.strip_prefix(TAG_PREFIX) {
        Some(name) => format!("!!{name}"),
        None => tag.to_owned(),
    }
}

/// Tag (short) and value of a scalar.
///
/// # Errors
/// Where an explicit tag asks for what the text is not.
pub(crate) fn resolve(
    value: &str,
    plain: bool,
    tag: Option<&str>,
    dialect: Dialect,
) -> Result<(String, Resolved), String> {
    let Some(tag) = tag else {
        let (tag, resolved) = if plain { implicit(value, dialect) } else { ("!!str", Resolved::Text) };
        return Ok((tag.to_owned(), resolved));
    };
    let tag = short_tag(tag);
    match tag.as_str() {
        "!!binary" => Ok((tag, Resolved::Binary)),
        "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp" => {
            let (found, resolved) = implicit(value, dialect);
            match resolved {
                Resolved::Int(number) if tag == "!!float" => Ok((tag, Resolved::Float(number as f64))),
                _ if found == tag => Ok((tag, resolved)),
                _ => Err(format!("yaml: cannot decode {found} `{value}` as a {tag}")),
            }
        }
        _ => Ok((tag, Resolved::Text)),
    }
}

fn implicit(value: &str, dialect: Dialect) -> (&'static str, Resolved) {
    if let Some(known) = keyword(value, dialect) {
        return known;
    }
    let first = value.as_bytes().first().copied().unwrap_or(b' ');
    match first {
        b'0'..=b'9' | b'+' | b'-' => {
            if is_date(value) {
                return ("!!timestamp", Resolved::Text);
            }
            let plain: String = value.chars().filter(|c| *c != '_').collect();
            if let Some(number) = integer(&plain) {
                return ("!!int", number);
            }
            if is_yaml_float(&plain)
                && let Ok(number) = plain.parse()
            {
                return ("!!float", Resolved::Float(number));
            }
            ("!!str", Resolved::Text)
        }
        b'.' => match value.parse() {
            Ok(number) if is_yaml_float(value) => ("!!float", Resolved::Float(number)),
            _ => ("!!str", Resolved::Text),
        },
        _ => ("!!str", Resolved::Text),
    }
}

fn keyword(value: &str, dialect: Dialect) -> Option<(&'static str, Resolved)> {
    let found = match value {
        "" | "~" | "null" | "Null" | "NULL" => ("!!null", Resolved::Null),
        "true" | "True" | "TRUE" => ("!!bool", Resolved::Bool(true)),
        "false" | "False" | "FALSE" => ("!!bool", Resolved::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => ("!!float", Resolved::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => ("!!float", Resolved::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => ("!!float", Resolved::Float(f64::NEG_INFINITY)),
        "<<" => ("!!merge", Resolved::Text),
        _ if dialect == Dialect::V2 => return old_bool(value).map(|value| ("!!bool", Resolved::Bool(value))),
        _ => return None,
    };
    Some(found)
}

/// The booleans of YAML 1.1.
pub(crate) fn old_bool(value: &str) -> Option<bool> {
    match value {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Go's `strconv.ParseInt` and `ParseUint` with base 0.
fn integer(text: &str) -> Option<Resolved> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        let number = i64::try_from(-i128::from(magnitude)).ok()?;
        return Some(Resolved::Int(number));
    }
    Some(i64::try_from(magnitude).map_or(Resolved::Uint(magnitude), Resolved::Int))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_yaml_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_is_one = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_is_one = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_is_one && exponent_is_one
}

/// Whether go-yaml would take `text` for a timestamp: `2006-1-2` or with a time of day.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let date = text.split([' ', 'T', 't']).next().unwrap_or("");
    let mut parts = date.splitn(3, '-').skip(1);
    let within = |part: Option<&str>, max: u32| {
        part.filter(|part| part.len() <= 2)
            .and_then(|part| part.parse::<u32>().ok())
            .is_some_and(|n| (1..=max).contains(&n))
    };
    let is_day = within(parts.next(), 12) && within(parts.next(), 31);
    is_day && (date.len() == text.len() || text[date.len()..].contains(':'))
}

/// Bytes of standard base64; line breaks and spaces are skipped. `None` where it is malformed.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let padding = digits.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    let mut bits = 0u32;
    for (index, digit) in digits.iter().enumerate() {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if index + padding >= digits.len() => 0,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        if index % 4 == 3 {
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            bits = 0;
        }
    }
    out.truncate(out.len() - padding);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: &str) -> (String, Resolved) {
        resolve(value, true, None, Dialect::V2).unwrap()
    }

    #[test]
    fn scalars_mean_what_go_yaml_takes_them_for() {
        for (text, tag, resolved) in [
            ("yes", "!!bool", Resolved::Bool(true)),
            ("0x1F", "!!int", Resolved::Int(31)),
            ("017", "!!int", Resolved::Int(15)),
            ("1_000", "!!int", Resolved::Int(1000)),
            ("-5", "!!int", Resolved::Int(-5)),
            ("18446744073709551615", "!!int", Resolved::Uint(u64::MAX)),
            ("1e3", "!!float", Resolved::Float(1000.0)),
            (".5", "!!float", Resolved::Float(0.5)),
            ("2001-1-2", "!!timestamp", Resolved::Text),
            ("2001-01-02 03:04:05", "!!timestamp", Resolved::Text),
            ("10s", "!!str", Resolved::Text),
            ("127.0.0.1", "!!str", Resolved::Text),
            ("~", "!!null", Resolved::Null),
        ] {
            assert_eq!(plain(text), (tag.to_owned(), resolved), "{text}");
        }
        assert_eq!(resolve("yes", true, None, Dialect::V3).unwrap().0, "!!str");
        assert_eq!(resolve("5", false, None, Dialect::V2).unwrap().0, "!!str");
    }

    #[test]
    fn an_explicit_tag_must_fit() {
        let int = Some("tag:yaml.org,2002:int");
        assert_eq!(resolve("5", false, int, Dialect::V2).unwrap().1, Resolved::Int(5));
        let error = resolve("abc", true, int, Dialect::V2).unwrap_err();
        assert_eq!(error, "yaml: cannot decode !!str `abc` as a !!int");
    }

    #[test]
    fn base64_is_strict() {
        assert_eq!(base64("/w=="), Some(vec![0xff]));
        assert_eq!(base64("Zm9v\nYmFy"), Some(b"foobar".to_vec()));
        for bad in ["/w", "a===", "=a==", "Zm9v!mFy"] {
            assert_eq!(base64(bad), None, "{bad}");
        }
    }
}
