//! The connection to the database. It is opened when it is needed, and again after it broke.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Row};

use crate::clock::clock;
use crate::clock::system::SystemClock;
use crate::store::connections::Connections;
use crate::store::error::StoreError;
use crate::store::outage::within_timeout;
use crate::store::postgres::address::Address;
use crate::store::postgres::fault::Fault;
use crate::store::postgres::table::Table;

/// The default timeout of one statement.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// A value of a statement.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) address: Address,
    open: Connections<Arc<Client>>,
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
        let result = within_timeout(self.timeout, || self.try_run(statement)).await;
        result.map_err(|fault| {
            // Also after a timeout, in which the attempt was dropped.
            self.note(&fault);
            fault.into_store_error()
        })
    }

    /// Runs the statements that create a table.
    pub(super) async fn create(&self, statements: &str) -> Result<(), StoreError> {
        let created = async {
            let client = self.connect().await?;
            Ok(client.batch_execute(statements).await?)
        };
        let created = clock::within(&SystemClock, self.timeout, created).await;
        let created = created.unwrap_or(Err(Fault::TimedOut));
        created.map_err(Fault::into_store_error)
    }

    async fn try_run(&self, statement: Statement<'_>) -> Result<Vec<Row>, Fault> {
        let open = self.open.get();
        let rows = async {
            let client = match open {
                Some(client) => client,
                None => self.connect_to(statement.table).await?,
            };
            let rows = client.query_typed(statement.text, statement.values).await;
            Ok(rows?)
        };
        rows.await.inspect_err(|fault| self.note(fault))
    }

    fn note(&self, fault: &Fault) {
        if fault.ends_connection() {
            self.open.forget();
        }
    }

    /// Connects to a database whose table has the layout that this version knows.
    async fn connect_to(&self, table: &Table) -> Result<Arc<Client>, Fault> {
        let client = Arc::new(self.connect().await?);
        table.check(&client).await?;
        // Before the statement is sent, so that other callers share the connection meanwhile.
        self.open.set(Arc::clone(&client));
        Ok(client)
    }

    async fn connect(&self) -> Result<Client, Fault> {
        let config = &self.address.config;
        Ok(match &self.address.tls {
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                tokio::spawn(connection.map(drop));
                client
            }
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(connection.map(drop));
                client
            }
        })
    }
}

/// A statement on a table.
#[derive(Clone, Copy)]
pub(super) struct Statement<'a> {
    pub(super) table: &'a Table,
    pub(super) text: &'a str,
    pub(super) values: &'a [Value<'a>],
}
