//! Sizes: `100MB`, `1.5GiB`. Source: `ParseBase2Bytes` of alecthomas/units.

const PREFIXES: [(&str, f64); 6] = [
    ("K", 1024.0),
    ("M", 1_048_576.0),
    ("G", 1_073_741_824.0),
    ("T", 1_099_511_627_776.0),
    ("P", 1_125_899_906_842_624.0),
    ("E", 1_152_921_504_606_846_976.0),
];

/// Bytes, in powers of 1024 whichever way the unit is written.
///
/// # Errors
/// `units: …`, in the library's words.
pub fn parse_base2_bytes(text: &str) -> Result<i64, String> {
    parse(text, "iB").or_else(|_| parse(text, "B"))
}

fn parse(text: &str, suffix: &str) -> Result<i64, String> {
    let invalid = || format!("units: invalid {text}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let number_len = rest.bytes().take_while(u8::is_ascii_digit).count();
        let mut len = number_len;
        if rest[len..].starts_with('.') {
            len += 1 + rest[len + 1..].bytes().take_while(u8::is_ascii_digit).count();
        }
        let number = &rest[..len];
        if number.is_empty() || number == "." {
            return Err(invalid());
        }
        let number: f64 = number.parse().map_err(|_| invalid())?;
        rest = &rest[len..];
        let unit_len = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(unit_len);
        let scale = if unit == "B" {
            Some(1.0)
        } else {
            let prefix = unit.strip_suffix(suffix);
            PREFIXES.iter().find(|(name, _)| Some(*name) == prefix).map(|(_, scale)| *scale)
        };
        total += number * scale.ok_or_else(|| format!("units: unknown unit {unit} in {text}"))?;
        rest = after;
    }
    let total = if negative { -total } else { total };
    if !(-9.3e18..9.223_372_036_854_775e18).contains(&total) {
        return Err("units: overflow parsing unit".to_owned());
    }
    Ok(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("100B", 100),
            ("1KB", 1024),
            ("1KiB", 1024),
            ("15MB", 15 << 20),
            ("1.5GiB", 3 << 29),
            ("1MB512KB", 3 << 19),
            ("-1MB", -(1 << 20)),
        ] {
            assert_eq!(parse_base2_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn malformed_sizes_are_refused_in_the_librarys_words() {
        assert_eq!(parse_base2_bytes("100"), Err("units: unknown unit  in 100".to_owned()));
        assert_eq!(parse_base2_bytes("1kB"), Err("units: unknown unit kB in 1kB".to_owned()));
        assert_eq!(parse_base2_bytes("MB"), Err("units: invalid MB".to_owned()));
        assert_eq!(parse_base2_bytes(""), Err("units: invalid ".to_owned()));
        assert_eq!(parse_base2_bytes("99999EB"), Err("units: overflow parsing unit".to_owned()));
    }
}
