//! A store at a Redis server, as a profile names it.

use std::sync::Arc;

use crate::error::Error;
use crate::profile::schema::Redis;
use crate::store::TokenStore;
use crate::store::redis::RedisStore;
use crate::store::seal::KeyRing;

pub(super) fn open(server: &Redis, url: &str, ring: KeyRing) -> Result<Arc<dyn TokenStore>, Error> {
    let mut store = RedisStore::open(url, ring)?;
    if let Some(prefix) = &server.prefix {
        store = store.prefix(prefix);
    }
    if let Some(lease) = server.lease {
        store = store.lease_lasts(lease);
    }
    Ok(Arc::new(store))
}
