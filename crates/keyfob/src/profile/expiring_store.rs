//! A store for tokens from a source that cannot tell when a token without an expiry stops working.
//!
//! A stored token without an expiry would be used by every later run, and a new token in its source would never be seen.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::store::{EntrySummary, StoreLease, StoredEntry, TokenStore};
use crate::token::token::Expiry;

/// Stores only tokens with an expiry, in the inner store.
pub(super) struct ExpiringStore<S>(pub(super) S);

struct ExpiringLease(Box<dyn StoreLease>);

impl<S: TokenStore> TokenStore for ExpiringStore<S> {
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<StoredEntry>, StoreError>> {
        self.0.load(key)
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        Box::pin(async move {
            let lease = self.0.lease(key, max_wait).await?;
            Ok(Box::new(ExpiringLease(lease)) as Box<dyn StoreLease>)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<EntrySummary>, StoreError>> {
        self.0.list()
    }

    fn leases_expire(&self) -> bool {
        self.0.leases_expire()
    }
}

impl StoreLease for ExpiringLease {
    fn load(&mut self) -> BoxFuture<'_, Result<Option<StoredEntry>, StoreError>> {
        self.0.load()
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        let has_no_expiry = entry
            .token()
            .is_some_and(|token| token.expires() == Expiry::Unknown);
        if has_no_expiry {
            // The stored token is older than this one, so it must not be used again.
            return Box::pin(async move { self.0.remove().await.map(drop) });
        }
        self.0.save(entry)
    }

    fn remove(&mut self) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.remove()
    }

    fn quarantine(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.quarantine()
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.0.release()
    }
}
