//! LocalStack, the plugin and dynoxide, installed once.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::folders;
use crate::python;
use crate::run::{command, run};

/// The DynamoDB server: of those tried behind LocalStack, the one that did most of what DynamoDB does, and the fastest.
const DYNOXIDE: &str = "3.2.0";

/// What is installed.
#[derive(Debug)]
pub(crate) struct Installation {
    /// The Python of LocalStack's virtual environment.
    pub(crate) python: PathBuf,
    /// dynoxide's program.
    pub(crate) dynoxide: PathBuf,
}

impl Installation {
    /// Installs what is missing; others that want to do the same wait.
    pub(crate) fn complete() -> Self {
        let home = folders::home();
        let _lock = folders::lock("install");
        let dynoxide = home.join("tools/bin/dynoxide");
        // One waits for the network, the other for the compiler.
        std::thread::scope(|scope| {
            scope.spawn(|| build_dynoxide(&home, &dynoxide));
            python::environment(&home.join("venv"), &folders::sources().join("requirements.txt"));
            install_plugin(&home);
        });
        Self { python: home.join("venv/bin/python"), dynoxide }
    }
}

fn build_dynoxide(home: &Path, program: &Path) {
    let stamp = home.join("tools/version");
    if program.exists() && std::fs::read_to_string(&stamp).is_ok_and(|version| version == DYNOXIDE) {
        return;
    }
    let build = home.join("tools-build");
    run(
        "building dynoxide",
        command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["install", "--locked", "--force", "dynoxide-rs", "--version", DYNOXIDE])
            .args(["--no-default-features", "--features", "native-sqlite,http-server,cli", "--root"])
            .arg(home.join("tools"))
            .arg("--target-dir")
            .arg(&build)
            .env_remove("RUSTFLAGS")
            .current_dir(home),
        &home.join("tools.log"),
    );
    let _ = std::fs::remove_dir_all(build);
    std::fs::write(stamp, DYNOXIDE).unwrap();
}

fn install_plugin(home: &Path) {
    let source = folders::sources().join("executor");
    let text = text_of(&source);
    let stamp = home.join("venv/plugin");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == text) {
        return;
    }
    // Building writes beside the sources: not into the checkout.
    let copy = home.join("executor");
    let _ = std::fs::remove_dir_all(&copy);
    std::fs::create_dir_all(copy.join("localstack_host")).unwrap();
    for file in files_of(&source) {
        std::fs::copy(source.join(&file), copy.join(&file)).unwrap();
    }
    run(
        "installing LocalStack's plugin",
        command(home.join("venv/bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall"])
            .arg(&copy),
        &home.join("plugin.log"),
    );
    std::fs::write(stamp, text).unwrap();
}

/// All of the plugin, to see whether it has changed.
fn text_of(source: &Path) -> String {
    let mut all = String::new();
    for file in files_of(source) {
        let text = std::fs::read_to_string(source.join(&file)).unwrap();
        write!(all, "== {}\n{text}", file.display()).unwrap();
    }
    all
}

fn files_of(source: &Path) -> Vec<PathBuf> {
    let package = Path::new("localstack_host");
    let mut files: Vec<PathBuf> = std::fs::read_dir(source.join(package))
        .unwrap()
        .map(|entry| package.join(entry.unwrap().file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    files.push(PathBuf::from("pyproject.toml"));
    files.sort();
    files
}
