//! A store that is opened, and whose secrets are read, when it is first used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::origin::ca_file::read_authorities;
use crate::profile::keyring;
use crate::profile::schema::store::{DatabaseSettings, FileSettings, PersistentStore};
use crate::profile::secret_ref::SecretRef;
use crate::profile::set_each::SetEach;
use crate::store::availability::Availability;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::file::FileStore;
use crate::store::key::StoreKey;
use crate::store::postgres::PostgresStore;
use crate::store::redis::RedisStore;
use crate::store::seal::{SealingKey, SealingKeys};
use crate::store::store::{EntrySummary, StoreFuture, StoreLease, StoredEntry, TokenStore};
use crate::token::token::Expiry;

/// A store that opens the one that the settings describe.
pub(super) struct LazyStore {
    pub(super) settings: PersistentStore,
    /// The CA file of the profile, for a database over TLS.
    pub(super) ca_file: Option<PathBuf>,
    /// The key whose token is not stored without an expiry; see [`ExpiringLease`]. Those of other profiles are.
    pub(super) only_with_expiry: Option<StoreKey>,
    pub(super) opened: OpenedStore,
}

/// The store of a profile, once it is open. All keys of a pool share it: each with a connection of its own would be too many for
/// a database.
#[derive(Clone, Default)]
pub(super) struct OpenedStore {
    store: Arc<OnceCell<Arc<dyn TokenStore>>>,
    /// Also of a store that could not be opened.
    availability: Availability,
}

impl LazyStore {
    async fn opened(&self) -> Result<&Arc<dyn TokenStore>, StoreError> {
        // After an error, the next call tries again: the secret may be there by then.
        let open = || open(&self.settings, self.ca_file.as_deref());
        let opened = self.opened.store.get_or_try_init(open);
        opened.await.map_err(StoreError::unavailable)
    }
}

impl fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedStore").finish_non_exhaustive()
    }
}

async fn open(
    settings: &PersistentStore,
    ca_file: Option<&Path>,
) -> Result<Arc<dyn TokenStore>, Error> {
    match settings {
        PersistentStore::Files(files) => Ok(Arc::new(open_files(files).await?)),
        PersistentStore::Keyring => keyring::store(),
        PersistentStore::Redis(redis) => Ok(Arc::new(open_redis(redis, ca_file).await?)),
        PersistentStore::Postgres(postgres) => {
            Ok(Arc::new(open_postgres(postgres, ca_file).await?))
        }
    }
}

async fn open_files(settings: &FileSettings) -> Result<FileStore, Error> {
    let keys = read_sealing_keys(&settings.keys).await?;
    Ok(FileStore::new(settings.directory()?)
        .set_each(keys, FileStore::sealed)
        .set_each(settings.idle_timeout, FileStore::idle_timeout))
}

async fn open_redis(
    settings: &DatabaseSettings,
    ca_file: Option<&Path>,
) -> Result<RedisStore, Error> {
    let database = read_database(settings, ca_file).await?;
    let (url, keys) = (&database.url, database.keys);
    let uses_tls = url.starts_with("rediss") || url.starts_with("valkeys");
    let store = match database.authorities.filter(|_| uses_tls) {
        Some(authorities) => RedisStore::open_trusting(url, &authorities, keys)?,
        None => RedisStore::open(url, keys)?,
    };
    Ok(store
        .set_each(&settings.place, RedisStore::prefix)
        .set_each(settings.lease, RedisStore::lease_duration)
        .set_each(settings.idle_timeout, RedisStore::idle_timeout)
        .set_each(settings.replicas, RedisStore::replicas))
}

async fn open_postgres(
    settings: &DatabaseSettings,
    ca_file: Option<&Path>,
) -> Result<PostgresStore, Error> {
    let database = read_database(settings, ca_file).await?;
    let (url, keys) = (&database.url, database.keys);
    let store = match database.authorities {
        Some(authorities) => PostgresStore::open_trusting(url, &authorities, keys)?,
        None => PostgresStore::open(url, keys)?,
    };
    Ok(store
        .set_each(&settings.place, PostgresStore::table)
        .set_each(settings.lease, PostgresStore::lease_duration)
        .set_each(settings.idle_timeout, PostgresStore::idle_timeout))
}

/// What the settings of a database refer to.
struct DatabaseSecrets {
    url: Zeroizing<String>,
    keys: SealingKeys,
    authorities: Option<Zeroizing<Vec<u8>>>,
}

async fn read_database(
    settings: &DatabaseSettings,
    ca_file: Option<&Path>,
) -> Result<DatabaseSecrets, Error> {
    let keys = read_sealing_keys(&settings.keys).await?;
    let keys = keys.ok_or_else(|| Error::input("the store has no key to seal tokens with"))?;
    let url = settings.url.read_now().await?;
    let authorities = ca_file.map(read_authorities).transpose()?;
    Ok(DatabaseSecrets {
        url,
        keys,
        authorities,
    })
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
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
        Box::pin(async move { self.opened().await?.load(key).await })
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>> {
        Box::pin(async move {
            let lease = self.opened().await?.lease(key, max_wait).await?;
            Ok(match &self.only_with_expiry {
                Some(own) if own == key => Box::new(ExpiringLease(lease)),
                _ => lease,
            })
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
        Box::pin(async move { self.opened().await?.list().await })
    }

    fn leases_expire(&self) -> bool {
        // Asked before the store is open.
        match self.settings {
            PersistentStore::Redis(_) | PersistentStore::Postgres(_) => true,
            PersistentStore::Files(_) | PersistentStore::Keyring => false,
        }
    }

    fn availability(&self) -> Availability {
        self.opened.availability.clone()
    }
}

/// A lease that does not save a token without an expiry.
///
/// Such a token would be used by every later run, and a new token in its source would never be seen.
struct ExpiringLease(Box<dyn StoreLease>);

impl StoreLease for ExpiringLease {
    fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>> {
        self.0.load()
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()> {
        let token = entry.token();
        if token.is_some_and(|token| token.expires() == Expiry::Unknown) {
            // The stored token is older than this one, so it must not be used again.
            return Box::pin(async move { self.0.remove().await.map(drop) });
        }
        self.0.save(entry)
    }

    fn remove(&mut self) -> StoreFuture<'_, bool> {
        self.0.remove()
    }

    fn quarantine(&mut self) -> StoreFuture<'_, ()> {
        self.0.quarantine()
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.0.release()
    }
}
