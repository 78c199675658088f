//! The functions' processes: children of LocalStack whose program is `bootstrap`.

use std::process::Command;

/// The processes of the functions whose name contains `function`.
#[must_use]
pub fn function_processes(localstack: u32, function: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{localstack}/task")).into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse::<u32>().ok());
        found.extend(children.filter(|pid| is_of(*pid, function)));
    }
    found
}

/// `kill -9`. Whether there still was such a process.
pub fn kill(pid: u32) -> bool {
    Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success()
}

fn is_of(pid: u32, function: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    variables.any(|variable| {
        variable.strip_prefix("AWS_LAMBDA_FUNCTION_NAME=").is_some_and(|name| name.contains(function))
    })
}
