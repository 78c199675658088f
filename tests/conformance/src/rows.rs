//! The contract of [`Rows`].

use bytes::Bytes;
use futures::future::join_all;
use platform::{Cas, PlatformError, ROW_BYTES_MAX, Row, RowKey, RowPut, RowRange, Rows};

/// An expiry far enough away for no adapter to act on it.
const FAR_S: i64 = 4_102_444_800;

/// Checks an adapter, in partitions that begin with `scope/`.
///
/// # Panics
/// Where the adapter breaks the contract.
pub async fn rows(rows: &dyn Rows, scope: &str) {
    creation_is_exclusive(rows, scope).await;
    of_concurrent_creators_one_wins(rows, scope).await;
    a_register_is_changed_by_its_version(rows, scope).await;
    concurrent_increments_sum_up(rows, scope).await;
    queries_are_ordered_and_bounded(rows, scope).await;
    deletes_can_be_repeated(rows, scope).await;
    sizes_are_bounded(rows, scope).await;
}

fn key(scope: &str, partition: &str, sort: &str) -> RowKey {
    RowKey::new(format!("{scope}/{partition}"), sort)
}

fn row(key: &RowKey, version: u64, value: &'static str, expires_at_s: Option<i64>) -> Row {
    Row { key: key.clone(), version, value: Bytes::from_static(value.as_bytes()), expires_at_s }
}

async fn creation_is_exclusive(rows: &dyn Rows, scope: &str) {
    for (sort, expires_at_s) in [("kept", None), ("expiring", Some(FAR_S))] {
        let key = key(scope, "exclusive", sort);
        assert_eq!(rows.get(&key).await, Ok(None));
        assert_eq!(rows.create(&key, Bytes::from_static(b"first"), expires_at_s).await, Ok(RowPut::Created));
        let first = row(&key, 1, "first", expires_at_s);
        assert_eq!(
            rows.create(&key, Bytes::from_static(b"second"), None).await,
            Ok(RowPut::Exists(first.clone()))
        );
        assert_eq!(rows.get(&key).await, Ok(Some(first)));
    }
}

async fn of_concurrent_creators_one_wins(rows: &dyn Rows, scope: &str) {
    for round in 0..4 {
        let key = key(scope, "race", &round.to_string());
        let creators =
            (0..16).map(|creator| rows.create(&key, Bytes::from(format!("creator {creator}")), None));
        let outcomes = join_all(creators).await;
        let winner = rows.get(&key).await.expect("get").expect("the winner's row is there");
        let mut created = Vec::new();
        for (creator, outcome) in outcomes.into_iter().enumerate() {
            if outcome == Ok(RowPut::Created) {
                created.push(Bytes::from(format!("creator {creator}")));
            } else {
                assert_eq!(outcome, Ok(RowPut::Exists(winner.clone())), "losers see the winner's row");
            }
        }
        assert_eq!(created, [winner.value]);
    }
}

async fn a_register_is_changed_by_its_version(rows: &dyn Rows, scope: &str) {
    let set = async |key: &RowKey, expected: u64, value: &'static str| {
        rows.compare_and_set(key, expected, Bytes::from_static(value.as_bytes()))
            .await
            .expect("compare and set")
    };
    let key_of = |sort: &str| key(scope, "register", sort);
    let key = key_of("new");
    assert_eq!(set(&key, 1, "early").await, Cas::Lost(None));
    assert_eq!(set(&key, 0, "one").await, Cas::Done(1));
    assert_eq!(set(&key, 0, "late").await, Cas::Lost(Some(row(&key, 1, "one", None))));
    assert_eq!(set(&key, 1, "two").await, Cas::Done(2));
    for stale in [0, 1, 3, u64::MAX] {
        assert_eq!(set(&key, stale, "stale").await, Cas::Lost(Some(row(&key, 2, "two", None))));
    }
    assert_eq!(rows.get(&key).await, Ok(Some(row(&key, 2, "two", None))));

    let created = key_of("created");
    assert_eq!(rows.create(&created, Bytes::from_static(b"one"), Some(FAR_S)).await, Ok(RowPut::Created));
    assert_eq!(set(&created, 1, "two").await, Cas::Done(2));
    assert_eq!(
        rows.get(&created).await,
        Ok(Some(row(&created, 2, "two", Some(FAR_S)))),
        "the expiry is kept"
    );
}

async fn concurrent_increments_sum_up(rows: &dyn Rows, scope: &str) {
    const WORKERS: u64 = 5;
    const INCREMENTS: u64 = 10;
    let key = key(scope, "register", "counter");
    let worker = async || {
        for _ in 0..INCREMENTS {
            loop {
                let row = rows.get(&key).await.expect("get");
                let version = row.as_ref().map_or(0, |row| row.version);
                let count = row.map_or(0, |row| count_of(&row));
                let value = Bytes::from((count + 1).to_string());
                if let Cas::Done(new) =
                    rows.compare_and_set(&key, version, value).await.expect("compare and set")
                {
                    assert_eq!(new, version + 1);
                    break;
                }
            }
        }
    };
    join_all((0..WORKERS).map(|_| worker())).await;
    let row = rows.get(&key).await.expect("get").expect("the counter is there");
    assert_eq!((count_of(&row), row.version), (WORKERS * INCREMENTS, WORKERS * INCREMENTS));
}

