//! The connection to the server, made when it is needed and made anew when it broke.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::lock::Mutex as AsyncMutex;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, RedisResult, Value};
use rustls::crypto::{CryptoProvider, aws_lc_rs};

use crate::clock::clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::store::error::StoreError;

/// Unless set, one answer of the server may take so long.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// Where the store is.
#[derive(Clone)]
pub(super) enum Server {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
    /// The client asks one sentinel at a time.
    Sentinel(Arc<AsyncMutex<SentinelClient>>),
}

#[derive(Clone)]
enum Live {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A connection that clones share.
#[derive(Clone)]
pub(super) struct Connection {
    server: Server,
    live: Arc<Mutex<Option<Live>>>,
    timeout: Duration,
}

impl Server {
    pub(super) fn sentinel(client: SentinelClient) -> Self {
        Self::Sentinel(Arc::new(AsyncMutex::new(client)))
    }

    async fn connect(&self) -> RedisResult<Live> {
        Ok(match self {
            Self::Single(client) => {
                let config = unlimited();
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                Live::Single(connection.await?)
            }
            Self::Cluster(client) => Live::Cluster(client.get_async_connection().await?),
            Self::Sentinel(client) => {
                let (config, mut client) = (unlimited(), client.lock().await);
                let connection = client.get_async_connection_with_config(&config);
                Live::Single(connection.await?)
            }
        })
    }
}

impl Connection {
    pub(super) fn to(server: Server) -> Self {
        Self {
            server,
            live: Arc::default(),
            timeout: TIMEOUT,
        }
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Runs a command that may be run twice: when the connection broke, it is sent again on a new one.
    pub(super) async fn run(&self, command: &Cmd) -> Result<Value, StoreError> {
        let old = self.current();
        let had_one = old.is_some();
        match self.try_run(command, old).await {
            Err(fault) if had_one && !fault.is_timeout() && is_of_the_connection(&fault) => {
                self.try_run(command, None).await
            }
            answer => answer,
        }
        .map_err(away)
    }

    async fn try_run(&self, command: &Cmd, live: Option<Live>) -> RedisResult<Value> {
        let answer = async {
            let live = match live {
                Some(live) => live,
                None => self.server.connect().await?,
            };
            self.keep(Some(live.clone()));
            match live {
                Live::Single(mut connection) => command.query_async(&mut connection).await,
                Live::Cluster(mut connection) => command.query_async(&mut connection).await,
            }
        };
        let answer = clock::within(&SystemClock, self.timeout, answer).await;
        let answer = answer.unwrap_or_else(|| Err(timed_out()));
        if answer.as_ref().is_err_and(is_of_the_connection) {
            self.keep(None);
        }
        answer
    }

    fn current(&self) -> Option<Live> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.clone()
    }

    fn keep(&self, live: Option<Live>) {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = live;
    }
}

/// The limits of the client library are left out: there is one of our own around each command.
fn unlimited() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
}

/// TLS needs cryptography that the program has chosen; where it has not, it is what `reqwest` uses.
pub(super) fn have_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as good.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

/// Whether another connection may do better; a master that became a replica answers `READONLY`.
fn is_of_the_connection(fault: &RedisError) -> bool {
    fault.is_io_error()
        || fault.is_connection_dropped()
        || fault.is_connection_refusal()
        || fault.is_timeout()
        || fault.is_unrecoverable_error()
        || fault.code() == Some("READONLY")
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn away(fault: RedisError) -> StoreError {
    let message = if fault.is_timeout() {
        "the shared token store did not answer in time"
    } else if is_of_the_connection(&fault) {
        "the shared token store cannot be reached"
    } else {
        "the shared token store refuses"
    };
    StoreError::unavailable(Error::unavailable(message).caused_by(fault))
}
