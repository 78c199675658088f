//! The `process_*` metrics, read from `/proc` where there is one. Source of names and meanings: the process collector
//! of Prometheus's Go client.

use std::fs;

use prometheus::{Counter, Gauge, Registry};

/// Ticks a second of the times in `/proc`: fixed by Linux's interface, whatever the kernel's own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// The process's metrics.
#[derive(Debug)]
pub(crate) struct ProcessMetrics {
    cpu_seconds: Counter,
    start_time_seconds: Gauge,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
}

/// What `/proc` says; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reading {
    cpu_seconds: Option<f64>,
    start_time_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

impl ProcessMetrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let help = "Total user and system CPU time spent in seconds.";
        let cpu_seconds = Counter::new("process_cpu_seconds_total", help)?;
        registry.register(Box::new(cpu_seconds.clone()))?;
        let help = "Start time of the process since unix epoch in seconds.";
        let start_time_seconds = gauge("process_start_time_seconds", help)?;
        Ok(Self {
            cpu_seconds,
            start_time_seconds,
            resident_bytes: gauge("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            virtual_bytes: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.")?,
            open_fds: gauge("process_open_fds", "Number of open file descriptors.")?,
            max_fds: gauge("process_max_fds", "Maximum number of open file descriptors.")?,
        })
    }

    /// Reads them anew.
    pub(crate) fn refresh(&self) {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let open_fds = fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as f64);
        let reading = read(
            &text("/proc/self/stat"),
            &text("/proc/stat"),
            &text("/proc/self/status"),
            &text("/proc/self/limits"),
            open_fds,
        );
        if let Some(seconds) = reading.cpu_seconds {
            self.cpu_seconds.inc_by((seconds - self.cpu_seconds.get()).max(0.0));
        }
        for (gauge, value) in [
            (&self.start_time_seconds, reading.start_time_seconds),
            (&self.resident_bytes, reading.resident_bytes),
            (&self.virtual_bytes, reading.virtual_bytes),
            (&self.open_fds, reading.open_fds),
            (&self.max_fds, reading.max_fds),
        ] {
            if let Some(value) = value {
                gauge.set(value);
            }
        }
    }
}

/// Makes sense of `/proc/self/stat`, `/proc/stat`, `/proc/self/status` and `/proc/self/limits`.
fn read(stat: &str, system_stat: &str, status: &str, limits: &str, open_fds: Option<f64>) -> Reading {
    // The second field is the program's name in parentheses, and may hold anything. What follows starts with the third.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or_else(Vec::new, |(_, rest)| rest.split_whitespace().collect());
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    let start_ticks = field(22);
    let boot = value_after(system_stat, "btime");
    Reading {
        cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND),
        start_time_seconds: start_ticks.zip(boot).map(|(ticks, boot)| boot + ticks / TICKS_PER_SECOND),
        resident_bytes: value_after(status, "VmRSS:").map(|kib| kib * 1024.0),
        virtual_bytes: value_after(status, "VmSize:").map(|kib| kib * 1024.0),
        open_fds,
        max_fds: value_after(limits, "Max open files"),
    }
}

/// The first number of the line that starts with `name`.
fn value_after(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_understood() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 1000 9999 77 18446744073709551615";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096   files\n";
        let status = "Name:\tx\nVmSize:\t  2000 kB\nVmRSS:\t   1000 kB\n";
        let reading = read(stat, "cpu 1 2 3\nbtime 1700000000\n", status, limits, Some(7.0));
        let expected = Reading {
            cpu_seconds: Some(3.0),
            start_time_seconds: Some(1_700_000_010.0),
            resident_bytes: Some(1_024_000.0),
            virtual_bytes: Some(2_048_000.0),
            open_fds: Some(7.0),
            max_fds: Some(1024.0),
        };
        assert_eq!(reading, expected);
    }

    #[test]
    fn missing_or_damaged_files_give_nothing() {
        assert_eq!(read("", "", "", "", None), Reading::default());
        assert_eq!(read("1 (x) S", "btime x", "VmRSS:", "Max open files", None), Reading::default());
    }
}
