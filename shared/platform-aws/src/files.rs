//! Files that a configuration refers to, as objects.

use bytes::Bytes;
use platform::{ByteRange, FileError, Files, Glob, GlobSegment, PlatformError, PlatformFuture};

use crate::store::Store;

/// What keys of files begin with in the bucket.
const PREFIX: &str = "files/";

/// How many files one pattern may be compared with.
const LISTED_MAX: usize = 100_000;

/// Files below `files/` of a bucket, by path. There are no directories: a path names a file or nothing.
#[derive(Clone, Debug)]
pub struct AwsFiles {
    store: Store,
}

impl AwsFiles {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Puts a file, over what was there. The role needs `s3:PutObject` on `files/*`.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn put(&self, path: &str, body: Bytes) -> Result<(), FileError> {
        let put = self.store.overwrite(&key_of(path)?, body, format!("put file {path}")).await;
        put.map_err(|error| failure(path, &error))
    }

    /// Removes a file; that it is not there is no error.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn remove(&self, path: &str) -> Result<(), FileError> {
        let deleted = self.store.delete(&key_of(path)?, format!("remove file {path}")).await;
        deleted.map_err(|error| failure(path, &error))
    }

    async fn read_bounded(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, FileError> {
        // One byte more than allowed, so that a file that is too large is not read whole.
        let range = ByteRange::At { start: 0, len: bytes_max.saturating_add(1) };
        let read = self.store.read(&key_of(path)?, None, range, format!("file {path}")).await;
        let object = read.map_err(|error| failure(path, &error))?;
        if object.len > bytes_max {
            return Err(FileError::TooLarge { path: path.to_owned(), bytes_max });
        }
        Ok(object.body.to_vec())
    }

    async fn matching(&self, pattern: &str) -> Result<Vec<String>, FileError> {
        let other = |reason: &str| FileError::Other { path: pattern.to_owned(), reason: reason.to_owned() };
        let cleaned = clean(pattern)?;
        let glob = Glob::parse(&cleaned).ok_or_else(|| other("syntax error in pattern"))?;
        let names: Vec<&str> = glob.segments().iter().map_while(literal).collect();
        let plain = names.len() == glob.segments().len();
        let prefix =
            if plain || names.is_empty() { names.join("/") } else { format!("{}/", names.join("/")) };
        // A plain path comes first among those that begin with it.
        let limit = if plain { 1 } else { LISTED_MAX };
        let what = format!("list files {pattern}");
        let listed = self.store.list(&format!("{PREFIX}{prefix}"), None, limit, what).await;
        let listed = listed.map_err(|error| failure(pattern, &error))?;
        if !plain && listed.len() >= LISTED_MAX {
            return Err(other("the pattern matches too many paths"));
        }
        // Paths are given as the pattern is written: `/etc/*.json` gives `/etc/a.json`.
        let root = if pattern.starts_with('/') { "/" } else { "" };
        let paths = listed.iter().filter_map(|object| object.key.strip_prefix(PREFIX));
        Ok(paths.filter(|path| glob.matches(path)).map(|path| format!("{root}{path}")).collect())
    }
}

impl Files for AwsFiles {
    fn read<'a>(&'a self, path: &'a str, bytes_max: u64) -> PlatformFuture<'a, Vec<u8>, FileError> {
        Box::pin(self.read_bounded(path, bytes_max))
    }

    fn glob<'a>(&'a self, pattern: &'a str) -> PlatformFuture<'a, Vec<String>, FileError> {
        Box::pin(self.matching(pattern))
    }
}

/// The key of the object that holds the file of a path: `/etc/a.json`, `etc/a.json` and `./etc//a.json` are one file,
/// `files/etc/a.json`.
///
/// # Errors
/// [`FileError::Other`] where the path is empty or leads out of the bucket.
pub fn file_key(path: &str) -> Result<String, FileError> {
    key_of(path)
}

fn key_of(path: &str) -> Result<String, FileError> {
    Ok(format!("{PREFIX}{}", clean(path)?))
}

/// A path without what does not change where it leads.
fn clean(path: &str) -> Result<String, FileError> {
    let other = |reason: &str| FileError::Other { path: path.to_owned(), reason: reason.to_owned() };
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or_else(|| other("the path leads out of the bucket"))?;
            }
            segment => segments.push(segment),
        }
    }
    if segments.is_empty() {
        return Err(other("is a directory"));
    }
    Ok(segments.join("/"))
}

fn literal(segment: &GlobSegment) -> Option<&str> {
    match segment {
        GlobSegment::Name(name) => Some(name),
        GlobSegment::Pattern(_) => None,
    }
}

fn failure(path: &str, error: &PlatformError) -> FileError {
    let path = path.to_owned();
    match error {
        PlatformError::NotFound { .. } => FileError::NotFound { path },
        other => FileError::Other { path, reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_write_a_path_lead_to_one_key() {
        for path in ["/etc/a.json", "etc/a.json", "./etc//a.json", "/etc/x/../a.json"] {
            assert_eq!(file_key(path).unwrap(), "files/etc/a.json", "{path}");
        }
        for path in ["", "/", "..", "../a", "/a/../../b", "."] {
            assert!(file_key(path).is_err(), "{path}");
        }
    }
}
