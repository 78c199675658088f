//! The reference: what a reader may and must see, told from what the targets served and what was acknowledged.
//!
//! ```text
//! view (series of a reader) ─► shape (S2) ─► stability against everything seen before (S5)
//!    ─► per target and instant: the attempt's number ─► its whole body, nothing else (S3, S4), once a task (S1, S2)
//!    ─► stale markers from consecutive scrapes (S13) ─► acknowledged tasks and pushes are there (S1)
//! ```

mod bodies;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Labels;
use model::value::STALE_NAN_BITS;
use storage::Series;

use self::bodies::Bodies;
use self::order::{EARLY_MS, LATE_MS, Placed};
use crate::fleet::{Exposed, Fleet, POOL, TaskName};
use crate::ledger::{AckedTask, Deletion, Ledger, Violation};
use crate::rules::check_rules;

/// What a reader saw: value bits by series and instant, ms, in order of time.
pub type Rows = BTreeMap<Labels, Vec<(i64, u64)>>;

/// One reader's view of a range.
#[derive(Clone, Debug)]
pub struct View {
    /// What it saw.
    pub rows: Rows,
    /// First instant that was asked for, ms.
    pub from: i64,
    /// Last instant, ms.
    pub until: i64,
    /// Stale markers up to this instant, ms, are settled.
    pub settled: i64,
    /// What is older, ms, may have been dropped.
    pub kept_from: i64,
}

/// What was promised when a reader began.
#[derive(Clone, Debug, Default)]
pub struct Promised {
    /// Acknowledged tasks.
    pub tasks: Vec<AckedTask>,
    /// Acknowledged pushed samples.
    pub pushed: Vec<(Labels, i64, u64)>,
    /// Acknowledged deletions.
    pub deletions: Vec<Deletion>,
}

/// How much an audit looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// Samples compared.
    pub samples: u64,
    /// Scrapes checked sample by sample.
    pub scrapes: u64,
    /// Stale markers checked.
    pub markers: u64,
    /// Pairs of scrapes whose markers were not checked, because their order is not known from outside.
    pub unordered: u64,
}

impl Audited {
    /// Adds another audit's.
    pub fn add(&mut self, other: Self) {
        self.samples += other.samples;
        self.scrapes += other.scrapes;
        self.markers += other.markers;
        self.unordered += other.unordered;
    }
}

/// Everything that readers have seen, and the rules of what they may see.
#[derive(Debug)]
pub struct Oracle {
    bodies: Bodies,
    /// By series, in order of time.
    seen: BTreeMap<Labels, Vec<(i64, u64)>>,
    staleness_gap_ms: i64,
}

const HOUR_MS: i64 = 3_600_000;
/// A target answers within so long of its scrape's timestamp, ms: its timeout, and clocks that differ.
const ANSWER_MS: std::ops::RangeInclusive<i64> = -5_000..=20_000;
/// Scrapes about as far apart as the staleness gap, to this many ms, may or may not have markers between them.
const GAP_SLACK_MS: i64 = 60_000;

/// All that is visible of a target at an instant.
#[derive(Default)]
struct Record<'a> {
    real: Vec<(&'a Labels, u64)>,
    markers: Vec<&'a Labels>,
}

/// What the check of a target's scrapes finds.
#[derive(Default)]
struct Found {
    /// (task, target) by attempt.
    attempts: BTreeMap<(TaskName, u32), Vec<u64>>,
    /// Instants of failed scrapes by target.
    failures: BTreeMap<u32, BTreeSet<i64>>,
    audited: Audited,
}

impl Oracle {
    /// The oracle of a fleet.
    #[must_use]
    pub fn new(fleet: Arc<Fleet>, staleness_gap_ms: i64) -> Self {
        Self { bodies: Bodies::new(fleet), seen: BTreeMap::new(), staleness_gap_ms }
    }

