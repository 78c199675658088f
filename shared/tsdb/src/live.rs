//! Exemplars and metadata of segments that are not in blocks yet.

use std::ops::RangeInclusive;

use model::matcher::matches_all;
use model::{Labels, Matcher, Metadata, TimestampMs};
use storage::SeriesExemplars;

use crate::error::TsdbError;
use crate::replay::{Replay, Rules};
use crate::segments::Keep;
use crate::snapshot::Snapshot;
use crate::store::Store;

impl Store {
    /// The exemplars in `min_time..=max_time` ms that segments have of series that satisfy any of some sets of matchers,
    /// sorted by labels.
    pub(crate) async fn live_exemplars(
        &self,
        snapshot: &Snapshot,
        matcher_sets: &[Vec<Matcher>],
        (min_time, max_time): (TimestampMs, TimestampMs),
    ) -> Result<Vec<SeriesExemplars>, TsdbError> {
        // An exemplar is often older than the scrape that tells of it.
        let until = max_time.saturating_add(self.settings.staleness_gap_ms);
        let rows = snapshot.segments(min_time, until, 0);
        let sets: Vec<&[Matcher]> = matcher_sets.iter().map(Vec::as_slice).collect();
        let segments = self.load_matching(&rows, &sets, Keep::Yes).await?;
        let wanted = |labels: &Labels| {
            matcher_sets.is_empty() || matcher_sets.iter().any(|matchers| matches_all(matchers, labels))
        };
        let rules = self.rules(snapshot, min_time..=max_time)?;
        let mut replay = Replay::new(rules, wanted).with_extras();
        for segment in segments {
            replay.push(&segment)?;
        }
        Ok(replay.finish_all().exemplars)
    }

    /// What the sources of segments have said of metric families, each answer once, sorted.
    pub(crate) async fn live_metadata(&self, snapshot: &Snapshot) -> Result<Vec<Metadata>, TsdbError> {
        let rows: Vec<_> = snapshot.rows.iter().collect();
        let segments = self.load_segments(&rows, Keep::Yes).await?;
        let rules = self.rules(snapshot, TimestampMs::MIN..=TimestampMs::MAX)?;
        let mut replay = Replay::new(rules, |_| false).with_extras();
        for segment in segments {
            replay.push(&segment)?;
        }
        Ok(replay.finish_all().metadata)
    }

    /// The rules of a reader of `snapshot` that wants all samples in `range`, ms.
    pub(crate) fn rules(
        &self,
        snapshot: &Snapshot,
        range: RangeInclusive<TimestampMs>,
    ) -> Result<Rules, TsdbError> {
        Ok(Rules {
            emit_from: snapshot.emit_from,
            range,
            staleness_gap_ms: self.settings.staleness_gap_ms,
            samples_max: u64::MAX,
            deletions: self.deletions_of_segments(&snapshot.committed.manifest, snapshot.emit_from)?,
        })
    }
}
