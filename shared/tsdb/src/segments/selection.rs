//! Which chunks of a segment can hold series that matchers select: by the metric name alone.

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

use crate::wal::Index;

/// The numbers of the chunks that can hold what any of some sets of matchers selects; all without sets.
///
/// It depends on the names alone, so that over time a series' chunk is either always taken or never.
pub(super) fn chunks_of(index: &Index, matcher_sets: &[&[Matcher]]) -> Vec<usize> {
    let chunks = &index.chunks;
    let takes = |at: &usize| {
        let first = chunks.get(*at).map_or("", |chunk| chunk.first.as_str());
        let next = chunks.get(at + 1).map(|chunk| chunk.first.as_str());
        matcher_sets.is_empty() || matcher_sets.iter().any(|set| may_match(set, first, next))
    };
    (0..chunks.len()).filter(takes).collect()
}

/// Whether a name with `first <= name < next` can satisfy all matchers of the metric name.
fn may_match(matchers: &[Matcher], first: &str, next: Option<&str>) -> bool {
    let within = |name: &str| first <= name && next.is_none_or(|next| name < next);
    matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME).all(|matcher| {
        if let Some(names) = matcher.set_matches() {
            return names.iter().any(|name| within(name));
        }
        let prefix = if matcher.op() == MatchOp::Regex { literal_prefix(matcher.value()) } else { "" };
        // Names with the prefix are a range: from the prefix itself to the last name that begins with it.
        next.is_none_or(|next| prefix < next) && (first <= prefix || first.starts_with(prefix))
    })
}

/// What all texts begin with that satisfy an anchored pattern, as far as that is plain to see.
fn literal_prefix(pattern: &str) -> &str {
    if pattern.contains('|') {
        return "";
    }
    let Some((at, meta)) = pattern.char_indices().find(|(_, c)| r".+*?()[]{}^$\".contains(*c)) else {
        return pattern;
    };
    let prefix = pattern.get(..at).unwrap_or("");
    // What is before these may be left out.
    if matches!(meta, '*' | '?' | '{') {
        let last = prefix.char_indices().next_back().map_or(0, |(at, _)| at);
        return prefix.get(..last).unwrap_or("");
    }
    prefix
}

#[cfg(test)]
mod tests {
    use model::Matcher;
    use proptest::prelude::*;

    use super::*;
    use crate::wal::ChunkRef;

    fn index(firsts: &[&str]) -> Index {
        let chunk = |first: &&str| ChunkRef { first: (*first).to_owned(), len: 1, checksum: 0 };
        Index { bases: vec![], chunks: firsts.iter().map(chunk).collect() }
    }

    fn named(op: MatchOp, value: &str) -> Vec<Matcher> {
        vec![Matcher::new(op, METRIC_NAME, value).unwrap()]
    }

    #[test]
    fn names_sets_and_prefixes_take_only_their_chunks() {
        let index = index(&["", "go_b", "node_a", "node_m", "up"]);
        let chunks = |op, value| chunks_of(&index, &[&named(op, value)]);
        assert_eq!(chunks(MatchOp::Equal, "go_b"), [1]);
        assert_eq!(chunks(MatchOp::Equal, "zzz"), [4]);
        assert_eq!(chunks(MatchOp::Regex, "a|up"), [0, 4]);
        assert_eq!(chunks(MatchOp::Regex, "node_.*"), [1, 2, 3]);
        assert_eq!(chunks(MatchOp::Regex, "node_mem.+"), [3]);
        assert_eq!(chunks(MatchOp::Regex, "uq?.*"), [3, 4]);
        assert_eq!(chunks(MatchOp::Regex, "(?i)UP"), [0, 1, 2, 3, 4]);
        assert_eq!(chunks(MatchOp::NotEqual, "up"), [0, 1, 2, 3, 4]);
        assert_eq!(chunks_of(&index, &[]), [0, 1, 2, 3, 4]);
        assert_eq!(chunks_of(&index, &[&[]]), [0, 1, 2, 3, 4]);
        let both = [named(MatchOp::Equal, "a"), named(MatchOp::Equal, "up")];
        assert_eq!(chunks_of(&index, &[&both[0], &both[1]]), [0, 4]);
    }

    proptest! {
        #[test]
        fn no_chunk_is_left_out_that_has_a_name_that_matches(
            pattern in "[ab]{0,2}([ab.][*+?]?|[ab][|][ab]|a{0,2}|[(]a[)]|\\.){0,3}",
            name in "[ab]{0,4}", firsts in prop::collection::btree_set("[ab]{1,3}", 0..4),
        ) {
            let mut all: Vec<&str> = vec![""];
            all.extend(firsts.iter().map(String::as_str));
            let Ok(matcher) = Matcher::new(MatchOp::Regex, METRIC_NAME, pattern.as_str()) else { return Ok(()) };
            if matcher.matches(&name) {
                let chunk = all.iter().rposition(|first| *first <= name.as_str()).unwrap();
                prop_assert!(chunks_of(&index(&all), &[&[matcher]]).contains(&chunk), "{pattern} {name} {all:?}");
            }
        }
    }
}
