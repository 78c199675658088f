//! `foxfire serve` as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Process, eventually, free_port, get};

/// The `foxfire` program of this checkout, built if need be, in the profile that the tests are built in.
pub fn build() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    BUILT
        .get_or_init(|| {
            let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
            let release = if cfg!(debug_assertions) { &[][..] } else { &["--release"] };
            let built = Command::new(cargo)
                .args(["build", "--quiet", "-p", "foxfire"])
                .args(release)
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()
                .unwrap();
            assert!(built.success(), "foxfire does not build");
            target_folder().join("foxfire")
        })
        .clone()
}

/// Where cargo puts programs of the profile that the tests are built in.
pub(crate) fn target_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().unwrap();
    deps.parent().unwrap().to_owned()
}

/// The arguments of `foxfire serve` with all its files in `folder`.
pub fn serve_arguments(folder: &Path, address: &str, flags: &[&str]) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut all = vec![
        "serve".to_owned(),
        format!("--config.file={}", path("prometheus.yml")),
        format!("--storage.path={}", path("data")),
        format!("--web.listen-address={address}"),
    ];
    all.extend(flags.iter().map(|flag| (*flag).to_owned()));
    all
}

/// Runs `foxfire <arguments>` to its end.
pub fn serve_once(arguments: &[&str], working_folder: &Path) -> Output {
    Command::new(build()).args(arguments).current_dir(working_folder).output().unwrap()
}

/// A running `foxfire serve` with a folder of its own. Killed when dropped.
#[derive(Debug)]
pub struct Foxfire {
    /// `host:port` of its API.
    pub address: String,
    /// Holds `prometheus.yml`, further files and `data/`.
    pub folder: TempDir,
    program: PathBuf,
    arguments: Vec<String>,
    process: Process,
}

impl Foxfire {
    /// Starts it with a configuration and waits until it is ready. `{address}` in the configuration becomes its own
    /// address. Further files are written beside the configuration.
    pub fn start(config: &str, files: &[(&str, &str)], flags: &[&str]) -> Self {
        Self::start_in(TempDir::new().unwrap(), &[], config, files, flags)
    }

    /// The same in a folder that is there already, by a command such as `nsenter … --` that foxfire's own is added to.
    pub fn start_in(
        folder: TempDir,
        by: &[String],
        config: &str,
        files: &[(&str, &str)],
        flags: &[&str],
    ) -> Self {
        Self::try_start_in(folder, by, config, files, flags)
            .unwrap_or_else(|log| panic!("foxfire has stopped:\n{log}"))
    }

    /// The same where it may refuse to start.
    ///
    /// # Errors
    /// What it has printed, where it ends before it is ready.
    pub fn try_start_in(
        folder: TempDir,
        by: &[String],
        config: &str,
        files: &[(&str, &str)],
        flags: &[&str],
    ) -> Result<Self, String> {
        let address = format!("127.0.0.1:{}", free_port());
        for (name, text) in [("prometheus.yml", config)].iter().chain(files) {
            std::fs::write(folder.path().join(name), text.replace("{address}", &address)).unwrap();
        }
        let mut command = by.to_vec();
        command.push(build().display().to_string());
        command.extend(serve_arguments(folder.path(), &address, flags));
        let program = PathBuf::from(command.remove(0));
        let process = Process::start(&program, &command, &folder.path().join("log"));
        let mut foxfire = Self { address, folder, program, arguments: command, process };
        if foxfire.is_ready() { Ok(foxfire) } else { Err(foxfire.process.log()) }
    }

    /// Starts it again on the same data.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = Process::start(&self.program, &self.arguments, &self.folder.path().join("log"));
        assert!(self.is_ready(), "foxfire has stopped:\n{}", self.process.log());
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Writes a file into its folder.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text.replace("{address}", &self.address)).unwrap();
    }

    /// GETs a path of its API: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(&self.address, path).unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.process.log()))
    }

    /// The `data` of a successful answer.
    pub fn data(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        let answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        assert_eq!((status, answer["status"].as_str()), (200, Some("success")), "{path}: {body}");
        answer["data"].clone()
    }

    /// The `result` of an instant query, at `time` (seconds) or now.
    pub fn query(&self, expr: &str, time: Option<f64>) -> Vec<Value> {
        let expr: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        let time = time.map_or_else(String::new, |time| format!("&time={time}"));
        let data = self.data(&format!("/api/v1/query?query={expr}{time}"));
        data["result"].as_array().cloned().unwrap_or_else(|| panic!("no result: {data}"))
    }

    /// Waits until it is ready; whether it is, or has stopped.
    fn is_ready(&mut self) -> bool {
        let address = self.address.clone();
        eventually("foxfire to be ready", Duration::from_secs(30), || {
            if !self.process.is_running() {
                return Ok(false);
            }
            match get(&address, "/-/ready") {
                Ok((200, _)) => Ok(true),
                Ok((status, _)) => Err(format!("status {status}")),
                Err(error) => Err(error),
            }
        })
    }
}
