//! Auditors: readers of three kinds, and what the head names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use model::value::STALE_NAN_BITS;
use model::{Labels, MatchOp, Matcher};
use platform_sim::Handle;
use storage::{Limits, Queryable, Select, SelectHints};
use tsdb::Store;
use wire::{BlockMeta, Manifest, SeriesRange};

use crate::fleet::{Fleet, series};
use crate::ledger::{Ledger, Violation};
use crate::lock;
use crate::oracle::{Promised, Rows, View, rows};
use crate::process::Process;
use crate::watch::Watch;

/// Markers this much behind the watermark, ms, are settled.
const SETTLED_MS: i64 = 120_000;
/// What is written but not yet promised by the clock of another sandbox, ms.
const AHEAD_MS: i64 = 120_000;

/// What has been promised for a range by now.
#[must_use]
pub fn promised(ledger: &Mutex<Ledger>, from: i64, until: i64) -> Promised {
    let ledger = lock(ledger);
    let tasks = ledger.acked.range((from - 60_000, 0)..=(until, u32::MAX)).map(|(_, acked)| acked.clone());
    let pushed = ledger.pushed.iter().filter(|((_, at), _)| (from..=until).contains(at));
    Promised {
        tasks: tasks.collect(),
        pushed: pushed.map(|((labels, at), bits)| (labels.clone(), *at, *bits)).collect(),
        deletions: ledger.deletions.iter().filter(|deletion| deletion.acked).cloned().collect(),
    }
}

/// Reads everything in a range through a store. To be run in the world, by an actor without faults.
///
/// # Errors
/// [`Violation`] where the store cannot answer.
pub async fn read(
    store: &Store,
    watch: &Watch,
    from: i64,
    now: i64,
    retention_ms: Option<i64>,
) -> Result<View, Violation> {
    let watermark = watch.head().map_or(0, |(_, head)| head.watermark);
    let until = now + AHEAD_MS;
    let select = Select { matchers: vec![], min_time: from, max_time: until, hints: SelectHints::default() };
    let limits = Limits { samples_max: u64::MAX, deadline: now + 600_000 };
    let found = store.select(std::slice::from_ref(&select), limits).await;
    let found = found.map_err(|error| Violation::new("L1", format!("a reader: {error}")))?;
    Ok(View {
        rows: found.first().map(|set| rows(set)).unwrap_or_default(),
        from,
        until,
        settled: watermark - SETTLED_MS,
        kept_from: retention_ms.map_or(i64::MIN, |retention| now - retention),
    })
}

