//! The rules of the tree. A rule that hurts is changed here, in a reviewed line, not worked around.

use std::collections::BTreeMap;

use tidy::{Crate, SourceFile, crates, files, root};

/// The diagram: which of our crates each of our crates may import outside of its tests.
const LAYERS: &[(&str, &[&str])] = &[
    ("cost", &[]),
    ("model", &[]),
    ("platform", &[]),
    ("telemetry", &["cost", "platform"]),
    ("textparse", &["model"]),
    ("config", &["model"]),
    ("wire", &["model"]),
    ("storage", &["model"]),
    ("promql", &["model", "storage"]),
    ("promqltest", &["model", "promql", "storage"]),
    ("platform-system", &["platform"]),
    ("platform-local", &["platform", "platform-system"]),
    ("platform-metered", &["cost", "platform"]),
    ("platform-aws", &["platform", "platform-system"]),
    (
        "lambda",
        &[
            "config",
            "control",
            "cost",
            "model",
            "platform",
            "platform-aws",
            "platform-system",
            "promql",
            "telemetry",
            "tsdb",
            "wire",
        ],
    ),
    ("platform-sim", &["platform"]),
    ("discovery", &["config", "model", "platform", "wire"]),
    ("http-client", &["config", "platform"]),
    ("scrape", &["config", "http-client", "model", "platform", "storage", "textparse", "wire"]),
    ("tsdb", &["model", "platform", "storage", "wire"]),
    ("remote", &["model"]),
    ("notify", &["config", "http-client", "model", "platform", "wire"]),
    ("rules", &["config", "model", "platform", "promql", "storage", "wire"]),
    ("control", &["config", "platform", "promql", "rules", "wire"]),
    ("api", &["config", "model", "platform", "promql", "storage", "wire"]),
    ("discovery-function", &["control", "discovery", "lambda", "platform", "telemetry", "wire"]),
    (
        "scraper-function",
        &["control", "lambda", "model", "platform", "scrape", "storage", "telemetry", "tsdb", "wire"],
    ),
    ("ingest-function", &["lambda", "model", "platform", "remote", "storage", "telemetry", "tsdb"]),
    ("compactor-function", &["control", "lambda", "platform", "telemetry", "tsdb", "wire"]),
    (
        "query-function",
        &["api", "config", "control", "discovery", "lambda", "model", "platform", "storage", "tsdb", "wire"],
    ),
    (
        "ruler-function",
        &[
            "config",
            "control",
            "discovery",
            "lambda",
            "notify",
            "platform",
            "promql",
            "rules",
            "telemetry",
            "tsdb",
            "wire",
        ],
    ),
];

/// Crates that compose or test: they may import any of ours.
const COMPOSERS: &[&str] = &[
    "foxfire",
    "aws",
    "tidy",
    "conformance",
    "e2e",
    "fixtures",
    "localstack",
    "sim",
    "storage-bench",
    "month-bench",
    "prometheus-engine",
    "promql-diff",
    "promql-bench",
];

/// External crates that only the named crates may use.
const CONFINED: &[(&str, &[&str])] = &[
    ("axum", &["foxfire"]),
    ("clap", &["foxfire"]),
    (
        "tokio",
        &[
            "foxfire",
            "month-bench",
            "lambda",
            "platform-aws",
            "platform-local",
            "platform-system",
            "conformance",
        ],
    ),
    ("hyper", &["platform-system"]),
    ("redb", &["platform-local"]),
    ("parquet", &["tsdb", "storage-bench"]),
    ("saphyr", &["config"]),
    ("tracing-subscriber", &["telemetry"]),
    ("aws-", &["platform-aws"]),
    ("lambda_", &["lambda"]),
];

/// Lines of a file of code; a longer one is to be split along an idea.
const CODE_LINES_MAX: usize = 700;
/// Lines of a function's `main.rs`: it only wires.
const MAIN_LINES_MAX: usize = 60;

#[test]
fn imports_follow_the_diagram() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let crates = crates();
    let ours: Vec<&str> = crates.iter().map(|c| c.name.as_str()).collect();
    for krate in &crates {
        if COMPOSERS.contains(&krate.name.as_str()) {
            continue;
        }
        let allowed = layers
            .get(krate.name.as_str())
            .unwrap_or_else(|| panic!("{} has no place in the diagram: add it to LAYERS", krate.name));
        for dependency in krate.dependencies.iter().filter(|d| ours.contains(&d.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{} may not import {dependency}", krate.name);
        }
    }
}

#[test]
fn the_diagram_names_only_crates_that_exist() {
    let crates = crates();
    for (name, allowed) in LAYERS {
        for name in allowed.iter().chain([name]) {
            assert!(crates.iter().any(|c| c.name == *name), "LAYERS names {name}, which does not exist");
        }
    }
}

#[test]
fn external_crates_stay_where_they_belong() {
    for krate in &crates() {
        for (prefix, allowed) in CONFINED {
            for dependency in krate.dependencies.iter().filter(|d| d.starts_with(prefix)) {
                assert!(allowed.contains(&krate.name.as_str()), "{} may not use {dependency}", krate.name);
            }
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_lints_and_is_named_after_its_folder() {
    for Crate { name, folder, manifest, .. } in &crates() {
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} does not take the workspace's lints");
        let folder = folder.to_string_lossy().replace('\\', "/");
        let expected = match folder.split_once('/') {
            Some(("functions", function)) => format!("{function}-function"),
            Some(("benches", bench)) => format!("{bench}-bench"),
            Some((_, last)) => last.to_owned(),
            None => "foxfire".to_owned(),
        };
        assert_eq!(*name, expected, "the crate in {folder}");
    }
}

#[test]
fn files_are_small_and_say_what_they_are() {
    for SourceFile { path, text } in files(&["rs"]) {
        assert!(text.starts_with("//!") || is_test_code(&path), "{path} does not begin with a `//!` line");
        let lines = text.lines().count();
        assert!(
            lines <= CODE_LINES_MAX || is_test_code(&path),
            "{path} has {lines} lines: split it along an idea"
        );
        if path.starts_with("functions/") && path.ends_with("/main.rs") {
            assert!(lines <= MAIN_LINES_MAX, "{path} has {lines} lines: logic belongs in the library");
        }
    }
}

#[test]
fn nothing_is_left_for_later_and_no_machine_is_named() {
    // Written in parts so that this file does not contain what it looks for.
    let machine_paths = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"]].map(|parts| parts.concat());
    let leftovers = [["FIX", "ME"], ["TO", "DO"], ["XX", "X"]].map(|parts| parts.concat());
    for SourceFile { path, text } in files(&["rs", "toml", "md", "yml", "yaml", "sh", "json"]) {
        for (number, line) in text.lines().enumerate() {
            for found in machine_paths.iter().chain(&leftovers) {
                assert!(!line.contains(found.as_str()), "{path}:{} contains {found}", number + 1);
            }
        }
    }
}

#[test]
fn the_readme_s_test_command_is_what_ci_runs() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_default();
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    let command = "cargo test --workspace";
    assert!(readme.lines().any(|line| line.trim() == command), "README.md does not give `{command}`");
    assert!(ci.lines().any(|line| line.trim() == command), ".ci/run does not run `{command}`");
}

fn is_test_code(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("tests/")
}
