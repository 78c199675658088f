use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{Database, StorageBackend};

use super::*;

fn open(path: &Path) -> LocalRows {
    LocalRows::open(&path.join("rows.redb"), Arc::new(DirectoryLock::take(path).unwrap())).unwrap()
}

fn key(sort: &str) -> RowKey {
    RowKey::new("p", sort)
}

fn all() -> RowRange {
    RowRange { partition: "p".to_owned(), from: String::new(), until: None }
}

#[tokio::test]
async fn expired_rows_go_and_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let rows = open(directory.path());
    rows.create(&key("old"), Bytes::new(), Some(100)).await.unwrap();
    rows.create(&key("young"), Bytes::new(), Some(i64::MAX)).await.unwrap();
    rows.create(&key("eternal"), Bytes::new(), None).await.unwrap();
    rows.compare_and_set(&key("old"), 1, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(
        rows.get(&key("old")).await.unwrap().map(|row| (row.version, row.expires_at_s)),
        Some((2, Some(100)))
    );
    assert!(!writer::purge(&rows.store, 100), "a row lives up to its second");
    assert_eq!(rows.query(&all(), 9).await.unwrap().len(), 3);
    assert!(!writer::purge(&rows.store, 101));
    let left: Vec<String> =
        rows.query(&all(), 9).await.unwrap().into_iter().map(|row| row.key.sort).collect();
    assert_eq!(left, ["eternal", "young"]);
}

#[tokio::test]
async fn a_purge_that_meets_more_than_its_bound_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let rows = open(directory.path());
    let keys: Vec<RowKey> = (0..1_001).map(|index| key(&index.to_string())).collect();
    let expiry = Some(i64::MAX - 1);
    futures::future::try_join_all(keys.iter().map(|key| rows.create(key, Bytes::new(), expiry)))
        .await
        .unwrap();
    assert!(writer::purge(&rows.store, i64::MAX));
    assert_eq!(rows.query(&all(), 9).await.unwrap().len(), 1);
    assert!(!writer::purge(&rows.store, i64::MAX));
    assert_eq!(rows.query(&all(), 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_closed_store_refuses_and_can_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let rows = open(directory.path());
    rows.create(&key("a"), Bytes::from_static(b"1"), None).await.unwrap();
    rows.close().await;
    for error in [
        rows.create(&key("b"), Bytes::new(), None).await.unwrap_err(),
        rows.get(&key("a")).await.unwrap_err(),
    ] {
        assert!(error.to_string().ends_with("was denied: the store is closed"), "{error}");
    }
    drop(rows);
    assert_eq!(open(directory.path()).get(&key("a")).await.unwrap().unwrap().value, "1");
}

/// A disk that can be full.
#[derive(Debug)]
struct FullDisk {
    file: FileBackend,
    full: Arc<AtomicBool>,
}

impl FullDisk {
    fn check(&self) -> std::io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(std::io::Error::from_raw_os_error(28));
        }
        Ok(())
    }
}

impl StorageBackend for FullDisk {
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.check()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.check()?;
        self.file.write(offset, data)
    }
}

#[tokio::test]
async fn a_disk_that_was_full_serves_again_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let (path, switch) = (directory.path().join("rows.redb"), Arc::clone(&full));
    let opener = move || {
        let file = std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| redb::DatabaseError::Storage(redb::StorageError::Io(error)))?;
        let backend = FullDisk { file: FileBackend::new(file)?, full: Arc::clone(&switch) };
        Database::builder().create_with_backend(backend)
    };
    let store = Arc::new(Store::open(Box::new(opener)).unwrap());
    let lock = Arc::new(DirectoryLock::take(directory.path()).unwrap());
    let rows = LocalRows::start(store, lock).unwrap();
    rows.create(&key("before"), Bytes::from_static(b"1"), None).await.unwrap();
    full.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let error = rows.create(&key("meanwhile"), Bytes::from(vec![7; 300_000]), None).await.unwrap_err();
        assert!(
            matches!(error, PlatformError::Denied { .. } | PlatformError::Ambiguous { .. }),
            "a full disk is no success: {error}"
        );
    }
    full.store(false, Ordering::SeqCst);
    rows.create(&key("after"), Bytes::from_static(b"2"), None).await.unwrap();
    assert_eq!(rows.get(&key("before")).await.unwrap().unwrap().value, "1");
    assert_eq!(rows.get(&key("after")).await.unwrap().unwrap().value, "2");
}
