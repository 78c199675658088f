//! The contract where requests and answers get lost, and where servers refuse.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use platform::{Billed, ByteRange, Cas, Platform, PlatformError, Put, RowKey, RowPut};
use platform_aws::Endpoints;

use crate::proxy::{Fate, Proxy};
use crate::servers::{Resources, all, dynamodb_at};

const THROTTLED: Fate = Fate::Answer(
    "400 Bad Request",
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow"}"#,
);
const SLOW_DOWN: Fate = Fate::Answer(
    "503 Slow Down",
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
);
const CONFLICT: Fate = Fate::Answer(
    "409 Conflict",
    "<Error><Code>ConditionalRequestConflict</Code><Message>conflicting</Message></Error>",
);
const BROKEN: Fate = Fate::Answer("500 Internal Server Error", "");

/// More fates than a call has attempts.
const ALWAYS: usize = 50;

fn always(fate: &Fate) -> Vec<Fate> {
    vec![fate.clone(); ALWAYS]
}

/// Of five requests one meets the next of these fates.
fn one_in_five(fates: &[Fate]) -> impl Iterator<Item = Fate> {
    let pass = [Fate::Pass, Fate::Pass, Fate::Pass, Fate::Pass];
    fates
        .iter()
        .flat_map(move |fate| [&pass[..], std::slice::from_ref(fate)].concat())
        .collect::<Vec<_>>()
        .into_iter()
        .cycle()
        .take(100_000)
}

/// A platform behind a proxy.
struct Lossy {
    platform: Platform,
    resources: Resources,
    proxy: Proxy,
}

impl Lossy {
    async fn of_rows() -> Self {
        let direct = all().await;
        let resources = Resources::new("lossy-rows").with_table(&direct).await;
        let proxy = Proxy::before(&direct.dynamodb).await;
        let endpoints = Endpoints { dynamodb: proxy.endpoint.clone(), ..direct };
        let platform = resources.open(&endpoints).await.platform;
        Self { platform, resources, proxy }
    }

