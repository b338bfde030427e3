//! One token for all sessions and auth objects of a handler: the cache, its leases, and waiting for one on an event loop.

pub(crate) mod cache;
pub(crate) mod lease;
pub(crate) mod pending_lease;
pub(crate) mod pool;
