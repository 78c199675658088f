//! A LocalStack that runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folders;
use crate::installation::Installation;
use crate::run::{command, tail};

/// The region of everything in it.
pub const REGION: &str = "us-east-1";
/// The account that the credentials of [`LocalStack::env`] belong to.
pub const ACCOUNT: &str = "000000000000";

/// How long it may take to answer after it was started: 1 to 3 seconds are usual.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// How long it may take to stop by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);
/// Run folders of processes that have ended that are kept, for their logs.
const KEPT_RUNS: usize = 5;

/// How one is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The name of the folder of its logs, beside the process's number.
    pub name: String,
    /// The port of its endpoint; a free one where absent.
    pub port: Option<u16>,
    /// Variables that every Lambda function gets which has none of that name.
    pub function_environment: BTreeMap<String, String>,
    /// How long a minute of EventBridge Scheduler's `rate(...)` lasts; a minute where absent.
    pub scheduler_minute: Option<Duration>,
    /// Variables of LocalStack itself, as its documentation lists them, or the plugin's.
    pub environment: BTreeMap<String, String>,
}

/// A running LocalStack; it and everything it started stop when this is dropped or this process ends.
#[derive(Debug)]
pub struct LocalStack {
    /// `http://127.0.0.1:<port>`: every service.
    pub endpoint: String,
    /// `http://127.0.0.1:<port>`: the DynamoDB server behind it, without LocalStack in between: faster, and with the
    /// same tables for the same access key and region.
    pub dynamodb_endpoint: String,
    child: Child,
    folder: PathBuf,
}

