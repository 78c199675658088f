//! Names of everything that the store keeps: the only place that builds or parses a key.
//!
//! ```text
//! rows     wal/<scope>/<yyyymmddhh>  <tick>-<shard>          a WAL segment, partitioned by the hour of its tick
//!          head/<scope>              current                  the head register
//! objects  wal/<scope>/<yyyymmdd>/<tick>-<shard>-<attempt>   the payload of a bulky segment
//!          layout/<scope>/<yyyymmdd>/<id>                    a layout, stored anew for each day that uses it
//!          manifest/<scope>/<ulid>-<xxh3>                    a manifest
//!          block/<scope>/<ulid>/<file>                       a file of a block, whose id is `<scope>/<ulid>`
//! ```
//!
//! Ticks are ms since the epoch, zero-padded to 15 digits, so that the order of keys is the order of (tick, shard).
//! Days and hours are those of the tick, in UTC, so that whole days can expire. Every key carries its scope (S16).

use std::fmt;

use model::rfc3339::{civil_from_days, days_from_civil};
use model::time::align_down;
use platform::{RowKey, RowRange};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::TsdbError;
use crate::wal::LayoutId;

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// The first tick that no key can hold, ms.
const TICK_END: i64 = 1_000_000_000_000_000;
/// Digits of a tick in a key.
const TICK_DIGITS: usize = 15;
/// Longest scope or shard, bytes.
const NAME_BYTES_MAX: usize = 64;

/// What may be compacted together; the isolation unit of all keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(String);

impl Scope {
    /// A scope of 1 to 64 bytes of `[A-Za-z0-9_]`.
    ///
    /// # Errors
    /// [`TsdbError::Invalid`] where `name` is anything else.
    pub fn new(name: &str) -> Result<Self, TsdbError> {
        if !is_name(name) {
            return Err(TsdbError::Invalid(format!("scope {name:?}")));
        }
        Ok(Self(name.to_owned()))
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who writes a segment at a tick; with the tick, the cause that names it (P1). Ordered as its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard(String);

impl Shard {
    /// The `number`th batch of scrapes: `s00007`.
    #[must_use]
    pub fn scrape(number: u32) -> Self {
        Self(format!("s{number:05}"))
    }

    /// A rule group, named by a hash of its identity: `r` and 16 hexadecimal digits.
    #[must_use]
    pub fn rules(group: u64) -> Self {
        Self(format!("r{group:016x}"))
    }

    /// A pushed request, named by a hash of its content: `p` and 32 hexadecimal digits.
    #[must_use]
    pub fn push(content: u128) -> Self {
        Self(format!("p{content:032x}"))
    }

    /// Reads a shard's text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a segment: its tick, ms, and its shard. Ordered as its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentKey {
    /// The scheduled instant, ms.
    pub tick: i64,
    /// Who wrote it.
    pub shard: Shard,
}

impl SegmentKey {
    /// Reads a row's sort key.
    #[must_use]
    pub fn parse(sort: &str) -> Option<Self> {
        let (tick, shard) = sort.split_once('-')?;
        Some(Self { tick: parse_tick(tick)?, shard: Shard::parse(shard)? })
    }
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:015}-{}", self.tick, self.shard)
    }
}

/// The keys of one scope.
#[derive(Clone, Debug)]
pub struct Keys {
    scope: Scope,
}

impl Keys {
    /// The keys of `scope`.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// The row of a segment.
    ///
    /// # Errors
    /// [`TsdbError::Invalid`] where its tick is negative or beyond the year 33658.
    pub fn segment(&self, segment: &SegmentKey) -> Result<RowKey, TsdbError> {
        if !(0..TICK_END).contains(&segment.tick) {
            return Err(TsdbError::Invalid(format!("tick {}", segment.tick)));
        }
        Ok(RowKey::new(self.wal_partition(segment.tick), segment.to_string()))
    }

    /// The ranges, in order, that hold the rows of all segments with `from <= tick < until`, ms.
    #[must_use]
    pub fn segments(&self, from: i64, until: i64) -> Vec<RowRange> {
        let (from, until) = (from.clamp(0, TICK_END), until.clamp(0, TICK_END));
        let mut ranges = Vec::new();
        let mut hour = align_down(from, HOUR_MS);
        while hour < until {
            let (first, end) = (from.max(hour), until.min(hour + HOUR_MS));
            ranges.push(RowRange {
                partition: self.wal_partition(hour),
                from: format!("{first:015}"),
                until: Some(format!("{end:015}")),
            });
            hour += HOUR_MS;
        }
        ranges
    }

