//! Blocking calls of the operating system: where they run, and what their failures mean to a caller of a port.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use platform::PlatformError;
use platform_system::system_words;

/// Runs `call` on a thread that may block. It runs to its end even if this future is dropped.
pub(crate) async fn run<T, C>(operation: String, call: C) -> Result<T, PlatformError>
where
    T: Send + 'static,
    C: FnOnce() -> Result<T, PlatformError> + Send + 'static,
{
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => Err(PlatformError::Ambiguous { operation, reason: error.to_string() }),
    }
}

/// A failure before anything happened. What passes by itself is a throttle: too many open files, no memory.
pub(crate) fn refused(operation: &str, error: &io::Error) -> PlatformError {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let operation = operation.to_owned();
    let passing = matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::OutOfMemory
    );
    if passing || matches!(error.raw_os_error(), Some(ENFILE | EMFILE)) {
        PlatformError::Throttled { operation }
    } else {
        PlatformError::Denied { operation, reason: system_words(error) }
    }
}

/// A failure after something may have happened.
pub(crate) fn ambiguous(operation: &str, error: &io::Error) -> PlatformError {
    PlatformError::Ambiguous { operation: operation.to_owned(), reason: system_words(error) }
}

/// Makes a directory's entries durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Locks; what a panicked holder left is taken as it is, for every change under these locks is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_or_read_only_disk_needs_a_person_but_too_many_files_pass() {
        for number in [13, 28, 30] {
            let error = refused("create a", &io::Error::from_raw_os_error(number));
            assert!(matches!(error, PlatformError::Denied { .. }), "{error}");
        }
        let error = refused("create a", &io::Error::from_raw_os_error(24));
        assert!(matches!(error, PlatformError::Throttled { .. }), "{error}");
    }
}
