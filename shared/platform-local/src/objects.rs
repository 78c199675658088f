//! Immutable objects as files of a directory.
//!
//! A body is written to a file in `tmp/`, synced, and linked to its name, which fails where the name is taken: so a
//! creation is atomic, exclusive and never seen half done. The name is durable once its directory, and every directory
//! above it that is new, has been synced.
//!
//! The version of an object is its file's time of modification, which is set to a microsecond that no other creation
//! had, and its length. An inode's number would not do: a file system gives it to the next file at once, and a copy of
//! the data directory has others.

mod list;

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use platform::{
    ByteRange, ListedObject, Object, Objects, PlatformError, PlatformFuture, Put, Version, check_object_key,
};

use crate::DirectoryLock;
use crate::blocking::{self, ambiguous, lock, refused, sync_directory};

/// Objects in a directory that this process has locked.
#[derive(Debug)]
pub struct LocalObjects {
    store: Arc<Store>,
}

#[derive(Debug)]
struct Store {
    root: PathBuf,
    tmp: PathBuf,
    /// Names files in `tmp/`.
    sequence: AtomicU64,
    /// The time that the latest creation was given, µs since the epoch.
    stamped_us: Mutex<u64>,
    /// Directories whose own names are durable. A creation holds this for reading while it makes directories and links
    /// into them; the removal of empty directories holds it for writing, so that neither meets the other half-way.
    directories: RwLock<()>,
    durable: Mutex<BTreeSet<PathBuf>>,
    _lock: Arc<DirectoryLock>,
}

impl LocalObjects {
    /// Opens `objects/` and `tmp/` in the data directory `path`, and removes what an earlier process left in `tmp/`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path, directory_lock: Arc<DirectoryLock>) -> io::Result<Self> {
        let (root, tmp) = (path.join("objects"), path.join("tmp"));
        fs::create_dir_all(&root)?;
        fs::create_dir_all(&tmp)?;
        for leftover in fs::read_dir(&tmp)? {
            let leftover = leftover?.path();
            tracing::debug!(path = %leftover.display(), "removing an object that was never finished");
            fs::remove_file(leftover)?;
        }
        let store = Store {
            root,
            tmp,
            sequence: AtomicU64::new(0),
            stamped_us: Mutex::new(0),
            directories: RwLock::new(()),
            durable: Mutex::default(),
            _lock: directory_lock,
        };
        Ok(Self { store: Arc::new(store) })
    }
}

impl Objects for LocalObjects {
    fn create<'a>(&'a self, key: &'a str, body: Bytes) -> PlatformFuture<'a, Put> {
        Box::pin(async move {
            check_object_key("create", key)?;
            let (store, key) = (Arc::clone(&self.store), key.to_owned());
            blocking::run(format!("create {key}"), move || store.create(&key, &body)).await
        })
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        version: Option<&'a Version>,
        range: ByteRange,
    ) -> PlatformFuture<'a, Object> {
        Box::pin(async move {
            check_object_key("read", key)?;
            let (store, key, version) = (Arc::clone(&self.store), key.to_owned(), version.cloned());
            blocking::run(format!("read {key}"), move || store.read(&key, version.as_ref(), range)).await
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> PlatformFuture<'a, Vec<ListedObject>> {
        let (store, prefix, after) = (Arc::clone(&self.store), prefix.to_owned(), after.map(str::to_owned));
        Box::pin(async move {
            let operation = format!("list {prefix}");
            let failed = operation.clone();
            blocking::run(operation, move || {
                list::list(&store.root, &prefix, after.as_deref(), limit)
                    .map_err(|error| refused(&failed, &error))
            })
            .await
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> PlatformFuture<'a, ()> {
        Box::pin(async move {
            check_object_key("delete", key)?;
            let (store, key) = (Arc::clone(&self.store), key.to_owned());
            blocking::run(format!("delete {key}"), move || store.delete(&key)).await
        })
    }
}

impl Store {
    fn create(&self, key: &str, body: &[u8]) -> Result<Put, PlatformError> {
        let operation = format!("create {key}");
        let path = self.root.join(key);
        let temporary = self.tmp.join(self.sequence.fetch_add(1, Ordering::Relaxed).to_string());
        let written = self.write(&temporary, body);
        let created = match written {
            Ok(version) => self.link(&operation, &temporary, &path).map(|linked| match linked {
                Linked::New => Put::Created(version),
                Linked::Taken => Put::Exists,
            }),
            Err(error) => Err(refused(&operation, &error)),
        };
        // Only a waste of space where it fails; the next start tries again.
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %temporary.display(), %error, "removing a temporary file");
        }
        created
    }

    /// Writes a body where nobody sees it yet.
    fn write(&self, temporary: &Path, body: &[u8]) -> io::Result<Version> {
        let mut file = File::create_new(temporary)?;
        file.write_all(body)?;
        file.set_times(FileTimes::new().set_modified(self.stamp()))?;
        file.sync_all()?;
        version_of(&file.metadata()?)
    }

    /// Now, or a little later: a microsecond that no other creation was given.
    fn stamp(&self) -> SystemTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let mut stamped_us = lock(&self.stamped_us);
        *stamped_us = now_us.max(stamped_us.saturating_add(1));
        UNIX_EPOCH + Duration::from_micros(*stamped_us)
    }

