//! Pods: the container exporter, whose samples have timestamps of their own, and what the cluster says of each pod.

use model::Labels;
use platform_sim::Random;
use storage::SourceId;

use super::maker::{Maker, microseconds, nanoseconds, whole};
use super::{INTERVAL_MS, Plan, START_MS, Target, instants};
use crate::draw::{log_normal, normal};

/// Pods at a time.
const PODS: usize = 30;
/// Of so many pods one is replaced during the day.
const REPLACED_OF: usize = 5;

/// The sources that `copy` of a cluster has: its pods, those that replace others included, and its state.
pub(super) fn pods(plan: Plan, random: &Random, copy: usize) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut state_random = random.split("state");
    let state_instants = instants(&mut state_random, plan.steps, false);
    let state_labels = Labels::from_pairs([
        ("job", "kube-state".to_owned()),
        ("instance", format!("kube-state-{copy}:8080")),
    ]);
    let mut state =
        Maker::new(state_labels, state_instants.len(), state_random.split("activity"), &mut state_random);
    for number in 0..PODS {
        let mut random = random.split(&format!("pod {number}"));
        let deployment = format!("app-{copy}-{:02}", number / 3);
        // A day has a whole share of replacements; what is shorter has as many, earlier.
        let replaced = (number % REPLACED_OF == 0).then(|| random.below(plan.steps as u64) as usize);
        let lives = match replaced {
            None => vec![(0, plan.steps)],
            Some(at) => vec![(0, at), (at, plan.steps)],
        };
        for (from, until) in lives {
            let pod = format!("{deployment}-{:08x}-{number:02}", random.next_u64() >> 32);
            targets.push(container(&mut random, &pod, copy, from, until));
            let before = state.series.len();
            fill_state(&mut state, &pod, &deployment);
            for series in state.series.iter_mut().skip(before) {
                let (from, until) = (from.min(series.values.len()), until.min(series.values.len()));
                series.values = series.values.get(from..until).unwrap_or_default().to_vec();
                series.from = from;
            }
        }
    }
    fill_deployments(&mut state, copy);
    targets.push(Target {
        source: SourceId::default(),
        instants: state_instants.into(),
        series: state.series,
    });
    targets
}

/// One pod as the container exporter sees it. It looks at containers every 10 to 20 s as it finds the time, whenever it is
/// scraped; a scrape that finds nothing new is no sample.
fn container(random: &mut Random, pod: &str, copy: usize, from: usize, until: usize) -> Target {
    let mut looks = Vec::new();
    let end = START_MS + until as i64 * INTERVAL_MS;
    let mut at = START_MS + from as i64 * INTERVAL_MS + random.below(15_000) as i64;
    while at < end {
        looks.push(at);
        at += (15_000.0 + 2_500.0 * normal(random)).clamp(5_000.0, 25_000.0) as i64;
    }
    let labels = Labels::from_pairs([
        ("job", "cadvisor".to_owned()),
        ("instance", format!("kubelet-{copy}:10250")),
        ("namespace", "shop".to_owned()),
        ("pod", pod.to_owned()),
    ]);
    let mut maker = Maker::new(labels, looks.len(), random.split("activity"), random);
    fill_container(&mut maker, pod);
    Target { source: SourceId::default(), instants: looks.into(), series: maker.series }
}

