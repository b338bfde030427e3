//! The connections to the server. They are opened when they are needed, and again after one broke.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleResult};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, RedisResult, Value};
use rustls::crypto::{CryptoProvider, aws_lc_rs};

use crate::clock::clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::error::printable::printable;
use crate::observe::store as events;
use crate::store::connection_pool::ConnectionPool;
use crate::store::connections::Connections;
use crate::store::error::StoreError;
use crate::store::outage::{ServerFault, tls_failure, within_timeout};
use crate::store::record::damaged;

/// The default timeout of one command.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// Opening a connection, and the replicas, may each take this part of the timeout of a command. So some of it is left to save once
/// more.
const REPLICATION_SHARE: u32 = 3;

/// As many commands wait for replicas at once. A pool of tokens saves so many at once, unless it is set.
const MAX_WAITING: usize = 32;

/// The server, cluster or sentinels.
#[derive(Clone)]
pub(super) enum Server {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
    /// A client for each time that one connects: it keeps connections to the sentinels, which are those of one runtime.
    Sentinel(MakeSentinelClient),
}

/// Makes a client that asks the sentinels for the master.
pub(super) type MakeSentinelClient = Arc<dyn Fn() -> RedisResult<SentinelClient> + Send + Sync>;

/// An open connection. Clones share it.
#[derive(Clone)]
pub(super) enum Open {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The way to the server. Clones share the open connections.
#[derive(Clone)]
pub(super) struct Connection {
    server: Server,
    open: Connections<Open>,
    /// Those whose commands wait for replicas. Redis runs nothing else on a connection meanwhile.
    waiting: Connections<ConnectionPool<Server>>,
    pub(super) timeout: Duration,
}

impl Server {
    async fn connect(&self) -> RedisResult<Open> {
        Ok(match self {
            Self::Single(client) => {
                let config = without_timeouts();
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                Open::Single(connection.await?)
            }
            Self::Cluster(client) => Open::Cluster(client.get_async_connection().await?),
            Self::Sentinel(make_client) => {
                let (config, mut client) = (without_timeouts(), make_client()?);
                let connection = client.get_async_connection_with_config(&config);
                Open::Single(connection.await?)
            }
        })
    }
}

impl Manager for Server {
    type Type = Open;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<Open> {
        self.connect().await
    }

    /// Whether it broke is found out by the next command, which is repeated.
    async fn recycle(&self, _: &mut Open, _: &Metrics) -> RecycleResult<RedisError> {
        Ok(())
    }
}

impl Open {
    async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Runs a command that writes, and waits for replicas, but not for longer than this.
    async fn run_replicated(
        &mut self,
        command: &Cmd,
        replicas: u32,
        timeout: Duration,
    ) -> RedisResult<Value> {
        let reply = self.run(command).await?;
        let reached = self.wait_for(replicas, timeout, command).await;
        note_replication(reached, replicas)?;
        Ok(reply)
    }

    /// Waits for the replicas of the server that has run this command. Returns how many have what was written.
    async fn wait_for(
        &mut self,
        replicas: u32,
        timeout: Duration,
        written: &Cmd,
    ) -> RedisResult<u32> {
        // A timeout of 0 would have no end.
        let timeout = u64::try_from(timeout.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        // The command comes first once more, because it names the node of a cluster.
        let mut wait = redis::pipe();
        wait.add_command(written.clone()).ignore();
        wait.cmd("WAIT").arg(replicas).arg(timeout);
        let (reached,) = match self {
            Self::Single(connection) => wait.query_async(connection).await?,
            Self::Cluster(connection) => wait.query_async(connection).await?,
        };
        Ok(reached)
    }
}

impl Connection {
    pub(super) fn to(server: Server) -> Self {
        Self {
            server,
            open: Connections::none(),
            waiting: Connections::none(),
            timeout: TIMEOUT,
        }
    }

    /// Runs a command. If the connection broke or the server restarts, it is sent again, so it must be repeatable.
    pub(super) async fn run(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.run_within(self.timeout, command).await
    }

    /// As [`run`](Self::run), with a timeout of its own.
    pub(super) async fn run_within(
        &self,
        timeout: Duration,
        command: &Cmd,
    ) -> Result<Value, StoreError> {
        self.repeat(timeout, || self.try_run(command)).await
    }

