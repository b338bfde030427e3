//! A store that is made when it is first used, of secrets that are read then.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::lock::Mutex;

use crate::error::error::Error;
#[cfg(feature = "keyring")]
use crate::profile::keyring;
#[cfg(not(feature = "keyring"))]
use crate::profile::no_keyring as keyring;
use crate::profile::schema::{Files, Redis};
use crate::profile::secret_ref::Reference;
use crate::store::error::StoreError;
use crate::store::file::FileStore;
use crate::store::key::StoreKey;
use crate::store::redis::RedisStore;
use crate::store::seal::{SealingKey, SealingKeys};
use crate::store::store::{EntrySummary, StoreLease, StoredEntry, TokenStore};

/// What is to be opened.
pub(super) enum Closed {
    Files(Files),
    Keyring,
    Redis(Box<Redis>),
}

/// A store that hands everything on to the one that it opens.
pub(super) struct Opening {
    closed: Closed,
    opened: Mutex<Option<Arc<dyn TokenStore>>>,
}

impl Opening {
    pub(super) fn new(closed: Closed) -> Self {
        Self {
            closed,
            opened: Mutex::new(None),
        }
    }

    async fn opened(&self) -> Result<Arc<dyn TokenStore>, StoreError> {
        let mut opened = self.opened.lock().await;
        if let Some(store) = &*opened {
            return Ok(Arc::clone(store));
        }
        let store = self.closed.open().await.map_err(StoreError::unavailable)?;
        *opened = Some(Arc::clone(&store));
        Ok(store)
    }
}

impl Closed {
    async fn open(&self) -> Result<Arc<dyn TokenStore>, Error> {
        match self {
            Self::Files(files) => Ok(Arc::new(open_files(files).await?)),
            Self::Keyring => keyring::store(),
            Self::Redis(server) => Ok(Arc::new(open_redis(server).await?)),
        }
    }
}

async fn open_files(files: &Files) -> Result<FileStore, Error> {
    let directory = match &files.directory {
        Some(directory) => directory.clone(),
        None => FileStore::default_directory()?,
    };
    let store = FileStore::new(directory);
    Ok(match ring(&files.keys).await? {
        Some(ring) => store.sealed(ring),
        None => store,
    })
}

async fn open_redis(server: &Redis) -> Result<RedisStore, Error> {
    let ring = ring(&server.keys).await?;
    let ring = ring.ok_or_else(|| Error::input("the store has no key to seal tokens with"))?;
    let mut store = RedisStore::open(&server.url.read_now().await?, ring)?;
    if let Some(prefix) = &server.prefix {
        store = store.prefix(prefix);
    }
    if let Some(lease) = server.lease {
        store = store.lease_duration(lease);
    }
    Ok(store)
}

/// The keys with which entries are sealed: the first one writes, all read.
async fn ring(keys: &[Reference]) -> Result<Option<SealingKeys>, Error> {
    let mut ring: Option<SealingKeys> = None;
    for reference in keys {
        let key = SealingKey::from_base64(&reference.read_now().await?)?;
        ring = Some(match ring {
            None => SealingKeys::new(key),
            Some(ring) => ring.old_key(key),
        });
    }
    Ok(ring)
}

impl TokenStore for Opening {
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
        matches!(self.closed, Closed::Redis(_))
    }
}