    async fn of_objects() -> Self {
        let direct = all().await;
        let resources = Resources::new("lossy-objects").with_bucket(&direct).await;
        let proxy = Proxy::before(&direct.s3).await;
        let endpoints = Endpoints { s3: proxy.endpoint.clone(), ..direct };
        let platform = resources.open(&endpoints).await.platform;
        Self { platform, resources, proxy }
    }
}

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn is_ambiguous<T>(outcome: &Result<T, PlatformError>) -> bool {
    matches!(outcome, Err(PlatformError::Ambiguous { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_created_object_whose_answer_is_lost_exists() {
    let Lossy { platform, proxy, .. } = Lossy::of_objects().await;
    let objects = platform.objects;
    for (number, fate) in [Fate::LoseAnswer, Fate::CutAnswer].into_iter().enumerate() {
        let key = format!("once/{number}");
        proxy.script([fate]);
        assert_eq!(objects.create(&key, body("mine")).await, Ok(Put::Exists));
        assert_eq!(objects.create(&key, body("other")).await, Ok(Put::Exists));
        assert_eq!(objects.read(&key, None, ByteRange::All).await.unwrap().body, "mine");
    }
    proxy.script([Fate::LoseRequest, SLOW_DOWN, CONFLICT, BROKEN]);
    assert!(matches!(objects.create("twice", body("mine")).await, Ok(Put::Created(_))));
    assert_eq!(proxy.left(), 0, "each was met by an attempt");

    proxy.script(always(&Fate::LoseAnswer));
    let outcome = objects.create("unknown", body("there")).await;
    proxy.script([]);
    assert!(is_ambiguous(&outcome), "{outcome:?}");
    assert_eq!(objects.read("unknown", None, ByteRange::All).await.unwrap().body, "there");

    proxy.script(always(&CONFLICT));
    let outcome = objects.create("conflict", body("x")).await;
    proxy.script([]);
    assert!(
        matches!(outcome, Err(PlatformError::Throttled { .. })),
        "a conflict is no existence: {outcome:?}"
    );
    let absent = objects.read("conflict", None, ByteRange::All).await;
    assert!(matches!(absent, Err(PlatformError::NotFound { .. })), "{absent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_lists_survive_a_bad_network() {
    let Lossy { platform, proxy, .. } = Lossy::of_objects().await;
    let objects = platform.objects;
    for number in 0..5 {
        objects.create(&format!("read/{number}"), body("0123456789")).await.unwrap();
    }
    let bad = [Fate::CutAnswer, Fate::LoseAnswer, SLOW_DOWN, BROKEN];
    proxy.script(bad.clone());
    assert_eq!(objects.read("read/0", None, ByteRange::Last(4)).await.unwrap().body, "6789");
    proxy.script(bad.clone());
    assert_eq!(objects.list("read/", None, 10).await.unwrap().len(), 5);
    proxy.script(bad);
    assert_eq!(objects.delete("read/0").await, Ok(()));
    assert_eq!(proxy.left(), 0);
    proxy.script(always(&Fate::LoseAnswer));
    let read = objects.read("read/1", None, ByteRange::All).await;
    assert!(matches!(read, Err(PlatformError::Throttled { .. })), "a read changes nothing: {read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_created_row_whose_answer_is_lost_exists() {
    let Lossy { platform, proxy, .. } = Lossy::of_rows().await;
    let rows = platform.rows;
    let key = RowKey::new("lost", "answer");
    proxy.script([Fate::LoseAnswer, THROTTLED]);
    let outcome = rows.create(&key, body("mine"), Some(4_102_444_800)).await;
    let Ok(RowPut::Exists(row)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((row.value, row.version), (body("mine"), 1));
    assert_eq!(proxy.left(), 0);

    let key = RowKey::new("lost", "request");
    proxy.script([Fate::LoseRequest, THROTTLED, BROKEN]);
    assert_eq!(rows.create(&key, body("mine"), None).await, Ok(RowPut::Created));

    let key = RowKey::new("lost", "all");
    proxy.script(always(&Fate::LoseRequest));
    let outcome = rows.create(&key, body("mine"), None).await;
    proxy.script([]);
    assert!(is_ambiguous(&outcome), "{outcome:?}");
    assert_eq!(rows.get(&key).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_knows_its_own_change_whose_answer_was_lost() {
    let Lossy { platform, proxy, .. } = Lossy::of_rows().await;
    let rows = platform.rows;
    let key = RowKey::new("register", "head");
    for (expected, value) in ["one", "two", "three"].into_iter().enumerate() {
        let expected = expected as u64;
        proxy.script([Fate::LoseAnswer]);
        assert_eq!(rows.compare_and_set(&key, expected, body(value)).await, Ok(Cas::Done(expected + 1)));
        assert_eq!(proxy.left(), 0);
    }
    // The very same value by somebody else is no change of ours.
    proxy.script([Fate::LoseRequest]);
    let lost = rows.compare_and_set(&key, 2, body("three")).await;
    let Ok(Cas::Lost(Some(row))) = lost else { panic!("{lost:?}") };
    assert_eq!((row.version, row.value), (3, body("three")));

    proxy.script(always(&Fate::LoseAnswer));
    let outcome = rows.compare_and_set(&key, 3, body("four")).await;
    proxy.script([]);
    assert!(is_ambiguous(&outcome), "{outcome:?}");
    assert_eq!(rows.get(&key).await.unwrap().unwrap().value, "four");

    // Refused first, then denied after an answer was lost: it stays unknown.
    let denied = Fate::Answer(
        "400 Bad Request",
        r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}"#,
    );
    proxy.script([Fate::LoseAnswer, denied.clone()]);
    assert!(is_ambiguous(&rows.compare_and_set(&key, 4, body("five")).await));
    proxy.script([denied]);
    let outcome = rows.compare_and_set(&key, 5, body("six")).await;
    assert!(matches!(outcome, Err(PlatformError::Denied { .. })), "{outcome:?}");
}

/// Of increments whose answers are lost at random none is counted twice, and none that is told to be done is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_increments_sum_up_though_answers_are_lost() {
    const WORKERS: usize = 4;
    const INCREMENTS: u64 = 8;
    let Lossy { platform, proxy, .. } = Lossy::of_rows().await;
    let fates =
        [Fate::Pass, Fate::LoseAnswer, Fate::Pass, THROTTLED, Fate::Pass, Fate::LoseRequest, Fate::Pass];
    proxy.script(fates.iter().cloned().cycle().take(2_000));
    let (rows, key) = (&platform.rows, RowKey::new("register", "counter"));
    let worker = async || {
        let (mut done, mut unknown) = (0, 0);
        while done + unknown < INCREMENTS {
            let row = rows.get(&key).await.unwrap();
            let version = row.as_ref().map_or(0, |row| row.version);
            match rows.compare_and_set(&key, version, body("x")).await {
                Ok(Cas::Done(_)) => done += 1,
                Ok(Cas::Lost(_)) | Err(PlatformError::Throttled { .. }) => {}
                Err(PlatformError::Ambiguous { .. }) => unknown += 1,
                Err(error) => panic!("{error}"),
            }
        }
        (done, unknown)
    };
    let counts = join_all((0..WORKERS).map(|_| worker())).await;
    let done: u64 = counts.iter().map(|(done, _)| done).sum();
    let unknown: u64 = counts.iter().map(|(_, unknown)| unknown).sum();
    proxy.script([]);
    let version = rows.get(&key).await.unwrap().unwrap().version;
    assert!((done..=done + unknown).contains(&version), "{done} done, {unknown} unknown, but {version}");
    assert!(done > unknown, "most outcomes are known: {done} and {unknown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suites_pass_while_every_fifth_request_is_refused() {
    let rows = Lossy::of_rows().await;
    rows.proxy.script(one_in_five(&[THROTTLED]));
    let objects = Lossy::of_objects().await;
    objects.proxy.script(one_in_five(&[SLOW_DOWN, CONFLICT]));
    futures::join!(
        conformance::rows(&*rows.platform.rows, "a"),
        conformance::objects(&*objects.platform.objects, "a")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_end_as_throttled_and_have_done_nothing() {
    let Lossy { platform, proxy, resources } = Lossy::of_rows().await;
    let key = RowKey::new("throttled", "row");
    proxy.script(always(&THROTTLED));
    let throttled = Err(PlatformError::Throttled { operation: format!("create row {key}") });
    assert_eq!(platform.rows.create(&key, body("x"), None).await, throttled);
    assert!(proxy.left() < ALWAYS - 2, "it was tried more than twice");
    proxy.script([]);
    assert_eq!(platform.rows.get(&key).await, Ok(None));

    let nobody = resources.open(&dynamodb_at("http://127.0.0.1:1")).await.platform;
    assert_eq!(nobody.rows.create(&key, body("x"), None).await, throttled, "nothing listens there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_must_put_right_is_denied() {
    let endpoints = all().await;
    let nothing = Resources::new("nothing");
    let platform = nothing.open(&endpoints).await.platform;
    let outcomes = [
        platform.rows.get(&RowKey::new("a", "b")).await.map(|_| ()),
        platform.rows.create(&RowKey::new("a", "b"), Bytes::new(), None).await.map(|_| ()),
        platform.objects.create("a", Bytes::new()).await.map(|_| ()),
        platform.objects.read("a", None, ByteRange::All).await.map(|_| ()),
        platform.objects.list("a", None, 1).await.map(|_| ()),
        platform.scrape_queue.send(Bytes::new(), Duration::ZERO).await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(PlatformError::Denied { .. })), "{outcome:?}");
    }
    let missing = "http://127.0.0.1/000000000000/missing".to_owned();
    let mut without_queue = Resources::new("nothing");
    without_queue.options.scrape_queue_url = Some(missing);
    let platform = without_queue.open(&endpoints).await.platform;
    let outcome = platform.scrape_queue.send(body("x"), Duration::ZERO).await;
    assert!(matches!(outcome, Err(PlatformError::Denied { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_come_is_waited_for_and_no_longer() {
    let Lossy { platform, proxy, .. } = Lossy::of_rows().await;
    let key = RowKey::new("hanging", "row");
    proxy.script([Fate::Hang]);
    let outcome = platform.rows.create(&key, body("mine"), None).await;
    assert!(matches!(outcome, Ok(RowPut::Exists(_))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_sent_though_answers_are_lost() {
    let direct = all().await;
    let resources = Resources::new("lossy-queue").with_queues(&direct).await;
    let proxy = Proxy::before(&direct.sqs).await;
    let endpoints = Endpoints { sqs: proxy.endpoint.clone(), ..direct };
    let queue = resources.open(&endpoints).await.platform.scrape_queue;
    proxy.script([Fate::LoseRequest, Fate::LoseAnswer, BROKEN]);
    queue.send(body("{}"), Duration::ZERO).await.unwrap();
    assert_eq!(proxy.left(), 0);
    let second = Duration::from_secs(1);
    let mut received = 0;
    loop {
        let messages = queue.receive(10, second * 60, second).await.unwrap();
        if messages.is_empty() {
            break;
        }
        for message in messages {
            assert_eq!(message.body, "{}");
            received += 1;
            proxy.script([Fate::LoseAnswer]);
            queue.delete(&message.receipt).await.unwrap();
        }
    }
    assert_eq!(received, 2, "once by the attempt whose answer was lost, once by the one after it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_is_metered() {
    let Lossy { platform, proxy, resources } = Lossy::of_objects().await;
    let told = |billed: Vec<Billed>| -> Vec<(&'static str, f64)> {
        billed.iter().map(|billed| (billed.operation, billed.units)).collect()
    };
    proxy.script([Fate::LoseRequest, SLOW_DOWN]);
    platform.objects.create("a/b", body("0123456789")).await.unwrap();
    let billed = resources.meter.take();
    assert!(billed.iter().all(|billed| (billed.service, billed.sent) == ("s3", 10)), "{billed:?}");
    assert_eq!(told(billed), [("PutObject", 1.0); 3]);
    platform.objects.read("a/b", None, ByteRange::Last(4)).await.unwrap();
    platform.objects.list("a/", None, 10).await.unwrap();
    let billed = resources.meter.take();
    assert_eq!(billed[0].received, 4);
    assert!(billed[1].received > 100, "a list of XML");
    assert_eq!(told(billed), [("GetObject", 1.0), ("ListObjectsV2", 1.0)]);

    let Lossy { platform, resources, proxy: _open } = Lossy::of_rows().await;
    let rows = platform.rows;
    let key = RowKey::new("p", "s");
    rows.create(&key, Bytes::from(vec![0; 2_500]), None).await.unwrap();
    assert_eq!(told(resources.meter.take()), [("PutItem", 3.0)], "a unit for each KB");
    rows.create(&key, Bytes::new(), None).await.unwrap();
    assert_eq!(told(resources.meter.take()), [("PutItem", 3.0)], "a failed condition costs what is there");
    rows.get(&key).await.unwrap();
    assert_eq!(told(resources.meter.take()), [("GetItem", 1.0)], "a consistent unit for each 4 KB");
    rows.get(&RowKey::new("p", "absent")).await.unwrap();
    rows.compare_and_set(&key, 1, Bytes::from(vec![0; 100])).await.unwrap();
    assert_eq!(told(resources.meter.take()), [("GetItem", 1.0), ("UpdateItem", 3.0)]);
}