    /// As [`run`](Self::run), for a command that writes: waits until this many replicas have what was written.
    ///
    /// If there are too few of them, a warning is logged. If the server is lost meanwhile, the command is sent again.
    pub(super) async fn run_replicated(
        &self,
        command: &Cmd,
        replicas: u32,
    ) -> Result<Value, StoreError> {
        if replicas == 0 {
            return self.run(command).await;
        }
        let open_one = || ConnectionPool::new(self.server.clone(), MAX_WAITING);
        let pool = self.waiting.get_or_add(open_one);
        self.repeat(self.timeout, async || {
            let replicated = async {
                let limit = self.timeout / REPLICATION_SHARE;
                match clock::within(&SystemClock, limit, pool.get()).await {
                    Some(open) => {
                        let mut open = open?;
                        let reply = open.run_replicated(command, replicas, limit).await?;
                        open.give_back();
                        Ok(reply)
                    }
                    // A new connection to a cluster waits for each node that does not answer.
                    None => {
                        let mut open = self.shared().await?;
                        open.run_replicated(command, replicas, limit).await
                    }
                }
            };
            replicated.await.inspect_err(|fault| self.note(fault))
        })
        .await
    }

    async fn repeat<F>(
        &self,
        timeout: Duration,
        attempt: impl FnMut() -> F,
    ) -> Result<Value, StoreError>
    where
        F: Future<Output = RedisResult<Value>>,
    {
        let reply = within_timeout(timeout, attempt).await;
        reply.map_err(|fault| {
            // Also after a timeout, in which the attempt was dropped.
            self.note(&fault);
            unavailable(fault)
        })
    }

    async fn try_run(&self, command: &Cmd) -> RedisResult<Value> {
        let reply = async { self.shared().await?.run(command).await };
        reply.await.inspect_err(|fault| self.note(fault))
    }

    /// The connection that the commands of a runtime share.
    async fn shared(&self) -> RedisResult<Open> {
        if let Some(open) = self.open.get() {
            return Ok(open);
        }
        let open = self.server.connect().await?;
        self.open.set(open.clone());
        Ok(open)
    }

    fn note(&self, fault: &RedisError) {
        if is_connection_failure(fault) {
            self.open.forget();
            if let Some(waiting) = self.waiting.get() {
                waiting.forget();
            }
        }
    }
}

/// Warns if too few replicas have what was written. Fails if the server was lost, and with it perhaps what was written.
fn note_replication(reached: RedisResult<u32>, wanted: u32) -> RedisResult<()> {
    match reached {
        Err(fault) if fault.may_pass() => return Err(fault),
        // The entry is saved, so a server that refuses to wait does not make the save fail.
        Err(fault) => events::not_replicated(0, wanted, Some(&fault)),
        Ok(reached) if reached < wanted => events::not_replicated(reached, wanted, None),
        Ok(_) => {}
    }
    Ok(())
}

impl ServerFault for RedisError {
    fn timed_out() -> Self {
        io::Error::from(io::ErrorKind::TimedOut).into()
    }

