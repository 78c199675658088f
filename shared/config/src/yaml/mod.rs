//! YAML text to a tree of nodes that know their lines.
//!
//! ```text
//! text ──saphyr-parser──► events ──► Document (arena of nodes; an alias names its target) ──► decode
//!                                                                                        └──► emit, secrets replaced
//! ```
//!
//! Bounds: the text's length, the depth of nesting. Nodes live in an arena, so that neither building nor dropping
//! recurses; aliases are never expanded here. What a scalar means (`yes`, `0x10`, `~`) is decided in [`resolve`], as
//! go-yaml decides it.

pub(crate) mod emit;
pub(crate) mod resolve;

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

/// Longest text that is parsed, bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of sequences and mappings.
pub(crate) const DEPTH_MAX: usize = 100;

/// Names a node of a [`Document`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(usize);

/// One YAML document.
#[derive(Debug, Default)]
pub(crate) struct Document {
    nodes: Vec<Node>,
}

/// A node and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column, from 1, in characters.
    pub(crate) column: usize,
    /// The anchor that names it, where one does.
    pub(crate) anchor: Option<usize>,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A scalar: its text, whether it was written without quotes, and its tag in full where it has one.
    Scalar { value: Box<str>, plain: bool, tag: Option<Box<str>> },
    /// A sequence.
    Sequence(Vec<NodeId>),
    /// A mapping: keys and values in order.
    Mapping(Vec<(NodeId, NodeId)>),
    /// An alias of another, finished node.
    Alias(NodeId),
}

impl Document {
    /// The first document of `text`; the rest of the text is not looked at.
    ///
    /// # Errors
    /// go-yaml's text for what is malformed: `yaml: line 3: mapping values are not allowed in this context`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("yaml: document is larger than {TEXT_BYTES_MAX} bytes"));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut builder = Builder::new(text);
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| scan_error(&error, text))?;
            if matches!(event, Event::DocumentEnd | Event::StreamEnd) {
                break;
            }
            builder.event(event, span)?;
        }
        Ok(builder.document)
    }

    /// The root; `None` where the text has no content at all.
    pub(crate) fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(NodeId(0))
    }

    /// A node of this document.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        // An id is only made for a node that was pushed before, and nodes are never removed.
        &self.nodes[id.0]
    }

    /// The node that `id` stands for: its target where it is an alias.
    pub(crate) fn target(&self, id: NodeId) -> &Node {
        let node = self.node(id);
        match node.kind {
            // What an anchor names is never itself an alias.
            Kind::Alias(target) => self.node(target),
            _ => node,
        }
    }
}

/// A collection that is not finished, and the key that waits for its value.
struct Open {
    id: NodeId,
    key: Option<NodeId>,
}

