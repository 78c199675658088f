//! A machine: node_exporter.

use super::maker::{Maker, centiseconds, microseconds, milliseconds_product, nanoseconds, whole};
use super::runtime::fill_go;
use crate::draw::normal;

const CPUS: usize = 18;
const DEVICES: [&str; 3] = ["nvme0n1", "nvme1n1", "dm-0"];
const INTERFACES: [&str; 4] = ["lo", "eth0", "eth1", "docker0"];
const MOUNTS: [&str; 6] = ["/", "/boot", "/run", "/run/lock", "/var/lib/docker", "/home"];
const COLLECTORS: [&str; 42] = [
    "arp",
    "bcache",
    "bonding",
    "btrfs",
    "conntrack",
    "cpu",
    "cpufreq",
    "diskstats",
    "dmi",
    "edac",
    "entropy",
    "fibrechannel",
    "filefd",
    "filesystem",
    "hwmon",
    "infiniband",
    "ipvs",
    "loadavg",
    "mdadm",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "nfs",
    "nfsd",
    "nvme",
    "os",
    "powersupplyclass",
    "pressure",
    "rapl",
    "schedstat",
    "selinux",
    "sockstat",
    "softnet",
    "stat",
    "tapestats",
    "textfile",
    "thermal_zone",
    "time",
    "timex",
    "udp_queues",
    "vmstat",
];
const MEMORY: [&str; 48] = [
    "Active",
    "Active_anon",
    "Active_file",
    "AnonHugePages",
    "AnonPages",
    "Bounce",
    "Buffers",
    "Cached",
    "CommitLimit",
    "Committed_AS",
    "DirectMap1G",
    "DirectMap2M",
    "DirectMap4k",
    "Dirty",
    "FileHugePages",
    "HardwareCorrupted",
    "HugePages_Free",
    "HugePages_Rsvd",
    "HugePages_Surp",
    "HugePages_Total",
    "Hugepagesize",
    "Hugetlb",
    "Inactive",
    "Inactive_anon",
    "Inactive_file",
    "KReclaimable",
    "KernelStack",
    "Mapped",
    "MemAvailable",
    "MemFree",
    "MemTotal",
    "Mlocked",
    "NFS_Unstable",
    "PageTables",
    "Percpu",
    "SReclaimable",
    "SUnreclaim",
    "Shmem",
    "ShmemHugePages",
    "ShmemPmdMapped",
    "Slab",
    "SwapCached",
    "SwapFree",
    "SwapTotal",
    "Unevictable",
    "VmallocChunk",
    "VmallocUsed",
    "Writeback",
];

/// Fills in what a machine serves.
pub(super) fn fill(maker: &mut Maker) {
    fill_cpu(maker);
    fill_disks(maker);
    fill_network(maker);
    fill_memory(maker);
    fill_files(maker);
    fill_kernel(maker);
    for collector in COLLECTORS {
        let extra = [("collector", collector)];
        let median = 1e-5 * f64::from(1 + collector.len() as u32 * collector.len() as u32);
        maker.noise("node_scrape_collector_duration_seconds", &extra, median, 0.35, 9);
        maker.constant("node_scrape_collector_success", &extra, 1.0);
    }
    fill_go(maker, 60_000.0);
}