    fn may_pass(&self) -> bool {
        let is_failing_over = self.code().is_some_and(|code| FAILING_OVER.contains(&code));
        let is_broken = self.is_connection_dropped() || self.is_connection_refusal();
        // A timeout here is one of the client, which asks sentinels and nodes of a cluster by itself.
        let may_pass = is_failing_over || is_broken || self.is_timeout() || has_no_master(self);
        may_pass && !is_refused_user(self)
    }
}

/// What a server replies that starts, that is or was a replica, or whose replicas are gone (`min-replicas-to-write`).
const FAILING_OVER: [&str; 6] = [
    "LOADING",
    "NOREPLICAS",
    "READONLY",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "TRYAGAIN",
];

/// Whether the sentinels know no master, as during a failover, or none of the name.
fn has_no_master(fault: &RedisError) -> bool {
    fault.kind() == ErrorKind::MasterNameNotFoundBySentinel
}

/// Whether the server refuses the user or the password, or asks for one.
fn is_refused_user(fault: &RedisError) -> bool {
    match fault.kind() {
        ErrorKind::AuthenticationFailed => true,
        // Of what the nodes of a cluster replied to the first connections, only the text is left.
        ErrorKind::Io => fault
            .detail()
            .is_some_and(|detail| detail.contains("AuthenticationFailed")),
        _ => matches!(fault.code(), Some("NOAUTH" | "WRONGPASS")),
    }
}

/// No limits of the client library: one timeout around each command covers connecting, sending and the reply.
fn without_timeouts() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
}

/// Installs the default cryptography of rustls, the one that `reqwest` uses, unless the program has chosen another.
pub(super) fn install_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // This fails if another thread was faster, which is fine.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

/// Whether a new connection may help.
///
/// A master that became a replica replies `READONLY`. One without replicas may have been replaced, and not know it yet.
fn is_connection_failure(fault: &RedisError) -> bool {
    fault.is_io_error()
        || fault.is_connection_dropped()
        || fault.is_connection_refusal()
        || fault.is_timeout()
        || fault.is_unrecoverable_error()
        || fault
            .code()
            .is_some_and(|code| ["NOREPLICAS", "READONLY"].contains(&code))
}

fn unavailable(fault: RedisError) -> StoreError {
    if fault.code() == Some("WRONGTYPE") {
        // Another program has written something else under the name of the entry.
        return damaged();
    }
    let error = Error::unavailable(message(&fault));
    StoreError::unavailable(match inside(&fault).and_then(tls_failure) {
        Some(failure) => error.caused_by(failure),
        None => error.caused_by(PrintableFault(fault)),
    })
}

/// What a user reads. A new connection may help against a refusal, too, so the refusals come first.
fn message(fault: &RedisError) -> &'static str {
    if is_refused_user(fault) {
        return "the shared token store refused the user or the password, or its URL has none";
    }
    match fault.code() {
        Some("READONLY") => {
            "the shared token store is read-only, as a replica is; give the URL of the master"
        }
        Some("NOREPLICAS") => {
            "the shared token store has fewer replicas than its `min-replicas-to-write`, and so accepts no writes"
        }
        Some("OOM") => {
            "the shared token store has no memory left; raise its `maxmemory`, or remove what is not needed"
        }
        _ if fault.is_timeout() => "the shared token store did not reply in time",
        _ if has_no_master(fault) => {
            "the sentinels of the shared token store know no master of the name in the URL that is up"
        }
        _ if is_connection_failure(fault) => "the shared token store cannot be reached",
        _ => "the shared token store refused the command",
    }
}

/// What failed below the client. It is behind an `Arc`, which hides its type.
fn inside(fault: &RedisError) -> Option<&(dyn StdError + 'static)> {
    let inside = fault.source()?;
    let shared: Option<&Arc<dyn StdError + Send + Sync>> = inside.downcast_ref();
    Some(shared.map_or(inside, |shared| &**shared))
}

/// The cause of a failure. The server chooses the text of a refusal.
struct PrintableFault(RedisError);

impl fmt::Display for PrintableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

impl fmt::Debug for PrintableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", printable(&self.0))
    }
}

impl std::error::Error for PrintableFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn refusal(reply: &str) -> RedisError {
        let reply = parse_redis_value(format!("-{reply}\r\n").as_bytes());
        reply.unwrap().extract_error().unwrap_err()
    }

    #[test]
    fn a_refusal_says_what_to_change_and_not_that_the_server_cannot_be_reached() {
        let failed = (
            ErrorKind::AuthenticationFailed,
            "Password authentication failed",
        );
        let of_a_cluster = (
            ErrorKind::Io,
            "Failed to create initial connections",
            RedisError::from(failed).to_string(),
        );
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        for (fault, expected) in [
            (failed.into(), "refused the user or the password"),
            (of_a_cluster.into(), "refused the user or the password"),
            (
                refusal("WRONGPASS invalid username-password pair"),
                "refused the user",
            ),
            (
                refusal("NOAUTH Authentication required."),
                "refused the user",
            ),
            (
                refusal("READONLY You can't write against a read only replica."),
                "is read-only",
            ),
            (
                refusal("NOREPLICAS Not enough good replicas to write."),
                "`min-replicas-to-write`",
            ),
            (refusal("OOM command not allowed"), "no memory left"),
            (
                refusal("NOPERM no permissions to run the 'eval' command"),
                "refused the command",
            ),
            (RedisError::timed_out(), "did not reply in time"),
            (broken.into(), "cannot be reached"),
        ] {
            let shown = unavailable(fault).to_string();
            assert!(shown.contains(expected), "{shown}");
        }
    }
}
