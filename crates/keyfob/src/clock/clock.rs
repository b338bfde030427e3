//! The time and how to wait for it, as a port that tests replace.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::runtime::block_on;

/// Tells the time and waits.
///
/// There are two clocks because each can mislead in its own way: the wall clock can be set, and on some systems the
/// monotonic clock stops while the machine sleeps. keyfob reads both and compares them (T6).
///
/// Use [`SystemClock`](crate::clock::SystemClock) unless your program simulates time. For tests, `keyfob-testkit` has a
/// clock that is moved by hand. A clock of your own looks like this one, which starts at zero and runs ten times as fast
/// as the system's:
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use keyfob::clock::{Clock, CoarseTime, SystemClock};
/// use keyfob::runtime::BoxFuture;
/// use keyfob::{EnvToken, TokenCache};
///
/// struct TenTimesAsFast {
///     started: Duration,
///     wall: SystemTime,
/// }
///
/// impl Clock for TenTimesAsFast {
///     fn coarse_time(&self) -> CoarseTime {
///         let elapsed = self.elapsed();
///         let wall = self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
///         CoarseTime {
///             monotonic: elapsed.as_nanos() as u64,
///             wall: (wall + elapsed).as_nanos() as u64,
///         }
///     }
///
///     fn elapsed(&self) -> Duration {
///         (SystemClock.elapsed() - self.started) * 10
///     }
///
///     fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
///         SystemClock.sleep(pause / 10)
///     }
/// }
///
/// let clock = TenTimesAsFast { started: SystemClock.elapsed(), wall: SystemTime::now() };
/// let tokens = TokenCache::builder(EnvToken::new("API_TOKEN")).clock(clock).build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Reads both clocks as cheaply as possible, for each read of a token.
    ///
    /// The result may lag by a scheduler tick (at most 10 ms on Linux).
    fn coarse_time(&self) -> CoarseTime;

    /// The time since a fixed moment, on a clock that never runs backward.
    ///
    /// It includes the time that the machine slept, where the system has such a clock.
    fn elapsed(&self) -> Duration;

    /// Completes when [`elapsed`](Self::elapsed) has advanced by the pause.
    ///
    /// The future may be dropped at any time, and many may wait at once.
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()>;

    /// As [`sleep`](Self::sleep), but blocks the calling thread.
    fn sleep_blocking(&self, pause: Duration) {
        block_on::block_on(self.sleep(pause));
    }
}

/// A cheap reading of both clocks, in nanoseconds.
///
/// [`Clock`](crate::clock::Clock) has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoarseTime {
    /// Since the same moment as [`Clock::elapsed`], and on the same clock, but perhaps some milliseconds behind it.
    ///
    /// A token is sent only before a time
    /// on this clock, so a clock that stops in sleep may send an expired token if the wall clock is set back as well.
    pub monotonic: u64,
    /// Since the Unix epoch, on the wall clock as it is set now.
    pub wall: u64,
}

impl CoarseTime {
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(self.monotonic)
    }

    pub(crate) fn wall_time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.wall)
    }
}

/// Returns the output of the work, or `None` after the timeout.
///
/// The time is also read whenever the work is polled, because a clock may have no way to wake this thread.
pub(crate) async fn within<F: Future>(
    clock: &dyn Clock,
    timeout: Duration,
    work: F,
) -> Option<F::Output> {
    let mut work = pin!(work);
    // Most work completes at once. Only the rest needs a timer, which may start a thread.
    if let Some(output) = work.as_mut().now_or_never() {
        return Some(output);
    }
    let end = clock.elapsed().saturating_add(timeout);
    let mut sleep = clock.sleep(timeout);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if sleep.poll_unpin(context).is_ready() => Poll::Ready(None),
        Poll::Pending if clock.elapsed() >= end => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}
