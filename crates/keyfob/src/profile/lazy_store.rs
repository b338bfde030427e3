//! A store that is opened, and whose secrets are read, when it is first used.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::lock::Mutex;

use crate::error::error::Error;
use crate::profile::keyring;
use crate::profile::schema::store::{FileSettings, PersistentStore, RedisSettings};
use crate::profile::secret_ref::SecretRef;
use crate::store::error::StoreError;
use crate::store::file::FileStore;
use crate::store::key::StoreKey;
use crate::store::redis::RedisStore;
use crate::store::seal::{SealingKey, SealingKeys};
use crate::store::store::{EntrySummary, StoreLease, StoredEntry, TokenStore};

/// A store that opens the one that the settings describe.
pub(super) struct LazyStore {
    settings: PersistentStore,
    opened: Mutex<Option<Arc<dyn TokenStore>>>,
}

impl LazyStore {
    pub(super) fn new(settings: PersistentStore) -> Self {
        Self {
            settings,
            opened: Mutex::new(None),
        }
    }

    async fn opened(&self) -> Result<Arc<dyn TokenStore>, StoreError> {
        let mut opened = self.opened.lock().await;
        if let Some(store) = &*opened {
            return Ok(Arc::clone(store));
        }
        let store = open(&self.settings)
            .await
            .map_err(StoreError::unavailable)?;
        *opened = Some(Arc::clone(&store));
        Ok(store)
    }
}

async fn open(settings: &PersistentStore) -> Result<Arc<dyn TokenStore>, Error> {
    match settings {
        PersistentStore::Files(files) => Ok(Arc::new(open_files(files).await?)),
        PersistentStore::Keyring => keyring::store(),
        PersistentStore::Redis(redis) => Ok(Arc::new(open_redis(redis).await?)),
    }
}

async fn open_files(settings: &FileSettings) -> Result<FileStore, Error> {
    let directory = match &settings.directory {
        Some(directory) => directory.clone(),
        None => FileStore::default_directory()?,
    };
    let store = FileStore::new(directory);
    Ok(match read_sealing_keys(&settings.keys).await? {
        Some(keys) => store.sealed(keys),
        None => store,
    })
}

async fn open_redis(settings: &RedisSettings) -> Result<RedisStore, Error> {
    let keys = read_sealing_keys(&settings.keys).await?;
    let keys = keys.ok_or_else(|| Error::input("the store has no key to seal tokens with"))?;
    let mut store = RedisStore::open(&settings.url.read_now().await?, keys)?;
    if let Some(prefix) = &settings.prefix {
        store = store.prefix(prefix);
    }
    if let Some(lease) = settings.lease {
        store = store.lease_duration(lease);
    }
    Ok(store)
}

/// The keys that seal entries: the first key seals, and each of them unseals.
async fn read_sealing_keys(secrets: &[SecretRef]) -> Result<Option<SealingKeys>, Error> {
    let mut keys: Option<SealingKeys> = None;
    for secret in secrets {
        let key = SealingKey::from_base64(&secret.read_now().await?)?;
        keys = Some(match keys {
            None => SealingKeys::new(key),
            Some(keys) => keys.old_key(key),
        });
    }
    Ok(keys)
}

impl TokenStore for LazyStore {
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<StoredEntry>, StoreError>> {
        Box::pin(async move { self.opened().await?.load(key).await })
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        Box::pin(async move { self.opened().await?.lease(key, max_wait).await })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<EntrySummary>, StoreError>> {
        Box::pin(async move { self.opened().await?.list().await })
    }

    fn leases_expire(&self) -> bool {
        // Asked before the store is open. Of the stores here, only Redis has leases that expire.
        matches!(self.settings, PersistentStore::Redis(_))
    }
}
