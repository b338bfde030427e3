//! An open connection, and what ends a statement whose reply does not come.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared, select};
use tokio::sync::Notify;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{CancelToken, Client, Config, Socket};

use crate::clock::clock;
use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::store::outage::PAUSES;
use crate::store::postgres::fault::Fault;

/// An open connection. A task reads and writes its data until it is dropped and all replies have arrived.
pub(super) struct OpenConnection {
    pub(super) client: Client,
    /// Set while a statement has no reply.
    awaits_reply: AtomicBool,
    given_up: Arc<Notify>,
    closed: Closed,
}

/// Completes when a connection is closed.
pub(super) type Closed = Shared<BoxFuture<'static, ()>>;

impl OpenConnection {
    pub(super) async fn open<T>(config: &Config, tls: T) -> Result<Self, Fault>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (client, connection) = config.connect(tls.clone()).await?;
        let given_up = Arc::new(Notify::new());
        let (token, told) = (client.cancel_token(), Arc::clone(&given_up));
        let moved = tokio::spawn(async move {
            let cancelled = async {
                told.notified().await;
                cancel(&token, &tls).await;
            };
            select(pin!(connection), pin!(cancelled)).await;
        });
        Ok(Self {
            client,
            awaits_reply: AtomicBool::new(false),
            given_up,
            closed: moved.map(drop).boxed().shared(),
        })
    }

    /// Waits for the reply to a statement of the client. If this is dropped before, drop the connection, too.
    pub(super) async fn ask<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        self.awaits_reply.store(true, Ordering::Release);
        let reply = statement.await;
        self.awaits_reply.store(false, Ordering::Release);
        reply
    }

    pub(super) fn closed(&self) -> Closed {
        self.closed.clone()
    }
}

/// The server does not notice that a connection was closed while a statement waits, such as for a lock or for a standby. Unless it
/// is cancelled, each such statement takes up a connection of the server for as long as it waits.
impl Drop for OpenConnection {
    fn drop(&mut self) {
        if self.awaits_reply.load(Ordering::Acquire) {
            self.given_up.notify_one();
        }
    }
}

/// Cancels the statement. A cancellation that is faster than the statement has no effect, so there are several.
async fn cancel<T>(token: &CancelToken, tls: &T)
where
    T: MakeTlsConnect<Socket> + Clone,
{
    for sent in 1..=MAX_CANCELLATIONS {
        let cancelled = token.cancel_query(tls.clone());
        let _ = clock::within(&SystemClock, CANCELLATION_TIMEOUT, cancelled).await;
        let pause = PAUSES.half_jitter(sent, fastrand::f64());
        SystemClock.sleep(pause).await;
    }
}

const MAX_CANCELLATIONS: u32 = 10;

/// A server that hangs does not accept a cancellation either.
const CANCELLATION_TIMEOUT: Duration = Duration::from_secs(1);
