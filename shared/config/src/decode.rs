//! From nodes to values, as go-yaml's strict decoder does it: wrong types, unknown fields and duplicates are gathered
//! with their lines, and everything else that is wrong ends the decoding at once.
//!
//! A method that finds a wrong type notes it and gives the type's zero value, so that the rest of the document is
//! still looked at. Who validates a structure after decoding it asks [`Decoder::clean_since`] first, for Prometheus
//! does not validate what it could not read.

use std::collections::BTreeSet;
use std::time::Duration;

use model::duration;
use model::labels::quote;

use crate::yaml::resolve::{Dialect, Resolved, base64, old_bool, resolve};
use crate::yaml::{Document, Kind, Node, NodeId};

/// Ends the decoding: its text is the whole error.
#[derive(Debug)]
pub(crate) struct Fatal(pub(crate) String);

impl<T: std::error::Error> From<T> for Fatal {
    fn from(error: T) -> Self {
        Self(error.to_string())
    }
}

/// A value, or why there is none.
pub(crate) type Decoded<T> = Result<T, Fatal>;

/// What a structure makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// It took its value.
    Known,
    /// Prometheus has no such field.
    Unknown,
    /// Prometheus has it; foxfire does not honour it.
    Unsupported,
}

/// Aliases through which a node may be reached.
const ALIAS_DEPTH_MAX: usize = 32;

/// Decodes one document.
#[derive(Debug)]
pub(crate) struct Decoder<'d> {
    document: &'d Document,
    dialect: Dialect,
    /// Whether unknown fields are faults.
    known_fields: bool,
    type_errors: Vec<String>,
    warnings: Vec<String>,
    steps: u64,
    alias_steps: u64,
    alias_depth: usize,
}

impl<'d> Decoder<'d> {
    /// A decoder of `document`.
    pub(crate) fn new(document: &'d Document, dialect: Dialect, known_fields: bool) -> Self {
        Self {
            document,
            dialect,
            known_fields,
            type_errors: Vec::new(),
            warnings: Vec::new(),
            steps: 0,
            alias_steps: 0,
            alias_depth: 0,
        }
    }

    /// The gathered type errors as go-yaml prints them, or else the warnings.
    pub(crate) fn finish(self) -> Result<Vec<String>, String> {
        if self.type_errors.is_empty() {
            return Ok(self.warnings);
        }
        Err(format!("yaml: unmarshal errors:\n  {}", self.type_errors.join("\n  ")))
    }

    /// How many type errors there are so far.
    pub(crate) fn mark(&self) -> usize {
        self.type_errors.len()
    }

    /// Whether no type error came since `mark`.
    pub(crate) fn clean_since(&self, mark: usize) -> bool {
        self.type_errors.len() == mark
    }

    /// Notes something that is accepted but has no effect.
    pub(crate) fn warn(&mut self, id: NodeId, what: &str) {
        let line = self.document.node(id).line;
        self.warnings.push(format!("line {line}: {what}"));
    }

    /// Refuses what Prometheus has and foxfire does not: `what` begins with `field x`.
    pub(crate) fn refuse(&mut self, id: NodeId, what: &str) {
        let line = self.document.node(id).line;
        self.type_errors.push(format!("line {line}: {what} is not supported by foxfire yet"));
    }

