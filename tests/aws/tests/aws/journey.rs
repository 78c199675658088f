//! From a schedule to an answer.

use std::time::Duration;

use e2e::eventually;

use crate::scene::{INTERVAL_MS, Scene};

#[test]
fn samples_travel_from_targets_through_the_wal_into_blocks_and_answers() {
    let scene = Scene::set();
    let first = scene.samples("up{job=\"steady\"}", 3);
    for (at, value) in &first {
        assert_eq!(value, "1", "at {at}");
    }
    for (_, value) in scene.samples("up{job=\"down\"}", 2) {
        assert_eq!(value, "0");
    }
    let rows = scene.stack.rows("wal/");
    assert!(rows.len() >= first.len(), "{} rows for {} scrapes", rows.len(), first.len());
    for row in rows.values() {
        assert!(row["exp"]["N"].is_string() && row["v"]["B"].is_string(), "{row}");
    }

    // Every tick came twice, and every message: each scrape is stored once, at its tick.
    let samples = scene.samples("up{job=\"steady\"}", 6);
    let scrapes = scene.steady.scrapes();
    assert!(scrapes.len() > samples.len(), "{} requests for {} samples", scrapes.len(), samples.len());
    for pair in samples.windows(2) {
        let apart = pair[1].0 - pair[0].0;
        assert!(apart > INTERVAL_MS / 2, "{apart} ms between {:?} and {:?}", pair[0], pair[1]);
    }

    let recorded = scene.samples("job:scrapes:sum{job=\"steady\"}", 3);
    assert!(recorded.iter().all(|(_, value)| value.parse::<f64>().unwrap() >= 1.0), "{recorded:?}");

    // Once nothing can come too late any more, the compactor makes blocks of whole minutes, and what they answer is what
    // the segments answered.
    let before = scene.samples_now("up{job=\"steady\"}").unwrap();
    let blocks = eventually("blocks in S3", Duration::from_secs(600), || {
        let objects = scene.stack.objects("data/block/");
        let found = objects.iter().any(|key| key.ends_with(".parquet"));
        if found { Ok(objects) } else { Err(format!("{objects:?}")) }
    });
    assert!(!scene.stack.objects("data/manifest/").is_empty(), "{blocks:?}");
    let after = scene.samples_now("up{job=\"steady\"}").unwrap();
    let (from, until) = (after[0].0.max(before[0].0), before[before.len() - 1].0);
    let within = |samples: &[(i64, String)]| -> Vec<(i64, String)> {
        samples.iter().filter(|(at, _)| (from..=until).contains(at)).cloned().collect()
    };
    assert!(within(&after).len() >= 6, "{after:?}");
    assert_eq!(within(&after), within(&before));

    // Everybody could do their work with their own roles.
    let denied: Vec<String> =
        scene.stack.denied().into_iter().filter(|line| line.contains("policy of arn:")).collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

#[test]
fn the_http_api_has_prometheus_s_routes() {
    let scene = Scene::set();
    scene.samples("up{job=\"steady\"}", 1);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for path in
        ["/api/v1/labels", "/api/v1/label/job/values", "/api/v1/targets", "/api/v1/rules", "/-/healthy"]
    {
        let answer = scene.stack.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let posted = scene.stack.post("/api/v1/query", form, "query=up%7Bjob%3D%22steady%22%7D");
    assert!(posted.status == 200 && posted.body.contains("\"steady\""), "{posted:?}");
    let wrong = scene.stack.get("/api/v1/query?query=up%7B");
    assert!(wrong.status == 400 && wrong.body.contains("bad_data"), "{wrong:?}");
    // Other routes lead to other functions.
    let nonsense = scene.stack.post("/api/v1/write", "Content-Type: application/x-protobuf\r\n", "x");
    assert!(matches!(nonsense.status, 400 | 415), "{nonsense:?}");
    let nothing = "/api/v1/admin/tsdb/delete_series?match[]=there_is_no_such_metric";
    let deleted = scene.stack.post(nothing, form, "");
    assert_eq!(deleted.status, 204, "{deleted:?}");
}
