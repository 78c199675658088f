//! The sample event of ingest, replayed.

use lambda::testing::{Replay, SCHEDULED_AT, run, sample};
use platform_local::LocalOptions;
use serde_json::json;

fn ingest(path: &std::path::Path) -> Replay {
    let local = platform_local::open(&LocalOptions::new(path)).unwrap();
    let replay = Replay::new("ingest", local.platform.clone(), &[], super::wire);
    replay.clock.set(SCHEDULED_AT + 90_000);
    replay
}

#[test]
fn a_push_is_stored_once_however_often_it_is_sent() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = ingest(directory.path());
        for _ in 0..2 {
            let answer = replay.invoke("ingest-http-post").await.unwrap();
            assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(204), &json!("")));
        }
        let status = replay.parts.store.status().await.unwrap();
        assert_eq!((status.head_segments, status.head_samples), (1, 2));
    });
}

#[test]
fn what_is_no_push_is_told_so() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let replay = ingest(directory.path());
        let status = |event| async { replay.invoke_with(event).await.unwrap()["statusCode"].clone() };
        let mut cut = sample("ingest-http-post");
        cut["body"] = json!("//8=");
        assert_eq!(status(cut).await, 400);
        let mut elsewhere = sample("ingest-http-post");
        elsewhere["rawPath"] = json!("/api/v1/read");
        assert_eq!(status(elsewhere).await, 404);
        let mut get = sample("ingest-http-post");
        get["requestContext"]["http"]["method"] = json!("GET");
        assert_eq!(status(get).await, 405);
    });
}