/// Asks the query function for a target's samples of a range, and for the increase of its counter, and compares with a
/// view that was read before.
///
/// # Errors
/// The first violation. The number of samples compared otherwise.
pub async fn query(process: &Process, view: &View, target: u32, now: i64) -> Result<u64, Violation> {
    const RANGE_MS: i64 = 1_800_000;
    let selector = |name: &str| format!("{name}{{instance=\"{}\"}}[30m]", Fleet::address(target));
    let from = (now - RANGE_MS).max(view.from);
    let labels = series("attempt", target, None);
    let expected: BTreeMap<i64, u64> = in_range(&view.rows, &labels, from, now);
    let answer = ask(process, &selector("attempt"), now).await?;
    let mut found: BTreeMap<i64, u64> = BTreeMap::new();
    for sample in answer["result"][0]["values"].as_array().into_iter().flatten() {
        let at = sample[0].as_f64().unwrap_or_default() * 1000.0;
        let value: f64 = sample[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        found.insert(at.round() as i64, value.to_bits());
    }
    // What was written meanwhile may be there, too.
    for (at, bits) in &expected {
        if *at > from && found.get(at) != Some(bits) {
            let detail = format!("a query for {labels} at {at} gives {:?}, not {bits:x}", found.get(at));
            return Err(Violation::new("S15", detail));
        }
    }
    check_increase(process, view, target, now, from, &selector("ticks_total")).await?;
    Ok(expected.len() as u64)
}

/// The counter counts seconds, so its increase is known without looking at any sample.
async fn check_increase(
    process: &Process,
    view: &View,
    target: u32,
    now: i64,
    from: i64,
    selector: &str,
) -> Result<(), Violation> {
    const SLACK_S: f64 = 20.0;
    let counter = in_range(&view.rows, &series("ticks_total", target, None), from, now);
    let values: Vec<f64> = counter.values().map(|bits| f64::from_bits(*bits)).collect();
    let (Some(first), Some(last)) = (counter.keys().next(), counter.keys().next_back()) else {
        return Ok(());
    };
    // A reset hides what was counted since the sample before; closed forms are for windows without one.
    if values.len() < 10 || values.windows(2).any(|pair| pair[0] > pair[1]) {
        return Ok(());
    }
    let answer = ask(process, &format!("increase({selector})"), now).await?;
    let value = answer["result"][0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
    let span_s = (last - first) as f64 / 1000.0;
    let range_s = (now - from) as f64 / 1000.0;
    let bounds = span_s - SLACK_S..=range_s.mul_add(1.02, SLACK_S);
    if !value.is_some_and(|value| bounds.contains(&value)) {
        let detail = format!("increase({selector}) at {now} is {value:?}, not within {bounds:?}");
        return Err(Violation::new("S15", detail));
    }
    Ok(())
}

fn in_range(rows: &Rows, labels: &Labels, from: i64, until: i64) -> BTreeMap<i64, u64> {
    let samples = rows.get(labels).map_or(&[][..], Vec::as_slice);
    let real = samples.iter().filter(|(at, bits)| (from..=until).contains(at) && *bits != STALE_NAN_BITS);
    real.copied().collect()
}

async fn ask(process: &Process, query: &str, now: i64) -> Result<serde_json::Value, Violation> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let uri = format!("/api/v1/query?query={encoded}&time={}.{:03}", now / 1000, now % 1000);
    let request = http::Request::builder().uri(uri).body(Bytes::new());
    let request = request.map_err(|error| Violation::new("S15", error.to_string()))?;
    let response = process.api.route(request).await;
    let body: serde_json::Value = serde_json::from_slice(response.body())
        .map_err(|error| Violation::new("S15", format!("{query}: {error}")))?;
    if body["status"] != "success" {
        return Err(Violation::new("S15", format!("{query}: {body}")));
    }
    Ok(body["data"].clone())
}

/// The head as an auditor last saw it.
#[derive(Clone, Debug, Default)]
pub struct HeadAudit {
    version: u64,
    watermark: i64,
    manifest: Option<String>,
    /// Commits that changed the manifest or the watermark and were seen.
    pub changes: u64,
    /// Blocks of level 2 and 3 seen.
    pub merged: BTreeSet<String>,
    /// Merges in parts seen.
    pub in_parts: BTreeSet<String>,
    /// Blocks that left without a child.
    pub dropped: u64,
    live: BTreeSet<String>,
    /// Manifests audited.
    pub manifests: u64,
    read: ReadManifest,
}

/// A manifest that was read, and what it names.
#[derive(Clone, Debug, Default)]
struct ReadManifest {
    /// The very bytes that it was read from.
    body: Bytes,
    manifest: Arc<Manifest>,
    /// Keys and lengths of the files of its blocks.
    files: Arc<Vec<(String, u64)>>,
}

impl HeadAudit {
    /// Looks at the head: it only moves on (S6), names what exists (S9), and its blocks are in order (S7, S8).
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&mut self, world: &Handle, watch: &Watch) -> Result<Option<Arc<Manifest>>, Violation> {
        let Some((version, head)) = watch.head() else { return Ok(None) };
        if version < self.version || head.watermark < self.watermark {
            let detail = format!(
                "head went from version {} and watermark {} to {version} and {}",
                self.version, self.watermark, head.watermark
            );
            return Err(Violation::new("S6", detail));
        }
        if version == self.version && head.manifest != self.manifest {
            return Err(Violation::new("S6", format!("version {version} has changed")));
        }
        let changed = head.manifest != self.manifest || head.watermark != self.watermark;
        self.changes += u64::from(changed);
        (self.version, self.watermark) = (version, head.watermark);
        self.manifest.clone_from(&head.manifest);
        let Some(key) = &head.manifest else { return Ok(None) };
        self.read_manifest(world, key)?;
        let manifest = Arc::clone(&self.read.manifest);
        if changed {
            self.manifests += 1;
            let merged = manifest.blocks.iter().filter(|block| block.level >= 2);
            self.merged.extend(merged.map(|block| block.id.clone()));
            self.in_parts.extend(manifest.merges.iter().map(|merge| merge.id.clone()));
            let live: BTreeSet<String> = manifest.blocks.iter().map(|block| block.id.clone()).collect();
            let merged = |id: &String| manifest.blocks.iter().any(|block| block.parents.contains(id));
            self.dropped += self.live.iter().filter(|id| !live.contains(*id) && !merged(id)).count() as u64;
            self.live = live;
            check_manifest(&manifest)?;
        }
        // Not only after a change: a block can be deleted under a head that stays.
        self.check_blocks(world)?;
        Ok(Some(manifest))
    }

    /// Reads a manifest, unless the bytes that are stored are those that were read before.
    fn read_manifest(&mut self, world: &Handle, key: &str) -> Result<(), Violation> {
        let body = world.object(key).ok_or_else(|| Violation::new("S9", format!("{key} does not exist")))?;
        if body.as_ptr() == self.read.body.as_ptr() && body.len() == self.read.body.len() {
            return Ok(());
        }
        let manifest: Manifest = wire::decode("manifest", &body)
            .map_err(|error| Violation::new("S9", format!("{key}: {error}")))?;
        let of_block = |block: &BlockMeta| {
            let key = |file: &wire::BlockFile| (tsdb::block::object_key(&block.id, &file.name), file.len);
            block.files.iter().map(key).collect::<Vec<_>>()
        };
        let files = manifest.blocks.iter().flat_map(of_block).collect();
        self.read = ReadManifest { body, manifest: Arc::new(manifest), files: Arc::new(files) };
        Ok(())
    }

    fn check_blocks(&self, world: &Handle) -> Result<(), Violation> {
        for (key, expected) in self.read.files.iter() {
            let len = world.object(key).map(|body| body.len() as u64);
            if len != Some(*expected) {
                let detail = format!("{key} of the head has {len:?} bytes instead of {expected}");
                return Err(Violation::new("S9", detail));
            }
        }
        Ok(())
    }
}

