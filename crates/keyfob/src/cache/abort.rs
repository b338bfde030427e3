//! The end of a renewal by another than its runtime, which may drive nothing any more.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, TryLockError};
use std::task::{Context, Poll, ready};

use futures_util::future::{AbortHandle, Abortable, BoxFuture, abortable};

use crate::runtime::lock::{Mutex, lock};

/// The work of a renewal, in a place where [`Abort`] finds it.
pub(super) struct Work(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

/// Ends the work of a renewal.
#[derive(Clone)]
pub(super) struct Abort {
    handle: AbortHandle,
    work: Arc<Mutex<Option<BoxFuture<'static, ()>>>>,
}

impl Work {
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> (Abortable<Self>, Abort) {
        let work: Arc<Mutex<Option<BoxFuture<'static, ()>>>> =
            Arc::new(Mutex::new(Some(Box::pin(work))));
        let (task, handle) = abortable(Self(Arc::clone(&work)));
        (task, Abort { handle, work })
    }
}

impl Future for Work {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut work = lock(&self.0);
        if let Some(future) = work.as_mut() {
            ready!(future.as_mut().poll(context));
        }
        let ended = work.take();
        // What the work holds is dropped without the lock.
        drop(work);
        drop(ended);
        Poll::Ready(())
    }
}

impl Drop for Work {
    /// A runtime that stops drops the work, although waiting callers have an [`Abort`].
    fn drop(&mut self) {
        let work = lock(&self.0).take();
        drop(work);
    }
}

impl Abort {
    /// Ends the work when its runtime next drives it.
    pub(super) fn abort(&self) {
        self.handle.abort();
    }

    /// Ends the work now. The caller drops it, and so what it holds, such as a lock that the next renewal needs.
    ///
    /// `None` if its runtime drives it at this moment, and so ends it, or if it has ended.
    #[must_use]
    pub(super) fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.handle.abort();
        match self.work.try_lock() {
            Ok(mut work) => work.take(),
            Err(TryLockError::Poisoned(work)) => work.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
