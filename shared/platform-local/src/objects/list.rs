//! Objects in the order of their whole keys, which is not the order of a walk: `a-b` comes before `a/b`.

use std::fs;
use std::io;
use std::path::Path;

use platform::{ListedObject, is_object_segment};

use super::version_of;

/// An entry of a directory.
struct Entry {
    /// The whole key of a file; of a directory what its keys begin with, the last slash included. Sorted by this,
    /// entries come in the order of the keys they stand for.
    key: String,
    is_directory: bool,
}

/// The objects under `root` whose keys begin with `prefix` and come after `after`: the first `limit`.
pub(super) fn list(
    root: &Path,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> io::Result<Vec<ListedObject>> {
    let mut listed = Vec::new();
    let directory = prefix.rfind('/').and_then(|end| prefix.get(..=end)).unwrap_or("");
    // No key has such a prefix, and no path outside the root may be made of one.
    if !directory.split_terminator('/').all(is_object_segment) {
        return Ok(listed);
    }
    let wanted = |entry: &Entry| is_wanted(entry, prefix, after);
    let mut walk = vec![entries(root, directory, wanted)?];
    while listed.len() < limit
        && let Some(level) = walk.last_mut()
    {
        match level.pop() {
            None => {
                walk.pop();
            }
            Some(entry) if entry.is_directory => walk.push(entries(root, &entry.key, wanted)?),
            Some(entry) => match fs::metadata(root.join(&entry.key)) {
                Ok(metadata) => {
                    let version = version_of(&metadata)?;
                    listed.push(ListedObject { key: entry.key, version, len: metadata.len() });
                }
                // Deleted since its directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
        }
    }
    Ok(listed)
}

/// The wanted entries of a directory, last key first.
fn entries(root: &Path, directory: &str, wanted: impl Fn(&Entry) -> bool) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let read = match fs::read_dir(root.join(directory)) {
        Ok(read) => read,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(entries);
        }
        Err(error) => return Err(error),
    };
    for entry in read {
        let entry = entry?;
        let file_type = entry.file_type()?;
        let name = entry.file_name();
        // Anything else was put here by somebody else.
        let Some(name) = name.to_str().filter(|name| is_object_segment(name)) else { continue };
        if !file_type.is_dir() && !file_type.is_file() {
            continue;
        }
        let slash = if file_type.is_dir() { "/" } else { "" };
        let entry = Entry { key: format!("{directory}{name}{slash}"), is_directory: file_type.is_dir() };
        if wanted(&entry) {
            entries.push(entry);
        }
    }
    entries.sort_unstable_by(|left, right| right.key.cmp(&left.key));
    Ok(entries)
}

fn is_wanted(entry: &Entry, prefix: &str, after: Option<&str>) -> bool {
    let key = entry.key.as_str();
    if entry.is_directory {
        let within = key.starts_with(prefix) || prefix.starts_with(key);
        within && after.is_none_or(|after| key > after || after.starts_with(key))
    } else {
        key.starts_with(prefix) && after.is_none_or(|after| key > after)
    }
}
