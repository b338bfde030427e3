//! This build has no store in Redis.

use std::sync::Arc;

use crate::error::Error;
use crate::profile::schema::Redis;
use crate::store::TokenStore;
use crate::store::seal::KeyRing;

pub(super) fn open(server: &Redis, _: &str, _: KeyRing) -> Result<Arc<dyn TokenStore>, Error> {
    let Redis {
        prefix: _,
        lease: _,
        ..
    } = server;
    Err(Error::input(
        "the profile keeps its token in Redis, which this build of keyfob cannot ask; build it with the feature `redis`",
    ))
}
