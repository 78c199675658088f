//! Opens a data directory for one command.

use std::io::ErrorKind;
use std::path::Path;

use platform_local::{LocalError, LocalOptions, LocalPlatform};
use tsdb::{Settings, Store};

/// An open data directory.
pub(super) struct Opened {
    pub(super) local: LocalPlatform,
    pub(super) store: Store,
}

/// Opens a directory that must hold a store.
///
/// # Errors
/// In words for the user.
pub(super) fn existing(path: &Path) -> Result<Opened, String> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => return Err(format!("open {shown}: not a directory")),
        Ok(_) => {}
        Err(error) => return Err(format!("open {shown}: {}", words(&error))),
    }
    if !path.join("rows.redb").exists() {
        return Err(format!("open {shown}: it is not a data directory of foxfire: it has no rows.redb"));
    }
    open(path)
}

/// Opens a directory, made where it does not exist.
///
/// # Errors
/// In words for the user.
pub(super) fn or_create(path: &Path) -> Result<Opened, String> {
    open(path)
}

impl Opened {
    /// Closes the store, so that the next start needs no repair.
    pub(super) async fn close(self) {
        self.local.shutdown().await;
    }
}

fn open(path: &Path) -> Result<Opened, String> {
    let local = platform_local::open(&LocalOptions::new(path)).map_err(|error| match error {
        LocalError::Locked { .. } => format!("{error}; stop it first"),
        other => other.to_string(),
    })?;
    let store = Store::new(local.platform.clone(), settings());
    Ok(Opened { local, store })
}

/// What a single command does is not urgent and drops nothing: retention is the server's.
fn settings() -> Settings {
    Settings {
        retention_ms: None,
        merge_delay_ms: [0, 0],
        late_delay_ms: 0,
        delete_consumed_rows: true,
        ..Settings::default()
    }
}

/// An error of the system in its own words, as Go prints them.
pub(super) fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error ").next().unwrap_or(&text).to_lowercase()
        }
    }
}
