//! Questions about labels, answered from the label indexes.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures::{StreamExt, stream};
use model::labels::METRIC_NAME;
use model::{Labels, Matcher, TimestampMs};

use super::distinct::Distinct;
use super::group::Values;
use super::labels::LabelIndex;
use super::pieces::{clip, instants};
use super::reader::{BlockReader, groups};
use super::rows::RowsFile;
use super::types::BlockError;

/// Row groups that are read at a time.
const GROUPS_MAX: usize = 8;

/// Matcher sets of which any one may match: none means that everything does.
pub(super) fn matcher_slices(matcher_sets: &[Vec<Matcher>]) -> Vec<&[Matcher]> {
    let all: &[Matcher] = &[];
    if matcher_sets.is_empty() { vec![all] } else { matcher_sets.iter().map(Vec::as_slice).collect() }
}

/// Which series a question is about, and how many answers it wants.
struct Question<'a> {
    sets: Vec<&'a [Matcher]>,
    times: (TimestampMs, TimestampMs),
}

impl BlockReader {
    /// The labels of the series that satisfy all matchers of any one set (of no set: every series) and have a sample
    /// in `min..=max` ms, sorted.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        min: TimestampMs,
        max: TimestampMs,
    ) -> Result<Vec<Labels>, BlockError> {
        Ok(self.series_limited(matcher_sets, min, max, 0).await?.into_iter().collect())
    }

    /// As [`Self::series`], but with a `limit` that is not 0 at most so many: the first of those that are looked at until
    /// there are enough.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn series_limited(
        &self,
        matcher_sets: &[Vec<Matcher>],
        min: TimestampMs,
        max: TimestampMs,
        limit: usize,
    ) -> Result<BTreeSet<Labels>, BlockError> {
        let question = Question { sets: matcher_slices(matcher_sets), times: (min, max) };
        let mut labels = Distinct::new(limit);
        let mut count = 0usize;
        self.visit_rows(&question, &mut |index, rows| {
            let mut last = None;
            for row in rows.iter().map(|row| *row as usize) {
                if last.replace(row).is_none_or(|last| !index.same_series(last, row))
                    && let Some(found) = index.labels(row)
                {
                    labels.push(found);
                    count += 1;
                }
            }
            // A series may be in files of both kinds, and in two row groups at their border.
            if limit > 0 && count >= limit.saturating_mul(2) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .await?;
        Ok(labels.finish())
    }

    /// The names of the labels of those series; see [`Self::series`].
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn label_names(
        &self,
        matcher_sets: &[Vec<Matcher>],
        min: TimestampMs,
        max: TimestampMs,
    ) -> Result<BTreeSet<String>, BlockError> {
        let question = Question { sets: matcher_slices(matcher_sets), times: (min, max) };
        let mut names = BTreeSet::new();
        self.visit_rows(&question, &mut |index, rows| {
            index.collect_names(rows.iter().copied(), &mut names);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(names)
    }

    /// The values that the label `name` has on those series, sorted; see [`Self::series`]. The first `limit` of them,
    /// all if it is 0. Where nothing is asked but which metrics there are, metric names are all that is read.
    ///
    /// # Errors
    /// [`BlockError::Platform`] or [`BlockError::Corrupt`].
    pub async fn label_values(
        &self,
        name: &str,
        matcher_sets: &[Vec<Matcher>],
        min: TimestampMs,
        max: TimestampMs,
        limit: usize,
    ) -> Result<BTreeSet<String>, BlockError> {
        let question = Question { sets: matcher_slices(matcher_sets), times: (min, max) };
        let mut values = Distinct::new(limit);
        let only_metrics = |set: &&[Matcher]| set.iter().all(|matcher| matcher.name() == METRIC_NAME);
        if name == METRIC_NAME && self.is_within(question.times) && question.sets.iter().all(only_metrics) {
            metric_names(&self.files, &question.sets, &mut values).await?;
            metric_names(&self.histograms, &question.sets, &mut values).await?;
            return Ok(values.finish());
        }
        self.visit_rows(&question, &mut |index, rows| {
            index.collect_values(name, rows.iter().copied(), &mut values);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(values.finish())
    }

    /// Whether all of the block is within a range.
    fn is_within(&self, (min, max): (TimestampMs, TimestampMs)) -> bool {
        min <= self.covers.start && max >= self.covers.end.saturating_sub(1)
    }

    /// Shows `visit` the rows, ascending, that a question is about, row group by row group.
    async fn visit_rows(&self, question: &Question<'_>, visit: &mut Visit<'_>) -> Result<(), BlockError> {
        if self.visit_files(&self.files, question, visit).await?.is_continue() {
            let _ = self.visit_files(&self.histograms, question, visit).await?;
        }
        Ok(())
    }

    async fn visit_files<C: Values>(
        &self,
        files: &[RowsFile<C>],
        question: &Question<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, BlockError> {
        let reads: Vec<_> = groups(files, &question.sets)
            .into_iter()
            .map(|(file, group)| self.rows_of(file, group, question))
            .collect();
        let mut reads = stream::iter(reads).buffered(GROUPS_MAX);
        while let Some(read) = reads.next().await {
            let (index, rows) = read?;
            if !rows.is_empty() && visit(&index, &rows).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn rows_of<C: Values>(
        &self,
        file: &RowsFile<C>,
        group: usize,
        question: &Question<'_>,
    ) -> Result<(Arc<LabelIndex>, Vec<u32>), BlockError> {
        if self.is_within(question.times) {
            let index = file.labels(group, true).await?;
            let rows = index.matching_any(&question.sets);
            return Ok((index, rows));
        }
        let index = file.index(group, true).await?;
        let rows = index.labels.matching_any(&question.sets);
        let instants = instants(self.timelines.as_ref(), &index.rows.timelines(&rows)).await?;
        let mut in_range = Vec::with_capacity(rows.len());
        for row in rows {
            if !clip(file, &index, row, &instants, question.times)?.is_empty() {
                in_range.push(row);
            }
        }
        Ok((index.labels, in_range))
    }
}

/// Is shown rows of a row group.
type Visit<'a> = dyn FnMut(&LabelIndex, &[u32]) -> ControlFlow<()> + Send + 'a;

async fn metric_names<C: Values>(
    files: &[RowsFile<C>],
    sets: &[&[Matcher]],
    names: &mut Distinct<String>,
) -> Result<(), BlockError> {
    let reads: Vec<_> =
        groups(files, sets).into_iter().map(|(file, group)| file.metric_names(group)).collect();
    let mut reads = stream::iter(reads).buffered(GROUPS_MAX);
    while let Some(read) = reads.next().await {
        let read = read?;
        let matches = |name: &&str| sets.iter().any(|set| set.iter().all(|matcher| matcher.matches(name)));
        let found = read.iter().filter(|name| !name.is_empty()).filter(matches);
        found.for_each(|name| names.push(name.to_owned()));
    }
    Ok(())
}
