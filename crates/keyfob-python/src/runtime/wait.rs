//! Waits on the calling thread, without the interpreter's lock and so that Ctrl-C interrupts the wait.
//!
//! A greenlet waits in its hub instead, so that other greenlets of the thread go on.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::runtime::critical_section::{CriticalSection, attached, detached};
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
    let deadline = max_wait.and_then(|max_wait| Instant::now().checked_add(max_wait));
    let waited = match hub_wait(py)? {
        Some(hub_wait) => {
            let waited = wait_in_hub(&hub_wait, &mut future, deadline);
            hub_wait.call_method0(intern!(py, "close"))?;
            waited
        }
        None => wait_on_thread(py, &mut future, deadline),
    };
    // Dropped without the interpreter's lock, as it is polled: a renewal that ends may hold what the drop needs, and wait for
    // the interpreter's lock.
    detached(py, || drop(future));
    waited
}

/// The `keyfob._event_loop.HubWait` of the calling greenlet; `None` on a thread without a hub.
fn hub_wait(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    static HUB_WAIT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let hub_wait = HUB_WAIT.import(py, "keyfob._event_loop", "hub_wait")?;
    let hub_wait = hub_wait.call0()?;
    Ok((!hub_wait.is_none()).then_some(hub_wait))
}

fn wait_in_hub<T: Send>(
    hub_wait: &Bound<'_, PyAny>,
    future: &mut BoxFuture<'_, T>,
    deadline: Option<Instant>,
) -> PyResult<Option<T>> {
    let py = hub_wait.py();
    let waker = callback(hub_wait.getattr(intern!(py, "wake"))?.unbind());
    loop {
        let poll = || Pin::new(&mut *future).poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(output) = detached(py, poll) {
            return Ok(Some(output));
        }
        let left = left(deadline);
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
        // The whole time at once: gevent loses waiters that wait many times for a short time.
        hub_wait.call_method1(intern!(py, "wait"), (left.map(|left| left.as_secs_f64()),))?;
    }
}

fn left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

fn wait_on_thread<T: Send>(
    py: Python<'_>,
    future: &mut BoxFuture<'_, T>,
    deadline: Option<Instant>,
) -> PyResult<Option<T>> {
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(Arc::clone(&signal));
    loop {
        let left = left(deadline);
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

/// A waker that calls a Python callable, from any thread.
pub(crate) fn callback(wake: Py<PyAny>) -> Waker {
    Waker::from(Arc::new(Callback(wake)))
}

struct Callback(Py<PyAny>);

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        // Without an interpreter, no event loop is left to wake.
        let _ = attached(|py| {
            if let Err(error) = self.0.call0(py) {
                // The event loop is closed.
                error.write_unraisable(py, None);
            }
        });
    }
}
