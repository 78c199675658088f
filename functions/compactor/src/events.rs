//! The sample events of the compactor, replayed.

use lambda::testing::{Replay, SCHEDULED_AT, run};
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
