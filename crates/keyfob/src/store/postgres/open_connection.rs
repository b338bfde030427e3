//! An open connection, and what ends a statement whose reply does not come.

use std::pin::pin;
use std::sync::Arc;
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
    given_up: Arc<Notify>,
    closed: Shared<BoxFuture<'static, ()>>,
}

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
        let (cancel, told) = (client.cancel_token(), Arc::clone(&given_up));
        let moved = tokio::spawn(async move {
            let cancelled = async {
                told.notified().await;
                cancel_all(&cancel, &tls).await;
            };
            select(pin!(connection), pin!(cancelled)).await;
        });
        Ok(Self {
            client,
            given_up,
            closed: moved.map(drop).boxed().shared(),
        })
    }

    /// Ends the connection, although a reply is missing. Completes when the server has ended what it did.
    ///
    /// The server does not notice that a connection was closed while a statement waits, such as for a lock or for a standby. Without
    /// this, each such statement would take up a connection of the server for as long as it waits.
    pub(super) fn give_up(self: Arc<Self>) -> Shared<BoxFuture<'static, ()>> {
        self.given_up.notify_one();
        self.closed.clone()
    }
}

/// Cancels one statement after the other. A cancellation ends only the statement that runs, and the next one may wait as well.
async fn cancel_all<T>(token: &CancelToken, tls: &T)
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

/// As many statements as callers may have sent over one connection, or nearly.
const MAX_CANCELLATIONS: u32 = 100;

/// A server that hangs does not accept a cancellation either.
const CANCELLATION_TIMEOUT: Duration = Duration::from_secs(1);
