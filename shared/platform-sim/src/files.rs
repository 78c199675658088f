//! Files in memory.

use platform::{FileError, Files, Glob, PlatformError, PlatformFuture};

use crate::stores::Stores;
use crate::{Handle, Operation};

#[derive(Debug)]
pub(crate) struct SimFiles {
    world: Handle,
}

impl SimFiles {
    pub(crate) fn new(world: Handle) -> Self {
        Self { world }
    }
}

impl Files for SimFiles {
    fn read<'a>(&'a self, path: &'a str, bytes_max: u64) -> PlatformFuture<'a, Vec<u8>, FileError> {
        Box::pin(async move {
            let path = path.to_owned();
            let subject = path.clone();
            let read = move |stores: &mut Stores, _| match stores.files.get(&path) {
                None => Err(FileError::NotFound { path }),
                Some(body) if body.len() as u64 > bytes_max => Err(FileError::TooLarge { path, bytes_max }),
                Some(body) => Ok(body.clone()),
            };
            let body = self.world.effect(Operation::FileRead, &subject, read).await;
            Ok(body.map_err(|error| failed(subject, &error))??.to_vec())
        })
    }

    fn glob<'a>(&'a self, pattern: &'a str) -> PlatformFuture<'a, Vec<String>, FileError> {
        Box::pin(async move {
            let Some(glob) = Glob::parse(pattern) else {
                let reason = "syntax error in pattern".to_owned();
                return Err(FileError::Other { path: pattern.to_owned(), reason });
            };
            let read = move |stores: &mut Stores, _| -> Vec<String> {
                stores.files.keys().filter(|path| glob.matches(path)).cloned().collect()
            };
            let paths = self.world.effect(Operation::FileGlob, pattern, read).await;
            paths.map_err(|error| failed(pattern.to_owned(), &error))
        })
    }
}

fn failed(path: String, error: &PlatformError) -> FileError {
    FileError::Other { path, reason: error.to_string() }
}
