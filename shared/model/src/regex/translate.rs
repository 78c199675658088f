//! Go's regular expression syntax in that of the `regex` crate.
//!
//! Malformed patterns come out malformed: who translates checks the result.

/// `pattern`, which means in Go what the result means here.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        if c == '\\' {
            let Some(escaped) = tail.chars().next() else {
                out.push('\\');
                break;
            };
            rest = &tail[escaped.len_utf8()..];
            match escaped {
                'Q' if !in_class => {
                    let (literal, after) = rest.split_once("\\E").unwrap_or((rest, ""));
                    out.push_str(&regex_syntax::escape(literal));
                    rest = after;
                }
                'd' | 'D' | 's' | 'S' | 'w' | 'W' => out.push_str(ascii_class(escaped, in_class)),
                'b' => out.push_str("(?-u:\\b)"),
                'B' => out.push_str("(?-u:\\B)"),
                'p' | 'P' | 'x' if rest.starts_with('{') => {
                    let end = rest.find('}').map_or(rest.len(), |end| end + 1);
                    out.push('\\');
                    out.push(escaped);
                    out.push_str(&rest[..end]);
                    rest = &rest[end..];
                }
                '0'..='7' if escaped == '0' || rest.starts_with(|c| ('0'..='7').contains(&c)) => {
                    let more = rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
                    let digits = &tail[..=more];
                    out.push_str(&format!("\\x{{{:x}}}", u32::from_str_radix(digits, 8).unwrap_or(0)));
                    rest = &rest[more..];
                }
                // Angle brackets are the edges of words to Rust.
                '<' | '>' => out.push(escaped),
                _ => {
                    out.push('\\');
                    out.push(escaped);
                }
            }
            continue;
        }
        rest = tail;
        if in_class {
            match c {
                ']' => in_class = false,
                '[' if !tail.starts_with(':') => out.push('\\'),
                '&' | '~' => out.push('\\'),
                '-' if tail.starts_with('-') => out.push('\\'),
                _ => {}
            }
            out.push(c);
            if c == '[' && tail.starts_with(':') {
                // A POSIX class such as [:alpha:] goes through whole.
                if let Some(end) = tail.find(":]") {
                    out.push_str(&tail[..end + 2]);
                    rest = &tail[end + 2..];
                }
            }
        } else if c == '[' {
            in_class = true;
            out.push(c);
            for first in ['^', ']'] {
                if rest.starts_with(first) {
                    if first == ']' {
                        out.push('\\');
                    }
                    out.push(first);
                    rest = &rest[1..];
                }
            }
        } else if c == '{' && !starts_repetition(tail) {
            out.push_str("\\{");
        } else {
            out.push(c);
        }
    }
    out
}

fn ascii_class(class: char, in_class: bool) -> &'static str {
    match (class, in_class) {
        ('d', true) => "0-9",
        ('d', false) => "[0-9]",
        ('D', _) => "[^0-9]",
        ('s', true) => "\\t\\n\\x0C\\r ",
        ('s', false) => "[\\t\\n\\x0C\\r ]",
        ('S', _) => "[^\\t\\n\\x0C\\r ]",
        ('w', true) => "0-9A-Za-z_",
        ('w', false) => "[0-9A-Za-z_]",
        _ => "[^0-9A-Za-z_]",
    }
}

/// Whether what follows a `{` makes it a repetition: `n}`, `n,}` or `n,m}`.
fn starts_repetition(tail: &str) -> bool {
    let Some((body, _)) = tail.split_once('}') else { return false };
    let (low, high) = body.split_once(',').unwrap_or((body, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}
