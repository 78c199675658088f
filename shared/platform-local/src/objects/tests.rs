use super::*;

fn open(path: &Path) -> LocalObjects {
    LocalObjects::open(path, Arc::new(DirectoryLock::take(path).unwrap())).unwrap()
}

async fn create(objects: &LocalObjects, key: &str) -> Put {
    objects.create(key, Bytes::from(key.to_owned())).await.unwrap()
}

async fn keys(objects: &LocalObjects, prefix: &str) -> Vec<String> {
    objects.list(prefix, None, 100).await.unwrap().into_iter().map(|listed| listed.key).collect()
}

#[tokio::test]
async fn keys_are_paths_and_unfinished_bodies_go_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let objects = open(directory.path());
    create(&objects, "block/01J/data.parquet").await;
    drop(objects);
    fs::write(directory.path().join("tmp/7"), "half").unwrap();
    let objects = open(directory.path());
    assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
    let path = directory.path().join("objects/block/01J/data.parquet");
    assert_eq!(fs::read_to_string(path).unwrap(), "block/01J/data.parquet");
    assert_eq!(create(&objects, "block/01J/data.parquet").await, Put::Exists);
    assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn foreign_files_and_prefixes_out_of_the_root_list_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let objects = open(directory.path());
    create(&objects, "a/b").await;
    fs::write(directory.path().join("objects/a/not a key"), "").unwrap();
    std::os::unix::fs::symlink("/etc", directory.path().join("objects/etc")).unwrap();
    assert_eq!(keys(&objects, "").await, ["a/b"]);
    for prefix in ["../", "/", "a/../", "a//", "/etc/", "etc/../../"] {
        assert_eq!(keys(&objects, prefix).await, Vec::<String>::new(), "{prefix}");
    }
}

#[tokio::test]
async fn deleting_the_last_object_of_a_directory_removes_it() {
    let directory = tempfile::tempdir().unwrap();
    let objects = open(directory.path());
    for key in ["a/b/c/1", "a/b/c/2", "a/d"] {
        create(&objects, key).await;
    }
    let exists = |path: &str| directory.path().join("objects").join(path).exists();
    objects.delete("a/b/c/1").await.unwrap();
    assert!(exists("a/b/c"));
    objects.delete("a/b/c/2").await.unwrap();
    assert!(exists("a") && !exists("a/b"));
    objects.delete("a/d").await.unwrap();
    assert!(!exists("a") && exists(""));
    create(&objects, "a/b/c/3").await;
    assert_eq!(keys(&objects, "a/b/").await, ["a/b/c/3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creations_survive_the_removal_of_their_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let objects = open(directory.path());
    for round in 0..60 {
        let (old, new) = (format!("w/x/{round}-old"), format!("w/x/{round}-new"));
        create(&objects, &old).await;
        let (deleted, created) = tokio::join!(objects.delete(&old), create(&objects, &new));
        deleted.unwrap();
        assert!(matches!(created, Put::Created(_)));
        assert_eq!(keys(&objects, "w/").await, [new.as_str()]);
        objects.delete(&new).await.unwrap();
    }
}

#[tokio::test]
async fn an_object_that_lost_bytes_is_corrupt_or_another_version() {
    let directory = tempfile::tempdir().unwrap();
    let objects = open(directory.path());
    let Put::Created(version) = create(&objects, "whole").await else { panic!("the key was free") };
    let file = File::options().write(true).open(directory.path().join("objects/whole")).unwrap();
    file.set_len(2).unwrap();
    let read = objects.read("whole", Some(&version), ByteRange::All).await;
    assert!(matches!(read, Err(PlatformError::NotFound { .. })), "{read:?}");
}

#[tokio::test]
async fn a_read_only_directory_denies_with_the_systems_words() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let objects = open(directory.path());
    let tmp = directory.path().join("tmp");
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o500)).unwrap();
    if File::create(tmp.join("probe")).is_ok() {
        println!("skipped: this user may write anywhere");
        return;
    }
    let denied = objects.create("a", Bytes::new()).await.unwrap_err();
    assert_eq!(denied.to_string(), "create a was denied: permission denied");
}

#[test]
fn no_two_creations_have_one_time() {
    let directory = tempfile::tempdir().unwrap();
    let objects = open(directory.path());
    let stamps: BTreeSet<SystemTime> = (0..10_000).map(|_| objects.store.stamp()).collect();
    assert_eq!(stamps.len(), 10_000, "also within a microsecond, and while the clock stands or goes back");
}
