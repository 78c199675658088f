//! A disk of a few megabytes, in a mount namespace of its own: nobody needs to be root for that.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::eventually;

/// A tmpfs that only processes started [`SmallDisk::by`] it see at its place; gone when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    place: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `bytes` at `place`, an empty folder.
    pub fn mount(place: &Path, bytes: u64) -> Self {
        let ready = place.with_extension("mounted");
        let script = format!(
            "mount -t tmpfs -o size={bytes} tmpfs '{}' && touch '{}' && exec sleep 1000000",
            place.display(),
            ready.display()
        );
        let holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut disk = Self { holder, place: place.to_owned() };
        eventually("a disk in a namespace of its own", Duration::from_secs(10), || {
            assert!(disk.holder.try_wait().unwrap().is_none(), "user namespaces are not allowed here");
            if ready.exists() { Ok(()) } else { Err("not mounted".to_owned()) }
        });
        disk
    }

    /// The command that starts another one where the disk is seen.
    pub fn by(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        ["nsenter", "--target", &holder, "--user", "--mount", "--preserve-credentials", "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Where this process sees its files.
    pub fn path(&self) -> PathBuf {
        let place = self.place.strip_prefix("/").unwrap_or(&self.place);
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(place)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
