//! Where things are: the sources in `infra/localstack`, everything that is installed or written under cargo's target folder.

use std::fs::File;
use std::path::{Path, PathBuf};

/// `infra/localstack` of the checkout.
pub(crate) fn sources() -> PathBuf {
    checkout().join("infra/localstack")
}

/// The checkout's root.
pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// `<target>/localstack`, where all is installed; it exists.
pub(crate) fn home() -> PathBuf {
    let home = target().join("localstack");
    std::fs::create_dir_all(&home).unwrap();
    home
}

/// Holds other processes off from `<target>/localstack/<name>.lock` until dropped.
pub(crate) fn lock(name: &str) -> File {
    let path = home().join(format!("{name}.lock"));
    let file = File::options().create(true).append(true).open(&path).unwrap();
    file.lock().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file
}

/// Cargo's target folder: the one that this program was built into.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    // Cargo marks it so that backups leave it out, and keeps what it knows of the compiler there.
    let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
    let marked = program.ancestors().find(|folder| marks.iter().any(|mark| folder.join(mark).exists()));
    match (marked, std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(marked), _) => marked.to_owned(),
        (None, Some(folder)) => PathBuf::from(folder),
        (None, None) => checkout().join("target"),
    }
}
