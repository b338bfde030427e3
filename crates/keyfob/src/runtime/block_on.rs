//! Running a future on the calling thread, which sleeps while there is nothing to do.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::runtime::blocking_flag::Blocking;

/// Runs a future to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    block_on_for(future, None).expect("a wait without limit ends with the future")
}

/// Runs a future on this thread to its end, or until the max_wait is over.
#[expect(
    clippy::disallowed_methods,
    reason = "the thread sleeps by the system's clock"
)]
pub(crate) fn block_on_for<F: Future>(future: F, max_wait: Option<Duration>) -> Option<F::Output> {
    let _blocking = Blocking::begins();
    let since = Instant::now();
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        while !unpark.woken.swap(false, Ordering::Acquire) {
            match max_wait.map(|max_wait| max_wait.saturating_sub(since.elapsed())) {
                None => thread::park(),
                Some(Duration::ZERO) => return None,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

/// Remembers that it woke the thread: code that parks inside a poll, such as a channel, takes the token of `unpark`.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::sync::mpsc;

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
            thread::park();
            Poll::Pending
        });
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || sender.send(block_on(wakes_and_parks)));
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(2));
    }

    #[test]
    fn the_wait_ends_with_the_patience() {
        assert_eq!(block_on_for(pending::<()>(), Some(Duration::ZERO)), None);
    }
}
