//! The suites that every adapter passes.

use std::time::Duration;

use bytes::Bytes;
use conformance::QueueTiming;
use platform::{Platform, RowKey};

use crate::maven::DynamoDbLocal;
use crate::servers::{RECEIVES_MAX, Resources, all, dynamodb_at};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects() {
    let endpoints = all().await;
    let resources = Resources::new("objects").with_bucket(&endpoints).await;
    let platform = resources.open(&endpoints).await.platform;
    conformance::objects(&*platform.objects, "a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files() {
    let endpoints = all().await;
    let resources = Resources::new("files").with_bucket(&endpoints).await;
    let aws = resources.open(&endpoints).await;
    for directory in ["/etc/foxfire", "relative"] {
        for (name, body) in conformance::FILES {
            aws.files.put(&format!("{directory}/{name}"), Bytes::from_static(body.as_bytes())).await.unwrap();
        }
    }
    for directory in ["/etc/foxfire", "relative"] {
        conformance::files(&*aws.platform.files, directory).await;
    }
    aws.files.put("relative/password", Bytes::from_static(b"changed")).await.unwrap();
    assert_eq!(aws.platform.files.read("relative/password", 100).await.unwrap(), b"changed");
    for _ in 0..2 {
        aws.files.remove("relative/password").await.unwrap();
    }
    assert_eq!(aws.platform.files.glob("relative/password").await.unwrap(), Vec::<String>::new());
    assert_eq!(aws.platform.objects.list("", None, 10).await.unwrap(), [], "files are no objects");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues() {
    let endpoints = all().await;
    let resources = Resources::new("queues").with_queues(&endpoints).await;
    let platform = resources.open(&endpoints).await.platform;
    let timing = QueueTiming { unit: Duration::from_secs(1), receives_max: RECEIVES_MAX };
    conformance::queue(&*platform.scrape_queue, &*platform.clock, timing).await;
    let dead =
        platform.rule_queue.receive(10, Duration::from_secs(60), Duration::from_secs(5)).await.unwrap();
    let dead: Vec<_> = dead.into_iter().map(|message| message.body).collect();
    assert_eq!(dead, ["poison"]);
    for body in [&b""[..], &[0, 255, 10], b"{}"] {
        platform.scrape_queue.send(Bytes::from_static(body), Duration::ZERO).await.unwrap();
        let minute = Duration::from_secs(60);
        let received = platform.scrape_queue.receive(1, minute, Duration::from_secs(5)).await.unwrap();
        assert_eq!(received[0].body, body, "any bytes travel");
        platform.scrape_queue.delete(&received[0].receipt).await.unwrap();
    }
}

/// dynoxide, behind LocalStack as in the end-to-end tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows() {
    let endpoints = all().await;
    let resources = Resources::new("rows").with_table(&endpoints).await;
    check_rows(&resources.open(&endpoints).await.platform).await;
}

/// AWS's own server of DynamoDB for tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_dynamodb_local() {
    let Some(server) = tokio::task::spawn_blocking(DynamoDbLocal::start).await.unwrap() else { return };
    let endpoints = dynamodb_at(&server.endpoint);
    let resources = Resources::new("local").with_table(&endpoints).await;
    check_rows(&resources.open(&endpoints).await.platform).await;
}

async fn check_rows(platform: &Platform) {
    conformance::rows(&*platform.rows, "a").await;
    // More than one answer of a megabyte holds.
    let key = |number: usize| RowKey::new("pages", format!("{number:04}"));
    for number in 0..12 {
        let value = Bytes::from(vec![b'x'; 300_000]);
        platform.rows.create(&key(number), value, None).await.unwrap();
    }
    let range = |from: &str, until: Option<&str>| platform::RowRange {
        partition: "pages".to_owned(),
        from: from.to_owned(),
        until: until.map(str::to_owned),
    };
    for (range, limit, expected) in [
        (range("", None), 100, 12),
        (range("", None), 5, 5),
        (range("0001", Some("0011")), 100, 10),
        (range("", Some("0007")), 100, 7),
        (range("0003", Some("0003")), 100, 0),
        (range("0003", Some("0001")), 100, 0),
        (range("", None), 0, 0),
    ] {
        let rows = platform.rows.query(&range, limit).await.unwrap();
        assert_eq!(rows.len(), expected, "{range:?} {limit}");
        assert!(rows.is_sorted_by_key(|row| row.key.sort.clone()));
    }
}

#[tokio::test]
async fn clock_and_entropy() {
    let platform = Resources::new("time").open(&dynamodb_at("http://127.0.0.1:1")).await.platform;
    conformance::clock(&*platform.clock).await;
    conformance::entropy(&*platform.entropy, &*platform.clock);
}
