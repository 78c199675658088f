//! An adapter around the ports that sees what callers are told, and tells the ledger and the marks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use platform::{
    ByteRange, Cas, ListedObject, Object, Objects, Platform, PlatformError, PlatformFuture, Put, Row, RowKey,
    RowPut, RowRange, Rows, Version,
};
use platform_sim::Handle;
use tsdb::Scope;
use tsdb::keys::{Keys, SegmentKey};
use wire::{Head, Manifest, RuleGroupState};

use crate::ledger::{Ledger, Violation};
use crate::lock;
use crate::marks::Marks;

/// Shards from this number on hold slow scrapes; see the scraper function.
const SLOW_SHARDS: u64 = 1 << 30;

/// What is created later after its tick, ms, may be late by its writer's clock.
const LATE_MS: i64 = 50_000;

/// What is watched, over all processes of a world.
#[derive(Debug)]
pub struct Watch {
    world: Handle,
    ledger: Arc<Mutex<Ledger>>,
    marks: Arc<Marks>,
    head: RowKey,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Versions of the head that a fence made.
    fences: BTreeSet<u64>,
    /// Keys whose creation had an unknown outcome.
    unknown: BTreeSet<String>,
    /// Segments whose creation had an unknown outcome and that were not there when the watermark had passed them.
    overdue: BTreeSet<RowKey>,
    /// Segments whose creation had an unknown outcome.
    doubtful: BTreeSet<RowKey>,
    commits: u64,
    /// Of the manifest that was read last.
    latest: Option<Arc<Blocks>>,
}

/// The blocks of a manifest.
#[derive(Debug)]
struct Blocks {
    /// The very bytes that they were read from.
    body: Bytes,
    live: BTreeSet<String>,
    /// Those that are live no more, too.
    named: BTreeSet<String>,
}

impl Watch {
    /// Watches a world.
    #[must_use]
    pub fn new(world: Handle, ledger: Arc<Mutex<Ledger>>, marks: Arc<Marks>) -> Arc<Self> {
        let head = Keys::new(Scope::default()).head();
        Arc::new(Self { world, ledger, marks, head, state: Mutex::default() })
    }

    /// The platform, watched.
    #[must_use]
    pub fn platform(self: &Arc<Self>, platform: Platform) -> Platform {
        Platform {
            objects: Arc::new(WatchedObjects { inner: platform.objects, watch: Arc::clone(self) }),
            rows: Arc::new(WatchedRows { inner: platform.rows, watch: Arc::clone(self) }),
            ..platform
        }
    }

    /// The head as it is now: its version and what it holds.
    #[must_use]
    pub fn head(&self) -> Option<(u64, Head)> {
        let row = self.world.row(&self.head)?;
        Some((row.version, wire::decode("head", &row.value).ok()?))
    }

    /// Commits that callers know of, fences left out.
    #[must_use]
    pub fn commits(&self) -> u64 {
        lock(&self.state).commits
    }

    /// Looks whether doubtful segments have appeared below the watermark since the last call.
    pub fn look_for_zombies(&self) {
        let watermark = self.head().map_or(0, |(_, head)| head.watermark);
        let mut state = lock(&self.state);
        let State { overdue, doubtful, .. } = &mut *state;
        overdue.retain(|key| {
            let landed = self.world.row(key).is_some();
            if landed {
                self.marks.hit("late_effect_landed_after_commit");
                self.marks.hit("zombie_segment_ignored");
            }
            !landed
        });
        doubtful.retain(|key| {
            let passed = SegmentKey::parse(&key.sort).is_none_or(|segment| segment.tick < watermark);
            if passed && self.world.row(key).is_none() {
                overdue.insert(key.clone());
            }
            !passed
        });
    }

