//! Connections to a database that are used by one command at a time, so that a command which waits holds up no other.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Object, Pool, PoolError, QueueMode};

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::store::outage::ServerFault;

/// Connections of one tokio runtime. Clones share them.
pub(super) struct ConnectionPool<M: Manager> {
    pool: Pool<M>,
    /// Whether a task closes those that are idle.
    closes_idle: Arc<AtomicBool>,
}

impl<M: Manager<Error: ServerFault> + 'static> ConnectionPool<M> {
    pub(super) fn new(opener: M, max: usize) -> Self {
        let pool = Pool::builder(opener).max_size(max);
        let pool = pool.queue_mode(QueueMode::Lifo).build();
        Self {
            pool: pool.expect("without timeouts, it needs no runtime"),
            closes_idle: Arc::default(),
        }
    }

    /// A connection that nothing else uses. It is opened if there is none, and waited for if there are as many as there may be.
    pub(super) async fn get(&self) -> Result<InUse<M>, M::Error> {
        let open = self.pool.get().await;
        self.close_idle_ones();
        match open {
            Ok(open) => Ok(InUse(Some(open))),
            Err(PoolError::Backend(fault)) => Err(fault),
            // These concern timeouts, hooks and the end of a pool, of which there is none here.
            Err(_) => Err(M::Error::timed_out()),
        }
    }

    /// Closes the connections that nothing uses, because one broke, or the server may be another one now.
    pub(super) fn forget(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Starts the task that closes what is idle, unless it runs.
    fn close_idle_ones(&self) {
        let closes_idle = Arc::clone(&self.closes_idle);
        if closes_idle.swap(true, Ordering::AcqRel) {
            return;
        }
        let pool = self.pool.weak();
        tokio::spawn(async move {
            loop {
                SystemClock.sleep(MAX_IDLE).await;
                let Some(pool) = pool.upgrade() else {
                    return;
                };
                pool.retain(|_, metrics| metrics.last_used() < MAX_IDLE);
                closes_idle.store(false, Ordering::Release);
                // Another connection may have been opened just before.
                if pool.status().size == 0 || closes_idle.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
    }
}

impl<M: Manager> Clone for ConnectionPool<M> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            closes_idle: Arc::clone(&self.closes_idle),
        }
    }
}

/// A connection that one command uses. It is closed when this is dropped, because a reply may be missing.
pub(super) struct InUse<M: Manager>(Option<Object<M>>);

impl<M: Manager> InUse<M> {
    /// Lets other commands use the connection: all replies have arrived.
    pub(super) fn give_back(mut self) {
        self.0 = None;
    }
}

impl<M: Manager> Deref for InUse<M> {
    type Target = M::Type;

    fn deref(&self) -> &M::Type {
        self.0.as_ref().expect(GIVEN_BACK)
    }
}

impl<M: Manager> DerefMut for InUse<M> {
    fn deref_mut(&mut self) -> &mut M::Type {
        self.0.as_mut().expect(GIVEN_BACK)
    }
}

impl<M: Manager> Drop for InUse<M> {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

const GIVEN_BACK: &str = "what was given back is gone";

/// Most processes need a token once in some minutes. They leave the connections of the server to others meanwhile.
const MAX_IDLE: Duration = Duration::from_secs(10);