fn check_manifest(manifest: &Manifest) -> Result<(), Violation> {
    let mut merged: Vec<&BlockMeta> = manifest.blocks.iter().filter(|block| block.level >= 2).collect();
    merged.sort_by_key(|block| block.min_time);
    for (at, a) in merged.iter().enumerate() {
        for b in merged.iter().skip(at + 1).take_while(|b| b.min_time < a.max_time) {
            if a.level != b.level || !are_disjoint(a, b) {
                return Err(Violation::new("S8", format!("blocks {} and {} overlap", a.id, b.id)));
            }
        }
    }
    let live: BTreeSet<&str> = manifest.blocks.iter().map(|block| block.id.as_str()).collect();
    let mut children: BTreeMap<&str, Vec<&BlockMeta>> = BTreeMap::new();
    for block in &manifest.blocks {
        for parent in &block.parents {
            if live.contains(parent.as_str()) {
                return Err(Violation::new("S8", format!("block {parent} is live and in {}", block.id)));
            }
            let siblings = children.entry(parent).or_default();
            if let Some(other) = siblings.iter().find(|other| !are_disjoint(other, block)) {
                let detail = format!("block {parent} is in {} and in {}", other.id, block.id);
                return Err(Violation::new("S8", detail));
            }
            siblings.push(block);
        }
    }
    Ok(())
}