    /// The node itself, for its position.
    pub(crate) fn node(&self, id: NodeId) -> &'d Node {
        self.document.node(id)
    }

    /// Whether `id` is null, which sets any type to its zero value.
    pub(crate) fn is_null(&self, id: NodeId) -> bool {
        match &self.document.target(id).kind {
            Kind::Scalar { value, plain, tag } => {
                let resolved = resolve(value, *plain, tag.as_deref(), self.dialect);
                matches!(resolved, Ok((_, Resolved::Null)))
            }
            _ => false,
        }
    }

    /// Whether `id` is null or a sequence of nothing: a field that is not set at all.
    pub(crate) fn is_unset(&self, id: NodeId) -> bool {
        matches!(&self.document.target(id).kind, Kind::Sequence(items) if items.is_empty())
            || self.is_null(id)
    }

    /// A structure: `field` is called with each key and its value, in order. False where it is no mapping.
    pub(crate) fn structure(
        &mut self,
        id: NodeId,
        type_name: &str,
        field: &mut dyn FnMut(&mut Self, &str, NodeId) -> Decoded<Field>,
    ) -> Decoded<bool> {
        self.within(id, |decoder, node| match &node.kind {
            Kind::Mapping(entries) => decoder.entries(entries, type_name, field).map(|()| true),
            _ => decoder.mismatch(node, type_name).map(|()| false),
        })
    }

    /// A list; null is an empty one.
    pub(crate) fn list<T>(
        &mut self,
        id: NodeId,
        type_name: &str,
        item: &mut dyn FnMut(&mut Self, NodeId) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        self.within(id, |decoder, node| match &node.kind {
            Kind::Sequence(items) => {
                let mut out = Vec::with_capacity(items.len());
                for id in items {
                    let mark = decoder.mark();
                    let value = item(decoder, *id)?;
                    if decoder.clean_since(mark) {
                        out.push(value);
                    }
                }
                Ok(out)
            }
            _ if decoder.is_null(id) => Ok(Vec::new()),
            _ => decoder.mismatch(node, type_name).map(|()| Vec::new()),
        })
    }

    /// A list of strings.
    pub(crate) fn strings(&mut self, id: NodeId, type_name: &str) -> Decoded<Vec<String>> {
        self.list(id, type_name, &mut |decoder, id| decoder.string(id, "string"))
    }

    /// A map from text to what `value` decodes; null is an empty one.
    pub(crate) fn map<T>(
        &mut self,
        id: NodeId,
        type_name: &str,
        value: &mut dyn FnMut(&mut Self, NodeId) -> Decoded<T>,
    ) -> Decoded<Vec<(String, T)>> {
        let mut out = Vec::new();
        let mut seen = BTreeSet::new();
        self.map_into(id, type_name, value, &mut out, &mut seen)?;
        Ok(out)
    }

    /// A map from text to text, its keys and values possibly not UTF-8 (`!!binary`).
    pub(crate) fn byte_map(&mut self, id: NodeId, type_name: &str) -> Decoded<Vec<(Vec<u8>, Vec<u8>)>> {
        self.within(id, |decoder, node| {
            let Kind::Mapping(entries) = &node.kind else {
                if !decoder.is_null(id) {
                    decoder.mismatch(node, type_name)?;
                }
                return Ok(Vec::new());
            };
            let mut out: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            for (key, value) in decoder.flattened(entries)? {
                let mark = decoder.mark();
                let name = decoder.bytes(key, "string")?;
                let text = decoder.bytes(value, "string")?;
                if !decoder.clean_since(mark) {
                    continue;
                }
                if out.iter().any(|(other, _)| *other == name) {
                    decoder.already_in_map(value, &String::from_utf8_lossy(&name));
                } else {
                    out.push((name, text));
                }
            }
            Ok(out)
        })
    }

    /// Text: any scalar as it is written; null is empty.
    pub(crate) fn string(&mut self, id: NodeId, type_name: &str) -> Decoded<String> {
        let bytes = self.bytes(id, type_name)?;
        String::from_utf8(bytes)
            .map_err(|error| Fatal(format!("{} is not valid UTF-8", quote_bytes(error.as_bytes()))))
    }

    /// A boolean; null is false.
    pub(crate) fn bool(&mut self, id: NodeId) -> Decoded<bool> {
        self.scalar(id, "bool", |value, resolved, dialect| match resolved {
            Resolved::Null => Some(false),
            Resolved::Bool(value) => Some(value),
            Resolved::Text if dialect == Dialect::V3 => old_bool(value),
            _ => None,
        })
    }

    /// A whole number that is not negative; null is 0.
    pub(crate) fn uint(&mut self, id: NodeId, type_name: &str) -> Decoded<u64> {
        self.scalar(id, type_name, |_, resolved, _| match resolved {
            Resolved::Null => Some(0),
            Resolved::Int(value) => u64::try_from(value).ok(),
            Resolved::Uint(value) => Some(value),
            Resolved::Float(value) if value <= u64::MAX as f64 => Some(value as u64),
            _ => None,
        })
    }

    /// A whole number; null is 0.
    pub(crate) fn int(&mut self, id: NodeId, type_name: &str) -> Decoded<i64> {
        self.scalar(id, type_name, |_, resolved, _| match resolved {
            Resolved::Null => Some(0),
            Resolved::Int(value) => Some(value),
            Resolved::Float(value) if value <= i64::MAX as f64 => Some(value as i64),
            _ => None,
        })
    }

    /// A number; null is 0.
    pub(crate) fn float(&mut self, id: NodeId) -> Decoded<f64> {
        self.scalar(id, "float64", |_, resolved, _| match resolved {
            Resolved::Null => Some(0.0),
            Resolved::Int(value) => Some(value as f64),
            Resolved::Uint(value) => Some(value as f64),
            Resolved::Float(value) => Some(value),
            _ => None,
        })
    }

    /// A duration; null is none.
    pub(crate) fn duration(&mut self, id: NodeId) -> Decoded<Duration> {
        if self.is_null(id) {
            return Ok(Duration::ZERO);
        }
        let mark = self.mark();
        let text = self.string(id, "string")?;
        if self.clean_since(mark) { Ok(duration::parse(&text)?) } else { Ok(Duration::ZERO) }
    }

    fn bytes(&mut self, id: NodeId, type_name: &str) -> Decoded<Vec<u8>> {
        self.within(id, |decoder, node| {
            let Kind::Scalar { value, plain, tag } = &node.kind else {
                return decoder.mismatch(node, type_name).map(|()| Vec::new());
            };
            match resolve(value, *plain, tag.as_deref(), decoder.dialect).map_err(Fatal)?.1 {
                Resolved::Null => Ok(Vec::new()),
                Resolved::Binary => base64(value)
                    .ok_or_else(|| Fatal("yaml: !!binary value contains invalid base64 data".to_owned())),
                _ => Ok(value.as_bytes().to_vec()),
            }
        })
    }

    fn scalar<T: Default>(
        &mut self,
        id: NodeId,
        type_name: &str,
        convert: impl Fn(&str, Resolved, Dialect) -> Option<T>,
    ) -> Decoded<T> {
        self.within(id, |decoder, node| {
            if let Kind::Scalar { value, plain, tag } = &node.kind {
                let (_, resolved) = resolve(value, *plain, tag.as_deref(), decoder.dialect).map_err(Fatal)?;
                if let Some(converted) = convert(value, resolved, decoder.dialect) {
                    return Ok(converted);
                }
            }
            decoder.mismatch(node, type_name)?;
            Ok(T::default())
        })
    }

    /// Visits the node that `id` stands for, counting what aliases multiply.
    fn within<T>(&mut self, id: NodeId, visit: impl FnOnce(&mut Self, &'d Node) -> Decoded<T>) -> Decoded<T> {
        let is_alias = matches!(self.document.node(id).kind, Kind::Alias(_));
        self.alias_depth += usize::from(is_alias);
        self.steps += 1;
        self.alias_steps += u64::from(self.alias_depth > 0);
        if self.alias_depth > ALIAS_DEPTH_MAX || self.is_excessive() {
            return Err(Fatal("yaml: document contains excessive aliasing".to_owned()));
        }
        let result = visit(self, self.document.target(id));
        self.alias_depth -= usize::from(is_alias);
        result
    }

    /// go-yaml's bound: nearly everything may come from aliases in small documents, a tenth in large ones.
    fn is_excessive(&self) -> bool {
        const LOW: f64 = 400_000.0;
        const HIGH: f64 = 4_000_000.0;
        if self.alias_steps <= 100 || self.steps <= 1000 {
            return false;
        }
        let steps = self.steps as f64;
        let allowed = 0.99 - 0.89 * ((steps - LOW) / (HIGH - LOW)).clamp(0.0, 1.0);
        self.alias_steps as f64 / steps > allowed
    }

    fn entries(
        &mut self,
        entries: &'d [(NodeId, NodeId)],
        type_name: &str,
        field: &mut dyn FnMut(&mut Self, &str, NodeId) -> Decoded<Field>,
    ) -> Decoded<()> {
        if self.dialect == Dialect::V3 && !self.keys_are_unique(entries) {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        let mut merges = Vec::new();
        for (key, value) in entries {
            if !self.is_merge(*key) {
                self.entry(*key, *value, type_name, &mut seen, field)?;
            } else if self.dialect == Dialect::V3 {
                merges.push(*value);
            } else {
                self.merge(*value, type_name, field)?;
            }
        }
        for value in merges {
            // In v3 what stands in the mapping itself wins.
            self.merge(value, type_name, &mut |decoder, name, value| {
                if seen.contains(name) { Ok(Field::Known) } else { field(decoder, name, value) }
            })?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        key: NodeId,
        value: NodeId,
        type_name: &str,
        seen: &mut BTreeSet<String>,
        field: &mut dyn FnMut(&mut Self, &str, NodeId) -> Decoded<Field>,
    ) -> Decoded<()> {
        let mark = self.mark();
        let name = self.string(key, "string")?;
        if !self.clean_since(mark) {
            return Ok(());
        }
        let line = self.document.node(key).line;
        if seen.contains(&name) {
            self.type_errors.push(format!("line {line}: field {name} already set in type {type_name}"));
            return Ok(());
        }
        match field(self, &name, value)? {
            Field::Known => {
                seen.insert(name);
            }
            Field::Unknown if self.known_fields => {
                self.type_errors.push(format!("line {line}: field {name} not found in type {type_name}"));
            }
            Field::Unsupported if !self.is_unset(value) => self.refuse(key, &format!("field {name}")),
            Field::Unknown | Field::Unsupported => {}
        }
        Ok(())
    }

    fn merge(
        &mut self,
        value: NodeId,
        type_name: &str,
        field: &mut dyn FnMut(&mut Self, &str, NodeId) -> Decoded<Field>,
    ) -> Decoded<()> {
        for part in self.merged(value)? {
            self.structure(part, type_name, field)?;
        }
        Ok(())
    }

    /// The mappings that a `<<` names, the last to have a say first.
    fn merged(&self, value: NodeId) -> Decoded<Vec<NodeId>> {
        let wanted = || Fatal("yaml: map merge requires map or sequence of maps as the value".to_owned());
        let is_mapping = |id| matches!(self.document.target(id).kind, Kind::Mapping(_));
        let parts = match &self.document.node(value).kind {
            Kind::Sequence(items) => items.iter().rev().copied().collect(),
            _ => vec![value],
        };
        if parts.iter().copied().all(is_mapping) { Ok(parts) } else { Err(wanted()) }
    }

    fn map_into<T>(
        &mut self,
        id: NodeId,
        type_name: &str,
        value: &mut dyn FnMut(&mut Self, NodeId) -> Decoded<T>,
        out: &mut Vec<(String, T)>,
        seen: &mut BTreeSet<String>,
    ) -> Decoded<()> {
        self.within(id, |decoder, node| {
            let Kind::Mapping(entries) = &node.kind else {
                return if decoder.is_null(id) { Ok(()) } else { decoder.mismatch(node, type_name) };
            };
            if decoder.dialect == Dialect::V3 && !decoder.keys_are_unique(entries) {
                return Ok(());
            }
            for (key, item) in decoder.flattened(entries)? {
                let mark = decoder.mark();
                let name = decoder.string(key, "string")?;
                let decoded = value(decoder, item)?;
                if !decoder.clean_since(mark) {
                    continue;
                }
                if seen.insert(name.clone()) {
                    out.push((name, decoded));
                } else if decoder.dialect == Dialect::V2 {
                    decoder.already_in_map(item, &name);
                }
            }
            Ok(())
        })
    }

    /// The entries of a mapping with those that it merges; v3 lets explicit ones win.
    fn flattened(&mut self, entries: &'d [(NodeId, NodeId)]) -> Decoded<Vec<(NodeId, NodeId)>> {
        let mut out = Vec::with_capacity(entries.len());
        let mut merged = Vec::new();
        for (key, value) in entries {
            if !self.is_merge(*key) {
                out.push((*key, *value));
                continue;
            }
            for part in self.merged(*value)? {
                let inner = self.within(part, |decoder, node| match &node.kind {
                    Kind::Mapping(entries) => decoder.flattened(entries),
                    _ => Ok(Vec::new()),
                })?;
                self.steps += inner.len() as u64;
                self.alias_steps += inner.len() as u64;
                merged.extend(inner);
            }
        }
        out.extend(merged);
        Ok(out)
    }

    fn is_merge(&self, key: NodeId) -> bool {
        match &self.document.node(key).kind {
            Kind::Scalar { value, plain, tag } => {
                &**value == "<<" && (*plain || tag.as_deref() == Some("tag:yaml.org,2002:merge"))
            }
            _ => false,
        }
    }

    /// v3 looks for equal keys before anything else.
    fn keys_are_unique(&mut self, entries: &[(NodeId, NodeId)]) -> bool {
        let mut first: Vec<(&str, usize)> = Vec::with_capacity(entries.len());
        for (key, _) in entries {
            let node = self.document.node(*key);
            if let Kind::Scalar { value, .. } = &node.kind {
                first.push((value, node.line));
            }
        }
        // Sorted by key, then by line: what follows its equal is a repetition.
        first.sort_unstable();
        let mark = self.mark();
        for pair in first.windows(2) {
            if let [(key, line), (again, again_line)] = pair
                && key == again
            {
                let key = quote(key);
                let text = format!("line {again_line}: mapping key {key} already defined at line {line}");
                self.type_errors.push(text);
            }
        }
        self.clean_since(mark)
    }

    fn already_in_map(&mut self, value: NodeId, key: &str) {
        let line = self.document.node(value).line;
        self.type_errors.push(format!("line {line}: key {} already set in map", quote(key)));
    }

    fn mismatch(&mut self, node: &Node, type_name: &str) -> Decoded<()> {
        let found = match &node.kind {
            Kind::Mapping(_) => "!!map".to_owned(),
            Kind::Sequence(_) | Kind::Alias(_) => "!!seq".to_owned(),
            Kind::Scalar { value, plain, tag } => {
                let (tag, _) = resolve(value, *plain, tag.as_deref(), self.dialect).map_err(Fatal)?;
                let shown = if value.len() > 10 {
                    format!("{}...", &value[..value.floor_char_boundary(7)])
                } else {
                    value.to_string()
                };
                format!("{tag} `{shown}`")
            }
        };
        self.type_errors.push(format!("line {}: cannot unmarshal {found} into {type_name}", node.line));
        Ok(())
    }
}

/// Bytes as Go's `%q` prints them.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = quote(chunk.valid());
        out.push_str(quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or(&quoted));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}
