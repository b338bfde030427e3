//! The server of a store, and the fault that it has from time to time.

use std::path::Path;

use crate::postgres_server::PostgresServer;
use crate::redis_server::RedisServer;
use crate::setup::StoreLocation;

/// The server of a store, if it has one.
pub(crate) enum Server {
    None,
    Redis(RedisServer),
    Postgres(PostgresServer),
}

impl Server {
    pub(crate) fn start(store: &str) -> Self {
        match store {
            "file" => Self::None,
            "redis" => Self::Redis(RedisServer::start()),
            "postgres" => Self::Postgres(PostgresServer::start()),
            other => panic!("there is no store `{other}`"),
        }
    }

    pub(crate) fn location(&self, scratch: &Path) -> StoreLocation {
        match self {
            Self::None => StoreLocation::File(scratch.join("store")),
            Self::Redis(server) => StoreLocation::Redis(server.instructions()),
            Self::Postgres(server) => StoreLocation::Postgres(server.instructions()),
        }
    }

    /// Whether a process that is stopped for long may lose its lease.
    pub(crate) fn has_leases_that_expire(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Kills the server, unless that loses what it holds. Returns whether it did.
    pub(crate) fn fail(&mut self) -> bool {
        match self {
            Self::None | Self::Redis(_) => false,
            Self::Postgres(server) => {
                server.end();
                server.begin();
                true
            }
        }
    }
}