    /// The head register.
    #[must_use]
    pub fn head(&self) -> RowKey {
        RowKey::new(format!("head/{}", self.scope), "current")
    }

    /// The object for the payload of a segment, as one attempt writes it.
    #[must_use]
    pub fn payload(&self, segment: &SegmentKey, attempt: &str) -> String {
        format!("wal/{}/{}/{segment}-{attempt}", self.scope, Day::of(segment.tick))
    }

    /// What all payloads' keys begin with.
    #[must_use]
    pub fn payloads(&self) -> String {
        format!("wal/{}/", self.scope)
    }

    /// The tick of the segment that a payload's key names.
    #[must_use]
    pub fn payload_tick(&self, key: &str) -> Option<i64> {
        let (_, name) = key.strip_prefix(&self.payloads())?.split_once('/')?;
        parse_tick(name.split_once('-')?.0)
    }

    /// The object for a layout that is used on `day`.
    #[must_use]
    pub fn layout(&self, day: Day, id: LayoutId) -> String {
        format!("layout/{}/{day}/{id}", self.scope)
    }

    /// What all layouts' keys begin with.
    #[must_use]
    pub fn layouts(&self) -> String {
        format!("layout/{}/", self.scope)
    }

    /// What the keys of a day's layouts begin with.
    #[must_use]
    pub fn layouts_of(&self, day: Day) -> String {
        format!("layout/{}/{day}/", self.scope)
    }

    /// The day that a layout's key names.
    #[must_use]
    pub fn layout_day(&self, key: &str) -> Option<Day> {
        Day::parse(key.strip_prefix(&self.layouts())?.split_once('/')?.0)
    }

    /// The object of a manifest: its attempt's ULID, and the xxh3-64 of its content.
    #[must_use]
    pub fn manifest(&self, ulid: &str, content: &[u8]) -> String {
        format!("manifest/{}/{ulid}-{:016x}", self.scope, xxh3_64(content))
    }

    /// Whether `content` is what a manifest's key says.
    #[must_use]
    pub fn is_manifest(&self, key: &str, content: &[u8]) -> bool {
        let name = key.strip_prefix(&self.manifests()).and_then(|name| name.split_once('-'));
        name.is_some_and(|(ulid, _)| key == self.manifest(ulid, content))
    }

    /// What all manifests' keys begin with.
    #[must_use]
    pub fn manifests(&self) -> String {
        format!("manifest/{}/", self.scope)
    }

    /// The instant, ms, at which the attempt that wrote a manifest began.
    #[must_use]
    pub fn manifest_time(&self, key: &str) -> Option<i64> {
        ulid_time(key.strip_prefix(&self.manifests())?.split_once('-')?.0)
    }

    /// The id of a block.
    #[must_use]
    pub fn block_id(&self, ulid: &str) -> String {
        format!("{}/{ulid}", self.scope)
    }

    /// What the keys of all blocks' files begin with.
    #[must_use]
    pub fn blocks(&self) -> String {
        format!("block/{}/", self.scope)
    }

    /// The id of the block that an object belongs to, and the instant, ms, at which the attempt that wrote it began.
    #[must_use]
    pub fn block_of<'a>(&self, key: &'a str) -> Option<(&'a str, i64)> {
        let ulid = key.strip_prefix(&self.blocks())?.split_once('/')?.0;
        let id = key.get("block/".len()..self.blocks().len() + ulid.len())?;
        Some((id, ulid_time(ulid)?))
    }

    /// The instant, ms, at which the attempt that wrote the block with this id began.
    #[must_use]
    pub fn block_time(id: &str) -> Option<i64> {
        ulid_time(id.rsplit_once('/')?.1)
    }

    fn wal_partition(&self, tick: i64) -> String {
        let hour = tick.rem_euclid(DAY_MS) / HOUR_MS;
        format!("wal/{}/{}{hour:02}", self.scope, Day::of(tick))
    }
}