fn fill_cpu(maker: &mut Maker) {
    for cpu in 0..CPUS {
        let cpu = cpu.to_string();
        // Most cores of most machines have little to do.
        let busy = 0.002 + 0.3 * maker.random.unit().powi(5);
        let mut idle = 1e8 + (maker.random.unit() * 1e7).round();
        let idle: Vec<f64> = (0..maker.steps)
            .map(|step| {
                let share = (1.0 - busy * maker.activity[step]).max(0.05);
                idle += (share * 1_500.0 + 8.0 * normal(&mut maker.random)).round().clamp(0.0, 1_503.0);
                centiseconds(idle)
            })
            .collect();
        maker.push("node_cpu_seconds_total", &[("cpu", &cpu), ("mode", "idle")], idle);
        for (mode, share) in [
            ("user", busy * 0.7),
            ("system", busy * 0.25),
            ("iowait", busy * 0.02),
            ("softirq", busy * 0.01),
            ("irq", 0.0),
            ("nice", 0.000_02),
            ("steal", busy * 0.005),
        ] {
            maker.spent(
                "node_cpu_seconds_total",
                &[("cpu", &cpu), ("mode", mode)],
                share,
                100.0,
                centiseconds,
            );
        }
        for mode in ["user", "nice"] {
            maker.constant("node_cpu_guest_seconds_total", &[("cpu", &cpu), ("mode", mode)], 0.0);
        }
        maker.seldom("node_cpu_scaling_frequency_hertz", &[("cpu", &cpu)], 3.1e9, 0.3, |random| {
            (random.below(9) as f64 - 4.0) * 1e6
        });
        maker.constant("node_cpu_scaling_frequency_max_hertz", &[("cpu", &cpu)], 3.8e9);
        maker.constant("node_cpu_scaling_frequency_min_hertz", &[("cpu", &cpu)], 1.5e9);
        maker.spent("node_schedstat_running_seconds_total", &[("cpu", &cpu)], busy, 1e9, nanoseconds);
        maker.spent("node_schedstat_waiting_seconds_total", &[("cpu", &cpu)], busy * 0.03, 1e9, nanoseconds);
        maker.counter("node_schedstat_timeslices_total", &[("cpu", &cpu)], busy * 4_000.0, 1.0, whole);
        maker.counter("node_softnet_processed_total", &[("cpu", &cpu)], busy * 900.0, 1.0, whole);
        for name in ["node_softnet_dropped_total", "node_softnet_times_squeezed_total"] {
            maker.counter(name, &[("cpu", &cpu)], 0.0, 1.0, whole);
        }
    }
}

fn fill_disks(maker: &mut Maker) {
    for (device, rate) in DEVICES.into_iter().zip([12.0, 0.4, 9.0]) {
        let extra = [("device", device)];
        for (kind, part) in [("reads", 0.2), ("writes", 1.0)] {
            maker.counter(&format!("node_disk_{kind}_completed_total"), &extra, rate * part, 1.0, whole);
            maker.counter(&format!("node_disk_{kind}_merged_total"), &extra, rate * part * 0.4, 1.0, whole);
        }
        maker.bytes("node_disk_read_bytes_total", &extra, rate * 0.2, 20_000.0, 512.0);
        maker.bytes("node_disk_written_bytes_total", &extra, rate, 12_000.0, 512.0);
        for (name, share) in [
            ("node_disk_read_time_seconds_total", 0.000_4),
            ("node_disk_write_time_seconds_total", 0.002),
            ("node_disk_io_time_seconds_total", 0.003),
            ("node_disk_io_time_weighted_seconds_total", 0.003),
            ("node_disk_flush_requests_time_seconds_total", 0.000_5),
        ] {
            maker.spent(name, &extra, share * rate, 1_000.0, milliseconds_product);
        }
        maker.counter("node_disk_flush_requests_total", &extra, rate * 0.1, 1.0, whole);
        maker.seldom("node_disk_io_now", &extra, 0.0, 0.02, |random| random.below(3) as f64 - 1.0);
        for name in ["discards_completed", "discarded_sectors", "discards_merged"] {
            maker.constant(&format!("node_disk_{name}_total"), &extra, 0.0);
        }
        maker.constant(
            "node_disk_info",
            &[("device", device), ("model", "Amazon EBS"), ("major", "259")],
            1.0,
        );
    }
}

