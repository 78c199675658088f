//! The inputs of a merge, read in step: series by series, in bounded memory.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use futures::future::try_join_all;
use model::Labels;
use storage::Series;

use crate::block::{BlockReader, BlockScan, compare};
use crate::error::TsdbError;
use crate::tombstones::Deletions;

/// An input never has less of its own than so many samples: smaller reads would be too many.
const BATCH_SAMPLES_MIN: usize = 16_384;

/// Several blocks, read in step.
pub(super) struct Inputs<'a> {
    inputs: Vec<Input<'a>>,
    heads: BinaryHeap<Reverse<Head>>,
}

/// A block to be read, and what of it is deleted.
pub(super) struct Source {
    pub reader: Arc<BlockReader>,
    pub deletions: Deletions,
}

/// An input's part of a series: what counts, and what is deleted.
pub(super) struct Piece {
    pub kept: Option<Series>,
    pub deleted: Option<Series>,
}

struct Input<'a> {
    scan: BlockScan<'a>,
    batch: VecDeque<Series>,
    deletions: &'a Deletions,
}

/// The next series of an input.
struct Head {
    labels: Labels,
    input: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.labels, &other.labels).then(self.input.cmp(&other.input))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl<'a> Inputs<'a> {
    /// The series with `from <= series < until` of some blocks, which together hold about `samples_max` samples decoded.
    pub(super) async fn open(
        sources: &'a [Source],
        from: Option<&Labels>,
        until: Option<&Labels>,
        samples_max: usize,
    ) -> Result<Self, TsdbError> {
        let share = (samples_max / sources.len().max(1)).max(BATCH_SAMPLES_MIN);
        let inputs = sources.iter().map(|source| Input {
            scan: source.reader.scan_range(from.cloned(), until.cloned()).with_batch(share),
            batch: VecDeque::new(),
            deletions: &source.deletions,
        });
        let mut opened = Self { inputs: inputs.collect(), heads: BinaryHeap::new() };
        opened.advance(&(0..sources.len()).collect()).await?;
        Ok(opened)
    }

    /// The next series: its labels, and all inputs' parts in the inputs' order.
    pub(super) async fn next(&mut self) -> Result<Option<(Labels, Vec<Piece>)>, TsdbError> {
        let Some(Reverse(first)) = self.heads.pop() else { return Ok(None) };
        let mut taken = BTreeSet::from([first.input]);
        while let Some(Reverse(head)) = self.heads.peek()
            && head.labels == first.labels
        {
            taken.insert(head.input);
            self.heads.pop();
        }
        let mut pieces = Vec::with_capacity(taken.len());
        for at in &taken {
            if let Some(input) = self.inputs.get_mut(*at)
                && let Some(series) = input.batch.pop_front()
            {
                let (kept, deleted) = input.deletions.split(series);
                pieces.push(Piece { kept, deleted });
            }
        }
        self.advance(&taken).await?;
        Ok(Some((first.labels, pieces)))
    }

    /// Makes some inputs' next series known. What has to be read is read at the same time.
    async fn advance(&mut self, taken: &BTreeSet<usize>) -> Result<(), TsdbError> {
        let empty = |(at, input): &(usize, &mut Input<'_>)| taken.contains(at) && input.batch.is_empty();
        let reads = self.inputs.iter_mut().enumerate().filter(empty).map(|(_, input)| input.read());
        try_join_all(reads).await?;
        for at in taken {
            if let Some(series) = self.inputs.get(*at).and_then(|input| input.batch.front()) {
                self.heads.push(Reverse(Head { labels: series.labels.clone(), input: *at }));
            }
        }
        Ok(())
    }
}

impl Input<'_> {
    async fn read(&mut self) -> Result<(), TsdbError> {
        if let Some(batch) = self.scan.next().await? {
            self.batch = batch.into();
        }
        Ok(())
    }
}