/// Whether two blocks are known to have no series in common.
fn are_disjoint(a: &BlockMeta, b: &BlockMeta) -> bool {
    let (Some(a), Some(b)) = (&a.series_range, &b.series_range) else { return false };
    let precedes = |a: &SeriesRange, b: &SeriesRange| {
        tsdb::block::compare(&Labels::from(&a.last), &Labels::from(&b.first)).is_lt()
    };
    precedes(a, b) || precedes(b, a)
}

/// How many samples the blocks of a manifest hold more than there are different ones: what is there twice, physically.
///
/// # Errors
/// [`Violation`] where a block cannot be read, or does not hold what its meta says (S7).
pub async fn doubled(objects: &Arc<dyn platform::Objects>, manifest: &Manifest) -> Result<u64, Violation> {
    let mut all: BTreeMap<Labels, BTreeSet<i64>> = BTreeMap::new();
    let mut doubled = 0;
    for meta in &manifest.blocks {
        let failed = |error: tsdb::block::BlockError| {
            Violation::new("S9", format!("block {} cannot be read: {error}", meta.id))
        };
        let reader = tsdb::block::BlockReader::open(Arc::clone(objects), meta).await.map_err(failed)?;
        let found = reader.select(&[], i64::MIN, i64::MAX).await.map_err(failed)?;
        let samples: u64 = found.iter().map(|series| series.sample_count() as u64).sum();
        if samples != meta.samples {
            let detail = format!("block {} holds {samples} samples instead of {}", meta.id, meta.samples);
            return Err(Violation::new("S7", detail));
        }
        for series in found {
            let known = all.entry(series.labels.clone()).or_default();
            doubled += series.timestamps.iter().filter(|at| !known.insert(**at)).count() as u64;
        }
    }
    Ok(doubled)
}

/// The blocks that could hold a sample, and whether they do.
///
/// # Errors
/// [`Violation`] where a block cannot be read.
pub async fn locate(
    objects: &Arc<dyn platform::Objects>,
    manifest: &Manifest,
    labels: &Labels,
    at: i64,
) -> Result<String, Violation> {
    let mut found = String::new();
    for meta in manifest.blocks.iter().filter(|block| (block.min_time..block.max_time).contains(&at)) {
        let failed = |error: tsdb::block::BlockError| Violation::new("S9", format!("{}: {error}", meta.id));
        let reader = tsdb::block::BlockReader::open(Arc::clone(objects), meta).await.map_err(failed)?;
        let series = reader.select(&[], i64::MIN, i64::MAX).await.map_err(failed)?;
        let has = series.iter().any(|series| series.labels == *labels && series.timestamps.contains(&at));
        let instant = series.iter().filter(|series| series.timestamps.contains(&at)).count();
        let known = series.iter().any(|series| series.labels == *labels);
        found.push_str(&format!(
            "; block {} of level {} from {} until {}: the sample {has}, the series {known}, {instant} series at the instant",
            meta.id, meta.level, meta.min_time, meta.max_time
        ));
    }
    Ok(found)
}

/// Objects that nothing refers to (L5).
#[must_use]
pub fn garbage(world: &Handle, manifest: Option<&Manifest>, head_key: Option<&str>) -> Vec<String> {
    let blocks = manifest.into_iter().flat_map(|manifest| &manifest.blocks);
    let files = blocks
        .flat_map(|block| block.files.iter().map(|file| tsdb::block::object_key(&block.id, &file.name)));
    let live: BTreeSet<String> = files.chain(head_key.map(str::to_owned)).collect();
    let store = |key: &String| {
        ["block/", "manifest/", "wal/", "layout/"].iter().any(|prefix| key.starts_with(prefix))
    };
    world.object_keys().into_iter().filter(|key| store(key) && !live.contains(key)).collect()
}

/// A matcher for a metric's name.
#[must_use]
pub fn metric(name: &str) -> Option<Matcher> {
    Matcher::new(MatchOp::Equal, "__name__", name).ok()
}
