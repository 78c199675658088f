//! `title`: Go's `cases.Title(language.AmericanEnglish, cases.NoLower)`.

/// The first cased letter of each word in title case, the rest as it is. Words are bounded as Unicode's UAX 29 bounds
/// them, simplified: letters, digits, marks and `_` make words, and an apostrophe, a dot or a colon between letters
/// does not end one.
pub(super) fn title(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut is_titled = false;
    for (at, c) in chars.iter().copied().enumerate() {
        let previous = at.checked_sub(1).and_then(|at| chars.get(at)).copied();
        if !in_word(c, previous, chars.get(at + 1).copied()) {
            is_titled = false;
            out.push(c);
        } else if !is_titled && (c.is_lowercase() || c.is_uppercase()) {
            is_titled = true;
            push_title(&mut out, c);
        } else {
            out.push(c);
        }
    }
    out
}

fn in_word(c: char, previous: Option<char>, next: Option<char>) -> bool {
    if c.is_alphanumeric() || c == '_' {
        return true;
    }
    let both = |test: fn(char) -> bool| previous.is_some_and(test) && next.is_some_and(test);
    match c {
        '\'' | '.' | '\u{2018}' | '\u{2019}' | '\u{2024}' => {
            both(char::is_alphabetic) || both(char::is_numeric)
        }
        ':' | '\u{b7}' => both(char::is_alphabetic),
        ',' | ';' => both(char::is_numeric),
        _ => false,
    }
}

/// A character in title case: of several letters only the first is a capital.
fn push_title(out: &mut String, c: char) {
    match c {
        '\u{1c4}'..='\u{1c6}' => out.push('\u{1c5}'),
        '\u{1c7}'..='\u{1c9}' => out.push('\u{1c8}'),
        '\u{1ca}'..='\u{1cc}' => out.push('\u{1cb}'),
        '\u{1f1}'..='\u{1f3}' => out.push('\u{1f2}'),
        c => {
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            out.extend(upper.flat_map(char::to_lowercase));
        }
    }
}