/// A day in UTC. Prints as `yyyymmdd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    /// The day of an instant, ms.
    #[must_use]
    pub fn of(timestamp_ms: i64) -> Self {
        Self(timestamp_ms.div_euclid(DAY_MS))
    }

    /// The first instant of the next day, ms.
    #[must_use]
    pub fn end_ms(self) -> i64 {
        (self.0 + 1) * DAY_MS
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() < 8 || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (year, month_day) = text.split_at_checked(text.len() - 4)?;
        let (month, day) = month_day.split_at_checked(2)?;
        let (year, month, day): (i64, i64, i64) =
            (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        let parsed = Self(days_from_civil(year, month, day));
        (parsed.to_string() == text).then_some(parsed)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0);
        write!(f, "{year:04}{month:02}{day:02}")
    }
}

/// The time, ms since the epoch, that a ULID carries.
fn ulid_time(ulid: &str) -> Option<i64> {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    if ulid.len() != 26 {
        return None;
    }
    ulid.bytes().take(10).try_fold(0i64, |time, digit| {
        let digit = DIGITS.iter().position(|candidate| *candidate == digit)?;
        Some(time << 5 | i64::try_from(digit).ok()?)
    })
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn parse_tick(text: &str) -> Option<i64> {
    (text.len() == TICK_DIGITS && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::new(Scope::default())
    }

    #[test]
    fn keys_are_what_the_module_says() {
        let segment = SegmentKey { tick: 1_795_363_200_000, shard: Shard::scrape(7) };
        let row = keys().segment(&segment).unwrap();
        assert_eq!(row, RowKey::new("wal/default/2026112216", "001795363200000-s00007"));
        assert_eq!(keys().payload(&segment, "A"), "wal/default/20261122/001795363200000-s00007-A");
        assert_eq!(keys().head(), RowKey::new("head/default", "current"));
        assert_eq!(Shard::rules(255).to_string(), "r00000000000000ff");
    }

    #[test]
    fn only_names_become_scopes_and_shards() {
        for bad in ["", "a/b", "a-b", "..", "a b", "ä"] {
            assert!(Scope::new(bad).is_err(), "{bad}");
            assert!(Shard::parse(bad).is_none(), "{bad}");
        }
        assert!(keys().segment(&SegmentKey { tick: -1, shard: Shard::scrape(0) }).is_err());
    }

    #[test]
    fn block_objects_name_their_block_and_its_age() {
        let id = keys().block_id("01ARZ3NDEKTSV4RRFFQ69G5FAV");
        let key = crate::block::object_key(&id, "samples-000.parquet");
        assert_eq!(keys().block_of(&key), Some((id.as_str(), 1_469_922_850_259)));
        assert_eq!(Keys::new(Scope::new("other").unwrap()).block_of(&key), None);
        assert_eq!(keys().block_of("block/default/junk/x"), None);
    }

    proptest! {
        #[test]
        fn a_segment_key_reads_back_and_orders_as_its_text(
            a in (0..TICK_END, 0u32..200_000), b in (0..TICK_END, 0u32..200_000),
        ) {
            let [a, b] = [a, b].map(|(tick, shard)| SegmentKey { tick, shard: Shard::scrape(shard) });
            prop_assert_eq!(SegmentKey::parse(&a.to_string()), Some(a.clone()));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            prop_assert_eq!(keys().payload_tick(&keys().payload(&a, "X")), Some(a.tick));
        }

        #[test]
        fn a_day_reads_back(tick in 0..TICK_END) {
            let day = Day::of(tick);
            prop_assert_eq!(Day::parse(&day.to_string()), Some(day));
            prop_assert!(tick < day.end_ms() && tick >= day.end_ms() - DAY_MS);
        }

        #[test]
        fn the_ranges_of_an_interval_hold_exactly_its_segments(
            from in 0i64..400_000_000, len in 0i64..20_000_000, tick in 0i64..420_000_000,
        ) {
            let row = keys().segment(&SegmentKey { tick, shard: Shard::scrape(3) }).unwrap();
            let hits = keys().segments(from, from + len).into_iter().filter(|range| {
                range.partition == row.partition
                    && range.from <= row.sort
                    && range.until.as_ref().is_none_or(|until| row.sort < *until)
            });
            prop_assert_eq!(hits.count(), usize::from((from..from + len).contains(&tick)));
        }
    }
}
