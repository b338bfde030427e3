//! The settings that the processes of a soak share: the store and the URLs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyfob::store::{FileStore, StoreKey, TokenStore};
use serde::{Deserialize, Serialize};

use crate::postgres_server::PostgresServer;
use crate::redis_server::RedisServer;

/// How long the token endpoint accepts the previous refresh token.
///
/// A process that takes over waits for the lease of the killed one and for its result, and may be killed meanwhile in turn. So
/// this is long enough for several of them.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// How long other processes wait after a process with a lease that expires is killed. It is short compared with a lifetime.
const LEASE: Duration = Duration::from_millis(1500);

pub(crate) fn key() -> StoreKey {
    StoreKey::builder("https://issuer.example.com")
        .client("soak")
        .grant("refresh_token")
        .build()
}

/// The settings of a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Instructions {
    pub(crate) location: StoreLocation,
    pub(crate) token_url: String,
    pub(crate) api_url: String,
}

/// Where the store is. Those of servers hold what the server says about itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum StoreLocation {
    File(PathBuf),
    Redis(String),
    /// Another server takes over when one dies.
    ReplicatedRedis(String),
    Postgres(String),
}

impl StoreLocation {
    pub(crate) fn store(&self) -> Arc<dyn TokenStore> {
        match self {
            Self::File(directory) => Arc::new(FileStore::new(directory)),
            Self::Redis(server) => {
                let store = RedisServer::store_of(server).lease_duration(LEASE);
                Arc::new(store)
            }
            Self::ReplicatedRedis(server) => {
                let store = RedisServer::store_of(server).lease_duration(LEASE);
                Arc::new(store.replicas(1))
            }
            Self::Postgres(server) => {
                let store = PostgresServer::store_of(server).lease_duration(LEASE);
                Arc::new(store)
            }
        }
    }
}
