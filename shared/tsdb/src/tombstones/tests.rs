//! Goal: deletions hide what they cover and nothing else. Method: against naive definitions.

use model::{Exemplar, FloatHistogram};
use proptest::prelude::*;
use storage::HistogramColumn;

use super::*;

fn deletion(name: &str, min_time: i64, max_time: i64) -> Arc<Deletion> {
    let sets = vec![vec![Matcher::equal("__name__", name)]];
    Arc::new(Deletion { sets, min_time, max_time, until_tick: 0 })
}

fn labels() -> Labels {
    Labels::from_pairs([("__name__", "x")])
}

proptest! {
    #[test]
    fn what_is_kept_and_what_is_deleted_are_exactly_what_ranges_say(
        ranges in proptest::collection::vec((0i64..40, 0i64..8, any::<bool>()), 0..6),
        (min, len) in (0i64..40, 0i64..20),
    ) {
        let named = |matches: bool| if matches { "x" } else { "y" };
        let all = ranges.iter().map(|(min, len, matches)| deletion(named(*matches), *min, min + len));
        let deletions = Deletions(all.collect());
        let is_deleted = |at: i64| {
            ranges.iter().any(|(min, len, matches)| *matches && (*min..=min + len).contains(&at))
        };
        // Floats at even instants, histograms at odd ones.
        let (floats, odd): (Vec<i64>, Vec<i64>) = (0..50).partition(|at| at % 2 == 0);
        let values = floats.iter().map(|at| *at as f64).collect();
        let mut series = Series::floats(labels(), floats.into(), values);
        series.histograms = HistogramColumn {
            values: odd.iter().map(|_| Arc::new(FloatHistogram::default())).collect(),
            timestamps: odd.into(),
        };
        let (kept, deleted) = deletions.split(series);
        let times = |series: Option<Series>| {
            let mut times: Vec<i64> = series.iter().flat_map(|s| s.timestamps.to_vec()).collect();
            times.extend(series.iter().flat_map(|s| s.histograms.timestamps.to_vec()));
            times.sort_unstable();
            times
        };
        prop_assert_eq!(times(kept), (0..50).filter(|at| !is_deleted(*at)).collect::<Vec<_>>());
        prop_assert_eq!(times(deleted), (0..50).filter(|at| is_deleted(*at)).collect::<Vec<_>>());

        let visible = deletions.visible(&labels(), min, min + len);
        let shown: Vec<i64> = visible.iter().flat_map(|(from, to)| *from..=*to).collect();
        prop_assert_eq!(shown, (min..=min + len).filter(|at| !is_deleted(*at)).collect::<Vec<_>>());

        let exemplar = |timestamp| Exemplar { labels: Labels::from_pairs([("t", "1")]), value: 1.0, timestamp };
        let exemplars = SeriesExemplars { labels: labels(), exemplars: (0..50).map(exemplar).collect() };
        let kept = deletions.hide_exemplars(vec![exemplars]);
        let kept: Vec<i64> = kept.iter().flat_map(|s| &s.exemplars).map(|e| e.timestamp).collect();
        prop_assert_eq!(kept, (0..50).filter(|at| !is_deleted(*at)).collect::<Vec<_>>());
    }
}

#[test]
fn a_deletion_of_all_times_hides_all() {
    let deletions = Deletions(vec![deletion("x", i64::MIN, i64::MAX)]);
    assert!(deletions.visible(&labels(), i64::MIN, i64::MAX).is_empty());
    assert_eq!(deletions.ranges(&labels()), [(i64::MIN, i64::MAX)]);
}

fn tombstone(id: &str, blocks: &[&str], until_tick: i64) -> Tombstone {
    let block = |id: &&str| TombstoneBlock { id: (*id).to_owned(), series: 3 };
    Tombstone {
        id: id.to_owned(),
        matchers: vec![],
        min_time: 0,
        max_time: 9,
        created_at: 0,
        until_tick,
        blocks: blocks.iter().map(block).collect(),
        clean: false,
    }
}

#[test]
fn what_was_not_applied_passes_to_the_outputs_and_what_was_does_not() {
    let mut tombstones = vec![tombstone("applied", &["a", "z"], 0), tombstone("later", &["a", "b"], 0)];
    let output = |id: &str, min_time, series| BlockMeta {
        id: id.to_owned(),
        min_time,
        max_time: min_time + 5,
        series,
        ..BlockMeta::default()
    };
    let outputs = [output("c", 0, 2), output("d", 5, 9), output("e", 10, 9)];
    pass_on(&mut tombstones, &["applied".to_owned()], &["a".to_owned(), "b".to_owned()], &outputs);
    let covered: Vec<Vec<(&str, u64)>> = tombstones
        .iter()
        .map(|tombstone| tombstone.blocks.iter().map(|block| (block.id.as_str(), block.series)).collect())
        .collect();
    assert_eq!(covered, [vec![("z", 3)], vec![("c", 2), ("d", 3)]]);
}

#[test]
fn a_tombstone_is_gone_when_it_covers_nothing_more() {
    let mut manifest = Manifest {
        blocks: vec![BlockMeta { id: "a".to_owned(), ..BlockMeta::default() }],
        tombstones: vec![
            tombstone("block", &["a", "gone"], 5),
            tombstone("segments", &["gone"], 11),
            tombstone("done", &["gone"], 10),
        ],
        ..Manifest::default()
    };
    settle(&mut manifest, 10);
    assert_eq!(manifest.tombstones, [tombstone("block", &["a"], 5), tombstone("segments", &[], 11)]);
}
