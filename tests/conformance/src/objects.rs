//! The contract of [`Objects`].

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::future::join_all;
use platform::{ByteRange, ListedObject, Objects, PlatformError, Put, Version};

/// Checks an adapter, under keys that begin with `scope/`.
///
/// # Panics
/// Where the adapter breaks the contract.
pub async fn objects(objects: &dyn Objects, scope: &str) {
    creation_is_exclusive(objects, scope).await;
    of_concurrent_creators_one_wins(objects, scope).await;
    ranges_end_with_the_object(objects, scope).await;
    lists_are_ordered_and_paged(objects, scope).await;
    a_read_names_its_version(objects, scope).await;
    deletes_can_be_repeated(objects, scope).await;
    malformed_keys_are_refused(objects).await;
}

/// Checks that a key that is deleted and created again with the very same body has another version. A store whose
/// versions are hashes of the content, as S3's are, needs more than that for it.
///
/// # Panics
/// Where two creations have one version.
pub async fn objects_recreated_alike(objects: &dyn Objects, scope: &str) {
    let key = format!("{scope}/alike");
    let mut versions = BTreeSet::new();
    for round in 0..20 {
        let version = create(objects, &key, "same").await;
        assert!(versions.insert(version), "creation {round} has the version of an earlier one");
        objects.delete(&key).await.expect("delete");
    }
}

/// Checks that no key becomes the directory of another one. Stores that have no directories may allow it; callers must
/// not rely on that.
///
/// # Panics
/// Where it is allowed.
pub async fn objects_do_not_nest(objects: &dyn Objects, scope: &str) {
    let (outer, inner) = (format!("{scope}/outer"), format!("{scope}/outer/inner"));
    create(objects, &outer, "1").await;
    let refused = objects.create(&inner, Bytes::new()).await;
    assert!(matches!(refused, Err(PlatformError::Invalid { .. })), "below an object: {refused:?}");
    objects.delete(&outer).await.expect("delete");
    create(objects, &inner, "2").await;
    let refused = objects.create(&outer, Bytes::new()).await;
    assert!(matches!(refused, Err(PlatformError::Invalid { .. })), "in place of a directory: {refused:?}");
    let absent = objects.read(&outer, None, ByteRange::All).await;
    assert!(matches!(absent, Err(PlatformError::NotFound { .. })), "a directory is no object: {absent:?}");
    objects.delete(&outer).await.expect("deleting a directory's name deletes nothing");
    assert_eq!(read(objects, &inner, ByteRange::All).await, "2");
}

async fn create(objects: &dyn Objects, key: &str, body: &str) -> Version {
    let created = objects.create(key, Bytes::copy_from_slice(body.as_bytes())).await.expect("create");
    let version = match created {
        Put::Created(version) => Some(version),
        Put::Exists => None,
    };
    version.expect("the key is free")
}

async fn read(objects: &dyn Objects, key: &str, range: ByteRange) -> Bytes {
    objects.read(key, None, range).await.expect("the object is there").body
}

fn assert_absent(read: &Result<platform::Object, PlatformError>, what: &str) {
    assert!(matches!(read, Err(PlatformError::NotFound { .. })), "{what}: {read:?}");
}

async fn creation_is_exclusive(objects: &dyn Objects, scope: &str) {
    let key = format!("{scope}/exclusive");
    assert_absent(&objects.read(&key, None, ByteRange::All).await, "before its creation");
    let version = create(objects, &key, "first").await;
    assert_eq!(objects.create(&key, Bytes::from_static(b"second")).await, Ok(Put::Exists));
    let object = objects.read(&key, None, ByteRange::All).await.expect("the object is there");
    assert_eq!((&object.body[..], &object.version, object.len), (&b"first"[..], &version, 5));
    let listed = objects.list(&key, None, 10).await.expect("list");
    assert_eq!(listed, [ListedObject { key, version, len: 5 }]);
}

async fn of_concurrent_creators_one_wins(objects: &dyn Objects, scope: &str) {
    for round in 0..4 {
        let key = format!("{scope}/race/{round}");
        let creators = (0..16).map(|creator| objects.create(&key, Bytes::from(format!("creator {creator}"))));
        let outcomes = join_all(creators).await;
        let winners: Vec<(usize, &Version)> = outcomes
            .iter()
            .enumerate()
            .filter_map(|(creator, outcome)| match outcome {
                Ok(Put::Created(version)) => Some((creator, version)),
                other => {
                    assert_eq!(*other, Ok(Put::Exists));
                    None
                }
            })
            .collect();
        assert_eq!(winners.len(), 1, "of 16 creators one wins");
        let object = objects.read(&key, None, ByteRange::All).await.expect("the winner's object is there");
        let (winner, version) = winners[0];
        assert_eq!((object.body, &object.version), (Bytes::from(format!("creator {winner}")), version));
    }
}

async fn ranges_end_with_the_object(objects: &dyn Objects, scope: &str) {
    let (key, empty) = (format!("{scope}/range"), format!("{scope}/range-empty"));
    create(objects, &key, "0123456789").await;
    create(objects, &empty, "").await;
    for (range, body) in [
        (ByteRange::All, "0123456789"),
        (ByteRange::At { start: 0, len: 3 }, "012"),
        (ByteRange::At { start: 3, len: 4 }, "3456"),
        (ByteRange::At { start: 8, len: 100 }, "89"),
        (ByteRange::At { start: 0, len: 10 }, "0123456789"),
        (ByteRange::At { start: 4, len: 0 }, ""),
        (ByteRange::At { start: 10, len: 1 }, ""),
        (ByteRange::At { start: 1_000, len: 1 }, ""),
        (ByteRange::At { start: 9, len: u64::MAX }, "9"),
        (ByteRange::At { start: u64::MAX, len: u64::MAX }, ""),
        (ByteRange::Last(0), ""),
        (ByteRange::Last(3), "789"),
        (ByteRange::Last(10), "0123456789"),
        (ByteRange::Last(u64::MAX), "0123456789"),
    ] {
        let object = objects.read(&key, None, range).await.expect("the object is there");
        assert_eq!((&object.body[..], object.len), (body.as_bytes(), 10), "{range:?}");
    }
    for range in [ByteRange::All, ByteRange::At { start: 0, len: 1 }, ByteRange::Last(1)] {
        assert_eq!(read(objects, &empty, range).await, "", "{range:?} of nothing");
    }
}

