//! What Go programs say of themselves.

use super::maker::{Maker, centiseconds, whole};
use crate::draw::log_normal;

/// `go_*` and `process_*` of a Go program that allocates `alloc_rate` bytes a second.
pub(super) fn fill_go(maker: &mut Maker, alloc_rate: f64) {
    let started = 1_788_300_000.0 + (maker.random.unit() * 1e7).round() / 100.0;
    maker.constant("process_start_time_seconds", &[], started);
    maker.constant("process_max_fds", &[], 1_048_576.0);
    maker.constant("process_virtual_memory_max_bytes", &[], 18_446_744_073_709_552_000.0);
    maker.constant("go_info", &[("version", "go1.26.2")], 1.0);
    maker.constant("go_memstats_max_heap_sys_bytes", &[], 0.0);
    maker.constant("go_memstats_mcache_inuse_bytes", &[], 2_400.0);
    maker.constant("go_memstats_mcache_sys_bytes", &[], 15_600.0);
    maker.constant("go_memstats_buck_hash_sys_bytes", &[], 1_496_291.0);
    maker.constant("go_memstats_lookups_total", &[], 0.0);
    maker.seldom("go_threads", &[], 11.0, 0.001, |_| 1.0);
    maker.seldom("process_open_fds", &[], 14.0, 0.05, |random| random.below(5) as f64 - 2.0);
    maker.seldom("go_goroutines", &[], 38.0, 0.1, |random| random.below(7) as f64 - 3.0);
    maker.spent("process_cpu_seconds_total", &[], 0.01 + alloc_rate / 3e8, 100.0, centiseconds);
    maker.walk("process_resident_memory_bytes", &[], 6e7, 4e4, 4_096.0);
    maker.seldom("process_virtual_memory_bytes", &[], 1.3e9, 0.002, |_| 67_108_864.0);
    for (name, mean, chance) in [
        ("go_memstats_sys_bytes", 7e7, 0.0005),
        ("go_memstats_heap_sys_bytes", 5e7, 0.002),
        ("go_memstats_stack_inuse_bytes", 1e6, 0.02),
        ("go_memstats_stack_sys_bytes", 1e6, 0.02),
        ("go_memstats_mspan_inuse_bytes", 2e5, 0.2),
        ("go_memstats_mspan_sys_bytes", 3e5, 0.001),
        ("go_memstats_gc_sys_bytes", 5e6, 0.02),
        ("go_memstats_other_sys_bytes", 1e6, 0.01),
        ("go_memstats_next_gc_bytes", 9e6, 0.1),
        ("go_memstats_heap_released_bytes", 8e6, 0.15),
    ] {
        let start = (mean / 160.0_f64).round() * 160.0;
        maker.seldom(name, &[], start, chance, |random| ((random.unit() - 0.5) * 600.0).round() * 160.0);
    }
    fill_heap(maker, alloc_rate);
    fill_gc(maker, alloc_rate);
}

/// The heap grows until it is collected.
fn fill_heap(maker: &mut Maker, alloc_rate: f64) {
    let (mut used, mut total, mut objects) = (4e6_f64, 1e9_f64, 30_000.0_f64);
    let (mut mallocs, mut frees) = (5e6_f64, 5e6_f64 - 30_000.0);
    let mut columns: [Vec<f64>; 7] = Default::default();
    for step in 0..maker.steps {
        let bytes =
            (alloc_rate * 15.0 * maker.activity[step] * log_normal(&mut maker.random, 1.0, 0.1)).round();
        let made = (bytes / 90.0).round();
        total += bytes;
        mallocs += made;
        used += bytes;
        objects += made;
        if used > 8e6 {
            let kept = 4e6 + (used % 4e6) * 0.1;
            let freed = (objects * (1.0 - kept / used)).round();
            frees += freed;
            objects -= freed;
            used = kept.round();
        }
        let inuse = ((used * 1.1) / 8_192.0).ceil() * 8_192.0;
        for (column, value) in columns.iter_mut().zip([used, used, total, objects, mallocs, frees, inuse]) {
            column.push(value);
        }
    }
    let names = [
        "go_memstats_alloc_bytes",
        "go_memstats_heap_alloc_bytes",
        "go_memstats_alloc_bytes_total",
        "go_memstats_heap_objects",
        "go_memstats_mallocs_total",
        "go_memstats_frees_total",
        "go_memstats_heap_inuse_bytes",
    ];
    for (name, column) in names.into_iter().zip(columns) {
        maker.push(name, &[], column);
    }
}

/// Quantiles of pauses: they change when there was a collection, every two minutes at least.
fn fill_gc(maker: &mut Maker, alloc_rate: f64) {
    let every = (8e6 / (alloc_rate * 15.0)).clamp(0.2, 8.0);
    let (mut sum, mut count, mut due) = (0.5_f64, 4_000.0_f64, every);
    let mut quantiles = [2.1e-5, 5.9e-5, 8.2e-5, 1.2e-4, 2.3e-4];
    let mut last = 1_788_400_000.0_f64;
    let mut columns: [Vec<f64>; 8] = Default::default();
    for step in 0..maker.steps {
        due -= 1.0;
        if due <= 0.0 {
            due += every;
            count += 1.0;
            sum += (log_normal(&mut maker.random, 8.5e-5, 0.5) * 1e9).floor() / 1e9;
            for quantile in &mut quantiles {
                if maker.random.chance(0.3) {
                    *quantile = (*quantile * log_normal(&mut maker.random, 1.0, 0.05) * 1e9).round() / 1e9;
                }
            }
            last = 1_788_480_000.0 + step as f64 * 15.0 + maker.random.unit() * 15.0;
        }
        let [q0, q1, q2, q3, q4] = quantiles;
        for (column, value) in columns.iter_mut().zip([q0, q1, q2, q3, q4, sum, count, last]) {
            column.push(value);
        }
    }
    let mut columns = columns.into_iter();
    for (quantile, column) in ["0", "0.25", "0.5", "0.75", "1"].into_iter().zip(columns.by_ref()) {
        maker.push("go_gc_duration_seconds", &[("quantile", quantile)], column);
    }
    let names =
        ["go_gc_duration_seconds_sum", "go_gc_duration_seconds_count", "go_memstats_last_gc_time_seconds"];
    for (name, column) in names.into_iter().zip(columns) {
        maker.push(name, &[], column);
    }
    for code in ["200", "500", "503"] {
        let rate = if code == "200" { 1.0 / 15.0 } else { 0.0 };
        maker.counter("promhttp_metric_handler_requests_total", &[("code", code)], rate, 1.0, whole);
    }
}