    fn segment_created(&self, key: &RowKey, put: &Result<RowPut, PlatformError>, value: &Bytes) {
        let Some(segment) = key.partition.strip_prefix("wal/").and_then(|_| SegmentKey::parse(&key.sort))
        else {
            return;
        };
        let number = segment.shard.to_string().strip_prefix('s').and_then(|n| n.parse::<u64>().ok());
        if number.is_some_and(|number| (SLOW_SHARDS..2 * SLOW_SHARDS).contains(&number)) {
            lock(&self.ledger).slow_ticks.insert(segment.tick);
            self.world.observe(segment.tick.unsigned_abs().rotate_left(1));
            self.marks.hit("slow_segment");
        }
        let late = self.world.now_ms() - segment.tick > LATE_MS;
        let may_come_late =
            matches!(put, Err(PlatformError::Ambiguous { .. })) && self.world.row(key).is_none();
        if (late || may_come_late) && lock(&self.ledger).zombies.insert(segment.tick) {
            // What may be seen depends on it.
            self.world.observe(segment.tick.unsigned_abs());
        }
        match put {
            Ok(RowPut::Exists(row)) if row.value == *value => self.marks.hit("own_write_seen_as_exists"),
            Ok(RowPut::Created) => {
                let watermark = self.head().map_or(0, |(_, head)| head.watermark);
                self.marks.hits("zombie_segment_ignored", u64::from(segment.tick < watermark));
            }
            Err(PlatformError::Ambiguous { .. }) => {
                lock(&self.state).doubtful.insert(key.clone());
            }
            Ok(RowPut::Exists(_)) | Err(_) => {}
        }
    }

    /// S6: what follows a head was computed from it: the watermark does not go back, and no block is lost on the way.
    fn check_commit(&self, before: Option<&Row>, value: &Bytes) -> Option<Violation> {
        let decode = |value: &Bytes| wire::decode::<Head>("head", value).ok();
        let (before, after) = (decode(&before?.value)?, decode(value)?);
        if after.watermark < before.watermark {
            let detail = format!("watermark {} follows {}", after.watermark, before.watermark);
            return Some(Violation::new("S6", detail));
        }
        if before.manifest == after.manifest {
            return None;
        }
        let (before, after) = (self.blocks_of(&before)?, self.blocks_of(&after)?);
        let lost = before.live.difference(&after.named).next()?;
        Some(Violation::new("S6", format!("a commit forgets block {lost}")))
    }

    /// The blocks of a head's manifest; kept, for it is what the next commit follows.
    fn blocks_of(&self, head: &Head) -> Option<Arc<Blocks>> {
        let body = self.world.object(head.manifest.as_ref()?)?;
        let same =
            |known: &&Arc<Blocks>| known.body.as_ptr() == body.as_ptr() && known.body.len() == body.len();
        if let Some(known) = lock(&self.state).latest.as_ref().filter(same) {
            return Some(Arc::clone(known));
        }
        let manifest = wire::decode::<Manifest>("manifest", &body).ok()?;
        let live: BTreeSet<String> = manifest.blocks.into_iter().map(|block| block.id).collect();
        let retired = manifest.retired.into_iter().map(|retired| retired.id);
        let blocks = Arc::new(Blocks { body, named: retired.chain(live.iter().cloned()).collect(), live });
        lock(&self.state).latest = Some(Arc::clone(&blocks));
        Some(blocks)
    }

    /// S12: the state of a rule group only moves on.
    fn group_set(&self, before: Option<&Row>, value: &Bytes, cas: &Result<Cas, PlatformError>) {
        let tick =
            |value: &Bytes| wire::decode::<RuleGroupState>("state", value).map_or(0, |state| state.last_tick);
        let after = tick(value);
        let mut ledger = lock(&self.ledger);
        match cas {
            Ok(Cas::Done(_)) => {
                let before = before.map_or(0, |row| tick(&row.value));
                if after <= before {
                    let detail = format!("the state of tick {after} follows that of {before}");
                    ledger.violate(Violation::new("S12", detail));
                }
                ledger.rule_commits.insert(after);
                self.world.observe(after.unsigned_abs());
            }
            Err(PlatformError::Ambiguous { .. }) => {
                ledger.rule_doubts.insert(after);
                self.world.observe(!after.unsigned_abs());
            }
            Ok(Cas::Lost(_)) | Err(_) => {}
        }
    }

