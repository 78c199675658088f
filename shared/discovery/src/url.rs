//! URLs as Go's `net/url` writes them: targets are known by them.

use std::fmt::Write;

/// `scheme://host/path?query`; `query` is encoded already.
pub(crate) fn format(scheme: &str, host: &str, path: &str, query: &str) -> String {
    let mut out = String::with_capacity(scheme.len() + host.len() + path.len() + query.len() + 4);
    if !scheme.is_empty() {
        out.push_str(scheme);
        out.push(':');
    }
    if (!scheme.is_empty() || !host.is_empty()) && (!host.is_empty() || !path.is_empty()) {
        out.push_str("//");
        escape(&mut out, host, is_host_byte);
    }
    if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
        out.push('/');
    }
    escape(&mut out, path, is_path_byte);
    if !query.is_empty() {
        out.push('?');
        out.push_str(query);
    }
    out
}

/// Parameters as a query, in the order given.
pub(crate) fn query<'a>(params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in params {
        if !out.is_empty() {
            out.push('&');
        }
        escape_query(&mut out, name);
        out.push('=');
        escape_query(&mut out, value);
    }
    out
}

fn escape_query(out: &mut String, text: &str) {
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            out.push('+');
        }
        escape(out, word, is_unreserved);
    }
}

fn escape(out: &mut String, text: &str, keep: fn(u8) -> bool) {
    for byte in text.bytes() {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}

fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"$&+,/:;=@".contains(&byte)
}

fn is_host_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:[]<>\"".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_written_as_go_writes_them() {
        let query = query([("a b", "c d"), ("a b", "é&="), ("x", "~-_.*'()!")]);
        assert_eq!(query, "a+b=c+d&a+b=%C3%A9%26%3D&x=~-_.%2A%27%28%29%21");
        for (path, written) in [
            ("/metrics", "http://h:1/metrics"),
            ("metrics", "http://h:1/metrics"),
            ("/a b?c#d", "http://h:1/a%20b%3Fc%23d"),
            ("/é%zz", "http://h:1/%C3%A9%25zz"),
            ("//x", "http://h:1//x"),
            ("", "http://h:1"),
            ("/a;b,c=d&e+f$g@h:i!j'k(l)m*n", "http://h:1/a;b,c=d&e+f$g@h:i%21j%27k%28l%29m%2An"),
        ] {
            assert_eq!(format("http", "h:1", path, ""), written);
        }
        for (host, written) in [
            ("a b", "http://a%20b/m"),
            ("[::1]:90", "http://[::1]:90/m"),
            ("é.com", "http://%C3%A9.com/m"),
            ("x@y", "http://x%40y/m"),
            ("a%b", "http://a%25b/m"),
            ("", "http:///m"),
            ("h<>\"^`{|}", "http://h<>\"%5E%60%7B%7C%7D/m"),
        ] {
            assert_eq!(format("http", host, "/m", ""), written);
        }
        assert_eq!(format("", "h", "/m", "a=b"), "//h/m?a=b");
    }
}