fn fill_container(maker: &mut Maker, pod: &str) {
    let busy = 0.01 * log_normal(&mut maker.random, 1.0, 1.3);
    let id = format!("/kubepods/burstable/pod{pod}");
    let extra = [("container", "app"), ("id", id.as_str())];
    for (name, part) in
        [("container_cpu_user_seconds_total", 0.8), ("container_cpu_system_seconds_total", 0.2)]
    {
        maker.spent(name, &extra, (busy * part).min(0.9), 1e6, microseconds);
    }
    maker.spent("container_cpu_usage_seconds_total", &extra, busy.min(0.9), 1e9, nanoseconds);
    maker.counter("container_cpu_cfs_periods_total", &extra, (busy * 20.0).min(10.0), 1.0, whole);
    maker.counter("container_cpu_cfs_throttled_periods_total", &extra, busy * 0.3, 1.0, whole);
    maker.spent("container_cpu_cfs_throttled_seconds_total", &extra, busy * 0.002, 1e6, microseconds);
    for (name, mean, spread) in [
        ("container_memory_usage_bytes", 3e8, 2e5),
        ("container_memory_working_set_bytes", 2.6e8, 1.5e5),
        ("container_memory_rss", 2.2e8, 8e4),
        ("container_memory_cache", 6e7, 3e4),
    ] {
        maker.walk(name, &extra, mean, spread * (0.2 + busy * 10.0), 4_096.0);
    }
    maker.seldom("container_memory_mapped_file", &extra, 4.1e7, 0.002, |_| 4_096.0);
    for name in [
        "container_memory_failcnt",
        "container_memory_swap",
        "container_oom_events_total",
        "container_memory_max_usage_bytes",
        "container_spec_memory_swap_limit_bytes",
    ] {
        maker.constant(name, &extra, 0.0);
    }
    for (name, value) in [
        ("container_spec_cpu_period", 1e5),
        ("container_spec_cpu_quota", 2e5),
        ("container_spec_cpu_shares", 204.0),
        ("container_spec_memory_limit_bytes", 536_870_912.0),
        ("container_spec_memory_reservation_limit_bytes", 0.0),
        ("container_start_time_seconds", 1_788_470_123.0),
        ("container_ulimits_soft", 1_048_576.0),
    ] {
        maker.constant(name, &extra, value);
    }
    for (failure, rate) in [("pgfault", busy * 300.0), ("pgmajfault", 0.0)] {
        for scope in ["container", "hierarchy"] {
            let extra = [("container", "app"), ("failure_type", failure), ("scope", scope)];
            maker.counter("container_memory_failures_total", &extra, rate, 1.0, whole);
        }
    }
    for direction in ["receive", "transmit"] {
        let extra = [("interface", "eth0")];
        maker.bytes(&format!("container_network_{direction}_bytes_total"), &extra, busy * 200.0, 600.0, 1.0);
        maker.counter(
            &format!("container_network_{direction}_packets_total"),
            &extra,
            busy * 200.0,
            1.0,
            whole,
        );
        for kind in ["errors", "packets_dropped"] {
            maker.constant(&format!("container_network_{direction}_{kind}_total"), &extra, 0.0);
        }
    }
    for kind in ["reads", "writes"] {
        let extra = [("container", "app"), ("device", "/dev/nvme0n1")];
        maker.bytes(&format!("container_fs_{kind}_bytes_total"), &extra, busy * 2.0, 8_192.0, 4_096.0);
        maker.counter(&format!("container_fs_{kind}_total"), &extra, busy * 2.0, 1.0, whole);
    }
    maker.seldom("container_fs_usage_bytes", &extra, 1.2e6, 0.01, |random| random.below(30) as f64 * 4_096.0);
    maker.seldom("container_processes", &extra, 6.0, 0.01, |random| random.below(3) as f64 - 1.0);
    maker.seldom("container_threads", &extra, 24.0, 0.05, |random| random.below(3) as f64 - 1.0);
    maker.seldom("container_sockets", &extra, 18.0, 0.08, |random| random.below(5) as f64 - 2.0);
    maker.seldom("container_file_descriptors", &extra, 40.0, 0.1, |random| random.below(5) as f64 - 2.0);
    let seen = (0..maker.steps).map(|step| 1_788_480_000.0 + step as f64 * 15.0).collect();
    maker.push("container_last_seen", &extra, seen);
}

/// What the cluster says of one pod.
fn fill_state(maker: &mut Maker, pod: &str, deployment: &str) {
    let extra = [("namespace", "shop"), ("pod", pod)];
    maker.constant(
        "kube_pod_info",
        &[("namespace", "shop"), ("pod", pod), ("created_by_name", deployment)],
        1.0,
    );
    maker.constant("kube_pod_created", &extra, 1_788_470_000.0);
    maker.constant("kube_pod_start_time", &extra, 1_788_470_001.0);
    for phase in ["Pending", "Succeeded", "Failed", "Running", "Unknown"] {
        let extra = [("namespace", "shop"), ("pod", pod), ("phase", phase)];
        maker.constant("kube_pod_status_phase", &extra, f64::from(phase == "Running"));
    }
    for (name, value) in [
        ("kube_pod_status_ready", 1.0),
        ("kube_pod_status_scheduled", 1.0),
        ("kube_pod_container_status_running", 1.0),
    ] {
        maker.constant(name, &extra, value);
    }
    maker.seldom("kube_pod_container_status_restarts_total", &extra, 0.0, 0.000_3, |_| 1.0);
    for (resource, value) in [("cpu", 0.2), ("memory", 268_435_456.0)] {
        for kind in ["requests", "limits"] {
            let extra = [("namespace", "shop"), ("pod", pod), ("resource", resource)];
            maker.constant(&format!("kube_pod_container_resource_{kind}"), &extra, value);
        }
    }
}

fn fill_deployments(maker: &mut Maker, copy: usize) {
    for number in 0..PODS / 3 {
        let deployment = format!("app-{copy}-{number:02}");
        let extra = [("namespace", "shop"), ("deployment", deployment.as_str())];
        for name in [
            "spec_replicas",
            "status_replicas",
            "status_replicas_available",
            "status_replicas_unavailable",
            "status_observed_generation",
            "metadata_generation",
        ] {
            maker.seldom(&format!("kube_deployment_{name}"), &extra, 3.0, 0.000_5, |random| {
                random.below(3) as f64 - 1.0
            });
        }
    }
}
