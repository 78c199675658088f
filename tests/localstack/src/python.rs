//! Finding a Python that LocalStack runs on, and making virtual environments of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{command, run};

/// The version that the pins are for: LocalStack 4.14 needs `threading.Lock` to be a class.
const WANTED: &str = "3.13";

/// A virtual environment in `folder` with what `requirements` pins; made anew where it has other pins.
pub(crate) fn environment(folder: &Path, requirements: &Path) {
    let pins = std::fs::read_to_string(requirements).unwrap();
    let stamp = folder.join("pins");
    if std::fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == pins) {
        return;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    let log = folder.with_extension("log");
    run("making a Python environment", command(python()).args(["-m", "venv"]).arg(folder), &log);
    run(
        "installing Python packages",
        command(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements),
        &log,
    );
    std::fs::write(&stamp, pins).unwrap();
}

/// A Python of the wanted version: `FOXFIRE_PYTHON`, `python3.13`, `python3`, pyenv's, uv's.
fn python() -> PathBuf {
    let fits = |candidate: &PathBuf| version(candidate).as_deref() == Some(WANTED);
    candidates().into_iter().find(fits).unwrap_or_else(|| {
        panic!(
            "LocalStack needs Python {WANTED}, which was not found. Install it (`uv python install {WANTED}`, \
             `pyenv install {WANTED}`, or your system's package python{WANTED} with its venv module), or name \
             it in FOXFIRE_PYTHON"
        )
    })
}

fn candidates() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::env::var_os("FOXFIRE_PYTHON").map(PathBuf::from).into_iter().collect();
    all.extend([PathBuf::from(format!("python{WANTED}")), PathBuf::from("python3")]);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = std::env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    for versions in [pyenv.join("versions"), home.join(".local/share/uv/python")] {
        let Ok(entries) = std::fs::read_dir(versions) else { continue };
        all.extend(entries.flatten().map(|entry| entry.path().join("bin/python3")));
    }
    all
}

/// `3.13`, where the candidate runs and can make environments.
fn version(candidate: &Path) -> Option<String> {
    let script = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])";
    let output = Command::new(candidate).args(["-c", script]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