fn fill_network(maker: &mut Maker) {
    for (device, rate) in INTERFACES.into_iter().zip([8.0, 120.0, 0.2, 0.0]) {
        let extra = [("device", device)];
        for (direction, bytes) in [("receive", 700.0), ("transmit", 400.0)] {
            maker.bytes(&format!("node_network_{direction}_bytes_total"), &extra, rate, bytes, 1.0);
            maker.counter(&format!("node_network_{direction}_packets_total"), &extra, rate, 1.0, whole);
            for kind in ["compressed", "drop", "errs", "fifo", "multicast", "frame"] {
                let rate = if kind == "drop" && rate > 100.0 { 0.01 } else { 0.0 };
                maker.counter(&format!("node_network_{direction}_{kind}_total"), &extra, rate, 1.0, whole);
            }
        }
        for (name, value) in [
            ("address_assign_type", 0.0),
            ("carrier", 1.0),
            ("dormant", 0.0),
            ("flags", 4_099.0),
            ("iface_id", 2.0),
            ("mtu_bytes", 1_500.0),
            ("protocol_type", 1.0),
            ("speed_bytes", 1.25e9),
            ("transmit_queue_length", 1_000.0),
            ("up", 1.0),
        ] {
            maker.constant(&format!("node_network_{name}"), &extra, value);
        }
    }
    for name in [
        "Icmp_InErrors",
        "Icmp_InMsgs",
        "Icmp_OutMsgs",
        "Icmp6_InMsgs",
        "Ip6_InOctets",
        "Ip6_OutOctets",
        "IpExt_InOctets",
        "IpExt_OutOctets",
        "Ip_Forwarding",
        "TcpExt_ListenDrops",
        "TcpExt_ListenOverflows",
        "TcpExt_SyncookiesSent",
        "TcpExt_TCPSynRetrans",
        "TcpExt_TCPTimeouts",
        "Tcp_ActiveOpens",
        "Tcp_PassiveOpens",
        "Tcp_InSegs",
        "Tcp_OutSegs",
        "Tcp_RetransSegs",
        "Tcp_InErrs",
        "Tcp_OutRsts",
        "Udp_InDatagrams",
        "Udp_OutDatagrams",
        "Udp_NoPorts",
        "Udp_InErrors",
        "Udp_RcvbufErrors",
        "Udp6_InDatagrams",
        "UdpLite_InErrors",
    ] {
        let rate = maker.rate(0.5, 1.0);
        maker.counter(&format!("node_netstat_{name}"), &[], rate, 1.0, whole);
    }
    maker.walk("node_netstat_Tcp_CurrEstab", &[], 40.0, 1.0, 1.0);
    for (name, mean) in [
        ("TCP_alloc", 60.0),
        ("TCP_inuse", 45.0),
        ("TCP_mem", 12.0),
        ("TCP_tw", 15.0),
        ("sockets_used", 300.0),
    ] {
        maker.walk(&format!("node_sockstat_{name}"), &[], mean, 0.6, 1.0);
    }
    for name in
        ["TCP_orphan", "UDP_inuse", "UDP_mem", "FRAG_inuse", "FRAG_memory", "RAW_inuse", "UDPLITE_inuse"]
    {
        maker.constant(&format!("node_sockstat_{name}"), &[], 2.0);
    }
}

fn fill_memory(maker: &mut Maker) {
    for name in MEMORY {
        let metric = format!("node_memory_{name}_bytes");
        let mean = 3.3e10 * maker.random.unit() * maker.random.unit();
        match maker.random.below(10) {
            0..=5 => maker.constant(&metric, &[], (mean / 1_024.0).round() * 1_024.0),
            6 => maker.seldom(&metric, &[], (mean / 4_096.0).round() * 4_096.0, 0.02, |random| {
                ((random.unit() - 0.4) * 200.0).round() * 4_096.0
            }),
            _ => maker.walk(&metric, &[], mean, 300_000.0, 4_096.0),
        }
    }
    for number in 0..70 {
        let rate = maker.rate(0.75, 5.0);
        maker.counter(&format!("node_vmstat_field_{number:02}"), &[], rate, 1.0, whole);
    }
    for number in 0..40 {
        let name = format!("node_xfs_counter_{number:02}_total");
        let rate = maker.rate(0.8, 0.2);
        maker.counter(&name, &[("device", "dm-0")], rate, 1.0, whole);
    }
}

