//! Runs a future on the calling thread, which sleeps until the future can continue.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Runs a future on this thread to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    block_on_for(future, None).expect("a wait without a limit ends with the future")
}

/// Runs a future on this thread to its end. Returns `None` if that takes longer than `max_wait`.
#[expect(
    clippy::disallowed_methods,
    reason = "the thread sleeps by the system's clock"
)]
pub(crate) fn block_on_for<F: Future>(future: F, max_wait: Option<Duration>) -> Option<F::Output> {
    let _blocking = Blocking::start();
    // A wait that reaches beyond the range of the clock has no limit.
    let deadline = max_wait.and_then(|max_wait| Instant::now().checked_add(max_wait));
    // Not `thread::park`: code inside a poll, such as a channel, may park this thread too, and would consume our wake-up.
    let (parker, unparker) = parking::pair();
    let waker = Waker::from(unparker);
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match deadline {
            None => parker.park(),
            Some(deadline) if parker.park_deadline(deadline) => {}
            Some(_) => return None,
        }
    }
}

/// Whether this thread is inside [`block_on`], so that nothing else runs on it.
pub(super) fn is_blocking() -> bool {
    BLOCKING.get()
}

thread_local! {
    static BLOCKING: Cell<bool> = const { Cell::new(false) };
}

/// Sets the thread's flag, and restores its former value when dropped.
struct Blocking(bool);

impl Blocking {
    fn start() -> Self {
        Self(BLOCKING.replace(true))
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        BLOCKING.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_wake_during_a_poll_that_parks_is_not_lost() {
        let mut polls = 0;
        let wakes_and_parks = poll_fn(move |context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(polls);
            }
            context.waker().wake_by_ref();
            thread::current().unpark();
            thread::park();
            Poll::Pending
        });
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || sender.send(block_on(wakes_and_parks)));
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(2));
    }

    #[test]
    fn the_wait_ends_after_max_wait() {
        assert_eq!(block_on_for(pending::<()>(), Some(Duration::ZERO)), None);
    }

    #[test]
    fn a_wait_beyond_the_range_of_the_clock_has_no_limit() {
        let mut polls = 0;
        let wakes = poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        assert_eq!(block_on_for(wakes, Some(Duration::MAX)), Some(()));
    }
}
