//! The sample events of the compactor, replayed.

use lambda::testing::{Asked, Replay, SCHEDULED_AT, run};
use platform_local::LocalOptions;
use serde_json::Value;

#[test]
fn a_store_without_samples_is_compacted_without_a_word() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let local = platform_local::open(&LocalOptions::new(directory.path())).unwrap();
        let replay = Replay::new("compactor", local.platform.clone(), &[], super::wire);
        for event in
            ["compactor-segments-schedule", "compactor-blocks-schedule", "compactor-segments-schedule"]
        {
            assert_eq!(replay.invoke(event).await, Ok(Value::Null));
        }
        assert!(replay.parts.store.blocks().await.unwrap().is_empty());
        // The watermark follows the clock at a distance: what may still be late, and a window that is not over.
        let lag = replay.parts.metrics.totals().compaction_lag_seconds;
        let settings = replay.parts.store.settings();
        let (least, most) = (settings.grace_ms, settings.grace_ms + settings.window_ms);
        assert!((least..=most).contains(&((lag * 1e3) as i64)), "{lag} s");
        assert_eq!(replay.parts.store.status().await.unwrap().watermark, SCHEDULED_AT - (lag * 1e3) as i64);
    });
}

#[test]
fn a_minute_without_a_window_to_compact_asks_for_the_head_alone() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let local = platform_local::open(&LocalOptions::new(directory.path())).unwrap();
        let replay = Replay::new("compactor", local.platform.clone(), &[], super::wire);
        replay.invoke("compactor-segments-schedule").await.unwrap();
        replay.counts.take();
        let head = Asked { row_reads: 1, ..Asked::default() };
        for event in ["compactor-segments-schedule", "compactor-blocks-schedule"] {
            replay.invoke(event).await.unwrap();
            assert_eq!(replay.counts.take(), head, "{event}");
        }
        // A window without samples: its rows are looked for, and the watermark is moved; no manifest is written.
        replay.clock.set(SCHEDULED_AT + 300_000);
        replay.invoke_with(serde_json::json!({"task": "compact", "work": "segments"})).await.unwrap();
        let asked = replay.counts.take();
        assert!(asked.row_writes == 1 && asked.object_writes == 0 && asked.row_reads <= 6, "{asked:?}");
    });
}
