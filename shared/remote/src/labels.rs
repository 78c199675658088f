//! Label sets as they are sent: in any order, and checked before they are packed.

use model::Labels;
use model::labels::{METRIC_NAME, quote_bytes};

/// The most of a refused label set that is repeated to the sender, bytes.
const SHOWN_BYTES_MAX: usize = 1 << 10;

/// The labels of one series or exemplar, borrowed from the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentLabels<'a>(pub(crate) Vec<(&'a [u8], &'a [u8])>);

/// Why labels do not name a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InvalidLabels {
    /// No metric name, an empty name, or bytes that are no text.
    Invalid,
    /// A label name twice.
    Duplicate(String),
}

impl<'a> SentLabels<'a> {
    /// How many bytes they take once they are packed, about.
    pub(crate) fn text_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
    }

    /// The labels of a series. Empty values are as if they had not been sent.
    pub(crate) fn series(mut self) -> Result<Labels, InvalidLabels> {
        self.0.sort_by(|a, b| a.0.cmp(b.0));
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).map_err(|_| InvalidLabels::Invalid);
        let mut named = false;
        let mut pairs = Vec::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            let (name, value) = (text(name)?, text(value)?);
            if name.is_empty() {
                return Err(InvalidLabels::Invalid);
            }
            named |= name == METRIC_NAME && !value.is_empty();
            pairs.push((name, value));
        }
        if !named {
            return Err(InvalidLabels::Invalid);
        }
        let twice = pairs.iter().zip(pairs.iter().skip(1)).find(|(a, b)| a.0 == b.0);
        match twice {
            Some(((name, _), _)) => Err(InvalidLabels::Duplicate((*name).to_owned())),
            None => Ok(Labels::from_pairs(pairs)),
        }
    }

    /// The labels of an exemplar; `None` where they are longer than OpenMetrics allows, or no text.
    pub(crate) fn exemplar(&self) -> Option<Labels> {
        let mut characters = 0usize;
        let mut pairs = Vec::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            let (name, value) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?);
            characters =
                characters.saturating_add(name.chars().count()).saturating_add(value.chars().count());
            if characters > model::exemplar::LABEL_CHARACTERS_MAX {
                return None;
            }
            pairs.push((name, value));
        }
        Some(Labels::from_pairs(pairs))
    }

    /// As Go prints them.
    pub(crate) fn shown(&self) -> String {
        let mut out = String::from("{");
        for (index, (name, value)) in self.0.iter().enumerate() {
            if out.len() > SHOWN_BYTES_MAX {
                out.push_str(", ...");
                break;
            }
            if index > 0 {
                out.push_str(", ");
            }
            let cut = |bytes: &'a [u8]| bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes);
            out.push_str(&String::from_utf8_lossy(cut(name)));
            out.push('=');
            out.push_str(&quote_bytes(cut(value)));
        }
        out.push('}');
        out
    }
}
