//! Which scrape of a target came before another: what is known of it from outside.
//!
//! The store lets the scrapes of a source follow each other as their ticks do, and that alone: the predecessor of a scrape
//! must be settled once the watermark has passed its tick, and a later tick could still be written then (P9, S5). A task
//! that is delivered late is scraped after its successor, and still comes before it. In Prometheus a target has one
//! loop, so there are no such scrapes to compare with; what differs is that a series which was ended by the late
//! scrape may be ended once more by the scrape after its successor, which no query sees, and that one which only the late
//! scrape had ends by the lookback.
//!
//! A scrape that succeeded says in its body which task it is of. One that failed does not: it was made when its tick was not
//! late yet, so its tick lies in a range before its instant.

use super::Record;

/// A scrape is made so long after its tick, ms, at most: later it is missed (the late bound, and some).
pub(super) const LATE_MS: i64 = 65_000;
/// A scrape is made so long before its tick, ms, at most: clocks differ.
pub(super) const EARLY_MS: i64 = 5_000;

/// A scrape, and what is known of its tick.
pub(super) struct Placed<'a> {
    /// The first tick, ms, that it can be of.
    pub(super) first: i64,
    /// The last one.
    pub(super) last: i64,
    /// Its instant, ms.
    pub(super) at: i64,
    pub(super) record: &'a Record<'a>,
}

/// Whether of `scrapes`, sorted by their last ticks, the one before the `nth` is surely its predecessor, whatever the ticks
/// of those that failed. Scrapes of instants before `from`, ms, are not among them.
pub(super) fn is_predecessor(scrapes: &[Placed<'_>], nth: usize, from: i64) -> bool {
    let (Some(scrape), Some(previous)) =
        (scrapes.get(nth), nth.checked_sub(1).and_then(|before| scrapes.get(before)))
    else {
        return false;
    };
    // Of those before it the one before it has the last tick that can be.
    let before = nth.checked_sub(2).and_then(|before| scrapes.get(before)).map(|before| before.last);
    let unseen = from + EARLY_MS;
    // A later one in this order may yet be of an earlier tick, if it is near enough.
    let later =
        scrapes.iter().skip(nth + 1).take_while(|other| other.last <= scrape.last + LATE_MS + EARLY_MS);
    previous.last < scrape.first
        && before.unwrap_or(unseen).max(unseen) < previous.first
        && later.map(|other| other.first).all(|first| first > scrape.last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the predecessor is known of the last of the first `count` scrapes: (instant, tick unless it failed), s.
    fn known(scrapes: &[(i64, Option<i64>)], instant: i64) -> bool {
        let record = Record::default();
        let mut placed: Vec<Placed<'_>> = scrapes
            .iter()
            .map(|(at, tick)| {
                let at = at * 1_000;
                let tick = tick.map(|tick| tick * 1_000);
                let (first, last) = tick.map_or((at - LATE_MS, at + EARLY_MS), |tick| (tick, tick));
                Placed { first, last, at, record: &record }
            })
            .collect();
        placed.sort_by_key(|scrape| (scrape.last, scrape.at));
        let nth = placed.iter().position(|scrape| scrape.at == instant * 1_000).unwrap();
        is_predecessor(&placed, nth, 0)
    }

    #[test]
    fn who_came_before_is_known_where_no_tick_of_a_failed_scrape_could_change_it() {
        assert!(known(&[(100, Some(100)), (220, Some(220))], 220));
        // It failed, and all others are minutes away.
        assert!(known(&[(100, Some(100)), (220, None), (340, Some(340))], 340));
        assert!(known(&[(100, Some(100)), (220, None), (340, Some(340))], 220));
        // Ticks are what counts, not instants.
        assert!(known(&[(100, Some(100)), (130, Some(90)), (160, Some(160))], 160));
        // Nobody knows what was just before the first that is seen.
        assert!(!known(&[(3, Some(3)), (120, Some(120))], 120));
        // Two of one tick.
        assert!(!known(&[(100, Some(100)), (220, Some(220)), (230, Some(220))], 230));
    }

    #[test]
    fn a_late_scrape_that_failed_may_be_of_a_tick_before_the_one_before_it() {
        // Of tick 272, made at 327 after that of tick 301: the predecessor of tick 392 is that of tick 301.
        let scrapes = [(181, Some(181)), (301, Some(301)), (327, None), (398, Some(392)), (458, Some(452))];
        assert!(!known(&scrapes, 327));
        assert!(!known(&scrapes, 398), "either of two can be the one before");
        assert!(known(&scrapes, 458));
    }

    #[test]
    fn a_scrape_that_failed_later_may_be_of_an_earlier_tick_than_several() {
        let scrapes = [(100, Some(100)), (160, Some(160)), (190, Some(190)), (220, None)];
        assert!(!known(&scrapes, 160), "the last can be of tick 159");
        assert!(!known(&scrapes, 190));
    }
}
