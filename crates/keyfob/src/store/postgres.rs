//! A store in PostgreSQL, shared by many machines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

mod address;
mod connect;
mod connection;
mod database;
mod fault;
mod hosts;
mod open_connection;
mod opener;
mod table;
mod tls;

use crate::error::error::Error;
use crate::store::availability::Availability;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::leased_row::{self, RowSettings};
use crate::store::postgres::address::Address;
use crate::store::postgres::connection::Connection;
use crate::store::postgres::database::Database;
use crate::store::postgres::table::Table;
use crate::store::seal::SealingKeys;
use crate::store::store::{
    EntrySummary, StoreFuture, StoreLease, StoredEntry, TokenStore, quarantined, summarize,
};

/// A store in a table of a PostgreSQL database, shared by many machines.
///
/// Entries are always sealed: a reader of the database learns no token. Each seal is bound to the table, the key and a
/// counter, so that a process refuses an older state than it has seen. The lease is a time in the row that passes if its
/// process dies, and is extended while the process lives. A process that hung for longer than that can still save, unless
/// another process has saved meanwhile: each save names the revision that it follows. A save ends when the row is on the disk
/// of the server, even if the database replies earlier otherwise (`synchronous_commit = off`). Ages are measured by
/// the server's clock, so the clocks of the machines need not agree.
///
/// A store opens up to 4 connections for each tokio runtime when it needs them, and closes those that are idle. It needs
/// a tokio runtime; a cache that is used without one starts its own. It does not create its table: run what
/// [`sql`](Self::sql) returns once, or call [`create_table`](Self::create_table). `docs/how-to/many-machines.md` says how to
/// configure the server.
///
/// ```no_run
/// use keyfob::{EnvToken, TokenCache};
/// use keyfob::source::Persisted;
/// use keyfob::store::{PostgresStore, SealingKey, SealingKeys, StoreKey};
///
/// let keys = SealingKeys::new(SealingKey::from_file("/run/secrets/keyfob-sealing-key")?);
/// let store = PostgresStore::open("postgres://keyfob@db.example.com/tokens", keys)?;
/// let key = StoreKey::builder("https://issuer.example.com").client("reports").build();
/// let tokens = TokenCache::new(Persisted::new(EnvToken::new("API_TOKEN"), store, key));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    database: Arc<Database>,
    availability: Availability,
}

impl PostgresStore {
    /// The default of [`lease_duration`](Self::lease_duration). A lease is extended three times within it.
    pub const LEASE_DURATION: Duration = leased_row::LEASE_DURATION;

    /// The default of [`table`](Self::table).
    pub const TABLE: &'static str = "keyfob_tokens";

    /// The default of [`response_timeout`](Self::response_timeout).
    pub const RESPONSE_TIMEOUT: Duration = connection::TIMEOUT;

    /// A store at this URL, such as `postgres://user:password@host:port/database`.
    ///
    /// The connection uses TLS, checked against the roots of the system, unless the URL says `sslmode=disable` or names a
    /// socket. Of several hosts (`host1,host2`), the one that accepts writes is used: all are asked at once. It does not connect yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL cannot be used. The error does not quote it.
    pub fn open(url: &str, keys: SealingKeys) -> Result<Self, Error> {
        Ok(Self::at(Address::parse(url, None)?, keys))
    }

    /// As [`open`](Self::open), with the certificate authorities in this text (PEM) in place of the roots of the system.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); and for a text that has no certificate.
    pub fn open_trusting(url: &str, authorities: &[u8], keys: SealingKeys) -> Result<Self, Error> {
        Ok(Self::at(Address::parse(url, Some(authorities))?, keys))
    }

    fn at(address: Address, keys: SealingKeys) -> Self {
        Self {
            database: Arc::new(Database {
                connection: Connection::to(address),
                table: Table::new(Self::TABLE.to_owned()),
                rows: RowSettings::new(keys.bound_to(Self::TABLE)),
            }),
            availability: Availability::default(),
        }
    }

    /// Sets how long a lease lasts after it was last extended; the default is [`LEASE_DURATION`](Self::LEASE_DURATION).
    ///
    /// It should be longer than the server, the network or a process may hang. If a process dies, others wait this long.
    #[must_use]
    pub fn lease_duration(mut self, duration: Duration) -> Self {
        Arc::make_mut(&mut self.database).rows.lease_duration = duration;
        self
    }

    /// Sets how long an entry with a refresh token is kept that nothing saves again; without this, forever.
    ///
    /// An entry is saved at each renewal, so this is how long a user may stay away and still be signed in. Set it to the
    /// time after which the issuer forgets a refresh token, or longer. Entries without a refresh token go a day after their token
    /// has expired.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.database).rows.idle_timeout = Some(timeout);
        self
    }

    /// Sets the name of the table, if need be after its schema and a dot; the default is [`TABLE`](Self::TABLE).
    ///
    /// Entries are sealed for their table: under another name they cannot be opened.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        let database = Arc::make_mut(&mut self.database);
        database.table = Table::new(name.into());
        database.rows.keys = database.rows.keys.bound_to(&database.table.name);
        database.connection = database.connection.reopened();
        // Another table may be there or not, whatever holds for this one.
        self.availability = Availability::default();
        self
    }

    /// Sets how long one reply of the server may take, with connecting if needed.
    ///
    /// After this time the statement is cancelled, which may take a third of it more.
    ///
    /// The default is [`RESPONSE_TIMEOUT`](Self::RESPONSE_TIMEOUT).
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        let connection = &mut Arc::make_mut(&mut self.database).connection;
        connection.timeout = timeout;
        *connection = connection.reopened();
        self
    }

    /// The SQL statements that create a table of this name, for a migration.
    ///
    /// ```
    /// use keyfob::store::PostgresStore;
    ///
    /// assert!(PostgresStore::sql(PostgresStore::TABLE).contains("CREATE TABLE \"keyfob_tokens\""));
    /// ```
    #[must_use]
    pub fn sql(table: &str) -> String {
        Table::new(table.to_owned()).sql()
    }

    /// Creates the table. The user of the URL needs the right to do so.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unavailable`](crate::store::StoreErrorKind::Unavailable) if the server cannot be reached or refuses, as
    /// it does if there is such a table.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        let statements = self.database.table.sql();
        self.database.connection.create(&statements).await
    }
}

impl TokenStore for PostgresStore {
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
        let row = self.database.row(key.id());
        Box::pin(async move { leased_row::load(&row).await })
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>> {
        let row = self.database.row(key.id());
        Box::pin(leased_row::lease(row, key, max_wait))
    }

    fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for (id, has_entry) in self.database.ids().await? {
                let opened = match has_entry {
                    true => leased_row::open_for_list(&self.database.row(&id)).await?,
                    false => Err(quarantined()),
                };
                found.push((id, opened));
            }
            Ok(summarize(found))
        })
    }

    fn leases_expire(&self) -> bool {
        true
    }

    fn availability(&self) -> Availability {
        self.availability.clone()
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("table", &self.database.table.name)
            .field("lease_duration", &self.database.rows.lease_duration)
            .finish_non_exhaustive()
    }
}