fn fill_files(maker: &mut Maker) {
    for (number, mount) in MOUNTS.into_iter().enumerate() {
        let kind = if number == 2 || number == 3 { "tmpfs" } else { "ext4" };
        let extra = [("device", "/dev/dm-0"), ("fstype", kind), ("mountpoint", mount)];
        maker.constant("node_filesystem_size_bytes", &extra, 1.0e10 * (number + 1) as f64);
        maker.constant("node_filesystem_files", &extra, 6_553_600.0);
        maker.constant("node_filesystem_readonly", &extra, 0.0);
        maker.constant("node_filesystem_device_error", &extra, 0.0);
        if number == 0 || number == 4 {
            maker.walk("node_filesystem_avail_bytes", &extra, 5.0e9, 60_000.0, 4_096.0);
            maker.walk("node_filesystem_free_bytes", &extra, 5.5e9, 60_000.0, 4_096.0);
            maker.walk("node_filesystem_files_free", &extra, 6.0e6, 3.0, 1.0);
        } else {
            let change = |random: &mut platform_sim::Random| ((random.unit() - 0.5) * 20.0).round() * 4_096.0;
            maker.seldom("node_filesystem_avail_bytes", &extra, 4.096e9, 0.004, change);
            maker.seldom("node_filesystem_free_bytes", &extra, 4.096e9, 0.004, change);
            maker.constant("node_filesystem_files_free", &extra, 6_500_000.0);
        }
    }
    maker.walk("node_filefd_allocated", &[], 3_000.0, 20.0, 32.0);
    maker.constant("node_filefd_maximum", &[], 9.223_372_036_854_776e18);
    for number in 0..20 {
        let sensor = format!("temp{number}");
        let extra = [("chip", "platform_coretemp_0"), ("sensor", sensor.as_str())];
        maker.walk("node_hwmon_temp_celsius", &extra, 48.0, 0.2, 1.0);
        maker.constant("node_hwmon_temp_crit_celsius", &extra, 100.0);
        maker.constant("node_hwmon_temp_max_celsius", &extra, 84.0);
    }
}

fn fill_kernel(maker: &mut Maker) {
    for (name, mean) in [("node_load1", 0.9), ("node_load5", 0.8), ("node_load15", 0.75)] {
        maker.walk(name, &[], mean, 0.05, 0.01);
        // A product of hundredths is not a number of two decimals; the kernel prints one.
        if let Some(series) = maker.series.last_mut() {
            series.values.iter_mut().for_each(|value| *value = (*value * 100.0).round() / 100.0);
        }
    }
    maker.counter("node_context_switches_total", &[], 4_000.0, 1.0, whole);
    maker.counter("node_intr_total", &[], 2_500.0, 1.0, whole);
    maker.counter("node_forks_total", &[], 2.0, 1.0, whole);
    maker.seldom("node_procs_running", &[], 2.0, 0.5, |random| random.below(5) as f64 - 2.0);
    maker.seldom("node_procs_blocked", &[], 0.0, 0.03, |random| random.below(3) as f64 - 1.0);
    maker.constant("node_boot_time_seconds", &[], 1_788_299_000.0);
    maker.constant("node_uname_info", &[("sysname", "Linux"), ("release", "6.1.0-34-amd64")], 1.0);
    maker.constant("node_exporter_build_info", &[("version", "1.5.0")], 1.0);
    for (resource, kind) in [("cpu", "waiting"), ("io", "stalled"), ("io", "waiting"), ("memory", "waiting")]
    {
        let name = format!("node_pressure_{resource}_{kind}_seconds_total");
        maker.spent(&name, &[], 0.004, 1e6, microseconds);
    }
    let times = (0..maker.steps).map(|step| {
        let micros = (maker.random.unit() * 40_000.0).round();
        1_788_480_000.0 + step as f64 * 15.0 + micros * 1e-6
    });
    let times = times.collect();
    maker.push("node_time_seconds", &[], times);
    for name in ["estimated_error", "frequency_adjustment_ratio", "maxerror", "offset"] {
        maker.noise(&format!("node_timex_{name}_seconds"), &[], 0.000_3, 0.4, 6);
    }
    for name in [
        "loop_time_constant",
        "pps_calibration_total",
        "pps_error_total",
        "pps_jitter_total",
        "status",
        "sync_status",
        "tai_offset_seconds",
        "tick_seconds",
    ] {
        maker.constant(&format!("node_timex_{name}"), &[], 0.0);
    }
}
