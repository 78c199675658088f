//! AWS's DynamoDB Local, from Maven Central.
//!
//! It is a Java program of many libraries, some of them native, so Maven fetches it: once, into cargo's target folder.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The version that is tested against.
const VERSION: &str = "2.6.1";
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that keeps its tables in memory and ends when this is dropped or this process does.
pub(crate) struct DynamoDbLocal {
    pub(crate) endpoint: String,
    child: Child,
}

impl DynamoDbLocal {
    /// Starts one. `None` on a machine without Java or Maven, where nobody asks for certainty.
    pub(crate) fn start() -> Option<Self> {
        if !is_installed("java") || !is_installed("mvn") {
            assert!(std::env::var_os("CI").is_none(), "DynamoDB Local needs java and mvn");
            return None;
        }
        let libraries = libraries();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The shell ends the server when its standard input ends, which it does with this process.
        let script = r#"java -Xmx384m -Djava.library.path="$1" -cp "$1/*" \
            com.amazonaws.services.dynamodbv2.local.main.ServerRunner -inMemory -port "$2" </dev/null &
            server=$!; cat >/dev/null; kill -9 $server"#;
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&libraries)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { endpoint: format!("http://127.0.0.1:{port}"), child };
        let asked = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(asked.elapsed() < START_TIMEOUT, "DynamoDB Local does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }
}

impl Drop for DynamoDbLocal {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn is_installed(program: &str) -> bool {
    let run = Command::new(program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// Where its libraries are, fetched where they are not.
fn libraries() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let libraries = home.join(format!("dynamodb-local-{VERSION}"));
    if libraries.exists() {
        return libraries;
    }
    let staging = home.join(format!("dynamodb-local-{}", std::process::id()));
    fs::create_dir_all(&staging).unwrap();
    let project = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>foxfire</groupId><artifactId>dynamodb-local</artifactId><version>1</version>\
         <dependencies><dependency><groupId>com.amazonaws</groupId><artifactId>DynamoDBLocal</artifactId>\
         <version>{VERSION}</version></dependency></dependencies></project>"
    );
    fs::write(staging.join("pom.xml"), project).unwrap();
    let fetched = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"])
        .current_dir(&staging)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(fetched.success(), "Maven could not fetch DynamoDB Local");
    // Another process may have been first.
    if fs::rename(staging.join("lib"), &libraries).is_err() {
        assert!(libraries.exists());
    }
    let _ = fs::remove_dir_all(&staging);
    libraries
}
