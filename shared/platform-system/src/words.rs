//! What the operating system says, in Go's words.

use std::io;

/// The system's words as Go prints them: `permission denied`, not `Permission denied (os error 13)`.
#[must_use]
pub fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    let words = match (error.raw_os_error(), text.find(" (os error ")) {
        (Some(_), Some(end)) => text.get(..end).unwrap_or(&text),
        _ => &text,
    };
    let mut characters = words.chars();
    match characters.next() {
        // An abbreviation such as `RPC struct is bad` keeps its capitals.
        Some(first) if !characters.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_gos() {
        for (number, words) in [
            (2, "no such file or directory"),
            (13, "permission denied"),
            (28, "no space left on device"),
            (30, "read-only file system"),
            (104, "connection reset by peer"),
            (111, "connection refused"),
            (113, "no route to host"),
        ] {
            assert_eq!(system_words(&io::Error::from_raw_os_error(number)), words);
        }
    }
}
