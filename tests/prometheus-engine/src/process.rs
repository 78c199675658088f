//! The engine as a child process.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A running engine. It ends when this is dropped.
#[derive(Debug)]
pub struct Engine {
    child: Child,
    requests: Option<BufWriter<ChildStdin>>,
    answers: BufReader<ChildStdout>,
}

impl Engine {
    /// Starts `binary`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(binary: &Path, arguments: &[&str]) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", binary.display());
        let mut child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a child without pipes".to_owned());
        };
        Ok(Self { child, requests: Some(BufWriter::new(stdin)), answers: BufReader::new(stdout) })
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// Where the process has ended or its answer is none.
    pub fn ask<A: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<A, String> {
        let Some(requests) = &mut self.requests else { return Err("the engine has ended".to_owned()) };
        serde_json::to_writer(&mut *requests, request).map_err(|error| error.to_string())?;
        requests.write_all(b"\n").and_then(|()| requests.flush()).map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its input ends, so it does.
        self.requests = None;
        let _ = self.child.wait();
    }
}
