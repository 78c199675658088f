//! Files for tests: in memory, each read complete at once.

use std::collections::BTreeMap;
use std::sync::Mutex;

use platform::{FileError, Files, PlatformFuture};

/// Contents by path; `None` is a file that cannot be read.
#[derive(Debug, Default)]
pub(crate) struct TestFiles {
    contents: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
}

impl TestFiles {
    pub(crate) fn put(&self, path: &str, text: &str) {
        self.contents.lock().unwrap().insert(path.to_owned(), Some(text.as_bytes().to_vec()));
    }

    pub(crate) fn break_file(&self, path: &str) {
        self.contents.lock().unwrap().insert(path.to_owned(), None);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.contents.lock().unwrap().remove(path);
    }
}

impl Files for TestFiles {
    fn read<'a>(&'a self, path: &'a str, bytes_max: u64) -> PlatformFuture<'a, Vec<u8>, FileError> {
        let content = self.contents.lock().unwrap().get(path).cloned();
        Box::pin(async move {
            let path = path.to_owned();
            match content {
                Some(Some(bytes)) if bytes.len() as u64 <= bytes_max => Ok(bytes),
                Some(Some(_)) => Err(FileError::TooLarge { path, bytes_max }),
                Some(None) => Err(FileError::Other { path, reason: "permission denied".to_owned() }),
                None => Err(FileError::NotFound { path }),
            }
        })
    }

    fn glob<'a>(&'a self, pattern: &'a str) -> PlatformFuture<'a, Vec<String>, FileError> {
        let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
        let contents = self.contents.lock().unwrap();
        let matches = |path: &&String| {
            path.as_str() == pattern
                || pattern.contains('*') && path.starts_with(before) && path.ends_with(after)
        };
        let found = contents.keys().filter(matches).cloned().collect();
        Box::pin(async move { Ok(found) })
    }
}
