//! Label sets.
//!
//! # Invariants
//! - *Sorted*: by name, bytewise, as Prometheus does; names are unique.
//! - *No empty values*: a label with an empty value is an absent label, so it is never stored.
//! - *One allocation*: a set is one shared string, so a clone is a reference count and equality is `memcmp`.
//!
//! Layout of the string: for each label `length name length value`, a length being base-64 digits, low first, in
//! bytes below 0x80 (0x40 set on all but the last), which keeps the whole valid UTF-8.

use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::sync::Arc;

use xxhash_rust::xxh64::Xxh64;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";
/// The upper bound of a classic histogram's bucket.
pub const BUCKET_LABEL: &str = "le";
/// The quantile of a summary.
pub const QUANTILE_LABEL: &str = "quantile";
/// Names the scrape config that a target came from.
pub const JOB_LABEL: &str = "job";
/// Names the target.
pub const INSTANCE_LABEL: &str = "instance";

/// A sorted, immutable set of labels: the identity of a series. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    packed: Arc<str>,
}

impl Labels {
    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self { packed: Arc::from("") }
    }

    /// A set of the given pairs in any order. Empty values are dropped; of equal names the last wins.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        builder.build()
    }

    /// A set of pairs whose names are unique and in order, which is for the caller to see to; empty values are dropped.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str), IntoIter: Clone>) -> Self {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let length = |(name, value): (&str, &str)| name.len() + value.len() + 4;
        let mut packed = String::with_capacity(pairs.clone().map(length).sum());
        for (name, value) in pairs {
            push_label(&mut packed, name, value);
        }
        Self { packed: packed.into() }
    }

    /// The value of `name`, or `None` where it is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        for (candidate, value) in self {
            match candidate.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(value),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The value of `name`, or the empty string, which is what Prometheus takes an absent label for.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric name, or the empty string.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.value(METRIC_NAME)
    }

    /// The labels in order of their names.
    #[must_use]
    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter { rest: &self.packed }
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// Bytes of the packed form: what the set occupies.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.packed.len()
    }

    /// A builder that starts from these labels.
    #[must_use]
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { labels: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// These labels less those that `drop` names.
    #[must_use]
    pub fn without(&self, drop: &[&str]) -> Self {
        self.filtered(|name| !drop.contains(&name))
    }

    /// Only those labels that `keep` names.
    #[must_use]
    pub fn project(&self, keep: &[&str]) -> Self {
        self.filtered(|name| keep.contains(&name))
    }

    /// Those labels whose name satisfies `keep`.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        let mut packed = String::with_capacity(self.packed.len());
        for (name, value) in self.iter().filter(|(name, _)| keep(name)) {
            push_label(&mut packed, name, value);
        }
        Self { packed: packed.into() }
    }

    /// Prometheus's `Labels.Hash`: xxh64 with seed 0 over `len name len value`, a length being one byte or, from 255
    /// on, 0xff and three bytes, low first. Stable across versions: it decides target offsets and `limit_ratio`.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = Xxh64::new(0);
        for (name, value) in self {
            for text in [name, value] {
                update_with_length(&mut hasher, text.len());
                hasher.update(text.as_bytes());
            }
        }
        hasher.digest()
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// Prometheus's `labels.Compare`: label by label, name before value; the shorter set first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Display for Labels {
    /// `{a="b", c="d"}`, the metric name as a label; names that are not legacy-valid are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&quote(name))?;
            }
            write!(f, "={}", quote(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self::from_pairs(pairs)
    }
}

/// Iterates over a label set as `(name, value)`.
#[derive(Clone, Debug)]
pub struct LabelsIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = take_text(self.rest)?;
        let (value, rest) = take_text(rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

/// Changes labels and packs them once. Kept sorted; at most one value a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelsBuilder {
    labels: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// A builder with no label.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `name`; an empty value removes it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        match self.position(&name) {
            Ok(at) if value.is_empty() => {
                self.labels.remove(at);
            }
            Ok(at) => self.labels[at].1 = value,
            Err(_) if value.is_empty() => {}
            Err(at) => self.labels.insert(at, (name, value)),
        }
        self
    }

    /// Removes `name` where it is set.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        if let Ok(at) = self.position(name) {
            self.labels.remove(at);
        }
        self
    }

    /// Keeps only the labels that satisfy `keep(name, value)`.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut Self {
        self.labels.retain(|(name, value)| keep(name, value));
        self
    }

    /// The value of `name`, or the empty string.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.position(name).ok().and_then(|at| self.labels.get(at)).map_or("", |(_, value)| value)
    }

    /// The labels so far, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The finished set.
    #[must_use]
    pub fn build(&self) -> Labels {
        let mut packed = String::with_capacity(self.labels.iter().map(|(n, v)| n.len() + v.len() + 4).sum());
        for (name, value) in &self.labels {
            push_label(&mut packed, name, value);
        }
        Labels { packed: packed.into() }
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.labels.binary_search_by(|(candidate, _)| candidate.as_str().cmp(name))
    }
}

/// Which names are valid: `metric_name_validation_scheme`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameValidation {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// The rules from before UTF-8 names.
    Legacy,
}

impl NameValidation {
    /// Whether `name` is a label name.
    #[must_use]
    pub fn is_label_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_legacy_label_name(name),
        }
    }

    /// Whether `name` is a metric name.
    #[must_use]
    pub fn is_metric_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_legacy_metric_name(name),
        }
    }
}

/// Whether `name` is a label name by the rules from before UTF-8 names: `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether `name` is a metric name by the rules from before UTF-8 names: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// `text` as Go's `strconv.Quote` writes it.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
        }
    }
    out.push('"');
    out
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the space.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // The standard library escapes exactly the others, after a first character that a mark can attach to.
    let mut base = String::from("a");
    base.push(c);
    base.escape_debug().nth(1) == Some(c)
}

/// As [`quote`], of bytes: what is not UTF-8 is written as `\\xff`.
#[must_use]
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        let quoted = quote(chunk.valid());
        out.push_str(quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn push_label(packed: &mut String, name: &str, value: &str) {
    for text in [name, value] {
        push_length(packed, text.len());
        packed.push_str(text);
    }
}

fn push_length(packed: &mut String, mut length: usize) {
    while length >= 0x40 {
        packed.push(char::from(0x40 | (length & 0x3f) as u8));
        length >>= 6;
    }
    packed.push(char::from(length as u8));
}

fn take_text(packed: &str) -> Option<(&str, &str)> {
    let (mut length, mut shift, mut digits) = (0usize, 0u32, 0usize);
    for byte in packed.bytes() {
        length |= usize::from(byte & 0x3f) << shift;
        shift += 6;
        digits += 1;
        if byte & 0x40 == 0 {
            let rest = &packed[digits..];
            return Some((&rest[..length], &rest[length..]));
        }
    }
    None
}

fn update_with_length(hasher: &mut Xxh64, length: usize) {
    if length < 255 {
        hasher.update(&[length as u8]);
    } else {
        hasher.update(&[0xff, length as u8, (length >> 8) as u8, (length >> 16) as u8]);
    }
}

#[cfg(test)]
mod tests;
