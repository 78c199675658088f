//! Go's dialect of regular expressions, translated into that of Rust's `regex`.
//!
//! Both are RE2's, and what differs matters: perl classes and `\b` are ASCII in Go; a `{` that starts no repetition and
//! `[`, `&&`, `--`, `~~` in a class are literals; `\Q…\E` quotes; `\101` is octal; stacked repetitions, more than 1,000
//! repetitions, `(?x)` and much else is refused. Walking the pattern as Go's own parser does gives Go's errors too.
//! Source: `regexp/syntax/parse.go`.

use super::RegexError;

/// Repetitions at most, nested ones multiplied.
const REPEAT_MAX: u32 = 1000;
/// Numbers from here on are too large to be looked at.
const NUMBER_MAX: u32 = 100_000_000;

/// `pattern` in the dialect of `regex`.
///
/// # Errors
/// Where Go refuses it: Go's words about the part that it shows.
pub(super) fn translate(pattern: &str) -> Result<String, RegexError> {
    let mut translator = Translator {
        pattern,
        rest: pattern,
        out: String::with_capacity(pattern.len() + 8),
        groups: vec![Group::default()],
        names: Vec::new(),
    };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'a> {
    pattern: &'a str,
    rest: &'a str,
    out: String,
    /// The open groups, the whole pattern first.
    groups: Vec<Group>,
    names: Vec<&'a str>,
}

/// What was read of a group so far.
#[derive(Default)]
struct Group {
    /// How often the last operand is repeated within itself; `None` where a repetition has no operand.
    operand: Option<u32>,
    /// The same, the most of all operands.
    weight: u32,
}

type Translated<T> = Result<T, RegexError>;

