//! A LocalStack of its own for each that starts one, and nothing left of it afterwards.

#![allow(clippy::disallowed_methods, reason = "this crate drives real processes in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test harness fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use localstack::{LocalStack, Options};

#[test]
fn two_run_side_by_side_with_services_of_their_own_and_stop() {
    let options = Options { name: "side".into(), ..Options::default() };
    let mut one = LocalStack::start(&options);
    let other = LocalStack::start(&Options { name: "by-side".into(), ..options });
    aws(&one, &["s3api", "create-bucket", "--bucket", "only-here"]);
    assert!(aws(&one, &["s3api", "list-buckets"]).contains("only-here"));
    assert!(!aws(&other, &["s3api", "list-buckets"]).contains("only-here"));
    drop(other);
    let table = "--table-name here --billing-mode PAY_PER_REQUEST --attribute-definitions \
        AttributeName=pk,AttributeType=S --key-schema AttributeName=pk,KeyType=HASH";
    let create: Vec<&str> =
        ["dynamodb", "create-table"].into_iter().chain(table.split_whitespace()).collect();
    aws(&one, &create);
    // The same table, without LocalStack in between.
    let direct = localstack_cli(&one).args(["dynamodb", "list-tables"]).output().unwrap();
    assert!(String::from_utf8_lossy(&direct.stdout).contains("\"here\""), "{direct:?}");
    let family = family(one.pid());
    assert!(family.len() >= 2, "LocalStack and dynoxide: {family:?}");
    one.stop();
    assert_gone(&family);
}

#[test]
fn the_plugin_s_own_tests_pass() {
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/localstack/executor");
    let mut python = Command::new("python3");
    python.args(["-m", "unittest", "discover", "-s", "tests", "-t", "."]).current_dir(plugin);
    let output = python.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("Ran 3 tests"), "{said}");
}

#[test]
fn it_ends_with_its_starter_however_that_ends() {
    let mut starter = Command::new(env!("CARGO_BIN_EXE_localstack"))
        .arg("0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_environment(&mut starter);
    let family: Vec<u32> = family(starter.id()).into_iter().filter(|pid| *pid != starter.id()).collect();
    assert!(family.len() >= 2, "LocalStack and dynoxide: {family:?}");
    starter.kill().unwrap();
    starter.wait().unwrap();
    assert_gone(&family);
}

#[test]
fn dynoxide_ends_with_localstack_however_that_ends() {
    let one = LocalStack::start(&Options { name: "killed".into(), ..Options::default() });
    let family = family(one.pid());
    assert!(Command::new("kill").args(["-9", &one.pid().to_string()]).status().unwrap().success());
    drop(one);
    assert_gone(&family);
}

fn aws(localstack: &LocalStack, arguments: &[&str]) -> String {
    let output = localstack.aws(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn localstack_cli(localstack: &LocalStack) -> Command {
    localstack.aws(&["--endpoint-url", &localstack.dynamodb_endpoint])
}

fn wait_for_environment(starter: &mut Child) {
    let lines = BufReader::new(starter.stdout.take().unwrap()).lines();
    let seen: Vec<String> =
        lines.map(Result::unwrap).take_while(|line| !line.starts_with("# Ctrl-C")).collect();
    assert!(
        seen.iter().any(|line| line.starts_with("export AWS_ENDPOINT_URL=http://127.0.0.1:")),
        "{seen:?}"
    );
}

/// A process and all that it started, directly or not.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    all
}

fn assert_gone(pids: &[u32]) {
    let started = Instant::now();
    let left = || -> Vec<u32> {
        let runs = |pid: &&u32| Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok();
        pids.iter().filter(runs).copied().collect()
    };
    while !left().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(40), "still there: {:?}", left());
        std::thread::sleep(Duration::from_millis(100));
    }
}
