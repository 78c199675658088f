//! The seam on one machine: what `foxfire serve` runs on.
//!
//! ```text
//!  <path>/lock          held while the process lives: one process a directory
//!  <path>/objects/…     LocalObjects   one file an object, its key the path; created by hard link from tmp/
//!  <path>/tmp/          bodies being written; emptied at start
//!  <path>/rows.redb     LocalRows      one embedded store; a thread commits what many callers ask for together
//!  memory               LocalQueue     delays, visibility, redelivery, dead letters; lost with the process
//!  the network          SystemFetcher  pooled connections, every address checked, every body bounded
//!  the file system      LocalFiles     files that a configuration refers to
//! ```
//!
//! What a port promised durable has been synced to the disk when its future completes. Blocking calls run on tokio's
//! threads for them, so the futures must be polled within a tokio runtime. A future that is dropped leaves its call
//! running to its end, as a crashed caller of a remote store would.
#![expect(
    clippy::disallowed_methods,
    reason = "this adapter is where the system's time, threads and files are reached"
)]

mod blocking;
mod files;
mod lock;
mod objects;
mod queue;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{Clock, Platform};
use platform_system::{FetcherError, SystemClock, SystemEntropy, SystemFetcher, system_words};

pub use files::LocalFiles;
pub use lock::DirectoryLock;
pub use objects::LocalObjects;
pub use platform_system::AddressRules;
pub use queue::{DeadLetter, LocalQueue, QueueDepth, QueueLimits};
pub use rows::LocalRows;

/// How to open a data directory.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The data directory; made where it does not exist.
    pub path: PathBuf,
    /// Which addresses scrapes may reach beyond the public and private ones.
    pub addresses: AddressRules,
    /// Bounds of each of the two queues.
    pub queues: QueueLimits,
}

impl LocalOptions {
    /// The options of a server on one's own machine: it may reach loopback addresses.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            addresses: AddressRules { loopback: true, unspecified: true, link_local: false },
            queues: QueueLimits::default(),
        }
    }
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another process has it.
    #[error("data directory {} is in use by another foxfire process{}", path.display(), describe_pid(*pid))]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The other process, where it has said.
        pid: Option<u32>,
    },
    /// A file or directory in it cannot be made, opened or read.
    #[error("data directory: open {}: {}", path.display(), system_words(source))]
    Directory {
        /// What could not be opened.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store of rows cannot be opened: it is damaged, or of another version.
    #[error("data directory: open {}: {reason}", path.display())]
    Rows {
        /// Its file.
        path: PathBuf,
        /// The store's own words.
        reason: String,
    },
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Fetcher(#[from] FetcherError),
}

/// An open data directory. It stays locked until this, and every port taken from it, has been dropped.
#[derive(Debug)]
pub struct LocalPlatform {
    /// The ports.
    pub platform: Platform,
    /// The scrapers' queue with its depths and dead letters.
    pub scrape_queue: Arc<LocalQueue>,
    /// The ruler's queue with its depths and dead letters.
    pub rule_queue: Arc<LocalQueue>,
    rows: Arc<LocalRows>,
}

impl LocalPlatform {
    /// Commits the rows already asked for, refuses later ones and closes the store, so that the next start needs no
    /// repair. Objects need no closing.
    pub async fn shutdown(&self) {
        self.rows.close().await;
    }
}

/// Opens a data directory: takes its lock, sweeps what an earlier process left half written, and gives the ports.
///
/// # Errors
/// [`LocalError`].
pub fn open(options: &LocalOptions) -> Result<LocalPlatform, LocalError> {
    let path = &options.path;
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| LocalError::Directory { path, source }
    };
    fs::create_dir_all(path).map_err(failed(path))?;
    let lock = Arc::new(DirectoryLock::take(path)?);
    let objects = LocalObjects::open(path, Arc::clone(&lock)).map_err(failed(path))?;
    let rows_path = path.join("rows.redb");
    refuse_lost_rows(path, &rows_path)?;
    let rows = Arc::new(LocalRows::open(&rows_path, lock)?);
    blocking::sync_directory(path).map_err(failed(path))?;
    let fetcher = SystemFetcher::new(options.addresses)?;
    let scrape_queue = Arc::new(LocalQueue::new(options.queues));
    let rule_queue = Arc::new(LocalQueue::new(options.queues));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let platform = Platform {
        objects: Arc::new(objects),
        rows: Arc::clone(&rows) as _,
        scrape_queue: Arc::clone(&scrape_queue) as _,
        rule_queue: Arc::clone(&rule_queue) as _,
        alert_topic: None,
        fetcher: Arc::new(fetcher),
        files: Arc::new(LocalFiles),
        clock,
        entropy: Arc::new(SystemEntropy::new()),
    };
    Ok(LocalPlatform { platform, scrape_queue, rule_queue, rows })
}