async fn lists_are_ordered_and_paged(objects: &dyn Objects, scope: &str) {
    // In the order of their bytes: `-` and `.` before `/`, which is before digits and letters.
    let ordered = [
        "B",
        "b-c",
        "b-c.d",
        "b.c",
        "b/c",
        "b/c-d",
        "b/c.d",
        "b/c0",
        "b/d/e",
        "b/d/e-",
        "b/d/f",
        "b0",
        "b=1",
        "bA",
        "b_",
        "ba/a",
        "c/a/a/a/a",
    ];
    let keys: Vec<String> = ordered.iter().map(|key| format!("{scope}/list/{key}")).collect();
    // In another order than theirs.
    for key in keys.iter().skip(1).step_by(2).chain(keys.iter().step_by(2)) {
        create(objects, key, key).await;
    }
    let prefix = format!("{scope}/list/");
    for limit in 1..=keys.len() + 1 {
        let mut listed: Vec<ListedObject> = Vec::new();
        loop {
            let after = listed.last().map(|object| object.key.as_str());
            let page = objects.list(&prefix, after, limit).await.expect("list");
            assert!(page.len() <= limit);
            let last = page.len() < limit;
            listed.extend(page);
            if last {
                break;
            }
        }
        assert_eq!(
            listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(),
            keys,
            "pages of {limit}"
        );
        assert!(listed.iter().all(|object| object.len == object.key.len() as u64));
    }
    for prefix in ["", "b", "b/", "b/d", "b/d/", "b/d/e", "b-c", "ba", "x", "b//", "c/a/a/a/a", "c/a/a/a/a/"]
    {
        for after in ["", "b", "b-", "b/", "b/c", "b/c/x", "b/d", "b/d/e", "b/z", "b0", "zz"] {
            let (prefix, after) = (format!("{scope}/list/{prefix}"), format!("{scope}/list/{after}"));
            let expected: Vec<&String> =
                keys.iter().filter(|key| key.starts_with(&prefix) && **key > after).collect();
            let listed = objects.list(&prefix, Some(&after), 100).await.expect("list");
            let listed: Vec<&String> = listed.iter().map(|object| &object.key).collect();
            assert_eq!(listed, expected, "of {prefix} after {after}");
        }
    }
}

async fn a_read_names_its_version(objects: &dyn Objects, scope: &str) {
    let key = format!("{scope}/version");
    let mut earlier: Vec<Version> = Vec::new();
    for body in ["one", "two", "six"] {
        let version = create(objects, &key, body).await;
        assert!(!earlier.contains(&version), "another creation is another version");
        let listed = objects.list(&key, None, 1).await.expect("list");
        assert_eq!(listed.first().map(|object| &object.version), Some(&version));
        let object = objects.read(&key, Some(&version), ByteRange::All).await.expect("this version is there");
        assert_eq!((object.body, &object.version), (Bytes::from_static(body.as_bytes()), &version));
        for old in &earlier {
            assert_absent(&objects.read(&key, Some(old), ByteRange::All).await, "an earlier version");
            assert_absent(
                &objects.read(&key, Some(old), ByteRange::Last(1)).await,
                "a range of an earlier version",
            );
        }
        objects.delete(&key).await.expect("delete");
        assert_absent(&objects.read(&key, Some(&version), ByteRange::All).await, "a deleted version");
        earlier.push(version);
    }
}

async fn deletes_can_be_repeated(objects: &dyn Objects, scope: &str) {
    let keys: Vec<String> =
        ["a/b/c", "a/b/d", "a/e"].iter().map(|key| format!("{scope}/delete/{key}")).collect();
    for key in &keys {
        objects.delete(key).await.expect("deleting what is not there succeeds");
        create(objects, key, "x").await;
    }
    for (deleted, key) in keys.iter().enumerate() {
        for _ in 0..2 {
            objects.delete(key).await.expect("delete");
            assert_absent(&objects.read(key, None, ByteRange::All).await, "a deleted object");
        }
        let left = objects.list(&format!("{scope}/delete/"), None, 10).await.expect("list");
        let left: Vec<String> = left.into_iter().map(|object| object.key).collect();
        assert_eq!(left, keys[deleted + 1..]);
    }
    create(objects, &keys[0], "again").await;
    assert_eq!(read(objects, &keys[0], ByteRange::All).await, "again");
}

async fn malformed_keys_are_refused(objects: &dyn Objects) {
    let (long, long_segment) = (["a"; 300].join("/"), "a".repeat(256));
    for key in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "./a",
        "a b",
        "a\0b",
        "a\\b",
        "ä",
        &long,
        &long_segment,
    ] {
        let refused = [
            objects.create(key, Bytes::new()).await.map(|_| ()),
            objects.read(key, None, ByteRange::All).await.map(|_| ()),
            objects.delete(key).await,
        ];
        for result in refused {
            assert!(matches!(result, Err(PlatformError::Invalid { .. })), "{key:?}: {result:?}");
        }
    }
}
