//! A store in Redis or Valkey, shared by many machines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::Client;
use redis::cluster::ClusterClient;
use redis::sentinel::SentinelClient;

mod connection;
mod lease;
mod scripts;
mod shared;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::runtime::runtime::TokioOrThreads;
use crate::store::error::StoreError;
use crate::store::key::{StoreKey, hex};
use crate::store::redis::connection::{Connection, Server};
use crate::store::redis::lease::RedisLease;
use crate::store::redis::shared::Desk;
use crate::store::seal;
use crate::store::seal::SealingKeys;
use crate::store::store::{EntrySummary, StoreLease, StoredEntry, TokenStore, by_label};

/// A store in Redis or Valkey, shared by many machines.
///
/// Entries are always sealed: who can read the database learns no token. The lease is a key that ends by itself
/// when its holder dies, and is renewed while it lives. A holder that stood still for longer may still save, unless somebody
/// else has saved meanwhile: each save names the state that it follows. Ages are measured by the server's clock, so that
/// the clocks of the machines need not agree.
///
/// Needs a tokio runtime, as all asynchronous code of the crate `redis` does; a cache that is used without one
/// brings its own. What the server needs to be set to is in `docs/many-machines.md`.
///
/// ```no_run
/// use keyfob::{EnvToken, TokenCache};
/// use keyfob::source::Persisted;
/// use keyfob::store::{SealingKeys, RedisStore, SealingKey, StoreKey};
///
/// let ring = SealingKeys::new(SealingKey::from_file("/run/secrets/keyfob-sealing-key")?);
/// let store = RedisStore::open("rediss://keyfob@redis.example.com", ring)?;
/// let key = StoreKey::builder("https://issuer.example.com").client("reports").build();
/// let tokens = TokenCache::new(Persisted::new(EnvToken::new("API_TOKEN"), store, key));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    desk: Arc<Desk>,
}

impl RedisStore {
    /// Unless set, a lease ends so long after its holder was last heard; a third of it lies between two renewals.
    pub const LEASE_DURATION: Duration = Duration::from_secs(10);

    /// Unless set, the names of all keys begin with this.
    pub const PREFIX: &'static str = "keyfob";

    /// A store at this URL: `rediss://` with TLS, checked against the roots of the system, or `redis://` without.
    ///
    /// Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL cannot be used. The error does not quote it.
    pub fn open(url: &str, ring: SealingKeys) -> Result<Self, Error> {
        connection::have_cryptography();
        let client = Client::open(url);
        // What the client says of a URL may quote the password in it.
        let client = client.map_err(|_| {
            Error::input("the URL of the token store cannot be used; give one as `rediss://user:password@host:port`")
        })?;
        Ok(Self::new(client, ring))
    }

    /// A store at the server of this client, whose certificates and names are your own.
    #[must_use]
    pub fn new(client: Client, ring: SealingKeys) -> Self {
        Self::at(Server::Single(Box::new(client)), ring)
    }

    /// A store in a cluster.
    #[must_use]
    pub fn cluster(client: ClusterClient, ring: SealingKeys) -> Self {
        Self::at(Server::Cluster(Box::new(client)), ring)
    }

    /// A store at whatever server the sentinels call the master.
    #[must_use]
    pub fn sentinel(client: SentinelClient, ring: SealingKeys) -> Self {
        Self::at(Server::sentinel(client), ring)
    }

    fn at(server: Server, ring: SealingKeys) -> Self {
        connection::have_cryptography();
        Self {
            desk: Arc::new(Desk {
                connection: Connection::to(server),
                ring,
                prefix: Self::PREFIX.to_owned(),
                lease: Self::LEASE_DURATION,
                runtime: Arc::new(TokioOrThreads),
            }),
        }
    }

    /// How long a lease outlives the last sign of its holder; [`LEASE_DURATION`](Self::LEASE_DURATION) unless set.
    ///
    /// Longer than the server, the network or a holder may stand still; as long, others wait when a holder dies.
    #[must_use]
    pub fn lease_duration(mut self, lease: Duration) -> Self {
        Arc::make_mut(&mut self.desk).lease = lease;
        self
    }

    /// With what the names of all keys begin; [`PREFIX`](Self::PREFIX) unless set.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.desk).prefix = prefix.into();
        self
    }

    /// How long one answer of the server may take; [`RESPONSE_TIMEOUT`](Self::RESPONSE_TIMEOUT) unless set.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.desk)
            .connection
            .set_timeout(timeout);
        self
    }

    /// Unless set, one answer of the server may take so long, a new connection included.
    pub const RESPONSE_TIMEOUT: Duration = connection::TIMEOUT;
}

impl TokenStore for RedisStore {
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<StoredEntry>, StoreError>> {
        Box::pin(async move {
            let names = self.desk.names(key.id());
            let kept = scripts::load(&self.desk.connection, &names).await?;
            self.desk
                .open(key.id(), kept)
                .map(|found| found.map(|found| found.1))
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        Box::pin(async move {
            let clock = SystemClock;
            let end = clock.elapsed().saturating_add(max_wait);
            let names = self.desk.names(key.id());
            let owner = owner()?;
            loop {
                let fence = scripts::lease(&self.desk.connection, &names, &owner, self.desk.lease);
                if let Some(fence) = fence.await? {
                    let lease = RedisLease::new(Arc::clone(&self.desk), key.clone(), owner, fence);
                    let lease: Box<dyn StoreLease> = Box::new(lease);
                    return Ok(lease);
                }
                let left = end.saturating_sub(clock.elapsed());
                if left.is_zero() {
                    return Err(busy());
                }
                let pause = LOOK_AGAIN.mul_f64(0.5 + fastrand::f64());
                clock.sleep(pause.min(left)).await;
            }
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<EntrySummary>, StoreError>> {
        Box::pin(async move {
            let mut listed = Vec::new();
            for id in scripts::ids(&self.desk.connection, &self.desk.prefix).await? {
                let kept = scripts::load(&self.desk.connection, &self.desk.names(&id)).await?;
                let found = self.desk.open(&id, kept);
                let found = found.map(|found| found.map(|(key, kept)| (key, kept.entry)));
                listed.extend(EntrySummary::found(id, found));
            }
            Ok(by_label(listed))
        })
    }

    fn leases_expire(&self) -> bool {
        true
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.desk.prefix)
            .field("lease", &self.desk.lease)
            .finish_non_exhaustive()
    }
}

/// By which a holder is told from all others, and which nobody can guess.
fn owner() -> Result<String, StoreError> {
    let mut owner = [0; 16];
    seal::fill(&mut owner).map_err(StoreError::unavailable)?;
    Ok(hex(&owner))
}

fn busy() -> StoreError {
    StoreError::busy(Error::unavailable(
        "another process renews the shared token, and that takes too long",
    ))
}

/// Who waits for a lease looks again after so long, half more or less.
const LOOK_AGAIN: Duration = Duration::from_millis(60);
