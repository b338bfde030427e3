//! Pauses where there is no async runtime: one thread that wakes whoever's pause is over.
//!
//! A thread for each pause would outlive what it was for: a time limit of 20 s on each request would keep as many
//! threads as requests were sent in 20 s.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::future::BoxFuture;

/// Completes after the pause, or at once where the system refuses a thread.
#[expect(
    clippy::disallowed_methods,
    reason = "the timer that the system's clock sleeps by"
)]
pub(super) fn sleep(pause: Duration) -> BoxFuture<'static, ()> {
    let Some(end) = Instant::now().checked_add(pause) else {
        return Box::pin(std::future::pending());
    };
    if !*STARTED {
        return Box::pin(std::future::ready(()));
    }
    Box::pin(TIMER.add(end))
}

/// The one exception to "no global state": a process has one set of timers, as it has one set of threads.
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
    earlier: Condvar,
}

struct Pauses {
    by_end: BTreeMap<Key, oneshot::Sender<()>>,
    made: u64,
    /// When the thread will look again; `None` while it looks, and while nobody sleeps.
    look: Option<Instant>,
}

/// The end of a pause, and a number that no other has.
type Key = (Instant, u64);

impl Timer {
    const fn new() -> Self {
        Self {
            pauses: Mutex::new(Pauses {
                by_end: BTreeMap::new(),
                made: 0,
                look: None,
            }),
            earlier: Condvar::new(),
        }
    }

    fn add(&'static self, end: Instant) -> Sleep {
        let (alarm, woken) = oneshot::channel();
        let mut pauses = self.lock();
        pauses.made += 1;
        let key = (end, pauses.made);
        pauses.by_end.insert(key, alarm);
        if pauses.look.is_none_or(|look| end < look) {
            self.earlier.notify_one();
        }
        drop(pauses);
        Sleep {
            key,
            woken,
            timer: self,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the timer that the system's clock sleeps by"
    )]
    fn run(&self) {
        let mut pauses = self.lock();
        loop {
            let now = Instant::now();
            let later = pauses.by_end.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut pauses.by_end, later);
            pauses.look = pauses.by_end.keys().next().map(|(end, _)| *end);
            let look = pauses.look;
            if !due.is_empty() {
                // Waking runs code of others, which may sleep anew.
                drop(pauses);
                for alarm in due.into_values() {
                    // Nobody sleeps any more if the receiver is gone.
                    let _ = alarm.send(());
                }
                pauses = self.lock();
                continue;
            }
            pauses = match look {
                Some(end) => {
                    let pause = end.saturating_duration_since(now);
                    let woken = self.earlier.wait_timeout(pauses, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.earlier.wait(pauses);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pause that takes nothing with it when it is dropped.
struct Sleep {
    key: Key,
    woken: oneshot::Receiver<()>,
    timer: &'static Timer,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.woken).poll(context).map(|_| ())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let alarm = self.timer.lock().by_end.remove(&self.key);
        drop(alarm);
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
    fn a_pause_that_was_given_up_is_forgotten() {
        static OWN: Timer = Timer::new();
        let end = Instant::now();
        let (first, second) = (OWN.add(end), OWN.add(end));
        drop(first);
        assert_eq!(OWN.lock().by_end.len(), 1);
        drop(second);
        assert!(OWN.lock().by_end.is_empty());
    }

    #[test]
    fn a_pause_beyond_all_time_never_ends() {
        use futures_util::FutureExt;
        assert!(sleep(Duration::MAX).now_or_never().is_none());
    }
}