impl LocalStack {
    /// Installs what is missing (three minutes, once) and starts one (seconds).
    #[must_use]
    pub fn start(options: &Options) -> Self {
        let installation = Installation::complete();
        remove_old_runs();
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::try_start(&installation, options, attempts) {
                Ok(started) => return started,
                // The port that was free may have been taken since.
                Err(why) => assert!(attempts < 3, "LocalStack does not start: {why}"),
            }
        }
    }

    fn try_start(installation: &Installation, options: &Options, attempt: u32) -> Result<Self, String> {
        let name = if options.name.is_empty() { "run" } else { &options.name };
        let folder = runs().join(format!("{}-{name}-{attempt}", std::process::id()));
        std::fs::create_dir_all(folder.join("tmp")).unwrap();
        let port = options.port.unwrap_or_else(free_port);
        let dynamodb_port = free_port();
        let child = launch(installation, options, &folder, port, dynamodb_port);
        let mut started = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            dynamodb_endpoint: format!("http://127.0.0.1:{dynamodb_port}"),
            child,
            folder,
        };
        started.wait_until_ready(port)?;
        Ok(started)
    }

    /// The environment for an SDK, a CLI or a tool that is to use it.
    #[must_use]
    pub fn env(&self) -> BTreeMap<String, String> {
        let pairs = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Its endpoint's `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }

    /// AWS's CLI (version 1), told to use it.
    #[must_use]
    pub fn aws(&self, arguments: &[&str]) -> Command {
        let mut aws = command(folders::home().join("venv/bin/aws"));
        aws.envs(self.env()).args(["--endpoint-url", &self.endpoint]).args(arguments);
        aws
    }

    /// Its process; the functions' processes are its children.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("localstack.log")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Stops it and waits for its end.
    pub fn stop(&mut self) {
        // The end of its standard input tells it.
        drop(self.child.stdin.take());
        let asked = Instant::now();
        while self.is_running() && asked.elapsed() < STOP_TIMEOUT {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait_until_ready(&mut self, port: u16) -> Result<(), String> {
        let started = Instant::now();
        while !matches!(request(port, "GET /_localstack/health", ""), Ok(200)) {
            if !self.is_running() {
                return Err(tail(&self.log()));
            }
            assert!(started.elapsed() < START_TIMEOUT, "LocalStack does not answer: {}", tail(&self.log()));
            std::thread::sleep(Duration::from_millis(50));
        }
        // The DynamoDB server starts with the first request.
        let headers = "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n\
            Authorization: AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/dynamodb/aws4_request, \
            SignedHeaders=host, Signature=0\r\nX-Amz-Date: 20200101T000000Z\r\nContent-Length: 2\r\n";
        match request(port, "POST /", &format!("{headers}\r\n{{}}")) {
            Ok(200) => Ok(()),
            other => Err(format!("DynamoDB does not answer ({other:?}): {}", tail(&self.log()))),
        }
    }
}

impl Drop for LocalStack {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let text = format!("LocalStack's log: {}\n", self.log().display());
            let _ = std::io::stderr().write_all(text.as_bytes());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn launch(
    installation: &Installation,
    options: &Options,
    folder: &Path,
    port: u16,
    dynamodb_port: u16,
) -> Child {
    let log = File::create(folder.join("localstack.log")).unwrap();
    let dynoxide = installation.dynoxide.display();
    // Where LocalStack is killed, dynoxide is told by the kernel.
    let tied = if Path::new("/usr/bin/setpriv").exists() { "setpriv --pdeathsig KILL -- " } else { "" };
    let mut command = command(&installation.python);
    command
        .args(["-m", "localstack.runtime.main"])
        .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
        .env("FILESYSTEM_ROOT", folder.join("fs"))
        .env("TMPDIR", folder.join("tmp"))
        // Images of continuous integration may look like LocalStack's own.
        .env("OVERRIDE_IN_DOCKER", "0")
        .env("SKIP_SSL_CERT_DOWNLOAD", "1")
        .env("DISABLE_EVENTS", "1")
        .env("DNS_ADDRESS", "0")
        .env("LS_LOG", "info")
        .env("LAMBDA_RUNTIME_EXECUTOR", "host")
        // By default a queue's poller takes one batch a second and sleeps up to 10 s when there is none.
        .env("LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC", "0.1")
        .env("LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC", "0.2")
        .env("DYNAMODB_LOCAL_PORT", dynamodb_port.to_string())
        .env("HOST_DYNAMODB_CMD", format!("{tied}{dynoxide} serve --port {{port}}"))
        .env("HOST_SCHEDULER", "1")
        .env("HOST_PERMISSIONS", "1")
        .env("HOST_LIFELINE", "1")
        .envs(&options.environment)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        // Ctrl-C is for whoever started it, who then stops it.
        .process_group(0);
    if let Some(minute) = options.scheduler_minute {
        command.env("HOST_SCHEDULER_MINUTE", minute.as_secs_f64().to_string());
    }
    for (name, value) in &options.function_environment {
        command.env(format!("HOST_LAMBDA_ENV_{name}"), value);
    }
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}", installation.python.display()))
}

/// The status of an answer to `<method> <path>` with `rest` (headers, an empty line, a body).
fn request(port: u16, line: &str, rest: &str) -> Result<u16, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
    let rest = if rest.is_empty() { "\r\n" } else { rest };
    let text = format!("{line} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{rest}");
    stream.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| format!("no status: {answer}"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn runs() -> PathBuf {
    folders::home().join("run")
}

/// Removes what ended processes left, but for the logs of the newest.
fn remove_old_runs() {
    let Ok(entries) = std::fs::read_dir(runs()) else { return };
    let mut ended: Vec<(std::time::SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = name.split('-').next().unwrap_or_default();
            !Path::new("/proc").join(pid).exists()
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    ended.sort();
    for (_, folder) in &ended {
        let _ = std::fs::remove_dir_all(folder.join("fs"));
        let _ = std::fs::remove_dir_all(folder.join("tmp"));
    }
    for (_, folder) in ended.iter().rev().skip(KEPT_RUNS) {
        let _ = std::fs::remove_dir_all(folder);
    }
}