    fn head_set(&self, before: Option<&Row>, expected: u64, value: &Bytes, cas: &Result<Cas, PlatformError>) {
        let is_fence = before.is_some_and(|row| row.version == expected && row.value == *value);
        if matches!(cas, Ok(Cas::Done(_)))
            && let Some(violation) = self.check_commit(before, value)
        {
            lock(&self.ledger).violate(violation);
        }
        let mut state = lock(&self.state);
        match cas {
            Ok(Cas::Done(version)) => {
                if is_fence {
                    state.fences.insert(*version);
                } else {
                    state.commits += 1;
                }
            }
            Ok(Cas::Lost(_)) => {
                self.marks.hit("cas_lost");
                let fenced = state.fences.contains(&(expected + 1)) && !is_fence;
                self.marks.hits("collector_fenced_a_compactor", u64::from(fenced));
            }
            Err(PlatformError::Ambiguous { .. }) => {
                let now = self.world.row(&self.head);
                let done = now.is_some_and(|row| row.version == expected + 1 && row.value == *value);
                state.commits += u64::from(done && !is_fence);
                if done && is_fence {
                    state.fences.insert(expected + 1);
                }
                self.marks.hit(if done { "cas_ambiguous_won" } else { "cas_ambiguous_lost" });
            }
            Err(_) => {}
        }
    }
}

struct WatchedObjects {
    inner: Arc<dyn Objects>,
    watch: Arc<Watch>,
}

impl Objects for WatchedObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        Box::pin(async move {
            let put = self.inner.create(key, body).await;
            let mut state = lock(&self.watch.state);
            match &put {
                Ok(Put::Exists) if state.unknown.contains(key) => {
                    self.watch.marks.hit("own_write_seen_as_exists");
                }
                Err(PlatformError::Ambiguous { .. }) => {
                    state.unknown.insert(key.to_owned());
                }
                Ok(_) | Err(_) => {}
            }
            put
        })
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        Box::pin(async move {
            let read = self.inner.read(key, version, range).await;
            let store = key.starts_with("block/") || key.starts_with("manifest/");
            let gone = matches!(read, Err(PlatformError::NotFound { .. }));
            self.watch.marks.hits("reader_restarted", u64::from(store && gone));
            read
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        self.inner.list(prefix, after, limit)
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        self.inner.delete(key)
    }
}

struct WatchedRows {
    inner: Arc<dyn Rows>,
    watch: Arc<Watch>,
}

impl Rows for WatchedRows {
    fn create<'a>(
        &'a self,
        key: &'a RowKey,
        value: Bytes,
        expires_at_s: Option<i64>,
    ) -> PlatformFuture<'a, RowPut> {
        Box::pin(async move {
            let put = self.inner.create(key, value.clone(), expires_at_s).await;
            self.watch.segment_created(key, &put, &value);
            put
        })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a RowKey,
        expected: u64,
        value: Bytes,
    ) -> PlatformFuture<'a, Cas> {
        Box::pin(async move {
            if key.partition == "alerts" {
                let before = self.watch.world.row(key);
                let cas = self.inner.compare_and_set(key, expected, value.clone()).await;
                self.watch.group_set(before.as_ref(), &value, &cas);
                return cas;
            }
            if *key != self.watch.head {
                return self.inner.compare_and_set(key, expected, value).await;
            }
            let before = self.watch.world.row(key);
            let cas = self.inner.compare_and_set(key, expected, value.clone()).await;
            self.watch.head_set(before.as_ref(), expected, &value, &cas);
            cas
        })
    }

    fn get<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, Option<Row>> {
        self.inner.get(key)
    }

    fn query<'a>(&'a self, range: &'a RowRange, limit: usize) -> PlatformFuture<'a, Vec<Row>> {
        self.inner.query(range, limit)
    }

    fn delete<'a>(&'a self, key: &'a RowKey) -> PlatformFuture<'a, ()> {
        self.inner.delete(key)
    }
}
