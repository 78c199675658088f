//! Levels 2 and 3: several blocks become one, series by series, in bounded memory; and retention.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use model::Labels;
use platform::Deadline;
use storage::Series;
use wire::{BlockMeta, RetiredBlock};

use super::output::options;
use super::{Compacted, added};
use crate::block::{BlockReader, BlockScan, BlockStats, BlockWriter, WrittenBlock, compare};
use crate::error::TsdbError;
use crate::head::{Commit, Committed};
use crate::merge::merge_series;
use crate::store::Store;

/// The deadline is looked at after so many series.
const CHECK_EVERY: usize = 1024;

impl Store {
    /// Replaces some blocks, given in the manifest's order, by one that holds all their samples.
    pub(super) async fn merge_blocks(
        &self,
        parent: &Committed,
        level: u32,
        ids: &[String],
        deadline: Deadline,
        done: &mut Compacted,
    ) -> Result<Commit, TsdbError> {
        let inputs: Vec<&BlockMeta> =
            parent.manifest.blocks.iter().filter(|block| ids.contains(&block.id)).collect();
        let mut readers = Vec::with_capacity(inputs.len());
        for meta in &inputs {
            readers.push(self.open_block(meta).await?);
        }
        let merged = self.merge(&readers, level, deadline).await?;
        check_conservation(&inputs, &merged)?;
        let meta = self.store_block(merged.block, level, ids.to_vec()).await?;
        let (samples, bytes) = (meta.samples, meta.files.iter().map(|file| file.len).sum::<u64>());

        let mut manifest = self.successor(parent);
        // In the place of the first of them: that keeps the order of precedence.
        if let Some(slot) = manifest.blocks.iter_mut().find(|block| ids.contains(&block.id)) {
            *slot = meta;
        }
        manifest.blocks.retain(|block| !ids.contains(&block.id));
        manifest.retired.extend(self.retire(ids));
        let written = added(&parent.manifest, &manifest);
        let commit = self.commit(parent, manifest, parent.head.watermark).await?;
        if matches!(commit, Commit::Done) {
            done.written.extend(written);
            done.merge_jobs += 1;
            done.samples += samples;
            done.bytes += bytes;
        }
        Ok(commit)
    }

    /// Drops blocks that have outlived the retention.
    pub(super) async fn drop_blocks(
        &self,
        parent: &Committed,
        ids: &[String],
        done: &mut Compacted,
    ) -> Result<Commit, TsdbError> {
        let mut manifest = self.successor(parent);
        let ids_set: BTreeSet<&String> = ids.iter().collect();
        manifest.blocks.retain(|block| !ids_set.contains(&block.id));
        manifest.retired.extend(self.retire(ids));
        let commit = self.commit(parent, manifest, parent.head.watermark).await?;
        if matches!(commit, Commit::Done) {
            done.drop_jobs += 1;
        }
        Ok(commit)
    }

    fn retire(&self, ids: &[String]) -> impl Iterator<Item = RetiredBlock> {
        let at = self.ports.now();
        ids.iter().map(move |id| RetiredBlock { id: id.clone(), at })
    }

    async fn merge(
        &self,
        readers: &[Arc<BlockReader>],
        level: u32,
        deadline: Deadline,
    ) -> Result<Merged, TsdbError> {
        let mut inputs = Inputs::open(readers).await?;
        let mut writer = BlockWriter::new(options(level));
        let (mut duplicates, mut duplicates_hash) = (0u64, 0u128);
        let mut count = 0usize;
        while let Some(parts) = inputs.next().await? {
            if count.is_multiple_of(CHECK_EVERY) {
                self.ports.check(deadline, "merging blocks")?;
            }
            count += 1;
            let hash = parts.first().map_or(0, |part| part.labels.hash());
            let merged = merge_series(parts, &mut |timestamp, sample| {
                duplicates += 1;
                duplicates_hash = duplicates_hash.wrapping_add(sample.hash(hash, timestamp));
            });
            if let Some(series) = merged {
                writer.push(&series)?;
            }
        }
        Ok(Merged { block: writer.finish()?, duplicates, duplicates_hash })
    }
}

struct Merged {
    block: WrittenBlock,
    /// Samples of the inputs that another one with the same series and timestamp came before.
    duplicates: u64,
    duplicates_hash: u128,
}

/// S7: what came in, less what was there twice, is what goes out.
fn check_conservation(inputs: &[&BlockMeta], merged: &Merged) -> Result<(), TsdbError> {
    let halt = |reason: String| Err(TsdbError::Halt { invariant: "S7", reason });
    let (mut samples, mut hash) = (0u64, 0u128);
    for meta in inputs {
        let Ok(set_hash) = u128::from_str_radix(&meta.set_hash, 16) else {
            return halt(format!("block {} has a malformed set hash", meta.id));
        };
        samples = samples.wrapping_add(meta.samples);
        hash = hash.wrapping_add(set_hash);
    }
    let BlockStats { samples: written, set_hash, .. } = merged.block.stats;
    if samples != written.wrapping_add(merged.duplicates)
        || hash != set_hash.wrapping_add(merged.duplicates_hash)
    {
        let ids: Vec<&str> = inputs.iter().map(|meta| meta.id.as_str()).collect();
        return halt(format!(
            "{samples} samples of blocks {} became {written}, {} of them duplicates",
            ids.join(", "),
            merged.duplicates
        ));
    }
    Ok(())
}

/// Several blocks, read in step.
struct Inputs<'a> {
    inputs: Vec<Input<'a>>,
    heads: BinaryHeap<Reverse<Head>>,
}

struct Input<'a> {
    scan: BlockScan<'a>,
    batch: VecDeque<Series>,
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
    async fn open(readers: &'a [Arc<BlockReader>]) -> Result<Self, TsdbError> {
        let inputs = readers.iter().map(|reader| Input { scan: reader.scan(), batch: VecDeque::new() });
        let mut opened = Self { inputs: inputs.collect(), heads: BinaryHeap::new() };
        for input in 0..opened.inputs.len() {
            opened.advance(input).await?;
        }
        Ok(opened)
    }

    /// All inputs' parts of the next series, in the inputs' order.
    async fn next(&mut self) -> Result<Option<Vec<Series>>, TsdbError> {
        let Some(Reverse(first)) = self.heads.pop() else { return Ok(None) };
        let mut parts = Vec::new();
        self.take(first.input, &mut parts).await?;
        while let Some(Reverse(head)) = self.heads.peek()
            && head.labels == first.labels
        {
            let input = head.input;
            self.heads.pop();
            self.take(input, &mut parts).await?;
        }
        Ok(Some(parts))
    }

    async fn take(&mut self, input: usize, parts: &mut Vec<Series>) -> Result<(), TsdbError> {
        parts.extend(self.inputs.get_mut(input).and_then(|input| input.batch.pop_front()));
        self.advance(input).await
    }

    /// Makes an input's next series known.
    async fn advance(&mut self, at: usize) -> Result<(), TsdbError> {
        let Some(input) = self.inputs.get_mut(at) else { return Ok(()) };
        if input.batch.is_empty()
            && let Some(batch) = input.scan.next().await?
        {
            input.batch = batch.into();
        }
        if let Some(series) = input.batch.front() {
            self.heads.push(Reverse(Head { labels: series.labels.clone(), input: at }));
        }
        Ok(())
    }
}