impl<'a> Translator<'a> {
    fn run(&mut self) -> Translated<()> {
        // Where the repetition directly before starts.
        let mut last_repeat: Option<&'a str> = None;
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeat = None;
            match c {
                '(' if before.starts_with("(?") => self.flags()?,
                '(' => {
                    self.skip(1);
                    self.open("(");
                }
                '|' => {
                    self.skip(1);
                    self.out.push('|');
                    self.set_operand(None);
                }
                ')' => self.close()?,
                '^' | '$' | '.' => {
                    self.skip(1);
                    self.out.push(c);
                    self.set_operand(Some(1));
                }
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.skip(1);
                    self.repeat(before, 1, last_repeat)?;
                    repeat = Some(before);
                }
                '{' => match repetition(before) {
                    Some((least, most, after)) => {
                        self.rest = after;
                        let is_valid = |count: Option<u32>| count.is_none_or(|count| count <= REPEAT_MAX);
                        let in_order = most.is_none_or(|most| least <= most);
                        if !is_valid(Some(least)) || !is_valid(most) || !in_order {
                            return Err(self.error("invalid repeat count", before));
                        }
                        let count = match most {
                            Some(0) => 0,
                            most => most.unwrap_or(least),
                        };
                        self.repeat(before, count, last_repeat)?;
                        repeat = Some(before);
                    }
                    None => self.literal(c),
                },
                '\\' => self.escaped()?,
                _ => self.literal(c),
            }
            last_repeat = repeat;
        }
        if self.groups.len() > 1 {
            return Err(RegexError::new("missing closing )", self.pattern));
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.skip(c.len_utf8());
        Some(c)
    }

    /// An error about what was read since `from`.
    fn error(&self, message: &str, from: &str) -> RegexError {
        let read = from.len().saturating_sub(self.rest.len());
        RegexError::new(message, from.get(..read).unwrap_or(from))
    }

    fn set_operand(&mut self, weight: Option<u32>) {
        if let Some(group) = self.groups.last_mut() {
            group.operand = weight;
            group.weight = group.weight.max(weight.unwrap_or(0));
        }
    }

    fn open(&mut self, opening: &str) {
        self.out.push_str(opening);
        self.groups.push(Group::default());
    }

    fn close(&mut self) -> Translated<()> {
        self.skip(1);
        self.out.push(')');
        match self.groups.pop() {
            Some(group) if !self.groups.is_empty() => {
                self.set_operand(Some(group.weight.max(1)));
                Ok(())
            }
            _ => Err(RegexError::new("unexpected )", self.pattern)),
        }
    }

    fn literal(&mut self, c: char) {
        self.skip(c.len_utf8());
        self.push_literal(c);
    }

    fn push_literal(&mut self, c: char) {
        push_char(&mut self.out, c);
        self.set_operand(Some(1));
    }

    /// A repetition that starts at `before`, of up to `count` times, its operator read but for a `?`.
    fn repeat(&mut self, before: &'a str, count: u32, last_repeat: Option<&'a str>) -> Translated<()> {
        if self.rest.starts_with('?') {
            self.skip(1);
        }
        if let Some(last) = last_repeat {
            return Err(self.error("invalid nested repetition operator", last));
        }
        let Some(inner) = self.groups.last().and_then(|group| group.operand) else {
            return Err(self.error("missing argument to repetition operator", before));
        };
        let weight = inner.saturating_mul(count).max(1);
        if count >= 2 && weight > REPEAT_MAX {
            return Err(self.error("invalid repeat count", before));
        }
        let operator = before.get(..before.len() - self.rest.len()).unwrap_or_default();
        self.out.push_str(operator);
        self.set_operand(Some(weight));
        Ok(())
    }

    /// A group with flags or a name, or flags alone: what starts with `(?`.
    fn flags(&mut self) -> Translated<()> {
        let from = self.rest;
        let name_start = if from.len() > 4 && from.starts_with("(?P<") {
            Some(4)
        } else {
            (from.len() > 3 && from.starts_with("(?<")).then_some(3)
        };
        if let Some(start) = name_start {
            return self.named_group(start);
        }
        self.skip(2);
        let (mut on, mut off) = (String::new(), String::new());
        let (mut is_negative, mut saw_flag) = (false, false);
        while let Some(c) = self.bump() {
            match c {
                'i' | 'm' | 's' | 'U' => {
                    saw_flag = true;
                    on.retain(|flag| flag != c);
                    off.retain(|flag| flag != c);
                    if is_negative { off.push(c) } else { on.push(c) }
                }
                '-' if !is_negative => {
                    is_negative = true;
                    saw_flag = false;
                }
                ':' | ')' if saw_flag || !is_negative => {
                    let sign = if off.is_empty() { "" } else { "-" };
                    if c == ':' {
                        self.open(&format!("(?{on}{sign}{off}:"));
                    } else if !on.is_empty() || !off.is_empty() {
                        self.out.push_str(&format!("(?{on}{sign}{off})"));
                        // A repetition may not follow in Rust, and reaches over the flags in Go.
                        self.set_operand(None);
                    }
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(self.error("invalid or unsupported Perl syntax", from))
    }

    fn named_group(&mut self, name_start: usize) -> Translated<()> {
        let from = self.rest;
        let Some(end) = from.find('>') else {
            return Err(RegexError::new("invalid named capture", from));
        };
        self.skip(end + 1);
        let name = from.get(name_start..end).unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            return Err(self.error("invalid named capture", from));
        }
        // Neither a number nor a second time the same is a name in Rust. The group's number tells as much.
        if name.starts_with(|c: char| c.is_ascii_digit()) || self.names.contains(&name) {
            self.open("(");
        } else {
            self.names.push(name);
            self.open(&format!("(?P<{name}>"));
        }
        Ok(())
    }

    /// What starts with a backslash, outside of a class.
    fn escaped(&mut self) -> Translated<()> {
        let from = self.rest;
        let assertion = match from.as_bytes().get(1) {
            Some(b'A') => "\\A",
            Some(b'z') => "\\z",
            Some(b'b') => "(?-u:\\b)",
            Some(b'B') => "(?-u:\\B)",
            Some(b'Q') => {
                self.skip(2);
                let (quoted, after) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                quoted.chars().for_each(|c| self.push_literal(c));
                self.rest = after;
                return Ok(());
            }
            _ => "",
        };
        if !assertion.is_empty() {
            self.skip(2);
            self.out.push_str(assertion);
        } else if let Some(class) = self.class_escape()? {
            self.out.push_str(&class);
        } else {
            let c = self.escape()?;
            push_char(&mut self.out, c);
        }
        self.set_operand(Some(1));
        Ok(())
    }

    /// `\d`, `\pL` and the like, as something that may stand in and outside of a class.
    fn class_escape(&mut self) -> Translated<Option<String>> {
        let class = match self.rest.as_bytes() {
            [b'\\', b'd', ..] => "[0-9]",
            [b'\\', b'D', ..] => "[^0-9]",
            [b'\\', b's', ..] => "[\\t\\n\\x0C\\r ]",
            [b'\\', b'S', ..] => "[^\\t\\n\\x0C\\r ]",
            [b'\\', b'w', ..] => "[0-9A-Za-z_]",
            [b'\\', b'W', ..] => "[^0-9A-Za-z_]",
            [b'\\', b'p' | b'P', ..] => return self.unicode_class().map(Some),
            _ => return Ok(None),
        };
        self.skip(2);
        Ok(Some(class.to_owned()))
    }

    fn unicode_class(&mut self) -> Translated<String> {
        const INVALID: &str = "invalid character class range";
        let from = self.rest;
        let mut is_negative = from.starts_with("\\P");
        self.skip(2);
        let name = match self.bump() {
            Some('{') => {
                let Some(end) = from.find('}') else { return Err(RegexError::new(INVALID, from)) };
                self.rest = from.get(end + 1..).unwrap_or_default();
                from.get(3..end).unwrap_or_default()
            }
            _ => from.get(2..from.len() - self.rest.len()).unwrap_or_default(),
        };
        let bare = name.strip_prefix('^').unwrap_or(name);
        is_negative ^= bare.len() != name.len();
        let is_letter = |byte: u8| byte == b'_' || byte.is_ascii_alphabetic();
        // General categories and scripts alone, for Go knows no other properties.
        let property =
            [format!("gc={bare}"), format!("sc={bare}"), bare.to_owned()].into_iter().find(|property| {
                let is_group = property.contains('=')
                    || ["any", "ascii", "assigned"].contains(&bare.to_lowercase().as_str());
                is_group && regex_syntax::parse(&format!("\\p{{{property}}}")).is_ok()
            });
        match property {
            Some(property) if !bare.is_empty() && bare.bytes().all(is_letter) => {
                Ok(format!("\\{}{{{property}}}", if is_negative { 'P' } else { 'p' }))
            }
            _ => Err(self.error(INVALID, from)),
        }
    }

    /// The character that an escape stands for.
    fn escape(&mut self) -> Translated<char> {
        let from = self.rest;
        self.skip(1);
        let Some(c) = self.bump() else {
            return Err(RegexError::new("trailing backslash at end of expression", ""));
        };
        let code = match c {
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(u32::from('\n')),
            'r' => Some(u32::from('\r')),
            't' => Some(u32::from('\t')),
            'v' => Some(0x0b),
            'x' => self.hexadecimal(),
            '0' => Some(self.octal(0)),
            '1'..='7' if self.rest.starts_with(|c: char| c.is_digit(8)) => {
                Some(self.octal(c.to_digit(8).unwrap_or_default()))
            }
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        match code {
            // A surrogate stands in no text; nor should this.
            Some(code) => Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
            None => Err(self.error("invalid escape sequence", from)),
        }
    }

    fn octal(&mut self, mut code: u32) -> u32 {
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            self.skip(1);
            code = code * 8 + digit;
        }
        code
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.bump()?;
        if first != '{' {
            let second = self.bump()?;
            return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
        }
        let mut code = None;
        loop {
            let c = self.bump()?;
            if c == '}' {
                return code;
            }
            let longer = code.unwrap_or(0) * 16 + c.to_digit(16)?;
            if longer > u32::from(char::MAX) {
                return None;
            }
            code = Some(longer);
        }
    }

    fn class(&mut self) -> Translated<()> {
        let whole = self.rest;
        self.skip(1);
        self.out.push('[');
        if self.rest.starts_with('^') {
            self.skip(1);
            self.out.push('^');
        }
        let mut is_first = true;
        while is_first || !self.rest.starts_with(']') {
            is_first = false;
            if let Some(class) = self.posix_class()? {
                self.out.push_str(class);
                continue;
            }
            if let Some(class) = self.class_escape()? {
                self.out.push_str(&class);
                continue;
            }
            let from = self.rest;
            let low = self.class_char(whole)?;
            push_char(&mut self.out, low);
            if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.skip(1);
                let high = self.class_char(whole)?;
                if high < low {
                    return Err(self.error("invalid character class range", from));
                }
                self.out.push('-');
                push_char(&mut self.out, high);
            }
        }
        self.skip(1);
        self.out.push(']');
        self.set_operand(Some(1));
        Ok(())
    }

    fn class_char(&mut self, whole: &str) -> Translated<char> {
        if self.rest.starts_with('\\') {
            return self.escape();
        }
        self.bump().ok_or_else(|| RegexError::new("missing closing ]", whole))
    }

    /// `[:alpha:]` and the like.
    fn posix_class(&mut self) -> Translated<Option<&'a str>> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        let from = self.rest;
        let Some((name, after)) = from.strip_prefix("[:").and_then(|body| body.split_once(":]")) else {
            return Ok(None);
        };
        self.rest = after;
        let bare = name.strip_prefix('^').unwrap_or(name);
        if !NAMES.contains(&bare) {
            return Err(self.error("invalid character class range", from));
        }
        Ok(from.get(..from.len() - after.len()))
    }
}

/// The bounds of `{2}`, `{2,}`, `{2,3}`, and what follows. A number that is too large comes out as the largest.
fn repetition(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (least, rest) = count(text.strip_prefix('{')?)?;
    if let Some(after) = rest.strip_prefix('}') {
        return Some((least, Some(least), after));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(after) = rest.strip_prefix('}') {
        return Some((least, None, after));
    }
    let (most, rest) = count(rest)?;
    Some((least, Some(most), rest.strip_prefix('}')?))
}

fn count(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(NUMBER_MAX).min(NUMBER_MAX), rest))
}

/// `c` as itself, in and outside of a class.
fn push_char(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() {
        out.push_str(&format!("\\x{:02X}", u32::from(c)));
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests;
