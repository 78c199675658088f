//! Programs that serve requests: an API in Go with histograms, and a JVM.

use super::maker::{Maker, centiseconds, milliseconds_product, nanoseconds, whole};
use super::runtime::fill_go;
use crate::draw::skewed;

/// Upper bounds of request durations, s.
const BOUNDS: [&str; 18] = [
    "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.15", "0.2", "0.3", "0.5", "0.75", "1.0",
    "1.5", "2.5", "5.0", "10.0", "30.0",
];
const HANDLERS: [&str; 15] = [
    "/api/v1/items",
    "/api/v1/items/{id}",
    "/api/v1/users",
    "/api/v1/users/{id}",
    "/api/v1/orders",
    "/api/v1/orders/{id}",
    "/api/v1/cart",
    "/api/v1/search",
    "/api/v1/login",
    "/api/v1/logout",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/export",
    "/api/v1/admin",
];

/// Fills in what an API server serves.
pub(super) fn fill_api(maker: &mut Maker) {
    for (number, handler) in HANDLERS.into_iter().enumerate() {
        let busy = 1.0 / (1 + number) as f64;
        let median = 0.002 * (1 + skewed(&mut maker.random, 30)) as f64;
        let extra = [("handler", handler), ("method", "GET")];
        let name = "http_request_duration_seconds";
        maker.histogram(name, &extra, &BOUNDS, 2.0 * busy * busy, median, 0.8);
        for (code, part) in [("200", 1.0), ("400", 0.02), ("404", 0.03), ("500", 0.001), ("503", 0.0)] {
            let extra = [("handler", handler), ("method", "GET"), ("code", code)];
            maker.counter("http_requests_total", &extra, 2.0 * busy * busy * part, 1.0, whole);
        }
        maker.bytes("http_response_size_bytes_total", &extra, 2.0 * busy * busy, 2_400.0, 1.0);
        maker.seldom("http_requests_in_flight", &extra, 0.0, 0.15 * busy, |random| {
            random.below(3) as f64 - 1.0
        });
    }
    for backend in ["db", "cache", "queue", "auth", "search"] {
        let extra = [("backend", backend)];
        maker.counter("backend_requests_total", &extra, 5.0, 1.0, whole);
        maker.counter("backend_errors_total", &extra, 0.002, 1.0, whole);
        maker.spent("backend_seconds_total", &extra, 0.02, 1e9, nanoseconds);
        maker.constant("backend_connections_max", &extra, 50.0);
        maker.seldom("backend_connections", &extra, 8.0, 0.05, |random| random.below(3) as f64 - 1.0);
    }
    for number in 0..40 {
        let flag = format!("feature-{number}");
        maker.constant("feature_enabled", &[("feature", &flag)], f64::from(number % 3 == 0));
    }
    fill_go(maker, 900_000.0);
}

/// Fills in what a JVM serves.
pub(super) fn fill_jvm(maker: &mut Maker) {
    for (pool, mean) in [
        ("G1 Eden Space", 4e8),
        ("G1 Old Gen", 9e8),
        ("G1 Survivor Space", 3e7),
        ("Metaspace", 1.2e8),
        ("CodeCache", 6e7),
        ("Compressed Class Space", 1.4e7),
    ] {
        let extra = [("pool", pool)];
        let spread = if mean > 2e8 { mean / 20.0 } else { mean / 1e6 };
        maker.walk("jvm_memory_pool_bytes_used", &extra, mean, spread, 8.0);
        maker.seldom("jvm_memory_pool_bytes_committed", &extra, mean.round(), 0.002, |_| 1_048_576.0);
        maker.constant("jvm_memory_pool_bytes_max", &extra, -1.0);
        maker.constant("jvm_memory_pool_bytes_init", &extra, 0.0);
    }
    for collector in ["G1 Young Generation", "G1 Old Generation", "G1 Concurrent GC"] {
        let extra = [("gc", collector)];
        let rate = if collector == "G1 Young Generation" { 0.05 } else { 0.000_3 };
        maker.counter("jvm_gc_collection_seconds_count", &extra, rate, 1.0, whole);
        maker.counter("jvm_gc_collection_seconds_sum", &extra, rate * 9.0, 1.0, milliseconds_product);
    }
    for state in ["RUNNABLE", "BLOCKED", "WAITING", "TIMED_WAITING", "NEW", "TERMINATED", "UNKNOWN"] {
        maker.seldom("jvm_threads_state", &[("state", state)], 12.0, 0.03, |random| {
            random.below(3) as f64 - 1.0
        });
    }
    maker.spent("process_cpu_seconds_total", &[], 0.2, 100.0, centiseconds);
    maker.walk("process_resident_memory_bytes", &[], 2e9, 2e5, 4_096.0);
    maker.constant("jvm_info", &[("runtime", "OpenJDK Runtime Environment"), ("version", "21.0.6+7")], 1.0);
    for number in 0..24 {
        let topic = format!("topic-{number:02}");
        let rate = maker.rate(0.25, 0.8);
        let extra = [("topic", topic.as_str())];
        maker.counter("kafka_consumer_records_total", &extra, rate, 1.0, whole);
        maker.bytes("kafka_consumer_bytes_total", &extra, rate, 900.0, 1.0);
        maker.seldom("kafka_consumer_lag", &extra, 0.0, (rate * 0.1).min(0.5), |random| {
            random.below(9) as f64 - 4.0
        });
    }
}