    /// Gives a written body its name.
    fn link(&self, operation: &str, temporary: &Path, path: &Path) -> Result<Linked, PlatformError> {
        let parent = path.parent().unwrap_or(&self.root);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory => under_an_object(operation),
            _ => refused(operation, &error),
        };
        {
            let _shared = self.directories.read().unwrap_or_else(PoisonError::into_inner);
            self.make_directory(parent).map_err(failed)?;
            match fs::hard_link(temporary, path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return match fs::symlink_metadata(path) {
                        Ok(metadata) if metadata.is_dir() => Err(PlatformError::Invalid {
                            operation: operation.to_owned(),
                            reason: "other keys have this one as a directory".to_owned(),
                        }),
                        // Another creation has the name, but perhaps not durably yet; who hears `Exists` may rely on it.
                        _ => make_name_durable(operation, parent).map(|()| Linked::Taken),
                    };
                }
                Err(error) => return Err(failed(error)),
            }
        }
        make_name_durable(operation, parent).map(|()| Linked::New)
    }

    /// Makes a directory and those above it, durably.
    fn make_directory(&self, directory: &Path) -> io::Result<()> {
        if directory == self.root || lock(&self.durable).contains(directory) {
            return Ok(());
        }
        let parent = directory.parent().unwrap_or(&self.root);
        self.make_directory(parent)?;
        match fs::create_dir(directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !fs::metadata(directory)?.is_dir() {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
            }
            Err(error) => return Err(error),
        }
        // Also where another creation has made it, for that one may not have come so far.
        sync_directory(parent)?;
        lock(&self.durable).insert(directory.to_path_buf());
        Ok(())
    }

    fn read(&self, key: &str, version: Option<&Version>, range: ByteRange) -> Result<Object, PlatformError> {
        let operation = format!("read {key}");
        let absent = || PlatformError::NotFound { what: format!("object {key}") };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => absent(),
            _ => refused(&operation, &error),
        };
        let mut file = File::open(self.root.join(key)).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(absent());
        }
        let own = version_of(&metadata).map_err(failed)?;
        if version.is_some_and(|version| *version != own) {
            return Err(absent());
        }
        let len = metadata.len();
        let (start, wanted) = match range {
            ByteRange::All => (0, len),
            ByteRange::At { start, len: wanted } => (start.min(len), wanted.min(len.saturating_sub(start))),
            ByteRange::Last(wanted) => (len.saturating_sub(wanted), wanted.min(len)),
        };
        let mut body = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        file.take(wanted).read_to_end(&mut body).map_err(failed)?;
        if body.len() as u64 != wanted {
            let reason = format!("{} of {wanted} bytes could be read", body.len());
            return Err(PlatformError::Corrupt { what: format!("object {key}"), reason });
        }
        Ok(Object { body: body.into(), version: own, len })
    }

    fn delete(&self, key: &str) -> Result<(), PlatformError> {
        let operation = format!("delete {key}");
        let path = self.root.join(key);
        match fs::symlink_metadata(&path).and_then(|metadata| {
            if metadata.is_dir() { Err(io::ErrorKind::NotFound.into()) } else { fs::remove_file(&path) }
        }) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(refused(&operation, &error)),
        }
        let parent = path.parent().unwrap_or(&self.root);
        match sync_directory(parent) {
            Ok(()) => self.prune(parent),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ambiguous(&operation, &error)),
        }
        Ok(())
    }

    /// Removes a directory and those above it while they are empty. That it cannot is no matter: they only take room.
    fn prune(&self, directory: &Path) {
        let is_empty =
            |directory: &Path| fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
        if directory == self.root || !is_empty(directory) {
            return;
        }
        let _exclusive = self.directories.write().unwrap_or_else(PoisonError::into_inner);
        for directory in directory.ancestors().take_while(|directory| *directory != self.root) {
            lock(&self.durable).remove(directory);
            if fs::remove_dir(directory).is_err() {
                return;
            }
        }
    }
}

enum Linked {
    New,
    Taken,
}

fn make_name_durable(operation: &str, directory: &Path) -> Result<(), PlatformError> {
    match sync_directory(directory) {
        Ok(()) => Ok(()),
        // The object was deleted in the meantime, and its directory with it. That it was created stays true.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ambiguous(operation, &error)),
    }
}

fn under_an_object(operation: &str) -> PlatformError {
    let reason = "another key is a directory of this one".to_owned();
    PlatformError::Invalid { operation: operation.to_owned(), reason }
}

fn version_of(metadata: &Metadata) -> io::Result<Version> {
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Version(format!("{:x}-{:x}", modified.as_nanos(), metadata.len())))
}

#[cfg(test)]
mod tests;
