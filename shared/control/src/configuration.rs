//! Which configuration is in force.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use platform::{ByteRange, Cas, Objects, Platform, RowKey};
use wire::{ConfigBundle, Pointer};

use crate::content::store_content;
use crate::load::{Loaded, load_bundle};
use crate::{CAS_ATTEMPTS_MAX, ControlError, PARTITION};

pub(crate) const KIND: &str = "config";

/// So many configurations are kept validated: those that queued tasks may still name.
const CACHED_MAX: usize = 8;

/// Stores a configuration and makes it the one in force; returns its key. The caller has validated it. The one in
/// force already is not stored again.
///
/// # Errors
/// [`ControlError`]; the old one may stay in force.
pub async fn publish_config(platform: &Platform, bundle: &ConfigBundle) -> Result<String, ControlError> {
    let body = wire::encode(bundle);
    let register = register();
    for _ in 0..CAS_ATTEMPTS_MAX {
        let current = platform.rows.get(&register).await?;
        let expected = current.as_ref().map_or(0, |row| row.version);
        let in_force: Option<Pointer> =
            current.map(|row| wire::decode("config register", &row.value)).transpose()?;
        let in_force = in_force.map(|pointer| pointer.key);
        // Stored after the register was read, so that whoever waits long enough to have it collected loses the
        // compare-and-set to the collector's fence.
        let key = store_content(platform, KIND, &body, in_force.as_deref()).await?;
        if in_force.as_ref() == Some(&key) {
            // It is there, unless it was lost; then this brings it back.
            platform.objects.create(&key, Bytes::from(body.clone())).await?;
        }
        let pointer = Pointer { v: 1, key: key.clone(), set_at: platform.clock.now_ms() };
        let value = Bytes::from(wire::encode(&pointer));
        if let Cas::Done(_) = platform.rows.compare_and_set(&register, expected, value).await? {
            return Ok(key);
        }
    }
    Err(ControlError::Contended(KIND.to_owned()))
}

/// Gives the variables that `external_labels` may name.
type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Reads configurations and keeps the validated ones, for they are immutable.
pub struct ConfigCache {
    platform: Platform,
    environment: Environment,
    loaded: Mutex<BTreeMap<String, Arc<Loaded>>>,
}

impl std::fmt::Debug for ConfigCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigCache").finish_non_exhaustive()
    }
}

impl ConfigCache {
    /// A cache over a platform; `environment` gives the variables that `external_labels` may name.
    pub fn new(
        platform: Platform,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { platform, environment: Arc::new(environment), loaded: Mutex::new(BTreeMap::new()) }
    }

    /// The configuration in force.
    ///
    /// # Errors
    /// [`ControlError::NoConfig`] where none was published; otherwise as [`ConfigCache::at`].
    pub async fn current(&self) -> Result<Arc<Loaded>, ControlError> {
        let pointer = self.current_pointer().await?;
        self.at(&pointer.key).await
    }

    /// The register that names the configuration in force.
    ///
    /// # Errors
    /// [`ControlError::NoConfig`] where none was published, or the store's error.
    pub async fn current_pointer(&self) -> Result<Pointer, ControlError> {
        let row = self.platform.rows.get(&register()).await?;
        let row = row.ok_or(ControlError::NoConfig)?;
        Ok(wire::decode("config register", &row.value)?)
    }

    /// The configuration that is stored under `key`.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn at(&self, key: &str) -> Result<Arc<Loaded>, ControlError> {
        if let Some(loaded) = self.cached(key) {
            return Ok(loaded);
        }
        let bundle = read_bundle(&*self.platform.objects, key).await?;
        let loaded = Arc::new(load_bundle(key, &bundle, &*self.environment)?);
        let mut cache = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        while cache.len() >= CACHED_MAX {
            cache.pop_first();
        }
        cache.insert(key.to_owned(), Arc::clone(&loaded));
        Ok(loaded)
    }

    fn cached(&self, key: &str) -> Option<Arc<Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(Arc::clone)
    }
}

pub(crate) fn register() -> RowKey {
    RowKey::new(PARTITION, KIND)
}

async fn read_bundle(objects: &dyn Objects, key: &str) -> Result<ConfigBundle, ControlError> {
    let object = objects.read(key, None, ByteRange::All).await?;
    Ok(wire::decode("configuration", &object.body)?)
}
