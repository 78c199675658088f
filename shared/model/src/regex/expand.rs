//! Templates of replacements, after Go's `Regexp.Expand`.

use regex::Captures;

/// `template` with its variables replaced. A group that did not take part, or does not exist, is empty; what is no
/// variable stays as it is.
pub(super) fn expand(captures: &Captures<'_>, template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = variable(rest) {
            out.push_str(capture(captures, name));
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// The variable at the start of `text`, which follows a dollar: `name` or `{name}`.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (text, braced) = text.strip_prefix('{').map_or((text, false), |text| (text, true));
    let end = text.find(|c: char| !c.is_alphabetic() && !c.is_numeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    Some((name, if braced { rest.strip_prefix('}')? } else { rest }))
}

fn capture<'t>(captures: &Captures<'t>, name: &str) -> &'t str {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    let group = match name.parse() {
        Ok(index) if is_number => captures.get(index),
        _ => captures.name(name),
    };
    group.map_or("", |group| group.as_str())
}
