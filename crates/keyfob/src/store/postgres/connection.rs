//! The connection to the database. It is opened when it is needed, and again after it broke.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, Row};

use crate::clock::clock;
use crate::clock::system::SystemClock;
use crate::runtime::lock::{Mutex, lock};
use crate::store::connections::Connections;
use crate::store::error::StoreError;
use crate::store::outage::within_timeout;
use crate::store::postgres::address::Address;
use crate::store::postgres::fault::Fault;
use crate::store::postgres::open_connection::OpenConnection;
use crate::store::postgres::table::Table;

/// The default timeout of one statement.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// A value of a statement.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) address: Address,
    open: Connections<Arc<OpenConnection>>,
    pub(super) timeout: Duration,
}

impl Connection {
    pub(super) fn to(address: Address) -> Self {
        Self {
            address,
            open: Connections::none(),
            timeout: TIMEOUT,
        }
    }

    /// Runs a statement. If the connection broke or the server restarts, it runs again, so it must be repeatable.
    pub(super) async fn run(&self, statement: Statement<'_>) -> Result<Vec<Row>, StoreError> {
        let in_use = InUse::default();
        let result = within_timeout(self.timeout, || self.try_run(statement, &in_use)).await;
        self.end_unanswered(&in_use).await;
        result.map_err(Fault::into_store_error)
    }

    /// Runs the statements that create a table.
    pub(super) async fn create(&self, statements: &str) -> Result<(), StoreError> {
        let in_use = InUse::default();
        let created = async {
            let open = self.connect(&in_use).await?;
            let created = open.client.batch_execute(statements).await;
            lock(&in_use).take();
            Ok(created?)
        };
        let created = clock::within(&SystemClock, self.timeout, created).await;
        self.end_unanswered(&in_use).await;
        let created = created.unwrap_or(Err(Fault::TimedOut));
        created.map_err(Fault::into_store_error)
    }

    async fn try_run(&self, statement: Statement<'_>, in_use: &InUse) -> Result<Vec<Row>, Fault> {
        let open = self.open.get();
        let rows = async {
            let open = match open {
                Some(open) => open,
                None => self.connect_to(statement.table, in_use).await?,
            };
            *lock(in_use) = Some(Arc::clone(&open));
            let rows = open.client.query_typed(statement.text, statement.values);
            Ok(rows.await?)
        };
        let rows = rows.await;
        lock(in_use).take();
        let rows = match self.address.config.get_hosts().len() {
            1 => rows,
            _ => rows.map_err(Fault::of_several),
        };
        rows.inspect_err(|fault: &Fault| {
            if fault.ends_connection() {
                self.open.forget();
            }
        })
    }

    /// Ends the connection of an attempt that was dropped at the timeout.
    async fn end_unanswered(&self, in_use: &InUse) {
        let Some(open) = lock(in_use).take() else {
            return;
        };
        self.open.forget();
        // The process may end now, so the server is told before the caller is.
        clock::within(&SystemClock, self.timeout / 3, open.give_up()).await;
    }

    /// Connects to a database whose table has the layout that this version knows.
    async fn connect_to(
        &self,
        table: &Table,
        in_use: &InUse,
    ) -> Result<Arc<OpenConnection>, Fault> {
        let open = self.connect(in_use).await?;
        table.check(&open.client).await?;
        // Before the statement is sent, so that other callers share the connection meanwhile.
        self.open.set(Arc::clone(&open));
        Ok(open)
    }

    async fn connect(&self, in_use: &InUse) -> Result<Arc<OpenConnection>, Fault> {
        let config = &self.address.config;
        let open = match &self.address.tls {
            Some(tls) => OpenConnection::open(config, tls.clone()).await?,
            None => OpenConnection::open(config, NoTls).await?,
        };
        let open = Arc::new(open);
        *lock(in_use) = Some(Arc::clone(&open));
        Ok(open)
    }
}

/// The connection from which an attempt waits for a reply. After a timeout, the attempt was dropped and this is still set.
type InUse = Mutex<Option<Arc<OpenConnection>>>;

/// A statement on a table.
#[derive(Clone, Copy)]
pub(super) struct Statement<'a> {
    pub(super) table: &'a Table,
    pub(super) text: &'a str,
    pub(super) values: &'a [Value<'a>],
}
