//! The peers that a user would have, from Debian's packages and PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, eventually, free_port, get};

const DUCKDB: &str = "duckdb>=1.1";

/// Debian's promtool.
pub fn promtool() -> PathBuf {
    debian("prometheus", "promtool")
}

/// Runs Python with DuckDB: `script` with `arguments`; gives what it prints.
pub fn duckdb(script: &str, arguments: &[&str]) -> String {
    let output = Command::new(python_with_duckdb()).args(["-c", script]).args(arguments).output().unwrap();
    assert!(output.status.success(), "DuckDB: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Debian's node_exporter, listening on loopback.
#[derive(Debug)]
pub struct NodeExporter {
    /// `host:port`.
    pub address: String,
    _process: Process,
    _folder: TempDir,
}

impl NodeExporter {
    /// Starts one.
    pub fn start() -> Self {
        let program = debian("prometheus-node-exporter", "prometheus-node-exporter");
        let folder = TempDir::new().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let process = Process::start(
            &program,
            &[format!("--web.listen-address={address}"), "--log.level=error".to_owned()],
            &folder.path().join("log"),
        );
        wait_for_http(&address, "/metrics");
        Self { address, _process: process, _folder: folder }
    }
}

/// Debian's Alertmanager, listening on loopback.
#[derive(Debug)]
pub struct Alertmanager {
    /// `host:port`.
    pub address: String,
    _process: Process,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one.
    pub fn start() -> Self {
        let program = debian("prometheus-alertmanager", "prometheus-alertmanager");
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let process = Process::start(
            &program,
            &[
                format!("--config.file={}", config.display()),
                format!("--storage.path={}", folder.path().join("data").display()),
                format!("--web.listen-address={address}"),
                "--cluster.listen-address=".to_owned(),
            ],
            &folder.path().join("log"),
        );
        wait_for_http(&address, "/-/ready");
        Self { address, _process: process, _folder: folder }
    }

    /// Its alerts, as its API shows them.
    pub fn alerts(&self) -> Vec<serde_json::Value> {
        let (status, body) = get(&self.address, "/api/v2/alerts").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// Debian's Prometheus, listening on loopback.
#[derive(Debug)]
pub struct Prometheus {
    /// `host:port`.
    pub address: String,
    process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one with a configuration and further flags.
    pub fn start(config: &str, flags: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        Self::run(folder, &data, config, flags)
    }

    /// Starts one that only answers from what is in `data`, however old.
    pub fn on(data: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        Self::run(folder, data, "scrape_configs: []\n", &["--storage.tsdb.retention.time=100y"])
    }

    fn run(folder: TempDir, data: &Path, config: &str, flags: &[&str]) -> Self {
        let program = debian("prometheus", "prometheus");
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let mut all = vec![
            format!("--config.file={}", path.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address={address}"),
        ];
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let process = Process::start(&program, &all, &folder.path().join("log"));
        wait_for_http(&address, "/-/ready");
        Self { address, process, _folder: folder }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The `data` of a successful answer.
    pub fn data(&self, path: &str) -> serde_json::Value {
        let (status, body) = get(&self.address, path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["data"].clone()
    }
}

fn wait_for_http(address: &str, path: &str) {
    eventually(&format!("{address}{path}"), Duration::from_secs(20), || match get(address, path) {
        Ok((200, _)) => Ok(()),
        Ok((status, _)) => Err(format!("status {status}")),
        Err(error) => Err(error),
    });
}

/// The program of a Debian package; installs the package where it is missing.
fn debian(package: &str, program: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new("/usr/bin").join(program);
    if !path.exists() {
        run("apt-get", &["update", "-q"]);
        run("apt-get", &["install", "-q", "-y", "--no-install-recommends", package]);
    }
    assert!(path.exists(), "{} is missing; install Debian's package {package}", path.display());
    path
}

fn python_with_duckdb() -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let environment = crate::foxfire::target_folder().join("e2e-duckdb");
    let python = environment.join("bin/python");
    let ready = environment.join("ready");
    if !ready.exists() {
        run("python3", &["-m", "venv", &environment.to_string_lossy()]);
        run(&python.to_string_lossy(), &["-m", "pip", "install", "-q", DUCKDB]);
        std::fs::write(&ready, "").unwrap();
    }
    python
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
    let output = output.unwrap_or_else(|error| panic!("{program} {arguments:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} failed: {text}");
}
