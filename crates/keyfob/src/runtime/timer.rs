//! Pauses where there is no tokio runtime: one thread wakes every future whose pause has ended.
//!
//! A thread for each pause would live as long as the pause: with a timeout of 20 s for each request there would be as many
//! threads as requests in 20 s. The crate `futures-timer` does the same, but its maintenance has lapsed
//! (rust-lang/futures-rs#2951), so this is our own.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{future, mem, thread};

use futures_channel::oneshot;
use futures_util::future::BoxFuture;

/// Completes after the pause, or at once if the system refuses to start the thread.
#[expect(
    clippy::disallowed_methods,
    reason = "the timer behind the system's clock"
)]
pub(super) fn sleep(pause: Duration) -> BoxFuture<'static, ()> {
    let Some(end) = Instant::now().checked_add(pause) else {
        return Box::pin(future::pending());
    };
    if !*STARTED {
        return Box::pin(future::ready(()));
    }
    Box::pin(TIMER.add(end))
}

/// Global, as threads are: a process needs one timer, not one for each clock.
static TIMER: Timer = Timer::new();

static STARTED: LazyLock<bool> = LazyLock::new(|| {
    let started = thread::Builder::new()
        .name("keyfob-timer".to_owned())
        .spawn(|| TIMER.run());
    if let Err(error) = &started {
        tracing::error!(target: "keyfob", %error, "the timer thread could not be started");
    }
    started.is_ok()
});

struct Timer {
    pauses: Mutex<Pauses>,
    /// Notified when a pause is added that ends before the next wake-up of the thread.
    earlier: Condvar,
}

struct Pauses {
    by_end: BTreeMap<Key, oneshot::Sender<()>>,
    last_id: u64,
    /// When the thread wakes up by itself; `None` if it is awake, or there are no pauses.
    next_wake: Option<Instant>,
}

/// The end of a pause, and an id that makes the key unique.
type Key = (Instant, u64);

impl Timer {
    const fn new() -> Self {
        Self {
            pauses: Mutex::new(Pauses {
                by_end: BTreeMap::new(),
                last_id: 0,
                next_wake: None,
            }),
            earlier: Condvar::new(),
        }
    }

    fn add(&'static self, end: Instant) -> Sleep {
        let (sender, ended) = oneshot::channel();
        let mut pauses = self.lock();
        pauses.last_id += 1;
        let key = (end, pauses.last_id);
        pauses.by_end.insert(key, sender);
        if pauses.next_wake.is_none_or(|next| end < next) {
            self.earlier.notify_one();
        }
        drop(pauses);
        Sleep {
            key,
            ended,
            timer: self,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the timer behind the system's clock"
    )]
    fn run(&self) {
        let mut pauses = self.lock();
        loop {
            let now = Instant::now();
            let later = pauses.by_end.split_off(&(now, u64::MAX));
            let ended = mem::replace(&mut pauses.by_end, later);
            pauses.next_wake = pauses.by_end.keys().next().map(|(end, _)| *end);
            if !ended.is_empty() {
                // Waking a task runs code outside this crate, which may add a pause, so the lock must be free.
                drop(pauses);
                for sender in ended.into_values() {
                    // Sending fails if the future was dropped.
                    let _ = sender.send(());
                }
                pauses = self.lock();
                continue;
            }
            pauses = self.wait(pauses, now);
        }
    }

    fn wait<'a>(&self, pauses: MutexGuard<'a, Pauses>, now: Instant) -> MutexGuard<'a, Pauses> {
        let Some(next) = pauses.next_wake else {
            let woken = self.earlier.wait(pauses);
            return woken.unwrap_or_else(PoisonError::into_inner);
        };
        let pause = next.saturating_duration_since(now);
        let woken = self.earlier.wait_timeout(pauses, pause);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A future that completes at the end of its pause. When it is dropped, its entry is removed.
struct Sleep {
    key: Key,
    ended: oneshot::Receiver<()>,
    timer: &'static Timer,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.ended).poll(context).map(|_| ())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let removed = self.timer.lock().by_end.remove(&self.key);
        // Dropping the sender may wake a task, so the lock must be free again.
        drop(removed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on::block_on;

    #[test]
    fn the_shorter_pause_ends_first() {
        let long = sleep(Duration::from_secs(3600));
        block_on(sleep(Duration::from_millis(1)));
        block_on(sleep(Duration::ZERO));
        drop(long);
    }

    #[expect(clippy::disallowed_methods, reason = "the timer itself is tested")]
    #[test]
    fn a_dropped_pause_is_removed() {
        static OWN: Timer = Timer::new();
        let end = Instant::now();
        let (first, second) = (OWN.add(end), OWN.add(end));
        drop(first);
        assert_eq!(OWN.lock().by_end.len(), 1);
        drop(second);
        assert!(OWN.lock().by_end.is_empty());
    }

    #[test]
    fn a_pause_beyond_the_range_of_the_clock_never_ends() {
        use futures_util::FutureExt;
        assert!(sleep(Duration::MAX).now_or_never().is_none());
    }
}
