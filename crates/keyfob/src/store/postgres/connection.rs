//! How a statement gets its reply.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::clock::clock;
use crate::clock::system::SystemClock;
use crate::runtime::lock::{Mutex, lock};
use crate::store::connection_pool::ConnectionPool;
use crate::store::connections::Connections;
use crate::store::error::StoreError;
use crate::store::outage::within_timeout;
use crate::store::postgres::address::Address;
use crate::store::postgres::connect::connect;
use crate::store::postgres::fault::Fault;
use crate::store::postgres::open_connection::{Closed, OpenConnection};
use crate::store::postgres::opener::Opener;
use crate::store::postgres::table::Table;

/// The default timeout of one statement.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// A row that another program has locked holds up the statements that need it, and no others while there is another connection. A
/// server has 100 connections unless it is set, so there are few of each process.
const MAX_CONNECTIONS: usize = 4;

/// A value of a statement.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// The way to the database. Clones share the open connections.
#[derive(Clone)]
pub(super) struct Connection {
    address: Arc<Address>,
    pools: Connections<ConnectionPool<Opener>>,
    pub(super) timeout: Duration,
}

impl Connection {
    pub(super) fn to(address: Address) -> Self {
        Self {
            address: Arc::new(address),
            pools: Connections::none(),
            timeout: TIMEOUT,
        }
    }

    /// The same way with no connection open: those that are open were opened with other settings.
    pub(super) fn reopened(&self) -> Self {
        Self {
            pools: Connections::none(),
            ..self.clone()
        }
    }

    /// Runs a statement. If the connection broke or the server restarts, it runs again, so it must be repeatable.
    pub(super) async fn run(
        &self,
        timeout: Duration,
        statement: Statement<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let pool = self.pools.get_or_add(|| {
            let opener = Opener {
                address: Arc::clone(&self.address),
                table: statement.table.clone(),
                timeout: self.timeout,
            };
            ConnectionPool::new(opener, MAX_CONNECTIONS)
        });
        let unanswered = Unanswered::default();
        let attempt = async || {
            let open = pool.get().await?;
            let rows = open.client.query_typed(statement.text, statement.values);
            let rows = unanswered.until_answered(&open, rows).await;
            match &rows {
                Err(fault) if fault.ends_connection() => pool.forget(),
                _ => open.give_back(),
            }
            rows
        };
        let rows = within_timeout(timeout, attempt).await;
        if unanswered.is_any() {
            pool.forget();
            unanswered.cancel(timeout / 3).await;
        }
        rows.map_err(Fault::into_store_error)
    }

    /// Runs the statements that create a table.
    pub(super) async fn create(&self, statements: &str) -> Result<(), StoreError> {
        let unanswered = Unanswered::default();
        let created = async {
            let open = connect(&self.address, self.timeout).await?;
            let created = open.client.batch_execute(statements);
            unanswered.until_answered(&open, created).await
        };
        let created = clock::within(&SystemClock, self.timeout, created).await;
        unanswered.cancel(self.timeout / 3).await;
        let created = created.unwrap_or(Err(Fault::TimedOut));
        created.map_err(Fault::into_store_error)
    }
}

/// The connection from which an attempt waits for a reply. After a timeout, the attempt was dropped and this is still set.
#[derive(Default)]
struct Unanswered(Mutex<Option<Closed>>);

impl Unanswered {
    async fn until_answered<T>(
        &self,
        open: &OpenConnection,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        *lock(&self.0) = Some(open.closed());
        let reply = open.ask(statement).await;
        lock(&self.0).take();
        Ok(reply?)
    }

    fn is_any(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// Waits until the server has ended a statement that was dropped.
    ///
    /// The process may end after its caller is told, and the server does not notice that.
    async fn cancel(self, timeout: Duration) {
        let closed = lock(&self.0).take();
        if let Some(closed) = closed {
            clock::within(&SystemClock, timeout, closed).await;
        }
    }
}

/// A statement on a table.
#[derive(Clone, Copy)]
pub(super) struct Statement<'a> {
    pub(super) table: &'a Table,
    pub(super) text: &'a str,
    pub(super) values: &'a [Value<'a>],
}
