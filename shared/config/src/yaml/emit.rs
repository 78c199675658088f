//! A document as YAML text again, with secrets replaced: what `/api/v1/status/config` shows.
//!
//! Every scalar is written anew, so no style of the input can carry part of a secret through; comments are left out,
//! for they may hold one. Anchors and aliases stay, so the output is no longer than the input warrants.

use std::fmt::Write;

use super::resolve::short_tag;
use super::{Document, Kind, Node, NodeId};

/// Keys whose values Prometheus holds as secrets, wherever they stand.
const SECRET_KEYS: [&str; 19] = [
    "access_key",
    "account_token",
    "application_secret",
    "auth_token",
    "bearer_token",
    "client_certificate_key",
    "client_secret",
    "consumer_key",
    "credentials",
    "key",
    "passphrase",
    "password",
    "private_key",
    "private_key_passphrase",
    "secret_key",
    "secrets",
    "service_account_key",
    "token",
    "proxy_connect_header",
];

/// Longest key that is written before its colon; YAML ends such keys at 1024 characters.
const SIMPLE_KEY_MAX: usize = 128;

/// `document` as text, with every secret replaced by `<secret>`.
pub(crate) fn redacted(document: &Document) -> String {
    let mut emitter = Emitter { document, out: String::new() };
    if let Some(root) = document.root() {
        emitter.value(root, 0, false);
    }
    emitter.out
}

struct Emitter<'d> {
    document: &'d Document,
    out: String,
}

impl Emitter<'_> {
    /// Writes a node after what is already on the line, up to and with its line break.
    fn value(&mut self, id: NodeId, indent: usize, after_key: bool) {
        let node = self.document.node(id);
        if let Some(anchor) = node.anchor {
            let _ = write!(self.out, "{}&a{anchor}", if after_key { " " } else { "" });
        }
        // A collection below a key or an anchor starts on a line of its own.
        let broken = after_key || node.anchor.is_some();
        match &node.kind {
            Kind::Sequence(items) if !items.is_empty() => {
                self.break_line(broken);
                self.sequence(items, indent, broken);
            }
            Kind::Mapping(entries) if !entries.is_empty() => {
                self.break_line(broken);
                self.mapping(entries, indent, broken);
            }
            _ => {
                if broken {
                    self.out.push(' ');
                }
                let text = self.inline(node);
                self.out.push_str(&text);
                self.out.push('\n');
            }
        }
    }

    fn sequence(&mut self, items: &[NodeId], indent: usize, indent_first: bool) {
        for (index, item) in items.iter().enumerate() {
            self.indent(if index > 0 || indent_first { indent } else { 0 });
            self.out.push_str("- ");
            self.value(*item, indent + 2, false);
        }
    }

    fn mapping(&mut self, entries: &[(NodeId, NodeId)], indent: usize, indent_first: bool) {
        for (index, (key, value)) in entries.iter().enumerate() {
            self.indent(if index > 0 || indent_first { indent } else { 0 });
            self.key(*key, indent);
            if self.is_secret(*key) && !self.is_empty(*value) {
                let anchor = self.document.node(*value).anchor;
                let anchor = anchor.map(|anchor| format!(" &a{anchor}")).unwrap_or_default();
                let _ = writeln!(self.out, "{anchor} <secret>");
            } else {
                self.value(*value, indent + 2, true);
            }
        }
    }

    fn key(&mut self, key: NodeId, indent: usize) {
        let node = self.document.node(key);
        let text = match &node.kind {
            Kind::Scalar { .. } => self.inline(node),
            // The colon must not become part of the alias's name.
            Kind::Alias(_) => format!("{} ", self.inline(node)),
            // No configuration has such keys; what is written must be well-formed nevertheless.
            Kind::Sequence(_) | Kind::Mapping(_) => "? ".to_owned(),
        };
        if let Some(anchor) = node.anchor {
            let _ = write!(self.out, "&a{anchor} ");
        }
        if text.len() > SIMPLE_KEY_MAX {
            let _ = writeln!(self.out, "? {text}");
            self.indent(indent);
        } else {
            self.out.push_str(&text);
        }
        self.out.push(':');
    }

    fn inline(&self, node: &Node) -> String {
        match &node.kind {
            Kind::Scalar { value, plain, tag } => scalar(value, *plain, tag.as_deref()),
            Kind::Sequence(_) => "[]".to_owned(),
            Kind::Mapping(_) => "{}".to_owned(),
            Kind::Alias(target) => {
                format!("*a{}", self.document.node(*target).anchor.unwrap_or_default())
            }
        }
    }

    fn is_secret(&self, key: NodeId) -> bool {
        match &self.document.target(key).kind {
            Kind::Scalar { value, .. } => SECRET_KEYS.contains(&&**value),
            _ => false,
        }
    }

    fn is_empty(&self, value: NodeId) -> bool {
        match &self.document.target(value).kind {
            Kind::Scalar { value, .. } => value.is_empty(),
            _ => false,
        }
    }

    fn break_line(&mut self, needed: bool) {
        if needed {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, width: usize) {
        self.out.extend(std::iter::repeat_n(' ', width));
    }
}

fn scalar(value: &str, plain: bool, tag: Option<&str>) -> String {
    let tag = tag.map(short_tag).filter(|tag| {
        tag.strip_prefix("!!")
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()))
    });
    let tagged = tag.is_some();
    let prefix = tag.map(|tag| format!("{tag} ")).unwrap_or_default();
    if plain && !tagged && value.chars().all(|c| !c.is_control() && !is_exotic(c)) {
        return value.to_owned();
    }
    format!("{prefix}{}", double_quoted(value))
}

fn double_quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_exotic(c) => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Line separators, the byte order mark and non-characters, which are not allowed in YAML as they are.
fn is_exotic(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
