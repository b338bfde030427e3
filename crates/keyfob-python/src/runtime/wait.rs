//! Waits on the calling thread, without the interpreter's lock and so that Ctrl-C interrupts the wait.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use pyo3::prelude::*;

use crate::runtime::critical_section::{CriticalSection, detached};
use crate::runtime::threads::lock;

/// How long Ctrl-C waits at most.
const SLICE: Duration = Duration::from_millis(50);

/// Waits until the future is ready; `None` if that takes longer than `max_wait`.
///
/// # Errors
///
/// The exception of a signal handler.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    mut future: BoxFuture<'_, T>,
    max_wait: Option<Duration>,
) -> PyResult<Option<T>> {
    let waited = wait_for(py, &mut future, max_wait);
    // Dropped without the interpreter's lock, as it is polled: a renewal that ends may hold what the drop needs, and wait for
    // the interpreter's lock.
    detached(py, || drop(future));
    waited
}

fn wait_for<T: Send>(
    py: Python<'_>,
    future: &mut BoxFuture<'_, T>,
    max_wait: Option<Duration>,
) -> PyResult<Option<T>> {
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(Arc::clone(&signal));
    let deadline = max_wait.and_then(|max_wait| Instant::now().checked_add(max_wait));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let slice = left.unwrap_or(SLICE).min(SLICE);
        let (polled, section) = py.detach(|| poll_and_wait(future, &waker, &signal, slice));
        drop(section);
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
    signal: &Signal,
    slice: Duration,
) -> (Poll<T>, CriticalSection) {
    let section = CriticalSection::enter();
    let polled = Pin::new(future).poll(&mut Context::from_waker(waker));
    if polled.is_ready() {
        return (polled, section);
    }
    drop(section);
    signal.wait(slice);
    // The caller takes the interpreter's lock again, and that belongs in a section.
    (polled, CriticalSection::enter())
}

/// Wakes the thread that waits.
#[derive(Default)]
struct Signal {
    woken: Mutex<bool>,
    condition: Condvar,
}

impl Signal {
    fn wait(&self, slice: Duration) {
        let waited = self
            .condition
            .wait_timeout_while(lock(&self.woken), slice, |woken| !*woken);
        let (mut woken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *woken = false;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *lock(&self.woken) = true;
        self.condition.notify_one();
    }
}
