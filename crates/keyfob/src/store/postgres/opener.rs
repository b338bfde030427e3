//! What the connections of a pool have in common: the database, and a table that this version knows.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};

use crate::store::postgres::address::Address;
use crate::store::postgres::connect::connect;
use crate::store::postgres::fault::Fault;
use crate::store::postgres::open_connection::OpenConnection;
use crate::store::postgres::table::Table;

/// Opens connections to a database whose table has the layout that this version knows.
pub(super) struct Opener {
    pub(super) address: Arc<Address>,
    pub(super) table: Table,
    pub(super) timeout: Duration,
}

impl Manager for Opener {
    type Type = OpenConnection;
    type Error = Fault;

    async fn create(&self) -> Result<OpenConnection, Fault> {
        let open = connect(&self.address, self.timeout).await?;
        self.table.check(&open).await?;
        Ok(open)
    }

    async fn recycle(&self, open: &mut OpenConnection, _: &Metrics) -> RecycleResult<Fault> {
        match open.client.is_closed() {
            // Another one is used or opened, and nobody is told.
            true => Err(RecycleError::message("")),
            false => Ok(()),
        }
    }
}
