//! The connections that the statements of one tokio runtime share: each statement has one for itself until its reply arrives.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult,
};

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::store::postgres::address::Address;
use crate::store::postgres::connect::connect;
use crate::store::postgres::fault::Fault;
use crate::store::postgres::open_connection::OpenConnection;
use crate::store::postgres::table::Table;

/// The connections of one tokio runtime. Clones share them.
#[derive(Clone)]
pub(super) struct ConnectionPool(Pool<Opener, InUse>);

/// A row that another program has locked holds up the statements that need it, and no others while there is another connection. A
/// server has 100 connections unless it is set, so there are few of each process.
const MAX_CONNECTIONS: usize = 4;

/// Most processes need a token once in some minutes. They leave the connections of the server to others meanwhile.
const MAX_IDLE: Duration = Duration::from_secs(10);

impl ConnectionPool {
    pub(super) fn new(address: Arc<Address>, table: Table, timeout: Duration) -> Self {
        let pool = Pool::builder(Opener {
            address,
            table,
            timeout,
            closes_idle: AtomicBool::new(false),
        });
        let pool = pool.max_size(MAX_CONNECTIONS).queue_mode(QueueMode::Lifo);
        Self(pool.build().expect("without timeouts, it needs no runtime"))
    }

    /// A connection that no other statement uses. It is opened if there is none, and waited for if there are too many.
    pub(super) async fn get(&self) -> Result<InUse, Fault> {
        match self.0.get().await {
            Ok(open) => {
                self.close_idle_ones();
                Ok(open)
            }
            Err(PoolError::Backend(fault)) => Err(fault),
            // These concern timeouts, hooks and the end of a pool, of which there is none here.
            Err(_) => Err(Fault::TimedOut),
        }
    }

    /// Closes the connections that no statement uses, because one broke, or the server may be another one now.
    pub(super) fn forget(&self) {
        self.0.retain(|_, _| false);
    }

    /// Starts the task that closes connections of no use, unless it runs.
    fn close_idle_ones(&self) {
        if self.0.manager().closes_idle.swap(true, Ordering::AcqRel) {
            return;
        }
        let pool = self.0.weak();
        tokio::spawn(async move {
            loop {
                SystemClock.sleep(MAX_IDLE).await;
                let Some(pool) = pool.upgrade() else {
                    return;
                };
                pool.retain(|_, metrics| metrics.last_used() < MAX_IDLE);
                let closes_idle = &pool.manager().closes_idle;
                closes_idle.store(false, Ordering::Release);
                // Another connection may have been opened just before.
                if pool.status().size == 0 || closes_idle.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
    }
}

/// Opens connections to a database whose table has the layout that this version knows.
struct Opener {
    address: Arc<Address>,
    table: Table,
    timeout: Duration,
    /// Whether a task closes the connections that are idle.
    closes_idle: AtomicBool,
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
        match open.is_usable() {
            true => Ok(()),
            // Another one is used or opened, and nobody is told.
            false => Err(RecycleError::message("")),
        }
    }
}

/// A connection that one statement uses.
pub(super) struct InUse(Option<Object<Opener>>);

impl From<Object<Opener>> for InUse {
    fn from(open: Object<Opener>) -> Self {
        Self(Some(open))
    }
}

impl Deref for InUse {
    type Target = OpenConnection;

    fn deref(&self) -> &OpenConnection {
        self.0.as_ref().expect("it is taken when this is dropped")
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let unusable = self.0.take().filter(|open| !open.is_usable());
        // One that is usable goes back to the pool.
        drop(unusable.map(Object::take));
    }
}