struct Builder<'t> {
    text: &'t str,
    document: Document,
    open: Vec<Open>,
    /// Where the event before ended.
    previous_end: Marker,
    /// A place not after that end, as `(character, byte)`: the parser counts characters.
    reached: (usize, usize),
    /// The node of each anchor; `None` while it is not finished, for it must not contain itself.
    anchors: BTreeMap<usize, Option<NodeId>>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            document: Document::default(),
            open: Vec::new(),
            previous_end: Marker::default(),
            reached: (0, 0),
            anchors: BTreeMap::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), String> {
        self.node_event(event, span)?;
        self.previous_end = span.end;
        Ok(())
    }

    fn node_event(&mut self, event: Event<'_>, span: Span) -> Result<(), String> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let is_absent = plain && value.is_empty();
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let begins_before = is_block || anchor > 0 || tag.is_some();
                let kind = Kind::Scalar { value: value.into(), plain, tag: tag.map(|tag| full_tag(&tag)) };
                let id = self.push(kind, anchor, span);
                if begins_before {
                    let (line, column) = self.beginning();
                    (self.document.nodes[id.0].line, self.document.nodes[id.0].column) = (line, column);
                } else if is_absent {
                    // A value that is not written begins after its colon, to go-yaml.
                    self.document.nodes[id.0].column += 1;
                }
                self.finish_anchor(anchor, id);
            }
            Event::Alias(anchor) => {
                let Some(Some(target)) = self.anchors.get(&anchor).copied() else {
                    return Err(format!("yaml: line {}: anchor value contains itself", span.start.line()));
                };
                self.push(Kind::Alias(target), 0, span);
            }
            Event::SequenceStart(anchor, _) => self.start(Kind::Sequence(Vec::new()), anchor, span)?,
            Event::MappingStart(anchor, _) => self.start(Kind::Mapping(Vec::new()), anchor, span)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop()
                    && let Some(anchor) = self.document.node(open.id).anchor
                {
                    self.finish_anchor(anchor, open.id);
                }
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn start(&mut self, kind: Kind, anchor: usize, span: Span) -> Result<(), String> {
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("yaml: line {}: exceeded max depth of {DEPTH_MAX}", span.start.line()));
        }
        let id = self.push(kind, anchor, span);
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open { id, key: None });
        Ok(())
    }

    /// Adds a node to the innermost open collection.
    fn push(&mut self, kind: Kind, anchor: usize, span: Span) -> NodeId {
        let id = NodeId(self.document.nodes.len());
        let (line, column) = (span.start.line(), span.start.col() + 1);
        self.document.nodes.push(Node { line, column, anchor: (anchor > 0).then_some(anchor), kind });
        let Some(open) = self.open.last_mut() else { return id };
        match &mut self.document.nodes[open.id.0].kind {
            Kind::Sequence(items) => items.push(id),
            Kind::Mapping(entries) => match open.key.take() {
                Some(key) => entries.push((key, id)),
                None => open.key = Some(id),
            },
            Kind::Scalar { .. } | Kind::Alias(_) => {}
        }
        id
    }

    /// Line and column of what follows the event before: of an anchor, a tag or the `|` of a block scalar, for the
    /// parser's span is that of the content.
    fn beginning(&mut self) -> (usize, usize) {
        let (characters, bytes) = self.reached;
        let ahead = self.previous_end.index().saturating_sub(characters);
        let skipped: usize = self.text[bytes..].chars().take(ahead).map(char::len_utf8).sum();
        self.reached = (characters + ahead, bytes + skipped);
        let (mut line, mut column) = (self.previous_end.line().max(1), self.previous_end.col() + 1);
        let mut in_comment = false;
        for c in self.text[bytes + skipped..].chars() {
            match c {
                '\n' => {
                    (line, column, in_comment) = (line + 1, 0, false);
                }
                '#' => in_comment = true,
                ' ' | '\t' | '\r' | ':' | '-' | '?' | ',' | '[' | '{' => {}
                _ if in_comment => {}
                _ => break,
            }
            column += 1;
        }
        (line, column)
    }

    fn finish_anchor(&mut self, anchor: usize, id: NodeId) {
        if anchor > 0 {
            self.anchors.insert(anchor, Some(id));
        }
    }
}

fn full_tag(tag: &Tag) -> Box<str> {
    format!("{}{}", tag.handle, tag.suffix).into()
}

/// The parser's words and lines in those of go-yaml, which prints no context, and for what its parser (not its scanner)
/// finds the line before.
fn scan_error(error: &saphyr_parser::ScanError, text: &str) -> String {
    let info = error.info();
    let (context, problem) = match info.split_once(", ") {
        Some((context, problem)) if context.starts_with("while ") => (context, problem),
        _ => ("", info),
    };
    let line = error.marker().line();
    if problem == "found unknown anchor" {
        let name: String = text
            .chars()
            .skip(error.marker().index() + 1)
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
            .collect();
        return format!("yaml: unknown anchor '{name}' referenced");
    }
    let (line, problem) = match problem {
        "simple key expect ':'" | "simple key expected" => (line, "could not find expected ':'"),
        "found unprintable character" => (line, "control characters are not allowed"),
        "found unexpected end of stream" => (text.split('\n').count(), problem),
        _ if problem.starts_with("tab") => (line, "found character that cannot start any token"),
        _ if context.starts_with("while parsing a")
            && problem.contains("expected")
            && !context.ends_with("tag") =>
        {
            (line.saturating_sub(1), problem)
        }
        _ => (line, problem),
    };
    if line == 0 { format!("yaml: {problem}") } else { format!("yaml: line {line}: {problem}") }
}

#[cfg(test)]
mod tests;
