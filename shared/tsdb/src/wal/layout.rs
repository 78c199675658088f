//! Layouts: which series the codes of a segment stand for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use model::{Labels, LabelsBuilder, Metadata, MetricType};
use xxhash_rust::xxh3::xxh3_128;

use super::cursor::{Cursor, put_varint};
use super::{Corrupt, LAYOUT_TEXT_BYTES_MAX, SERIES_PER_LAYOUT_MAX, envelope};

const MAGIC: [u8; 4] = *b"FOXL";

/// Names a layout: xxh3-128 of its encoded form. Printed and parsed as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayoutId(pub u128);

impl LayoutId {
    /// The id of the layout whose encoded form is `encoded`.
    #[must_use]
    pub fn of(encoded: &[u8]) -> Self {
        Self(xxh3_128(encoded))
    }
}

impl fmt::Display for LayoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for LayoutId {
    type Err = Corrupt;

    fn from_str(text: &str) -> Result<Self, Corrupt> {
        let digits =
            text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match u128::from_str_radix(text, 16) {
            Ok(id) if digits => Ok(Self(id)),
            _ => Err(Corrupt::new("a layout id is not 32 hexadecimal digits")),
        }
    }
}

/// The series of one source, in the order of the codes: sorted when the source was first seen, later ones appended; and
/// what the source says of its metric families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Each label set once.
    pub series: Vec<Labels>,
    /// Sorted by family, each once.
    pub metadata: Arc<[Metadata]>,
}

impl Layout {
    /// The stored form: deterministic, compressed, checksummed.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        envelope::seal(MAGIC, &[], &self.body())
    }

    /// The form in which it is compressed or embedded in a segment.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.series.len() * 32);
        put_varint(&mut body, self.series.len() as u64);
        let (mut last, mut text) = (Vec::new(), Vec::new());
        for labels in &self.series {
            text.clear();
            for (name, value) in labels {
                for part in [name, value] {
                    put_text(&mut text, part);
                }
            }
            let shared = text.iter().zip(&last).take_while(|(a, b)| a == b).count();
            put_varint(&mut body, shared as u64);
            put_varint(&mut body, (text.len() - shared) as u64);
            body.extend_from_slice(&text[shared..]);
            std::mem::swap(&mut last, &mut text);
        }
        put_varint(&mut body, self.metadata.len() as u64);
        for family in self.metadata.iter() {
            body.push(MetricType::ALL.iter().position(|kind| *kind == family.kind).unwrap_or(0) as u8);
            for part in [&family.metric_family, &family.help, &family.unit] {
                put_text(&mut body, part);
            }
        }
        body
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Corrupt`] where a byte is changed or missing.
    pub fn decode(encoded: &[u8]) -> Result<Self, Corrupt> {
        let body = envelope::body(envelope::open(MAGIC, encoded)?)?;
        let mut cursor = Cursor::new(&body);
        let layout = Self::decode_body(&mut cursor)?;
        cursor.end()?;
        Ok(layout)
    }

    /// Reads what [`Layout::body`] gives.
    pub(super) fn decode_body(cursor: &mut Cursor<'_>) -> Result<Self, Corrupt> {
        let count = cursor.count(SERIES_PER_LAYOUT_MAX)?;
        let mut series = Vec::with_capacity(count);
        let mut text = Vec::new();
        let mut total = 0usize;
        for _ in 0..count {
            let shared = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
            let rest =
                cursor.varint().and_then(|len| cursor.take(usize::try_from(len).unwrap_or(usize::MAX)))?;
            if shared > text.len() {
                return Err(Corrupt::new("a series shares more than there is"));
            }
            text.truncate(shared);
            text.extend_from_slice(rest);
            total = total.saturating_add(text.len());
            if total > LAYOUT_TEXT_BYTES_MAX {
                return Err(Corrupt::new("the labels are too long"));
            }
            series.push(parse_labels(&text)?);
        }
        let count = cursor.count(SERIES_PER_LAYOUT_MAX)?;
        let mut metadata = Vec::with_capacity(count);
        for _ in 0..count {
            let kind = MetricType::ALL.get(usize::from(cursor.byte()?)).copied();
            metadata.push(Metadata {
                kind: kind.ok_or(Corrupt::new("a metric type is not known"))?,
                metric_family: parse_text(cursor)?.to_owned(),
                help: parse_text(cursor)?.to_owned(),
                unit: parse_text(cursor)?.to_owned(),
            });
        }
        Ok(Self { series, metadata: metadata.into() })
    }

    /// The name of this layout; encodes it, so keep the answer.
    #[must_use]
    pub fn id(&self) -> LayoutId {
        LayoutId::of(&self.encode())
    }

    /// This layout, and behind its series those of `tail`.
    pub(super) fn with_tail(&self, tail: &Self) -> Self {
        Self {
            series: self.series.iter().chain(&tail.series).cloned().collect(),
            metadata: merged_metadata(&self.metadata, &tail.metadata)
                .unwrap_or_else(|| Arc::clone(&self.metadata)),
        }
    }
}

/// `known` with what `now` says otherwise or in addition; `None` where that is nothing.
pub(super) fn merged_metadata(known: &Arc<[Metadata]>, now: &[Metadata]) -> Option<Arc<[Metadata]>> {
    let find = |family: &str| known.binary_search_by(|known| known.metric_family.as_str().cmp(family)).ok();
    let is_known = |now: &Metadata| {
        find(&now.metric_family).and_then(|at| known.get(at)).is_some_and(|known| known == now)
    };
    if now.iter().all(is_known) {
        return None;
    }
    let mut merged: BTreeMap<&str, &Metadata> =
        known.iter().map(|family| (family.metric_family.as_str(), family)).collect();
    merged.extend(now.iter().map(|family| (family.metric_family.as_str(), family)));
    Some(merged.into_values().cloned().collect())
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn parse_labels(text: &[u8]) -> Result<Labels, Corrupt> {
    let mut cursor = Cursor::new(text);
    let mut builder = LabelsBuilder::new();
    let mut last = None;
    while cursor.remaining() > 0 {
        let name = parse_text(&mut cursor)?;
        let value = parse_text(&mut cursor)?;
        if value.is_empty() || last.is_some_and(|last| last >= name) {
            return Err(Corrupt::new("labels are not in order"));
        }
        builder.set(name, value);
        last = Some(name);
    }
    Ok(builder.build())
}

fn parse_text<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Corrupt> {
    let len = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
    std::str::from_utf8(cursor.take(len)?).map_err(|_| Corrupt::new("a label is not UTF-8"))
}
