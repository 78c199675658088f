//! Checks of the code itself, as ordinary tests: who may import whom, sizes, module docs, what must not be in a tree.
//!
//! The library finds the files; `tests/tidy.rs` says the rules.

use std::path::{Path, PathBuf};

/// The workspace's root.
#[must_use]
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// One crate of the workspace.
#[derive(Clone, Debug)]
pub struct Crate {
    /// Its package name.
    pub name: String,
    /// Its folder, relative to the root.
    pub folder: PathBuf,
    /// Its manifest's text.
    pub manifest: String,
    /// What it depends on outside of tests.
    pub dependencies: Vec<String>,
    /// What it depends on in tests only.
    pub dev_dependencies: Vec<String>,
}

/// A text file of the tree.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path relative to the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// All crates, in order of their folders.
#[must_use]
pub fn crates() -> Vec<Crate> {
    files(&["toml"])
        .into_iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .map(|file| Crate {
            name: value_of(&file.text, "name"),
            folder: Path::new(&file.path).parent().map(Path::to_path_buf).unwrap_or_default(),
            dependencies: section(&file.text, "[dependencies]"),
            dev_dependencies: section(&file.text, "[dev-dependencies]"),
            manifest: file.text,
        })
        .collect()
}

/// All text files with one of the extensions, outside of build output and hidden folders, in order of their paths.
#[must_use]
pub fn files(extensions: &[&str]) -> Vec<SourceFile> {
    let root = root();
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e)))
        .filter_map(|path| {
            let relative = path.strip_prefix(&root).ok()?.to_string_lossy().replace('\\', "/");
            Some(SourceFile { path: relative, text: std::fs::read_to_string(&path).ok()? })
        })
        .collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let skipped = name == "target" || name == "data" || (name.starts_with('.') && name != ".ci");
        if path.is_dir() && !skipped {
            walk(&path, paths);
        } else if path.is_file() {
            paths.push(path);
        }
    }
}

fn value_of(manifest: &str, key: &str) -> String {
    let prefix = format!("{key} = \"");
    let line = manifest.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("");
    line.trim_end_matches('"').to_owned()
}

fn section(manifest: &str, header: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}
