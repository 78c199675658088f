//! Merging a range of series of several blocks into one block, and the proof that nothing got lost (S7).

use std::collections::BTreeMap;

use model::Labels;
use platform::Deadline;
use storage::{Series, SeriesExemplars};
use wire::{BlockMeta, Manifest, MergedPart, SampleSet};

use super::inputs::{Inputs, Source};
use super::output::Output;
use crate::block::{compare, exemplar_hash, histogram_hash, sample_hash};
use crate::error::TsdbError;
use crate::merge::{merge_exemplars, merge_series};
use crate::store::Store;

/// The deadline is looked at after so many series.
const CHECK_EVERY: usize = 1024;

/// What a merge is made of.
pub(super) struct Recipe {
    /// The id of the block that it writes.
    pub id: String,
    /// Its level.
    pub level: u32,
    /// The blocks that it reads, in the manifest's order.
    pub inputs: Vec<BlockMeta>,
    /// The ids of the tombstones that it carries out.
    pub tombstones: Vec<String>,
    /// Its first series.
    pub from: Option<Labels>,
    /// The first series after it.
    pub until: Option<Labels>,
}

impl Store {
    /// Merges and stores what a recipe says.
    pub(super) async fn merge(
        &self,
        manifest: &Manifest,
        recipe: Recipe,
        deadline: Deadline,
    ) -> Result<MergedPart, TsdbError> {
        let mut sources = Vec::with_capacity(recipe.inputs.len());
        for meta in &recipe.inputs {
            let reader = self.open_block(meta).await?;
            let deletions = self.deletions_by(manifest, &recipe.tombstones, &meta.id)?;
            sources.push(Source { reader, deletions });
        }
        let parents = recipe.inputs.into_iter().map(|meta| meta.id).collect();
        let budget = self.settings.scan_samples_max;
        let mut inputs = Inputs::open(&sources, recipe.from.as_ref(), recipe.until.as_ref(), budget).await?;
        let mut output = Output::new(self, recipe.id, recipe.level, parents);
        let (mut duplicates, mut deleted) = (Sum::default(), Sum::default());
        let mut count = 0usize;
        while let Some((labels, pieces)) = inputs.next().await? {
            if count.is_multiple_of(CHECK_EVERY) {
                self.ports.check(deadline, "merging blocks")?;
            }
            count += 1;
            let hash = labels.hash();
            let mut kept = Vec::with_capacity(pieces.len());
            for piece in pieces {
                kept.extend(piece.kept);
                if let Some(series) = piece.deleted {
                    deleted.add_series(hash, &series);
                }
            }
            let merged = merge_series(kept, &mut |timestamp, sample| {
                duplicates.add(sample.hash(hash, timestamp));
            });
            if let Some(series) = merged {
                output.push(&series).await?;
            }
        }
        let range = (recipe.from.as_ref(), recipe.until.as_ref());
        for exemplars in read_exemplars(&sources, range, &mut duplicates, &mut deleted).await? {
            output.push_exemplars(&exemplars)?;
        }
        for source in &sources {
            for metadata in source.reader.metadata().await? {
                output.push_metadata(&metadata);
            }
        }
        Ok(MergedPart { block: output.finish().await?, duplicates: duplicates.set(), deleted: deleted.set() })
    }
}

/// The exemplars of a range of series of several blocks, each once. The writer holds them all as well.
async fn read_exemplars(
    sources: &[Source],
    (from, until): (Option<&Labels>, Option<&Labels>),
    duplicates: &mut Sum,
    deleted: &mut Sum,
) -> Result<Vec<SeriesExemplars>, TsdbError> {
    let mut by_labels: BTreeMap<Labels, Vec<SeriesExemplars>> = BTreeMap::new();
    for source in sources {
        let mut scan = source.reader.scan_exemplars();
        while let Some(batch) = scan.next().await? {
            let within = |series: &SeriesExemplars| {
                from.is_none_or(|from| compare(from, &series.labels).is_le())
                    && until.is_none_or(|until| compare(&series.labels, until).is_lt())
            };
            for series in batch.into_iter().filter(within) {
                let (kept, gone) = source.deletions.split_exemplars(series);
                let hash = gone.labels.hash();
                gone.exemplars
                    .iter()
                    .for_each(|exemplar| deleted.add_unsampled(exemplar_hash(hash, exemplar)));
                if !kept.exemplars.is_empty() {
                    by_labels.entry(kept.labels.clone()).or_default().push(kept);
                }
            }
        }
    }
    let merged = by_labels.into_iter().filter_map(|(labels, parts)| {
        let hash = labels.hash();
        merge_exemplars(parts, &mut |exemplar| duplicates.add_unsampled(exemplar_hash(hash, exemplar)))
    });
    Ok(merged.collect())
}

/// S7: what came in, less what was there twice or deleted, is what goes out.
pub(super) fn check_conservation(inputs: &[&BlockMeta], parts: &[&MergedPart]) -> Result<(), TsdbError> {
    let mut before = Sum::default();
    for meta in inputs {
        before.add_set(meta.samples, &meta.set_hash)?;
    }
    let (mut written, mut dropped) = (Sum::default(), Sum::default());
    for part in parts {
        if let Some(block) = &part.block {
            written.add_set(block.samples, &block.set_hash)?;
        }
        for set in [&part.duplicates, &part.deleted] {
            dropped.add_set(set.samples, &set.set_hash)?;
        }
    }
    let after = Sum {
        samples: written.samples.wrapping_add(dropped.samples),
        hash: written.hash.wrapping_add(dropped.hash),
    };
    if before != after {
        let ids: Vec<&str> = inputs.iter().map(|meta| meta.id.as_str()).collect();
        return Err(TsdbError::Halt {
            invariant: "S7",
            reason: format!(
                "{} samples of blocks {} became {} and {} duplicate or deleted ones",
                before.samples,
                ids.join(", "),
                written.samples,
                dropped.samples
            ),
        });
    }
    Ok(())
}

/// Samples as a number and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    samples: u64,
    hash: u128,
}

impl Sum {
    fn add(&mut self, hash: u128) {
        self.samples += 1;
        self.hash = self.hash.wrapping_add(hash);
    }

    /// Adds what counts by its hash alone, as exemplars do.
    fn add_unsampled(&mut self, hash: u128) {
        self.hash = self.hash.wrapping_add(hash);
    }

    fn add_series(&mut self, labels_hash: u64, series: &Series) {
        for (timestamp, value) in series.timestamps.iter().zip(series.values.iter()) {
            self.add(sample_hash(labels_hash, *timestamp, value.to_bits()));
        }
        for (timestamp, histogram) in series.histograms.timestamps.iter().zip(series.histograms.values.iter())
        {
            self.add(histogram_hash(labels_hash, *timestamp, histogram));
        }
    }

    fn add_set(&mut self, samples: u64, set_hash: &str) -> Result<(), TsdbError> {
        let Ok(hash) = u128::from_str_radix(set_hash, 16) else {
            let reason = format!("{set_hash:?} is no set hash");
            return Err(TsdbError::Halt { invariant: "S7", reason });
        };
        self.samples = self.samples.wrapping_add(samples);
        self.hash = self.hash.wrapping_add(hash);
        Ok(())
    }

    fn set(self) -> SampleSet {
        SampleSet { samples: self.samples, set_hash: format!("{:032x}", self.hash) }
    }
}
