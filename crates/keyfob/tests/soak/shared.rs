//! What the processes of a soak share: where the store is, and whom they ask.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use keyfob::FileStore;
use keyfob::KeptEntry;
use keyfob::Listed;
use keyfob::StoreError;
use keyfob::StoreKey;
use keyfob::StoreLease;
use keyfob::TokenStore;
use serde::Deserialize;
use serde::Serialize;

use crate::redis_server;

/// How long the token endpoint accepts the last refresh token again.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// As long others wait when the holder of a lease in Redis is killed; short beside a lifetime.
const LEASE: Duration = Duration::from_millis(1500);

pub(crate) fn key() -> StoreKey {
    StoreKey::builder("https://issuer.example.com")
        .client("soak")
        .grant("refresh_token")
        .build()
}

/// What a worker is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Errand {
    pub(crate) place: Place,
    pub(crate) token_url: String,
    pub(crate) api_url: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Place {
    File(PathBuf),
    Redis { url: String, authority: PathBuf },
}

impl Place {
    pub(crate) fn store(&self) -> AnyStore {
        AnyStore(match self {
            Self::File(directory) => Arc::new(FileStore::new(directory)),
            Self::Redis { url, authority } => {
                let store = redis_server::store(url, authority).lease_lasts(LEASE);
                // A machine on which everything runs at once is slow.
                Arc::new(store.response_timeout(Duration::from_secs(10)))
            }
        })
    }
}

/// A store of either kind.
#[derive(Clone)]
pub(crate) struct AnyStore(Arc<dyn TokenStore>);

impl TokenStore for AnyStore {
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<KeptEntry>, StoreError>> {
        self.0.load(key)
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        patience: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        self.0.lease(key, patience)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        self.0.list()
    }

    fn leases_lapse(&self) -> bool {
        self.0.leases_lapse()
    }
}
