//! The database of a store, and its rows.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row as Found;
use tokio_postgres::types::{FromSqlOwned, Type};

use crate::error::printable::printable;
use crate::store::error::StoreError;
use crate::store::leased_row::extension;
use crate::store::leased_row::{self, KeepFor, Row, RowSettings, Save, SealedEntry};
use crate::store::postgres::connection::{Connection, Statement, Value};
use crate::store::postgres::table::Table;

/// The database and its settings. All clones and leases of a store share it.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) table: Table,
    pub(super) rows: RowSettings,
}

/// The place of one entry in the database.
#[derive(Clone)]
pub(super) struct PostgresRow {
    pub(super) database: Arc<Database>,
    pub(super) id: String,
}

impl Database {
    pub(super) fn row(self: &Arc<Self>, id: &str) -> PostgresRow {
        PostgresRow {
            database: Arc::clone(self),
            id: id.to_owned(),
        }
    }

    /// The ids of all entries, and whether each is more than what was quarantined of it.
    pub(super) async fn ids(&self) -> Result<Vec<(String, bool)>, StoreError> {
        let found = self.run(&self.table.list, &[]).await?;
        let rows = found.iter();
        rows.map(|row| Ok((cell(row, 0)?, cell(row, 1)?))).collect()
    }

    /// Removes some rows that nothing can use any more. They are more than a save adds, and few enough to keep the save short.
    async fn remove_expired(&self) {
        let timeout = self.connection.timeout / CLEAN_UP_SHARE;
        let removed = self.run_within(timeout, &self.table.remove_expired, &[]);
        if let Err(fault) = removed.await {
            tracing::debug!(target: "keyfob", error = %printable(&fault), "expired tokens were not removed from the database");
        }
    }

    async fn run(&self, text: &str, values: &[Value<'_>]) -> Result<Vec<Found>, StoreError> {
        self.run_within(self.connection.timeout, text, values).await
    }

    async fn run_within(
        &self,
        timeout: Duration,
        text: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Found>, StoreError> {
        let statement = Statement {
            table: &self.table,
            text,
            values,
        };
        self.connection.run(timeout, statement).await
    }
}

impl PostgresRow {
    /// Runs a statement whose first value is the id. Returns the first row.
    async fn run(
        &self,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<Option<Found>, StoreError> {
        let mut all: Vec<Value<'_>> = vec![(&self.id, Type::TEXT)];
        all.extend_from_slice(values);
        let found = self.database.run(statement, &all).await?;
        Ok(found.into_iter().next())
    }

    /// How long a lease lasts. The type has room for 300 million years, but a point in time has not.
    fn lease_milliseconds(&self) -> f64 {
        let milliseconds = self.settings().lease_milliseconds();
        milliseconds.min(LONGEST_LEASE) as f64
    }
}

impl Row for PostgresRow {
    fn id(&self) -> &str {
        &self.id
    }

    fn settings(&self) -> &RowSettings {
        &self.database.rows
    }

    async fn read(&self) -> Result<Option<SealedEntry>, StoreError> {
        let Some(found) = self.run(&self.database.table.read, &[]).await? else {
            return Ok(None);
        };
        // Another program may have changed the row. The seal shows whether the entry is good.
        let revision: Option<String> = cell(&found, 0)?;
        let age: Option<i64> = cell(&found, 2)?;
        Ok(Some(SealedEntry {
            revision: revision.unwrap_or_default(),
            sealed: cell(&found, 1)?,
            age: age.and_then(leased_row::age),
        }))
    }

    async fn lease(&self, lease_id: &str) -> Result<Option<u64>, StoreError> {
        let duration = self.lease_milliseconds();
        let values: [Value<'_>; 2] = [(&lease_id, Type::TEXT), (&duration, Type::FLOAT8)];
        let found = self.run(&self.database.table.lease, &values).await?;
        let fence = found.map(|found| cell::<i64>(&found, 0)).transpose()?;
        Ok(fence.map(i64::unsigned_abs))
    }

    async fn extend(&self, lease_id: &str) -> Result<bool, StoreError> {
        let duration = self.lease_milliseconds();
        let values: [Value<'_>; 3] = [
            (&self.id, Type::TEXT),
            (&lease_id, Type::TEXT),
            (&duration, Type::FLOAT8),
        ];
        let database = &self.database;
        let lease_duration = self.settings().lease_duration;
        let timeout = extension::timeout(lease_duration, database.connection.timeout);
        let found = database.run_within(timeout, &database.table.extend, &values);
        Ok(!found.await?.is_empty())
    }

    async fn release(&self, lease_id: &str) -> Result<(), StoreError> {
        let values: [Value<'_>; 1] = [(&lease_id, Type::TEXT)];
        let released = self.run(&self.database.table.release, &values).await;
        released.map(drop)
    }

    async fn write(&self, save: Save<'_>) -> Result<bool, StoreError> {
        let (keep_for, as_before) = match save.keep_for {
            KeepFor::Forever => (None, false),
            KeepFor::Milliseconds(time) => (Some(time as f64), false),
            KeepFor::AsBefore => (None, true),
        };
        let values: [Value<'_>; 6] = [
            (&save.revision, Type::TEXT),
            (&save.sealed, Type::BYTEA),
            (&save.follows[0], Type::TEXT),
            (&save.follows[1], Type::TEXT),
            (&keep_for, Type::FLOAT8),
            (&as_before, Type::BOOL),
        ];
        let written = self.run(&self.database.table.write, &values).await?;
        if written.is_some() {
            self.database.remove_expired().await;
        }
        Ok(written.is_some())
    }

    async fn remove(&self) -> Result<bool, StoreError> {
        let removed = self.run(&self.database.table.remove, &[]).await?;
        Ok(removed.is_some())
    }

    async fn quarantine(&self) -> Result<(), StoreError> {
        let moved = self.run(&self.database.table.quarantine, &[]).await;
        moved.map(drop)
    }
}

/// A value of a row. It is kept out of the error, because it may be an entry.
fn cell<T: FromSqlOwned>(row: &Found, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(|_| {
        StoreError::unusable(
            "the table of the token store has a value that is not understood; another program may have written it",
        )
    })
}

/// The caller of a save waits while what is expired is removed, so this may take only a part of the timeout.
const CLEAN_UP_SHARE: u32 = 6;

/// A year, in milliseconds.
const LONGEST_LEASE: u64 = 365 * 24 * 3600 * 1000;
