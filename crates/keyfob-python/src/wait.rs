//! Waiting on the calling thread: without the interpreter's lock, and so that Ctrl-C interrupts it.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use pyo3::prelude::*;

use crate::inside::{Inside, detached};
use crate::lock::lock;

/// How long Ctrl-C may have to wait.
const SLICE: Duration = Duration::from_millis(50);

/// Waits for the future to end; `None` if the max_wait is over before.
///
/// # Errors
///
/// What a signal's handler raises.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    mut future: BoxFuture<'_, T>,
    max_wait: Option<Duration>,
) -> PyResult<Option<T>> {
    let waited = wait_for(py, &mut future, max_wait);
    // As it is polled, so it is dropped: a renewal that ends may wait for the interpreter's lock with what this needs.
    detached(py, || drop(future));
    waited
}

fn wait_for<T: Send>(
    py: Python<'_>,
    future: &mut BoxFuture<'_, T>,
    max_wait: Option<Duration>,
) -> PyResult<Option<T>> {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let end = max_wait.and_then(|max_wait| Instant::now().checked_add(max_wait));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let slice = left.unwrap_or(SLICE).min(SLICE);
        let (polled, inside) = py.detach(|| poll_and_wait(future, &waker, &bell, slice));
        drop(inside);
        if let Poll::Ready(output) = polled {
            return Ok(Some(output));
        }
        py.check_signals()?;
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
    }
}

fn poll_and_wait<T>(
    future: &mut BoxFuture<'_, T>,
    waker: &Waker,
    bell: &Bell,
    slice: Duration,
) -> (Poll<T>, Inside) {
    let inside = Inside::enter();
    let polled = Pin::new(future).poll(&mut Context::from_waker(waker));
    if polled.is_ready() {
        return (polled, inside);
    }
    drop(inside);
    bell.wait(slice);
    // Taking the interpreter's lock again is to be inside.
    (polled, Inside::enter())
}

/// Wakes the thread that waits.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    fn wait(&self, slice: Duration) {
        let waited = self
            .ring
            .wait_timeout_while(lock(&self.rung), slice, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *lock(&self.rung) = true;
        self.ring.notify_one();
    }
}
