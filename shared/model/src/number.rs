//! Numbers as Go prints them: what users see in results, annotations and label values.

/// Go's `strconv.FormatFloat(value, 'f', -1, 64)`: shortest digits that round-trip, never an exponent.
#[must_use]
pub fn format_f(value: f64) -> String {
    special(value).unwrap_or_else(|| format!("{value}"))
}

/// Go's `%g`, `%v` and `FormatFloat(value, 'g', -1, 64)`: shortest digits, with an exponent of at least two digits
/// where it is below -4 or at least 6.
#[must_use]
pub fn format_g(value: f64) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    if value == 0.0 {
        return format_f(value);
    }
    let exponent = decimal_exponent(value);
    if !(-4..6).contains(&exponent) { format_e(value) } else { format_f(value) }
}

/// Go's `FormatFloat(value, 'e', -1, 64)`: `1e+06`, `1.5e-07`.
#[must_use]
pub fn format_e(value: f64) -> String {
    special(value).unwrap_or_else(|| {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        format!("{mantissa}e{sign}{digits:0>2}")
    })
}

/// A sample's value in the HTTP API: like [`format_f`], but with an exponent below 1e-6 and from 1e21 on. Source:
/// `util/jsonutil/marshal.go`.
#[must_use]
pub fn format_api(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) && value.is_finite() {
        format_e(value)
    } else {
        format_f(value)
    }
}

/// Reads a float as Go's `strconv.ParseFloat` does for what exporters and users write: decimal, exponent, `Inf` and
/// `NaN` in any case with an optional sign. NaN gets Prometheus's bits.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let value = match unsigned.as_bytes().first()? {
        b'0'..=b'9' | b'.' => text.parse::<f64>().ok()?,
        _ if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") => {
            if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }
        }
        _ if text.eq_ignore_ascii_case("nan") => crate::value::normal_nan(),
        _ => return None,
    };
    Some(value)
}

fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        Some("NaN".to_owned())
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned())
    } else {
        None
    }
}

fn decimal_exponent(value: f64) -> i32 {
    format!("{value:e}").split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_follow_go() {
        assert_eq!(format_f(1e21), "1000000000000000000000");
        assert_eq!(format_f(f64::NEG_INFINITY), "-Inf");
        assert_eq!(format_g(1e21), "1e+21");
        assert_eq!(format_g(0.00001), "1e-05");
        assert_eq!(format_g(123_456_789.0), "1.23456789e+08");
        assert_eq!(format_g(999_999.0), "999999");
        assert_eq!(format_api(0.000_000_1), "1e-07");
        assert_eq!(format_api(1e20), "100000000000000000000");
        assert_eq!(format_api(-0.0), "-0");
    }
    #[test]
    fn formats_are_those_of_prometheus() {
        let Some(cases) = fixtures::json("misc/json/float_format_golden.json") else { return };
        for case in cases.as_array().unwrap() {
            let bits = u64::from_str_radix(case["bits"].as_str().unwrap(), 16).unwrap();
            let value = f64::from_bits(bits);
            assert_eq!(format_f(value), case["format_f"].as_str().unwrap());
            assert_eq!(format_g(value), case["sprintf_g"].as_str().unwrap());
            assert_eq!(format_g(value), case["sprintf_v"].as_str().unwrap());
            assert_eq!(format_api(value), case["web_api_json"].as_str().unwrap());
        }
    }
}
