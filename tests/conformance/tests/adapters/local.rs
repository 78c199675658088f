//! The local adapter.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use conformance::QueueTiming;
use platform::{ByteRange, Put, RowKey, RowPut};
use platform_local::{LocalOptions, LocalPlatform, QueueDepth, open};
use tempfile::TempDir;

fn opened() -> (TempDir, LocalPlatform) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = LocalOptions::new(directory.path());
    options.queues.receives_max = 3;
    let local = open(&options).unwrap();
    (directory, local)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects() {
    let (_directory, local) = opened();
    conformance::objects(&*local.platform.objects, "a").await;
    conformance::objects_recreated_alike(&*local.platform.objects, "a").await;
    conformance::objects_do_not_nest(&*local.platform.objects, "a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows() {
    let (_directory, local) = opened();
    conformance::rows(&*local.platform.rows, "a").await;
}

#[tokio::test]
async fn queues() {
    let (_directory, local) = opened();
    let platform = &local.platform;
    let timing = QueueTiming { unit: Duration::from_millis(100), receives_max: 3 };
    tokio::join!(
        conformance::queue(&*platform.scrape_queue, &*platform.clock, timing),
        conformance::queue(&*platform.rule_queue, &*platform.clock, timing)
    );
    for queue in [&local.scrape_queue, &local.rule_queue] {
        assert_eq!(queue.depth(), QueueDepth { dead_letters: 1, ..QueueDepth::default() });
        assert_eq!(queue.dead_letters()[0].body, "poison");
    }
}

#[tokio::test]
async fn clock_and_entropy() {
    let (_directory, local) = opened();
    conformance::clock(&*local.platform.clock).await;
    conformance::entropy(&*local.platform.entropy, &*local.platform.clock);
}

#[tokio::test]
async fn files() {
    let (_directory, local) = opened();
    let files = tempfile::tempdir().unwrap();
    for (name, body) in conformance::FILES {
        let path = files.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }
    conformance::files(&*local.platform.files, files.path().to_str().unwrap()).await;
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let (directory, local) = opened();
    let key = RowKey::new("p", "s");
    let Put::Created(version) = local.platform.objects.create("a/b", Bytes::from_static(b"1")).await.unwrap()
    else {
        panic!("the key was free")
    };
    assert_eq!(
        local.platform.rows.create(&key, Bytes::from_static(b"2"), Some(9_999_999_999)).await,
        Ok(RowPut::Created)
    );
    local.platform.rows.compare_and_set(&key, 1, Bytes::from_static(b"3")).await.unwrap();
    drop(local);
    for _ in 0..2 {
        let local = open(&LocalOptions::new(directory.path())).unwrap();
        let object = local.platform.objects.read("a/b", Some(&version), ByteRange::All).await.unwrap();
        assert_eq!(object.body, "1", "in the very version");
        let row = local.platform.rows.get(&key).await.unwrap().unwrap();
        assert_eq!((row.version, &row.value[..], row.expires_at_s), (2, &b"3"[..], Some(9_999_999_999)));
        local.shutdown().await;
    }
}
