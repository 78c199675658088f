//! Merging the columns of one series from several places: the sorted union by timestamp (P13).

use model::TimestampMs;
use storage::Series;

/// The samples of all `parts`, which are of one series, in order of time. Of samples with the same timestamp the one in
/// the earliest part counts; the others are reported to `on_duplicate`. `None` without parts.
pub(crate) fn merge_series(
    mut parts: Vec<Series>,
    on_duplicate: &mut dyn FnMut(TimestampMs, f64),
) -> Option<Series> {
    if parts.len() <= 1 {
        return parts.pop();
    }
    let count = parts.iter().map(|part| part.timestamps.len()).sum();
    let mut samples: Vec<(TimestampMs, f64)> = Vec::with_capacity(count);
    for part in &parts {
        samples.extend(part.timestamps.iter().copied().zip(part.values.iter().copied()));
    }
    if samples.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        // Stable, so that earlier parts stay first; and the parts are runs, which it is fast with.
        samples.sort_by_key(|(timestamp, _)| *timestamp);
        samples.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                on_duplicate(later.0, later.1);
            }
            same
        });
    }
    let labels = parts.pop()?.labels;
    let timestamps = samples.iter().map(|(timestamp, _)| *timestamp).collect();
    Some(Series::floats(labels, timestamps, samples.iter().map(|(_, value)| *value).collect()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::Labels;
    use proptest::prelude::*;

    use super::*;

    fn series(samples: &BTreeMap<i64, f64>) -> Series {
        Series::floats(
            Labels::from_pairs([("__name__", "x")]),
            samples.keys().copied().collect(),
            samples.values().copied().collect(),
        )
    }

    proptest! {
        #[test]
        fn merging_is_the_sorted_union_where_earlier_parts_win(
            parts in proptest::collection::vec(
                proptest::collection::btree_map(0i64..30, -9.0..9.0f64, 1..10), 1..6)
        ) {
            let mut duplicates = Vec::new();
            let merged = merge_series(parts.iter().map(series).collect(), &mut |time, value| {
                duplicates.push((time, value));
            }).unwrap();
            let mut expected = BTreeMap::new();
            let mut lost = Vec::new();
            for (time, value) in parts.iter().flatten() {
                if expected.contains_key(time) {
                    lost.push((*time, *value));
                } else {
                    expected.insert(*time, *value);
                }
            }
            let merged: Vec<_> = merged.timestamps.iter().copied().zip(merged.values.iter().copied()).collect();
            prop_assert_eq!(merged, expected.into_iter().collect::<Vec<_>>());
            let order = |a: &(i64, f64), b: &(i64, f64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
            duplicates.sort_by(order);
            lost.sort_by(order);
            prop_assert_eq!(duplicates, lost);
        }
    }
}
