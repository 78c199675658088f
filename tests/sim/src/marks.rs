//! Things that must happen sometimes: a harness in which they never do does not see what it should.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::lock;

/// All marks, and what each means.
pub const MARKS: [(&str, &str); 20] = [
    ("cas_lost", "a commit came after somebody else's"),
    ("cas_ambiguous_won", "a commit of unknown outcome was done"),
    ("cas_ambiguous_lost", "a commit of unknown outcome was not done, or not yet"),
    ("own_write_seen_as_exists", "a repeated creation found what an earlier attempt had created"),
    ("collector_fenced_a_compactor", "a commit failed because of a fence"),
    ("reader_restarted", "a reader found that what it wanted had been collected"),
    ("zombie_segment_ignored", "a segment appeared below the watermark"),
    ("late_effect_landed_after_commit", "a late creation landed below the watermark"),
    ("late_effect_landed", "an effect landed long after it was reported as failed"),
    ("tick_missed", "a task was acknowledged as missed"),
    ("slow_segment", "a slow scrape was stored under a name of its own"),
    ("dlq_redriven", "dead letters were delivered again"),
    ("sandbox_frozen", "an invocation was frozen for minutes or hours"),
    ("invocation_killed", "an invocation was ended by its timeout"),
    ("config_reloaded", "the configuration changed under way"),
    ("target_ended", "a target left"),
    ("series_deleted", "a deletion was acknowledged"),
    ("merge_in_parts", "a merge was recorded to be done in parts"),
    ("blocks_merged", "a block of level 2 or 3 was committed"),
    ("retention_dropped", "retention dropped a block"),
];

/// How often each happened.
#[derive(Debug, Default)]
pub struct Marks(Mutex<BTreeMap<&'static str, u64>>);

impl Marks {
    /// It happened.
    pub fn hit(&self, mark: &'static str) {
        self.hits(mark, 1);
    }

    /// It happened so many times.
    pub fn hits(&self, mark: &'static str, count: u64) {
        if count > 0 {
            *lock(&self.0).entry(mark).or_default() += count;
        }
    }

    /// All counts.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.0).clone()
    }
}
