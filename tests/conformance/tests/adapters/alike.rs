//! The simulator and the local adapter answer alike to any sequence of calls: histories drawn from seeds, over few keys
//! so that calls meet each other's effects.

use bytes::Bytes;
use platform::{ByteRange, Objects, PlatformError, Put, RowKey, RowRange, Rows, Version};
use platform_local::{LocalOptions, open};
use platform_sim::{Random, World};

const SEEDS: std::ops::Range<u64> = 0..4;
const CALLS: usize = 120;

/// An error by its kind alone: the words are each adapter's own.
fn kind(error: &PlatformError) -> &'static str {
    match error {
        PlatformError::Throttled { .. } => "throttled",
        PlatformError::Ambiguous { .. } => "ambiguous",
        PlatformError::NotFound { .. } => "not found",
        PlatformError::Corrupt { .. } => "corrupt",
        PlatformError::Denied { .. } => "denied",
        PlatformError::Invalid { .. } => "invalid",
    }
}

fn pick<'a>(random: &mut Random, choices: &[&'a str]) -> &'a str {
    choices[usize::try_from(random.below(choices.len() as u64)).unwrap()]
}

/// What a history of calls to objects answers, without the versions' names.
async fn objects_history(objects: &dyn Objects, seed: u64) -> Vec<String> {
    const KEYS: [&str; 10] = ["a", "a/b", "a-b", "a.b", "a/b/c", "a/b-c", "b", "b/a/a", "b/a/b", "c0/d=1"];
    const PREFIXES: [&str; 9] = ["", "a", "a/", "a/b", "a/b/", "a-", "b/a", "c0/d", "../"];
    let mut random = Random::new(seed).split("objects");
    let mut versions: Vec<Version> = Vec::new();
    let mut history = Vec::new();
    for call in 0..CALLS {
        let key = pick(&mut random, &KEYS);
        let answer = match random.below(8) {
            0..=2 => match objects.create(key, Bytes::from(format!("{key} {call}"))).await {
                Ok(Put::Created(version)) => {
                    assert!(!versions.contains(&version));
                    versions.push(version);
                    format!("created version {}", versions.len())
                }
                Ok(Put::Exists) => "exists".to_owned(),
                Err(error) => kind(&error).to_owned(),
            },
            3 | 4 => match objects.delete(key).await {
                Ok(()) => "deleted".to_owned(),
                Err(error) => kind(&error).to_owned(),
            },
            5 => {
                let drawn = usize::try_from(random.below(versions.len() as u64 + 1)).unwrap();
                let range = ByteRange::At { start: random.below(8), len: random.below(8) };
                match objects.read(key, versions.get(drawn), range).await {
                    Ok(object) => format!("{:?} of {}", object.body, object.len),
                    Err(error) => kind(&error).to_owned(),
                }
            }
            _ => {
                let (prefix, after) = (pick(&mut random, &PREFIXES), pick(&mut random, &KEYS));
                let after = Some(after).filter(|_| random.chance(0.5));
                let limit = usize::try_from(random.below(6)).unwrap();
                let listed = objects.list(prefix, after, limit).await.unwrap();
                let named = |version: &Version| versions.iter().position(|own| own == version);
                let listed: Vec<String> = listed
                    .iter()
                    .map(|object| format!("{} {:?} {}", object.key, named(&object.version), object.len))
                    .collect();
                format!("{prefix} after {after:?}: {listed:?}")
            }
        };
        history.push(format!("{call} {key}: {answer}"));
    }
    history
}

/// What a history of calls to rows answers.
async fn rows_history(rows: &dyn Rows, seed: u64) -> Vec<String> {
    const PARTS: [&str; 6] = ["a", "a\0", "a/", "aa", "é", "b"];
    let mut random = Random::new(seed).split("rows");
    let mut history = Vec::new();
    for call in 0..CALLS {
        let key = RowKey::new(pick(&mut random, &PARTS[..3]), pick(&mut random, &PARTS));
        let value = Bytes::from(call.to_string());
        let answer = match random.below(6) {
            0 => {
                let expires_at_s = Some(4_102_444_800).filter(|_| random.chance(0.5));
                format!("{:?}", rows.create(&key, value, expires_at_s).await)
            }
            1 | 2 => format!("{:?}", rows.compare_and_set(&key, random.below(3), value).await),
            3 => format!("{:?}", rows.delete(&key).await),
            4 => format!("{:?}", rows.get(&key).await),
            _ => {
                let until = Some(pick(&mut random, &PARTS).to_owned()).filter(|_| random.chance(0.5));
                let range = RowRange { partition: key.partition.clone(), from: key.sort.clone(), until };
                format!("{:?}", rows.query(&range, usize::try_from(random.below(4)).unwrap()).await)
            }
        };
        history.push(format!("{call} {key}: {answer}"));
    }
    history
}

#[tokio::test]
async fn objects() {
    for seed in SEEDS {
        let world = World::new(seed);
        let simulated = world.platform().objects;
        let simulated = world.run(objects_history(&*simulated, seed)).done();
        let directory = tempfile::tempdir().unwrap();
        let local = open(&LocalOptions::new(directory.path())).unwrap();
        assert_eq!(objects_history(&*local.platform.objects, seed).await, simulated, "seed {seed}");
    }
}

#[tokio::test]
async fn rows() {
    for seed in SEEDS {
        let world = World::new(seed);
        let simulated = world.platform().rows;
        let simulated = world.run(rows_history(&*simulated, seed)).done();
        let directory = tempfile::tempdir().unwrap();
        let local = open(&LocalOptions::new(directory.path())).unwrap();
        assert_eq!(rows_history(&*local.platform.rows, seed).await, simulated, "seed {seed}");
    }
}
