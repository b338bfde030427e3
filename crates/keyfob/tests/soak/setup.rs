//! The settings that the processes of a soak share: the store and the URLs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyfob::store::{FileStore, StoreKey, TokenStore};
use serde::{Deserialize, Serialize};

use crate::redis_server;

/// How long the token endpoint accepts the previous refresh token.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// How long other processes wait after a process with a lease in Redis is killed. It is short compared with a lifetime.
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

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum StoreLocation {
    File(PathBuf),
    Redis { url: String, authority: PathBuf },
}

impl StoreLocation {
    pub(crate) fn store(&self) -> Arc<dyn TokenStore> {
        match self {
            Self::File(directory) => Arc::new(FileStore::new(directory)),
            Self::Redis { url, authority } => {
                let store = redis_server::store(url, authority).lease_duration(LEASE);
                // All processes run on one machine, which may be slow.
                Arc::new(store.response_timeout(Duration::from_secs(10)))
            }
        }
    }
}
