//! Numbers for label sets in order of appearance.

#![expect(clippy::disallowed_types, reason = "a fixed hasher, and nothing iterates over the map")]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use model::Labels;

/// Gives every distinct label set the next number.
#[derive(Debug, Default)]
pub(crate) struct LabelIndex {
    numbers: HashMap<Labels, usize, BuildHasherDefault<DefaultHasher>>,
}

impl LabelIndex {
    /// The number of `labels`, a new one where they are new.
    pub(crate) fn number(&mut self, labels: &Labels) -> usize {
        if let Some(number) = self.numbers.get(labels) {
            return *number;
        }
        let next = self.numbers.len();
        self.numbers.insert(labels.clone(), next);
        next
    }

    /// The number of `labels` where they have one.
    pub(crate) fn find(&self, labels: &Labels) -> Option<usize> {
        self.numbers.get(labels).copied()
    }
}