fn count_of(row: &Row) -> u64 {
    std::str::from_utf8(&row.value).expect("a number").parse().expect("a number")
}

async fn queries_are_ordered_and_bounded(rows: &dyn Rows, scope: &str) {
    let sorts = ["A", "a", "a\0", "a\0\0", "a-", "a/", "a/b", "a0", "aa", "b", "é", "\u{ffff}", "\u{10ffff}"];
    for sort in sorts.iter().skip(1).step_by(2).chain(sorts.iter().step_by(2)) {
        let created = rows.create(&key(scope, "query", sort), Bytes::from_static(b"x"), None).await;
        assert_eq!(created, Ok(RowPut::Created));
    }
    // Neighbours that must not be seen.
    for partition in ["quer", "query\0", "query-", "query/a", "query0", "querya"] {
        let created = rows.create(&key(scope, partition, "a"), Bytes::new(), None).await;
        assert_eq!(created, Ok(RowPut::Created));
    }
    let partition = format!("{scope}/query");
    let range = |from: &str, until: Option<&str>| RowRange {
        partition: partition.clone(),
        from: from.to_owned(),
        until: until.map(str::to_owned),
    };
    for limit in 1..=sorts.len() + 1 {
        let mut found: Vec<String> = Vec::new();
        loop {
            let from = found.last().map_or(String::new(), |last| format!("{last}\0"));
            let page = rows.query(&range(&from, None), limit).await.expect("query");
            assert!(page.len() <= limit);
            let last = page.len() < limit;
            found.extend(page.into_iter().map(|row| row.key.sort));
            if last {
                break;
            }
        }
        assert_eq!(found, sorts, "pages of {limit}");
    }
    for from in ["", "A", "a", "a\0", "a.", "ab", "zz", "\u{10ffff}"] {
        for until in [None, Some("A"), Some("a"), Some("a\0"), Some("a0"), Some("b"), Some("\u{10ffff}")] {
            let expected: Vec<&str> = sorts
                .into_iter()
                .filter(|sort| *sort >= from && until.is_none_or(|until| *sort < until))
                .collect();
            let found = rows.query(&range(from, until), 100).await.expect("query");
            let found: Vec<&str> = found.iter().map(|row| row.key.sort.as_str()).collect();
            assert_eq!(found, expected, "from {from:?} until {until:?}");
        }
    }
    let absent = RowRange { partition: format!("{scope}/absent"), from: String::new(), until: None };
    assert_eq!(rows.query(&absent, 10).await, Ok(Vec::new()));
}

async fn deletes_can_be_repeated(rows: &dyn Rows, scope: &str) {
    let (one, other) = (key(scope, "delete", "one"), key(scope, "delete", "other"));
    rows.delete(&one).await.expect("deleting what is not there succeeds");
    rows.create(&one, Bytes::new(), Some(FAR_S)).await.expect("create");
    rows.create(&other, Bytes::new(), None).await.expect("create");
    for _ in 0..2 {
        rows.delete(&one).await.expect("delete");
        assert_eq!(rows.get(&one).await, Ok(None));
    }
    assert_eq!(rows.get(&other).await, Ok(Some(row(&other, 1, "", None))));
}

async fn sizes_are_bounded(rows: &dyn Rows, scope: &str) {
    let big = key(scope, "size", "big");
    let room = ROW_BYTES_MAX - big.partition.len() - big.sort.len();
    // Leaves room for what a store keeps beside the value.
    let value = Bytes::from(vec![0xa5; room - 1_024]);
    rows.create(&big, value.clone(), None).await.expect("a big row");
    assert_eq!(rows.get(&big).await.expect("get").map(|row| row.value), Some(value));
    let too_big = Bytes::from(vec![0; room + 1]);
    for (key, value) in [
        (key(scope, "size", "too-big"), too_big),
        (RowKey::new("", "sort"), Bytes::new()),
        (RowKey::new(scope, ""), Bytes::new()),
        (RowKey::new("x".repeat(513), "sort"), Bytes::new()),
        (RowKey::new(scope, "x".repeat(513)), Bytes::new()),
    ] {
        let refused = [
            rows.create(&key, value.clone(), None).await.map(|_| ()),
            rows.compare_and_set(&key, 0, value).await.map(|_| ()),
        ];
        for result in refused {
            assert!(matches!(result, Err(PlatformError::Invalid { .. })), "{key:?}: {result:?}");
        }
    }
}
