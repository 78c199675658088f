//! Pushes into a store, in virtual time and under faults.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use ingest_function::{Ingest, Response};
use model::{FloatHistogram, Labels, MatchOp, Matcher, Span};
use platform_sim::{RandomFaults, World};
use remote::testing::{compress, encode_v1, encode_v2};
use remote::{Sample, TimeSeries, WriteRequest};
use storage::{Limits, Queryable, Select, SelectHints};
use telemetry::Metrics;
use tsdb::{Settings, Store};

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

struct Process {
    store: Arc<Store>,
    ingest: Ingest,
    metrics: Arc<Metrics>,
}

impl Process {
    fn new(world: &World) -> Arc<Self> {
        let platform = world.platform();
        let store = Arc::new(Store::new(platform.clone(), Settings::default()));
        let metrics = Arc::new(Metrics::new("test"));
        let ingest = Ingest::new(platform, Arc::clone(&store), Arc::clone(&metrics));
        Arc::new(Self { store, ingest, metrics })
    }
}

fn request(name: &str, samples: &[(i64, f64)]) -> WriteRequest {
    let samples = samples.iter().map(|(timestamp, value)| Sample { timestamp: *timestamp, value: *value });
    let series = TimeSeries {
        labels: Labels::from_pairs([("__name__", name), ("job", "j")]),
        samples: samples.collect(),
        ..TimeSeries::default()
    };
    WriteRequest { series: vec![series], ..WriteRequest::default() }
}

fn post(content_type: &str, body: Vec<u8>) -> http::Request<Bytes> {
    http::Request::post("/api/v1/write")
        .header(CONTENT_TYPE, content_type)
        .header(CONTENT_ENCODING, "snappy")
        .body(Bytes::from(body))
        .unwrap()
}

fn push_v1(request: &WriteRequest) -> http::Request<Bytes> {
    post("application/x-protobuf", compress(&encode_v1(request)))
}

fn write(world: &World, process: &Arc<Process>, request: http::Request<Bytes>) -> Response {
    let process = Arc::clone(process);
    world.run(async move { process.ingest.write(request).await }).done()
}

/// All samples of the store, by metric name.
fn stored(world: &World, process: &Arc<Process>) -> BTreeMap<String, Vec<(i64, f64)>> {
    let process = Arc::clone(process);
    let select = Select {
        matchers: vec![Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap()],
        min_time: i64::MIN,
        max_time: i64::MAX,
        hints: SelectHints::default(),
    };
    let limits = Limits { samples_max: u64::MAX, deadline: i64::MAX };
    let sets = world.run(async move { process.store.select(&[select], limits).await }).done().unwrap();
    let samples = |series: &storage::Series| {
        series.timestamps.iter().copied().zip(series.values.iter().copied()).collect()
    };
    sets[0].iter().map(|series| (series.labels.metric_name().to_owned(), samples(series))).collect()
}

fn segments(world: &World) -> usize {
    world.rows().iter().filter(|row| row.key.partition.starts_with("wal/")).count()
}

#[test]
fn what_is_acknowledged_can_be_queried_whatever_its_order() {
    let world = World::new(1);
    let process = Process::new(&world);
    let now = world.now_ms();
    for samples in [&[(now, 3.0), (now - 10, 2.0)][..], &[(now - 86_400_000, 1.0), (now + 60_000, 4.0)]] {
        let response = write(&world, &process, push_v1(&request("m", samples)));
        assert_eq!((response.status().as_u16(), response.body().len()), (204, 0));
        assert!(!response.headers().contains_key("x-prometheus-remote-write-samples-written"));
    }
    let expected = vec![(now - 86_400_000, 1.0), (now - 10, 2.0), (now, 3.0), (now + 60_000, 4.0)];
    assert_eq!(stored(&world, &process), BTreeMap::from([("m".to_owned(), expected)]));
    let metrics = process.metrics.encode();
    assert!(metrics.contains("foxfire_push_samples_total{type=\"float\"} 4\n"), "{metrics}");
}

#[test]
fn the_same_request_at_once_is_one_segment_and_later_doubles_nothing() {
    let world = World::new(2);
    let process = Process::new(&world);
    let now = world.now_ms();
    let sent = request("m", &[(now, 1.0)]);
    let twins: Vec<_> = (0..3)
        .map(|_| {
            let (process, request) = (Arc::clone(&process), push_v1(&sent));
            world.spawn("push", async move { process.ingest.write(request).await.status().as_u16() })
        })
        .collect();
    world.run_for(Duration::from_secs(5));
    let answers: Vec<u16> = twins.iter().map(|twin| twin.take().unwrap().unwrap()).collect();
    assert_eq!((answers, segments(&world)), (vec![204; 3], 1));
    assert_eq!(write(&world, &process, push_v1(&sent)).status(), 204);
    assert_eq!(stored(&world, &process)["m"], [(now, 1.0)]);
    // Of two values for one instant the first stands.
    assert_eq!(write(&world, &process, push_v1(&request("m", &[(now, 9.0)]))).status(), 204);
    assert_eq!(stored(&world, &process)["m"], [(now, 1.0)]);
}

