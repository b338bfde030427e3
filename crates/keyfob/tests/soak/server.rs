//! The server of a store, and the fault that it has from time to time.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::held_responses::Losses;
use crate::postgres_server::PostgresServer;
use crate::redis_cluster_server::RedisCluster;
use crate::redis_sentinel_server::RedisSentinel;
use crate::redis_server::RedisServer;
use crate::setup::{StoreLocation, key};

/// The server of a store, if it has one.
pub(crate) enum Server {
    None,
    Redis(RedisServer),
    RedisCluster(RedisCluster),
    RedisSentinel(RedisSentinel),
    Postgres(PostgresServer),
}

impl Server {
    pub(crate) fn start(store: &str) -> Self {
        match store {
            "file" => Self::None,
            "redis" => Self::Redis(RedisServer::start()),
            "redis-cluster" => {
                Self::RedisCluster(RedisCluster::start_with(&["--min-replicas-to-write", "1"]))
            }
            "redis-sentinel" => {
                Self::RedisSentinel(RedisSentinel::start_with(2, &["min-replicas-to-write 1"]))
            }
            "postgres" => Self::Postgres(PostgresServer::start()),
            other => panic!("there is no store `{other}`"),
        }
    }

    pub(crate) fn location(&self, scratch: &Path) -> StoreLocation {
        match self {
            Self::None => StoreLocation::File(scratch.join("store")),
            Self::Redis(server) => StoreLocation::Redis(server.instructions()),
            Self::RedisCluster(server) => StoreLocation::ReplicatedRedis(server.instructions()),
            Self::RedisSentinel(server) => StoreLocation::ReplicatedRedis(server.instructions()),
            Self::Postgres(server) => StoreLocation::Postgres(server.instructions()),
        }
    }

    /// Whether a process that is stopped for long may lose its lease.
    pub(crate) fn has_leases_that_expire(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether token responses may be lost while this server fails from time to time.
    pub(crate) fn losses(&self) -> Losses {
        match self {
            Self::None | Self::Redis(_) | Self::Postgres(_) => Losses::Some,
            Self::RedisCluster(_) | Self::RedisSentinel(_) => Losses::None,
        }
    }

    /// Kills the server, or the master that has the entry, unless that loses what it holds. Returns whether it did.
    fn fail(&mut self) -> bool {
        match self {
            Self::None | Self::Redis(_) => return false,
            Self::RedisCluster(server) => server.fail_over(&key()),
            Self::RedisSentinel(server) => server.fail_over(),
            Self::Postgres(server) => {
                server.end();
                server.begin();
            }
        }
        true
    }

    /// Makes the server fail from time to time, until [`Faults::end`].
    ///
    /// This is in the background, because a failover takes seconds, in which processes are killed too.
    pub(crate) fn fail_every(mut self, interval: Duration) -> Faults {
        let (end, ended) = channel();
        let faults = thread::spawn(move || {
            let (mut faults, mut longest) = (0, Duration::ZERO);
            let mut next = Instant::now() + interval;
            while ended
                .recv_timeout(next.saturating_duration_since(Instant::now()))
                .is_err()
            {
                let start = Instant::now();
                faults += u64::from(self.fail());
                longest = longest.max(start.elapsed());
                next = Instant::now().max(next + interval);
            }
            (self, faults, longest)
        });
        Faults { end, faults }
    }
}

/// The faults of a server, which go on in the background.
pub(crate) struct Faults {
    end: Sender<()>,
    faults: JoinHandle<(Server, u64, Duration)>,
}

impl Faults {
    /// Waits for the end of the last fault. Returns the server, which runs, how many faults it had, and how long they took at most.
    pub(crate) fn end(self) -> (Server, u64, Duration) {
        self.end.send(()).unwrap();
        self.faults.join().unwrap()
    }
}
