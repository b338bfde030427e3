//! Now, and waiting: the only reader of the system's clocks.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};

use crate::clock::coarse::CoarseTime;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::clock::linux as system;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use crate::clock::portable as system;
use crate::runtime::{block_on, runtime};

/// What time it is, and how to wait.
///
/// Two clocks are read, because each lies in its own way: the monotonic one may stand still while the machine sleeps,
/// and the wall clock may be set. A test brings its own, such as the manual clock of `keyfob-testkit`.
///
/// ```
/// use keyfob::clock::Clock;
/// use keyfob::clock::SystemClock;
///
/// let clock = SystemClock::default();
/// let before = clock.elapsed();
/// assert!(clock.elapsed() >= before);
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Both clocks at once, as cheaply as the system can; may lag by a scheduler tick (at most 10 ms on Linux).
    fn coarse_time(&self) -> CoarseTime;

    /// Time since a fixed moment. Never runs backward, and counts the time that the machine slept where it can.
    fn elapsed(&self) -> Duration;

    /// Completes when [`elapsed`](Self::elapsed) has advanced by the pause.
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()>;

    /// The same, on the calling thread.
    fn sleep_blocking(&self, pause: Duration) {
        block_on::block_on(self.sleep(pause));
    }
}

/// What the work brings, or nothing if it takes longer than the limit.
pub(crate) async fn within<F: Future>(
    clock: &dyn Clock,
    limit: Duration,
    work: F,
) -> Option<F::Output> {
    let mut work = pin!(work);
    // Most work is done at once; the timer, which may be a thread, is made only for the rest.
    if let Some(output) = work.as_mut().now_or_never() {
        return Some(output);
    }
    match select(work, clock.sleep(limit)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}

/// The system's own clocks.
#[derive(Clone, Copy, Default)]
pub struct SystemClock(system::Clocks);

impl Clock for SystemClock {
    #[inline]
    fn coarse_time(&self) -> CoarseTime {
        self.0.coarse_time()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        runtime::sleep(pause)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the system's clock")]
    fn sleep_blocking(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemClock")
    }
}