#[test]
fn version_2_is_told_what_was_written() {
    let world = World::new(3);
    let process = Process::new(&world);
    let now = world.now_ms();
    let mut sent = request("good", &[(now, 1.0), (now + 1, 2.0)]);
    let response = write(&world, &process, post(V2, compress(&encode_v2(&sent))));
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["x-prometheus-remote-write-samples-written"], "2");
    assert_eq!(response.headers()["x-prometheus-remote-write-histograms-written"], "0");

    sent.series.extend(request("early", &[(now + 86_400_000, 1.0)]).series);
    sent.series.extend(request("late", &[(now - 30 * 86_400_000, 1.0), (now, 7.0)]).series);
    let response = write(&world, &process, post(V2, compress(&encode_v2(&sent))));
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-prometheus-remote-write-samples-written"], "3");
    assert_eq!(
        String::from_utf8_lossy(response.body()),
        "out of bounds: timestamp is too far in the future for series {__name__=\"early\", job=\"j\"}\n\
         out of bounds: timestamp is older than the retention for series {__name__=\"late\", job=\"j\"}\n"
    );
    assert_eq!(stored(&world, &process)["late"], [(now, 7.0)]);
}

#[test]
fn what_is_no_request_is_refused_and_nothing_is_written() {
    let world = World::new(4);
    let process = Process::new(&world);
    let good = || compress(&encode_v1(&request("m", &[(1, 1.0)])));
    let encoded = |encoding: &str| {
        let mut request = post("application/x-protobuf", good());
        request.headers_mut().insert(CONTENT_ENCODING, encoding.parse().unwrap());
        request
    };
    for (request, status, message) in [
        (
            encoded("gzip"),
            415,
            "gzip encoding (compression) is not accepted by this server; only snappy is acceptable\n",
        ),
        (
            post("text/plain", good()),
            415,
            "expected application/x-protobuf as the first (media) part, got text/plain content-type\n",
        ),
        (post("application/x-protobuf", b"nonsense".to_vec()), 400, "snappy: corrupt input\n"),
        (post("application/x-protobuf", compress(&[0x0a, 9])), 400, "unexpected EOF\n"),
    ] {
        let response = write(&world, &process, request);
        let answer = (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned());
        assert_eq!(answer, (status, message.to_owned()));
    }
    let mut get = push_v1(&request("m", &[(1, 1.0)]));
    *get.method_mut() = http::Method::GET;
    assert_eq!(write(&world, &process, get).status(), 405);
    // Nothing to store is nothing to write.
    assert_eq!(write(&world, &process, push_v1(&WriteRequest::default())).status(), 204);
    assert_eq!(segments(&world), 0);
}

/// Writers that send again until they are told that it is done, while the store fails, forgets to answer and processes
/// crash: everything is there, once.
#[test]
fn senders_that_repeat_lose_and_double_nothing_under_faults() {
    let (mut acknowledged, mut attempts) = (0, 0);
    for seed in 0..20 {
        let world = World::new(seed);
        let start = world.now_ms();
        world.set_faults(RandomFaults::swarm(seed, start, start + 60_000));
        let process = Process::new(&world);
        let mut expected: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
        for n in 0..15 {
            let name = format!("m{}", n % 4);
            let sample = (start + n * 7, n as f64);
            expected.entry(name.clone()).or_default().push(sample);
            let body = push_v1(&request(&name, &[sample]));
            loop {
                attempts += 1;
                let (process, request) = (Arc::clone(&process), body.clone());
                let join =
                    world.spawn("push", async move { process.ingest.write(request).await.status().as_u16() });
                world.run_for(Duration::from_secs(4));
                match join.take() {
                    Some(Ok(204)) => break,
                    Some(Ok(status)) => assert!(status >= 500, "seed {seed}: {status}"),
                    // It crashed, or takes long: its sender gives up waiting.
                    Some(Err(_)) | None => {}
                }
                assert!(world.now_ms() < start + 3_600_000, "seed {seed}: never acknowledged");
            }
            acknowledged += 1;
        }
        world.heal();
        assert_eq!(stored(&world, &Process::new(&world)), expected, "seed {seed}");
    }
    assert!(attempts > acknowledged + 20, "{attempts} attempts for {acknowledged}: too few faults to tell");
}

#[test]
fn native_histograms_and_ends_of_series_are_stored_as_pushed() {
    let world = World::new(5);
    let process = Process::new(&world);
    let now = world.now_ms();
    let histogram = FloatHistogram {
        schema: 2,
        count: 3.0,
        sum: 1.0 / 3.0,
        positive_spans: vec![Span { offset: -1, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        ..FloatHistogram::default()
    };
    let pushed = vec![(now, Arc::new(histogram)), (now + 1, Arc::new(FloatHistogram::stale()))];
    let series = TimeSeries {
        labels: Labels::from_pairs([("__name__", "h"), ("job", "j")]),
        histograms: pushed.clone(),
        ..TimeSeries::default()
    };
    let mut sent = request("m", &[(now, 1.0), (now + 1, model::value::stale_nan())]);
    sent.series.push(series);
    let response = write(&world, &process, post(V2, compress(&encode_v2(&sent))));
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["x-prometheus-remote-write-histograms-written"], "2");

    let ended = stored(&world, &process)["m"][1];
    assert_eq!((ended.0, ended.1.to_bits()), (now + 1, model::value::STALE_NAN_BITS));
    let matchers = vec![Matcher::equal("__name__", "h")];
    let select = Select { matchers, min_time: now, max_time: now + 1, hints: SelectHints::default() };
    let limits = Limits { samples_max: u64::MAX, deadline: i64::MAX };
    let of = Arc::clone(&process);
    let sets = world.run(async move { of.store.select(&[select], limits).await }).done().unwrap();
    let column = &sets[0][0].histograms;
    let found: Vec<_> = column.timestamps.iter().copied().zip(column.values.iter().cloned()).collect();
    assert_eq!(found, pushed);
}
