//! The sample events of the query function, replayed.

use lambda::testing::{Replay, SCHEDULED_AT, run, sample};
use model::Labels;
use platform_local::LocalOptions;
use serde_json::{Value, json};
use storage::{Coverage, Scrape, ScrapeOutcome, ScrapeSample, SourceId};
use tsdb::Shard;

/// A function over a store where `up` was scraped every 15 s.
async fn query(path: &std::path::Path, variables: &[(&str, &str)]) -> Replay {
    let local = platform_local::open(&LocalOptions::new(path)).unwrap();
    let replay = Replay::new("query", local.platform.clone(), variables, super::wire);
    for tick in [60_000, 75_000, 90_000].map(|after| SCHEDULED_AT + after) {
        replay.clock.set(tick + 100);
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "node"), ("instance", "10.0.1.7:9100")]);
        let scrape = Scrape {
            source: SourceId(1),
            timestamp: tick,
            outcome: ScrapeOutcome::default(),
            samples: vec![ScrapeSample { labels, value: 1.0, timestamp: None }],
            histograms: vec![],
            exemplars: vec![],
            metadata: [].into(),
            coverage: Coverage::Complete,
        };
        replay.parts.store.append(tick, Shard::scrape(0), &[scrape]).await.unwrap();
    }
    replay
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[test]
fn a_query_is_answered_whether_it_comes_in_the_url_or_in_a_form() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = query(directory.path(), &[]).await;
        let answer = replay.invoke("query-http-get").await.unwrap();
        assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(false)));
        assert_eq!(answer["headers"]["content-type"], "application/json");
        let result = &body(&answer)["data"]["result"];
        assert_eq!(result[0]["metric"]["instance"], "10.0.1.7:9100");
        assert_eq!(result[0]["value"][1], "1");
        let answer = replay.invoke("query-http-post").await.unwrap();
        let values = body(&answer)["data"]["result"][0]["values"].as_array().unwrap().len();
        assert_eq!(values, 3);
    });
}

#[test]
fn series_are_deleted_only_where_administration_is_enabled() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = query(directory.path(), &[]).await;
        let refused = replay.invoke("admin-http-post").await.unwrap();
        assert_eq!(body(&refused)["error"], "admin APIs disabled");
        assert_eq!(
            body(&replay.invoke("query-http-get").await.unwrap())["data"]["result"].as_array().unwrap().len(),
            1
        );
    });
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = query(directory.path(), &[("FOXFIRE_ENABLE_ADMIN_API", "true")]).await;
        let deleted = replay.invoke("admin-http-post").await.unwrap();
        assert_eq!(deleted["statusCode"], 204);
        assert_eq!(body(&replay.invoke("query-http-get").await.unwrap())["data"]["result"], json!([]));
    });
}

#[test]
fn large_answers_are_compressed_where_the_client_can_read_that() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = query(directory.path(), &[]).await;
        let mut event = sample("query-http-get");
        event["rawPath"] = json!("/api/v1/status/flags");
        event["rawQueryString"] = json!("");
        let flags = replay.invoke_with(event.clone()).await.unwrap();
        assert_eq!(body(&flags)["data"]["storage.bucket"], "foxfire");
        event["rawPath"] = json!("/api/v1/query_range");
        event["rawQueryString"] = json!("query=vector(1)&start=0&end=6000&step=1");
        let answer = replay.invoke_with(event).await.unwrap();
        assert_eq!(
            (&answer["isBase64Encoded"], &answer["headers"]["content-encoding"]),
            (&json!(true), &json!("gzip"))
        );
    });
}

#[test]
fn whoever_asks_whether_anyone_is_there_is_answered() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = query(directory.path(), &[]).await;
        let mut event = sample("query-http-get");
        for (path, status) in
            [("/-/healthy", 200), ("/-/ready", 200), ("/metrics", 404), ("/api/v1/nothing", 404)]
        {
            event["rawPath"] = json!(path);
            assert_eq!(replay.invoke_with(event.clone()).await.unwrap()["statusCode"], status, "{path}");
        }
    });
}