/// Without its rows a data directory looks empty: queries would miss everything, and the collector would delete the
/// objects that nothing refers to any more. So objects without rows are refused.
fn refuse_lost_rows(path: &Path, rows_path: &Path) -> Result<(), LocalError> {
    let lost = match fs::metadata(rows_path) {
        Ok(metadata) => metadata.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    let objects = path.join("objects");
    let failed = |source| LocalError::Directory { path: objects.clone(), source };
    if lost && holds_file(&objects).map_err(failed)? {
        let reason = format!(
            "it is missing or empty, though {} holds data; restore it, or move both away to begin anew",
            objects.display()
        );
        return Err(LocalError::Rows { path: rows_path.to_path_buf(), reason });
    }
    Ok(())
}

/// Whether there is a file anywhere below a directory.
fn holds_file(directory: &Path) -> std::io::Result<bool> {
    let mut unseen = vec![directory.to_path_buf()];
    while let Some(directory) = unseen.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                return Ok(true);
            }
            unseen.push(entry.path());
        }
    }
    Ok(false)
}

fn describe_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_open_is_refused_until_the_first_and_its_ports_are_gone() {
        let directory = tempfile::tempdir().unwrap();
        let options = LocalOptions::new(directory.path().join("new/data"));
        let first = open(&options).unwrap();
        let refused = open(&options).unwrap_err();
        let pid = std::process::id();
        assert_eq!(
            refused.to_string(),
            format!(
                "data directory {} is in use by another foxfire process (pid {pid})",
                options.path.display()
            )
        );
        let platform = first.platform.clone();
        drop(first);
        assert!(matches!(open(&options), Err(LocalError::Locked { .. })));
        drop(platform);
        open(&options).unwrap();
    }

    #[test]
    fn a_path_that_is_a_file_is_refused_with_the_systems_words() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = open(&LocalOptions::new(file.path())).unwrap_err();
        assert!(error.to_string().ends_with("file exists"), "{error}");
    }

    #[test]
    fn a_damaged_store_of_rows_is_refused_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.redb");
        fs::write(&path, [b'x'; 9000]).unwrap();
        let error = open(&LocalOptions::new(directory.path())).unwrap_err();
        assert!(matches!(error, LocalError::Rows { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), [b'x'; 9000]);
    }

    #[tokio::test]
    async fn objects_whose_rows_are_lost_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let options = LocalOptions::new(directory.path());
        drop(open(&options).unwrap());
        let rows = directory.path().join("rows.redb");
        fs::remove_file(&rows).unwrap();
        let opened = open(&options).unwrap();
        opened.platform.objects.create("block/x", "body".into()).await.unwrap();
        drop(opened);
        open(&options).unwrap();
        for lose in [|path: &Path| fs::remove_file(path), |path: &Path| fs::write(path, "")] {
            lose(&rows).unwrap();
            let error = open(&options).unwrap_err().to_string();
            assert!(error.contains("it is missing or empty, though"), "{error}");
        }
    }
}