    /// Checks a view against everything that is known.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&mut self, view: &View, promised: &Promised, ledger: &Ledger) -> Result<Audited, Violation> {
        check_shape(&view.rows)?;
        check_deletions(&view.rows, promised)?;
        self.check_stability(view, ledger)?;
        let mut records: BTreeMap<u32, BTreeMap<i64, Record<'_>>> = BTreeMap::new();
        let mut backdated: Vec<(&Labels, i64, u64)> = Vec::new();
        let mut rules: Vec<(&Labels, &Vec<(i64, u64)>)> = Vec::new();
        for (labels, samples) in &view.rows {
            let target = labels.get("instance").and_then(Fleet::target_of);
            match (labels.metric_name(), target) {
                ("pushed", None) => check_pushed(labels, samples, ledger)?,
                ("backdated", Some(_)) => {
                    backdated.extend(samples.iter().map(|(at, bits)| (labels, *at, *bits)));
                }
                (_, Some(target)) if labels.get("job") == Some(POOL) => {
                    // What has outlived the retention goes block by block, not scrape by scrape.
                    for (at, bits) in samples.iter().filter(|(at, _)| *at >= view.kept_from) {
                        let record = records.entry(target).or_default().entry(*at).or_default();
                        match *bits {
                            STALE_NAN_BITS => record.markers.push(labels),
                            bits => record.real.push((labels, bits)),
                        }
                    }
                }
                _ => rules.push((labels, samples)),
            }
        }
        check_rules(&rules, ledger)?;
        let mut found = Found::default();
        found.audited.samples = view.rows.values().map(|samples| samples.len() as u64).sum();
        for (target, records) in &records {
            self.check_target(*target, records, view, ledger, &mut found)?;
        }
        self.check_backdated(&backdated, view, &found)?;
        check_once(&found)?;
        check_promised(view, promised, &found)?;
        self.remember(view);
        Ok(found.audited)
    }

    fn check_stability(&self, view: &View, ledger: &Ledger) -> Result<(), Violation> {
        let from = view.from.max(view.kept_from);
        for (labels, seen) in &self.seen {
            let now = view.rows.get(labels).map_or(&[][..], Vec::as_slice);
            let may_vanish = |at: i64| match labels.metric_name() {
                _ if ledger.may_be_deleted(labels, at) => true,
                "pushed" => !ledger.pushed.contains_key(&(labels.clone(), at)),
                "backdated" => ledger.zombies.range(at..at + 2 * HOUR_MS).next().is_some(),
                _ => ledger.may_vanish(at),
            };
            let mut next = 0;
            let first = seen.partition_point(|(at, _)| *at < from);
            for (timestamp, bits) in seen.iter().skip(first).take_while(|(at, _)| *at <= view.until) {
                while now.get(next).is_some_and(|(other, _)| other < timestamp) {
                    next += 1;
                }
                let there = now.get(next).filter(|(other, _)| other == timestamp);
                match there {
                    Some((_, value)) if value == bits => {}
                    Some((_, value)) => {
                        let detail = format!("{labels} at {timestamp} was {bits:x} and is {value:x}");
                        return Err(Violation::new("S5", detail));
                    }
                    None if may_vanish(*timestamp) => {}
                    None => {
                        let detail = format!("{labels} at {timestamp}, {bits:x}, has gone");
                        return Err(Violation::new("S5", detail).of_sample(labels, *timestamp));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_target(
        &mut self,
        target: u32,
        records: &BTreeMap<i64, Record<'_>>,
        view: &View,
        ledger: &Ledger,
        found: &mut Found,
    ) -> Result<(), Violation> {
        for (at, record) in records.iter().filter(|(_, record)| !record.real.is_empty()) {
            self.check_scrape(target, *at, record, ledger, found)?;
            found.audited.scrapes += 1;
        }
        let mut ordered: Vec<Placed<'_>> =
            records.iter().map(|(at, record)| self.place(*at, record)).collect();
        ordered.sort_by_key(|scrape| (scrape.last, scrape.at));
        for (nth, scrape) in ordered.iter().enumerate().skip(1) {
            let Some(previous) = ordered.get(nth - 1) else { continue };
            if scrape.at > view.settled {
                continue;
            }
            let unordered = !order::is_predecessor(&ordered, nth, view.from.max(view.kept_from))
                || ledger.slow_near(previous.last - LATE_MS - EARLY_MS, scrape.at + LATE_MS);
            if unordered {
                found.audited.unordered += 1;
                continue;
            }
            let had: BTreeSet<&Labels> = match previous.at < scrape.at {
                true => previous.record.real.iter().map(|(labels, _)| *labels).collect(),
                // Time did not advance: no series ends.
                false => BTreeSet::new(),
            };
            let checked = self.check_markers(target, scrape, previous.at, &had, ledger);
            checked.map_err(|violation| {
                let near = ordered.get(nth.saturating_sub(4)..(nth + 3).min(ordered.len()));
                around(violation, near.unwrap_or_default())
            })?;
            found.audited.markers += scrape.record.markers.len() as u64;
        }
        Ok(())
    }

    /// Where a scrape stands among its target's. The tick of one that failed is known to a minute only; the end of a
    /// target has its tick's own instant.
    fn place<'a>(&mut self, at: i64, record: &'a Record<'a>) -> Placed<'a> {
        let tick = if record.real.is_empty() { Some(at) } else { self.tick(record) };
        let (first, last) = tick.map_or((at - LATE_MS, at + EARLY_MS), |tick| (tick, tick));
        Placed { first, last, at, record }
    }

    /// The tick of a scrape that succeeded.
    fn tick(&mut self, record: &Record<'_>) -> Option<i64> {
        let attempt = record.real.iter().find(|(labels, _)| labels.metric_name() == "attempt")?;
        self.bodies.get(f64::from_bits(attempt.1) as u64).map(|body| body.served.task.0)
    }

    /// S3, S4: everything of one attempt's body and its report, and nothing else.
    fn check_scrape(
        &mut self,
        target: u32,
        at: i64,
        record: &Record<'_>,
        ledger: &Ledger,
        found: &mut Found,
    ) -> Result<(), Violation> {
        let value = |name: &str| {
            record.real.iter().find(|(labels, _)| labels.metric_name() == name).map(|(_, bits)| *bits)
        };
        let here = || format!("target {target} at {at}");
        let Some(up) = value("up") else {
            return Err(Violation::new("S4", format!("{}: samples without `up`", here())));
        };
        if f64::from_bits(up) != 1.0 {
            found.failures.entry(target).or_default().insert(at);
            let report = self.bodies.report(target);
            return check_expected(at, record, &report, ledger, &here);
        }
        let attempt = value("attempt").map(f64::from_bits);
        let attempt = attempt.filter(|attempt| *attempt >= 1.0 && attempt.fract() == 0.0);
        let Some(attempt) = attempt.map(|attempt| attempt as u64) else {
            return Err(Violation::new("S4", format!("{}: a scrape without its number", here())));
        };
        let body = self.bodies.get(attempt);
        let Some(body) =
            body.filter(|body| body.served.target == target && ANSWER_MS.contains(&(body.served.at_ms - at)))
        else {
            let detail = format!("{}: attempt {attempt} was never served then", here());
            return Err(Violation::new("S3", detail));
        };
        found.attempts.entry((body.served.task, target)).or_default().push(attempt);
        check_expected(at, record, &body.expected, ledger, &here)
    }

    /// S13: exactly the series that the scrape before had and this one has not.
    fn check_markers(
        &self,
        target: u32,
        scrape: &Placed<'_>,
        previous_at: i64,
        previous: &BTreeSet<&Labels>,
        ledger: &Ledger,
    ) -> Result<(), Violation> {
        let (at, record) = (scrape.at, scrape.record);
        let apart = at - previous_at;
        if (apart - self.staleness_gap_ms).abs() < GAP_SLACK_MS {
            return Ok(());
        }
        let real: BTreeSet<&Labels> = record.real.iter().map(|(labels, _)| *labels).collect();
        let ended = previous.difference(&real).copied();
        let expected: BTreeSet<&Labels> =
            if apart < self.staleness_gap_ms { ended.collect() } else { BTreeSet::new() };
        let markers: BTreeSet<&Labels> = record.markers.iter().copied().collect();
        // Of a series that is partly deleted, what came before a scrape is not known from outside.
        let deleted = |labels: &&&Labels| {
            ledger.deletions.iter().any(|deletion| deletion.metric == labels.metric_name())
        };
        if let Some(wrong) = expected.symmetric_difference(&markers).find(|labels| !deleted(labels)) {
            let how = if markers.contains(wrong) { "ends without reason" } else { "does not end" };
            let detail = format!("{wrong} {how} at {at}; the scrape before was at {previous_at}");
            return Err(Violation::new("S13", detail));
        }
        let is_end = record.real.is_empty();
        let absent = |(other, from, until): &(u32, i64, i64)| {
            *other == target && *from <= at + self.staleness_gap_ms && *until >= previous_at
        };
        if is_end && !ledger.absent.iter().any(absent) {
            return Err(Violation::new("S13", format!("target {target} ends at {at} and was never gone")));
        }
        Ok(())
    }

    fn check_backdated(
        &mut self,
        samples: &[(&Labels, i64, u64)],
        view: &View,
        found: &Found,
    ) -> Result<(), Violation> {
        let mut seen: BTreeSet<u64> = BTreeSet::new();
        for (labels, at, bits) in samples {
            let attempt = f64::from_bits(*bits) as u64;
            let served = self.bodies.get(attempt).is_some_and(|body| {
                let same = |exposed: &Exposed| exposed.labels == **labels && exposed.timestamp == Some(*at);
                body.backdated.iter().any(same)
            });
            if !served {
                return Err(Violation::new("S3", format!("{labels} at {at} was never served")));
            }
            seen.insert(attempt);
        }
        let from = view.from.max(view.kept_from);
        for attempt in found.attempts.values().flatten() {
            let Some(body) = self.bodies.get(*attempt) else { continue };
            for exposed in &body.backdated {
                let Some(at) = exposed.timestamp.filter(|at| (from..=view.until).contains(at)) else {
                    continue;
                };
                if !seen.contains(attempt) {
                    let detail = format!("{} at {at} of attempt {attempt} is missing", exposed.labels);
                    return Err(Violation::new("S4", detail));
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, view: &View) {
        for (labels, samples) in &view.rows {
            let seen = match self.seen.get_mut(labels) {
                Some(seen) => seen,
                None => self.seen.entry(labels.clone()).or_default(),
            };
            let is_settled = |(at, bits): &&(i64, u64)| *bits != STALE_NAN_BITS || *at <= view.settled;
            let Some((first, _)) = samples.first() else { continue };
            // What was seen before stays; of the two, which are in order, one.
            let before = seen.split_off(seen.partition_point(|(at, _)| at < first));
            let mut before = before.into_iter().peekable();
            for sample in samples.iter().filter(is_settled) {
                while let Some(earlier) = before.next_if(|(at, _)| *at < sample.0) {
                    seen.push(earlier);
                }
                before.next_if(|(at, _)| *at == sample.0);
                seen.push(*sample);
            }
            seen.extend(before);
        }
    }
}

/// Whether what is there of a scrape is what is expected, both in order of series.
fn check_expected(
    at: i64,
    record: &Record<'_>,
    expected: &[(Labels, Option<u64>)],
    ledger: &Ledger,
    here: &impl Fn() -> String,
) -> Result<(), Violation> {
    let missing = |labels: &Labels| {
        if ledger.may_be_deleted(labels, at) {
            return Ok(());
        }
        let violation = Violation::new("S4", format!("{}: {labels} is missing", here()));
        Err(violation.of_sample(labels, at))
    };
    let mut expected = expected.iter().peekable();
    for (labels, bits) in &record.real {
        while let Some((absent, _)) = expected.next_if(|(other, _)| other < *labels) {
            missing(absent)?;
        }
        match expected.next_if(|(other, _)| other == *labels) {
            Some((_, None)) => {}
            Some((_, Some(value))) if value == bits => {}
            Some((_, Some(value))) => {
                let detail = format!("{}: {labels} is {bits:x}, served was {value:x}", here());
                return Err(Violation::new("S3", detail));
            }
            None => {
                return Err(Violation::new("S3", format!("{}: {labels} was never served", here())));
            }
        }
    }
    expected.try_for_each(|(absent, _)| missing(absent))
}

/// A violation of S13, and the scrapes around it, in the order of their ticks.
fn around(violation: Violation, near: &[Placed<'_>]) -> Violation {
    let told = near.iter().map(|Placed { first, last, at, record }| {
        let series: Vec<String> = record.real.iter().map(|(labels, _)| labels.to_string()).collect();
        let hash = xxhash_rust::xxh3::xxh3_64(series.join(",").as_bytes()) & 0xffff;
        let (real, markers) = (record.real.len(), record.markers.len());
        format!("tick {first} to {last} at {at}: {real} series {hash:04x}, {markers} markers")
    });
    let detail = format!("{}; around: {}", violation.detail, told.collect::<Vec<_>>().join("; "));
    Violation { detail, ..violation }
}

fn check_shape(rows: &Rows) -> Result<(), Violation> {
    for (labels, samples) in rows {
        if samples.is_empty() || samples.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(Violation::new("S2", format!("{labels}: its samples are not in order of time")));
        }
    }
    Ok(())
}

/// What was deleted before the reader began is not there.
fn check_deletions(rows: &Rows, promised: &Promised) -> Result<(), Violation> {
    for deletion in &promised.deletions {
        for (labels, samples) in rows.iter().filter(|(labels, _)| labels.metric_name() == deletion.metric) {
            if let Some((at, _)) = samples.iter().find(|(at, _)| deletion.covers(labels, *at)) {
                return Err(Violation::new("P17", format!("{labels} at {at} was deleted and is there")));
            }
        }
    }
    Ok(())
}

fn check_pushed(labels: &Labels, samples: &[(i64, u64)], ledger: &Ledger) -> Result<(), Violation> {
    for (at, bits) in samples {
        if ledger.offered.get(&(labels.clone(), *at)) != Some(bits) {
            return Err(Violation::new("S3", format!("{labels} at {at} was never pushed")));
        }
    }
    Ok(())
}

/// A task's scrape of a target is there once.
fn check_once(found: &Found) -> Result<(), Violation> {
    match found.attempts.iter().find(|(_, attempts)| attempts.len() > 1) {
        Some(((task, target), attempts)) => {
            let detail = format!("target {target} of task {task:?} is there as attempts {attempts:?}");
            Err(Violation::new("S2", detail))
        }
        None => Ok(()),
    }
}

/// S1: what was acknowledged before the reader began is there.
fn check_promised(view: &View, promised: &Promised, found: &Found) -> Result<(), Violation> {
    const SLACK_MS: i64 = 5_000;
    let from = view.from.max(view.kept_from);
    for acked in &promised.tasks {
        for (target, due) in acked.targets.iter().filter(|(_, due)| *due >= from && *due < view.until) {
            let served = found.attempts.contains_key(&(acked.task, *target));
            let failed = found.failures.get(target).is_some_and(|failures| {
                failures.range(due - SLACK_MS..=acked.acked_at + SLACK_MS).next().is_some()
            });
            if !served && !failed {
                let detail = format!(
                    "target {target} of task {:?}, acknowledged at {}, is not there",
                    acked.task, acked.acked_at
                );
                return Err(Violation::new("S1", detail));
            }
        }
    }
    for (labels, at, bits) in &promised.pushed {
        if !(from..=view.until).contains(at) {
            continue;
        }
        let samples = view.rows.get(labels).map_or(&[][..], Vec::as_slice);
        let there = samples.binary_search_by_key(at, |(at, _)| *at).ok().and_then(|index| samples.get(index));
        if there != Some(&(*at, *bits)) {
            return Err(Violation::new("S1", format!("pushed {labels} at {at} is not there")));
        }
    }
    Ok(())
}

/// Some series as rows.
#[must_use]
pub fn rows(series: &[Series]) -> Rows {
    let mut rows = Rows::new();
    for series in series {
        let samples = series.timestamps.iter().zip(series.values.iter());
        rows.entry(series.labels.clone())
            .or_default()
            .extend(samples.map(|(at, value)| (*at, value.to_bits())));
    }
    rows
}
