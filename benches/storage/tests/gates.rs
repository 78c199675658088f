//! What must never get larger: sizes of recorded scrapes, which are the same on every machine.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

use platform_sim::Random;
use storage::Scrape;
use storage_bench::capture::{self, Instants};
use storage_bench::parts::sizes::{REAL_BYTES_MAX, day_bytes};
use storage_bench::parts::wal::{append_all, with_report};

#[test]
fn recorded_scrapes_take_at_most_0_38_bytes_a_sample_as_a_block_and_come_back() {
    let Some(captures) = capture::load().unwrap() else { return };
    let data = capture::data_set(&captures, Instants::Scheduled).unwrap();
    for zstd_level in [3, 9] {
        let bytes = day_bytes(&data, zstd_level).unwrap() as f64 / data.samples() as f64;
        println!("{}, zstd {zstd_level}: {bytes:.4} bytes a sample", data.name);
        assert!(bytes <= REAL_BYTES_MAX, "{}: {bytes} bytes a sample at zstd level {zstd_level}", data.name);
    }
}

#[test]
fn recorded_scrapes_come_back_from_the_wal_and_take_no_more_than_they_did() {
    // Per exporter, alone in its segments: most bytes a sample, most write units of a segment on average.
    let limits = [
        ("node", 0.7, 1.2),
        ("prometheus", 0.35, 1.0),
        ("victoriametrics", 0.3, 1.0),
        ("pushgateway", 2.2, 1.0),
    ];
    let Some(mut captures) = capture::load().unwrap() else { return };
    for (capture, (job, bytes_max, units_max)) in captures.iter_mut().zip(limits) {
        assert_eq!(capture.job, job);
        let mut random = Random::new(1);
        capture.bodies.truncate(40);
        let scrapes = capture.scrapes(Instants::Scheduled).unwrap();
        let ticks: Vec<Vec<Scrape>> =
            scrapes.into_iter().map(|scrape| vec![with_report(scrape, &mut random)]).collect();
        let sizes = append_all(&ticks, 1, 1).unwrap();
        let units = sizes.write_units.iter().sum::<u64>() as f64 / sizes.write_units.len() as f64;
        println!("{job}: {:.3} bytes a sample, {units:.2} write units a scrape", sizes.bytes_a_sample());
        assert!(sizes.bytes_a_sample() <= bytes_max, "{job}: {} bytes a sample", sizes.bytes_a_sample());
        assert!(units <= units_max, "{job}: {units} write units a scrape");
    }
}
