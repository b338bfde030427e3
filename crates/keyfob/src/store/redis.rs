//! A store in Redis or Valkey, shared by many machines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::sentinel::SentinelClient;
use redis::{Client, RedisResult};

mod address;
mod connection;
mod database;

use crate::error::error::Error;
use crate::store::availability::Availability;
use crate::store::key::StoreKey;
use crate::store::leased_row::{self, RowSettings};
use crate::store::redis::connection::{Connection, Server};
use crate::store::redis::database::Database;
use crate::store::seal::SealingKeys;
use crate::store::store::{
    EntrySummary, StoreFuture, StoreLease, StoredEntry, TokenStore, quarantined, summarize,
};

/// A store in Redis or Valkey, shared by many machines.
///
/// Entries are always sealed: a reader of the database learns no token. Each seal is bound to the prefix, the key and a counter,
/// so that a process refuses an older state than it has seen. The lease is a Redis key that expires if its process
/// dies, and is extended while the process lives. A process that hung for longer than that can still save, unless another
/// process has saved meanwhile: each save names the revision that it follows. Ages are measured by the server's clock,
/// so the clocks of the machines need not agree.
///
/// It needs a tokio runtime, like all asynchronous code of the crate `redis`. A cache that is used without one starts its
/// own. `docs/how-to/many-machines.md` says how to configure the server.
///
/// ```no_run
/// use keyfob::{EnvToken, TokenCache};
/// use keyfob::source::Persisted;
/// use keyfob::store::{SealingKeys, RedisStore, SealingKey, StoreKey};
///
/// let keys = SealingKeys::new(SealingKey::from_file("/run/secrets/keyfob-sealing-key")?);
/// let store = RedisStore::open("rediss://keyfob@redis.example.com", keys)?;
/// let key = StoreKey::builder("https://issuer.example.com").client("reports").build();
/// let tokens = TokenCache::new(Persisted::new(EnvToken::new("API_TOKEN"), store, key));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    database: Arc<Database>,
    availability: Availability,
}

impl RedisStore {
    /// The default of [`lease_duration`](Self::lease_duration). A lease is extended three times within it.
    pub const LEASE_DURATION: Duration = leased_row::LEASE_DURATION;

    /// The default of [`prefix`](Self::prefix).
    pub const PREFIX: &'static str = "keyfob";

    /// A store at this URL, such as `rediss://user:password@host:port`.
    ///
    /// `rediss` uses TLS, checked against the roots of the system; `redis` does not. Several servers are named like this:
    ///
    /// * `rediss+sentinel://user:password@host1:26379,host2:26379/master` asks these sentinels for the master of this name,
    ///   and again after a failover. The user is that of the master. If the sentinels have one, add
    ///   `?sentinel_username=…&sentinel_password=…`.
    /// * `rediss+cluster://user:password@host1:6379,host2:6379` finds the other nodes of the cluster through these.
    ///
    /// It does not connect yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL cannot be used. The error does not quote it.
    pub fn open(url: &str, keys: SealingKeys) -> Result<Self, Error> {
        connection::install_cryptography();
        Ok(Self::at(Server::parse(url, None)?, keys))
    }

    /// As [`open`](Self::open), with the certificate authorities in this text (PEM) in place of the roots of the system.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); and for a text that has no certificate.
    pub fn open_trusting(url: &str, authorities: &[u8], keys: SealingKeys) -> Result<Self, Error> {
        connection::install_cryptography();
        Ok(Self::at(Server::parse(url, Some(authorities))?, keys))
    }

    /// A store at the server of this client. Use it to set certificates and names yourself.
    #[must_use]
    pub fn new(client: Client, keys: SealingKeys) -> Self {
        Self::at(Server::Single(Box::new(client)), keys)
    }

    /// A store in a cluster.
    #[must_use]
    pub fn cluster(client: ClusterClient, keys: SealingKeys) -> Self {
        Self::at(Server::Cluster(Box::new(client)), keys)
    }

    /// A store at the server that the sentinels name as the master.
    ///
    /// The function makes a client each time that the store connects, because a client keeps connections to the sentinels, which
    /// belong to one tokio runtime.
    #[must_use]
    pub fn sentinel(
        make_client: impl Fn() -> RedisResult<SentinelClient> + Send + Sync + 'static,
        keys: SealingKeys,
    ) -> Self {
        Self::at(Server::Sentinel(Arc::new(make_client)), keys)
    }

    fn at(server: Server, keys: SealingKeys) -> Self {
        connection::install_cryptography();
        Self {
            database: Arc::new(Database {
                connection: Connection::to(server),
                prefix: Self::PREFIX.to_owned(),
                rows: RowSettings::new(keys.bound_to(Self::PREFIX)),
                replicas: 0,
            }),
            availability: Availability::default(),
        }
    }

    /// Sets how long a lease lasts after it was last extended; the default is [`LEASE_DURATION`](Self::LEASE_DURATION).
    ///
    /// It should be longer than the server, the network or a process may hang. If a process dies, others wait this long.
    #[must_use]
    pub fn lease_duration(mut self, duration: Duration) -> Self {
        Arc::make_mut(&mut self.database).rows.lease_duration = duration;
        self
    }

    /// Sets how long an entry with a refresh token is kept that nothing saves again; without this, forever.
    ///
    /// An entry is saved at each renewal, so this is how long a user may stay away and still be signed in. Set it to the
    /// time after which the issuer forgets a refresh token, or longer. Entries without a refresh token go a day after their token
    /// has expired.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.database).rows.idle_timeout = Some(timeout);
        self
    }

    /// Sets how the names of all Redis keys begin; the default is [`PREFIX`](Self::PREFIX).
    ///
    /// Entries are sealed for their prefix: under another one they cannot be opened.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let database = Arc::make_mut(&mut self.database);
        database.prefix = prefix.into();
        database.rows.keys = database.rows.keys.bound_to(&database.prefix);
        self
    }

    /// Sets how many replicas must have an entry before its save ends (`WAIT`); the default is 0.
    ///
    /// A replica that takes over for a master that died may lack what the master has saved: then a refresh token that was used
    /// is sent again. If fewer replicas have the entry after a third of the
    /// [response timeout](Self::response_timeout), a warning is logged and the token is used, because the master has it.
    #[must_use]
    pub fn replicas(mut self, count: u32) -> Self {
        Arc::make_mut(&mut self.database).replicas = count;
        self
    }

    /// Sets how long one reply of the server may take, with connecting if needed.
    ///
    /// The default is [`RESPONSE_TIMEOUT`](Self::RESPONSE_TIMEOUT).
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.database).connection.timeout = timeout;
        self
    }

    /// The default of [`response_timeout`](Self::response_timeout).
    pub const RESPONSE_TIMEOUT: Duration = connection::TIMEOUT;
}

impl TokenStore for RedisStore {
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
        let row = self.database.row(key.id());
        Box::pin(async move { leased_row::load(&row).await })
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>> {
        let row = self.database.row(key.id());
        Box::pin(leased_row::lease(row, key, max_wait))
    }

    fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for id in self.database.ids().await? {
                let row = self.database.row(&id);
                let opened = match leased_row::open_for_list(&row).await? {
                    Ok(None) if row.has_quarantined().await? => Err(quarantined()),
                    opened => opened,
                };
                found.push((id, opened));
            }
            Ok(summarize(found))
        })
    }

    fn leases_expire(&self) -> bool {
        true
    }

    fn availability(&self) -> Availability {
        self.availability.clone()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.database.prefix)
            .field("lease_duration", &self.database.rows.lease_duration)
            .finish_non_exhaustive()
    }
}
