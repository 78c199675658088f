//! Patterns of paths, as Go's `path/filepath` matches them: `*`, `?`, `[a-z]`, `[^a-z]` and `\` within a segment.

/// A pattern of whole paths, segment by segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    segments: Vec<GlobSegment>,
}

/// The part of a pattern between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GlobSegment {
    /// Exactly this name.
    Name(String),
    /// Any name that fits.
    Pattern(NamePattern),
}

/// A pattern of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// `*`: any number of characters.
    Many,
    /// `?`: any one character.
    One,
    Literal(char),
    /// `[…]`: one character in (or, negated, outside) the inclusive ranges.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Parses a pattern; `None` where a class is malformed or a `\` ends it.
    #[must_use]
    pub fn parse(pattern: &str) -> Option<Self> {
        let segments = pattern.split('/').map(GlobSegment::parse).collect::<Option<_>>()?;
        Some(Self { segments })
    }

    /// Its segments; the first is an empty name where the pattern begins at the root.
    #[must_use]
    pub fn segments(&self) -> &[GlobSegment] {
        &self.segments
    }

    /// Whether `path` fits.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut names = path.split('/');
        let fits = self.segments.iter().all(|segment| names.next().is_some_and(|name| segment.matches(name)));
        fits && names.next().is_none()
    }
}

impl GlobSegment {
    fn parse(segment: &str) -> Option<Self> {
        let pattern = NamePattern::parse(segment)?;
        let literal = |token: &Token| match token {
            Token::Literal(character) => Some(*character),
            Token::Many | Token::One | Token::Class { .. } => None,
        };
        let name: Option<String> = pattern.tokens.iter().map(literal).collect();
        Some(name.map_or(Self::Pattern(pattern), Self::Name))
    }

    /// Whether `name` fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Pattern(pattern) => pattern.matches(name),
        }
    }
}

impl NamePattern {
    fn parse(pattern: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let token = match character {
                '*' => Token::Many,
                '?' => Token::One,
                '\\' => Token::Literal(characters.next()?),
                '[' => parse_class(&mut characters)?,
                other => Token::Literal(other),
            };
            if token != Token::Many || tokens.last() != Some(&Token::Many) {
                tokens.push(token);
            }
        }
        Some(Self { tokens })
    }

    /// Whether the whole of `name` fits. Takes time in the product of the two lengths at worst: only the last `*` is
    /// ever tried again.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut token, mut at) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let step = match (self.tokens.get(token), name.get(at)) {
                (None, None) => return true,
                (Some(Token::Many), _) => {
                    retry = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                (Some(one), Some(character)) => one.matches_one(*character),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if step {
                token += 1;
                at += 1;
                continue;
            }
            match retry {
                Some((after, from)) if from < name.len() => {
                    retry = Some((after, from + 1));
                    (token, at) = (after, from + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn matches_one(&self, character: char) -> bool {
        match self {
            Self::Many => false,
            Self::One => true,
            Self::Literal(own) => *own == character,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
        }
    }
}

/// What follows a `[`, up to its `]`.
fn parse_class(characters: &mut std::str::Chars<'_>) -> Option<Token> {
    let member = |characters: &mut std::str::Chars<'_>| match characters.next()? {
        '\\' => characters.next(),
        '-' | ']' => None,
        other => Some(other),
    };
    let negated = characters.as_str().starts_with('^');
    if negated {
        characters.next();
    }
    let mut ranges = Vec::new();
    while ranges.is_empty() || !characters.as_str().starts_with(']') {
        let low = member(characters)?;
        let mut high = low;
        if characters.as_str().starts_with('-') {
            characters.next();
            high = member(characters)?;
        }
        ranges.push((low, high));
    }
    characters.next();
    Some(Token::Class { negated, ranges })
}

#[cfg(test)]
mod tests {
    use super::Glob;

    /// Go's own table in `path/filepath/match_test.go`, of which these are the telling rows.
    #[test]
    fn matches_as_go_does() {
        for (pattern, path, fits) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x\\-]", "z", false),
            ("*x", "xxx", true),
            ("/etc/*.json", "/etc/.json", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(path), fits, "{pattern} {path}");
        }
        for malformed in ["[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "\\"] {
            assert_eq!(Glob::parse(malformed), None, "{malformed}");
        }
    }
}
