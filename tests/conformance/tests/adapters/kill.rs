//! What the local adapter promised is there after its process was killed, whatever it was doing.
//!
//! The test starts this very binary again as a child that writes as fast as it can and prints what it was promised;
//! kills it; and reads everything that was printed.
#![allow(clippy::disallowed_methods, reason = "the child learns from its environment that it is one")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures::future::join_all;
use platform::{ByteRange, Cas, Platform, Put, RowKey, RowPut};
use platform_local::{LocalError, LocalOptions, open};

const DIRECTORY: &str = "FOXFIRE_CONFORMANCE_DIRECTORY";
const ROUND: &str = "FOXFIRE_CONFORMANCE_ROUND";

/// What each line begins with that tells of a promise.
const PROMISED: &str = "promised ";

#[test]
fn child_that_is_killed() {
    let (Ok(directory), Ok(round)) = (std::env::var(DIRECTORY), std::env::var(ROUND)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let local = open(&LocalOptions::new(directory)).unwrap();
        join_all((0..8).map(|writer| write_for_ever(&local.platform, format!("{round}-{writer}")))).await;
    });
}

async fn write_for_ever(platform: &Platform, writer: String) {
    let promise = |line: String| {
        // In one write, so that no line is mixed with another one.
        let line = format!("\n{PROMISED}{line}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    };
    let counter = RowKey::new("counter", writer.as_str());
    for index in 0_u64.. {
        let name = format!("{writer}-{index}");
        let object =
            platform.objects.create(&format!("wal/{writer}/{index}"), Bytes::from(name.clone())).await;
        assert!(matches!(object, Ok(Put::Created(_))), "{object:?}");
        promise(format!("object wal/{writer}/{index} {name}"));
        let row =
            platform.rows.create(&RowKey::new("wal", name.as_str()), Bytes::from(name.clone()), None).await;
        assert_eq!(row, Ok(RowPut::Created));
        promise(format!("row {name} {name}"));
        let set = platform.rows.compare_and_set(&counter, index, Bytes::from(index.to_string())).await;
        assert_eq!(set, Ok(Cas::Done(index + 1)));
        promise(format!("counter {writer} {}", index + 1));
    }
}

/// Everything that a child promised before it was killed.
fn run_and_kill(directory: &Path, round: u32, promises: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix(PROMISED).map(str::to_owned));
    let mut promised: Vec<String> = lines.by_ref().take(promises).collect();
    assert_eq!(promised.len(), promises, "the child ended by itself");

    let refused = open(&LocalOptions::new(directory)).unwrap_err();
    assert!(matches!(refused, LocalError::Locked { pid: Some(pid), .. } if pid == child.id()), "{refused}");

    child.kill().unwrap();
    child.wait().unwrap();
    promised.extend(lines);
    promised
}

#[tokio::test]
async fn promises_survive_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut counters: BTreeMap<String, u64> = BTreeMap::new();
    for (round, promises) in [(0, 1), (1, 50), (2, 333)] {
        let promised = run_and_kill(directory.path(), round, promises);
        let local = open(&LocalOptions::new(directory.path())).unwrap();
        for promise in promised {
            let words: Vec<&str> = promise.split(' ').collect();
            match words[..] {
                ["object", key, body] => {
                    let object = local.platform.objects.read(key, None, ByteRange::All).await.unwrap();
                    assert_eq!(object.body, body);
                }
                ["row", name, value] => {
                    let row = local.platform.rows.get(&RowKey::new("wal", name)).await.unwrap();
                    assert_eq!(row.unwrap().value, value);
                }
                ["counter", writer, version] => {
                    counters.insert(writer.to_owned(), version.parse().unwrap());
                }
                // A line cut by the kill.
                _ => {}
            }
        }
        for (writer, version) in &counters {
            let row =
                local.platform.rows.get(&RowKey::new("counter", writer.as_str())).await.unwrap().unwrap();
            assert!(row.version >= *version, "{writer} was promised {version}, and is at {}", row.version);
        }
        // No object is there in part: each names its whole self.
        for listed in local.platform.objects.list("wal/", None, 100_000).await.unwrap() {
            let object =
                local.platform.objects.read(&listed.key, Some(&listed.version), ByteRange::All).await;
            let name = listed.key.strip_prefix("wal/").unwrap().replace('/', "-");
            assert_eq!(object.unwrap().body, name);
        }
    }
}
