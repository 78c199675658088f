//! `${NAME}` and `$NAME` in `external_labels`, after Go's `os.Expand`.

/// `text` with its variables replaced by what `variable` gives for their names. `$$` asks for the name `$`.
pub(crate) fn expand(text: &str, variable: &mut dyn FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        out.push_str(&rest[..at]);
        if after.is_empty() {
            out.push('$');
            return out;
        }
        let (name, consumed) = shell_name(after);
        match (name, consumed) {
            ("", 0) => out.push('$'),
            // Malformed: the characters are eaten.
            ("", _) => {}
            (name, _) => out.push_str(&variable(name)),
        }
        rest = &after[consumed..];
    }
    out.push_str(rest);
    out
}

/// The name at the start of `text`, which follows a dollar, and how many bytes it takes.
fn shell_name(text: &str) -> (&str, usize) {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'{') => match text.find('}') {
            Some(1) => ("", 2),
            Some(end) => (&text[1..end], end + 1),
            None => ("", 1),
        },
        Some(b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9') => (&text[..1], 1),
        _ => {
            let len = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            (&text[..len], len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_go_does() {
        let expanded = |text| expand(text, &mut |name| format!("<{name}>"));
        for (text, out) in [
            ("foo${TEST}bar", "foo<TEST>bar"),
            ("$TEST.x", "<TEST>.x"),
            ("a$$b", "a<$>b"),
            ("cost 5$", "cost 5$"),
            ("$ x", "$ x"),
            ("${}x", "x"),
            ("${x", "x"),
            ("$12", "<1>2"),
            ("é$é", "é$é"),
        ] {
            assert_eq!(expanded(text), out, "{text}");
        }
    }
}
