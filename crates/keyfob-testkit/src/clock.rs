//! A clock that stands still until the test moves it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use keyfob::clock::{Clock, CoarseTime};

use crate::lock::lock;

/// A clock that stands still until the test moves it.
///
/// Clones share one time. The call that moves the clock past the end of a pause wakes the sleeper. A pause that begins afterwards
/// counts from the new time. No async runtime is needed.
///
/// ```
/// use std::time::Duration;
/// use keyfob::{Error, Token, TokenCache};
/// use keyfob_testkit::{ManualClock, ScriptedSource};
///
/// let clock = ManualClock::default();
/// let minute = |text| Ok::<_, Error>(Token::new(text)?.expires_in(Duration::from_secs(60)));
/// let source = ScriptedSource::new([minute("one"), minute("two")]);
/// let cache = TokenCache::builder(source.clone()).clock(clock.clone()).build()?;
///
/// assert_eq!(cache.get_valid_token_blocking()?.expose(), "one");
/// clock.advance(Duration::from_secs(61));
/// assert_eq!(cache.get_valid_token_blocking()?.expose(), "two");
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

struct State {
    elapsed: Duration,
    wall: Duration,
    sleepers: Vec<Sleeper>,
    watchers: Vec<Watcher>,
}

struct Sleeper {
    until: Duration,
    wake: oneshot::Sender<()>,
}

/// A test that waits until the code under test sleeps.
struct Watcher {
    wanted: Wanted,
    notify: oneshot::Sender<()>,
}

#[derive(Clone, Copy)]
enum Wanted {
    Sleepers(usize),
    Pause(Duration),
}

impl ManualClock {
    /// Makes a clock whose wall clock shows this time. A time before 1970 counts as 1970.
    #[must_use]
    pub fn new(wall: SystemTime) -> Self {
        let wall = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(Arc::new(Mutex::new(State {
            elapsed: Duration::ZERO,
            wall,
            sleepers: Vec::new(),
            watchers: Vec::new(),
        })))
    }

    /// The time of the wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.state().wall
    }

    /// Moves the time of all clocks forward, and wakes the sleepers whose pauses are over.
    pub fn advance(&self, time: Duration) {
        self.pass(time);
    }

    /// Simulates a suspended machine: all clocks count the time that it sleeps, as the system's clock does on Linux.
    pub fn suspend(&self, time: Duration) {
        self.pass(time);
    }

    /// Sets the wall clock forward, or back with a negative number. No time passes, and no sleeper wakes.
    pub fn step_wall(&self, seconds: i64) {
        let mut state = self.state();
        let step = Duration::from_secs(seconds.unsigned_abs());
        state.wall = if seconds < 0 {
            state.wall.saturating_sub(step)
        } else {
            state.wall.saturating_add(step)
        };
    }

    /// How many sleepers there are. Dropped ones are not counted.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.state().live().count()
    }

    /// The time until the next sleeper wakes.
    #[must_use]
    pub fn next_wake_in(&self) -> Option<Duration> {
        let state = self.state();
        let left = |sleeper: &Sleeper| sleeper.until.saturating_sub(state.elapsed);
        state.live().map(left).min()
    }

    /// Waits until there are at least this many sleepers.
    pub async fn until_sleeping(&self, sleepers: usize) {
        self.until(Wanted::Sleepers(sleepers)).await;
    }

    /// Waits until there is a sleeper that will wake after exactly this pause.
    pub async fn until_sleeping_for(&self, pause: Duration) {
        self.until(Wanted::Pause(pause)).await;
    }

    async fn until(&self, wanted: Wanted) {
        let notified = {
            let mut state = self.state();
            if state.has(wanted) {
                return;
            }
            let (notify, notified) = oneshot::channel();
            state.watchers.push(Watcher { wanted, notify });
            notified
        };
        // This cannot fail: the watcher stays in the list until it is notified.
        let _ = notified.await;
    }

    fn pass(&self, time: Duration) {
        let mut state = self.state();
        state.elapsed = state.elapsed.saturating_add(time);
        state.wall = state.wall.saturating_add(time);
        let now = state.elapsed;
        let (due, later) = state
            .sleepers
            .drain(..)
            .partition::<Vec<_>, _>(|sleeper| sleeper.until <= now);
        state.sleepers = later;
        // Without the lock, because waking runs other code, which may use this clock.
        drop(state);
        for sleeper in due {
            // The receiver is gone if the sleeper was dropped.
            let _ = sleeper.wake.send(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    fn live(&self) -> impl Iterator<Item = &Sleeper> {
        self.sleepers
            .iter()
            .filter(|sleeper| !sleeper.wake.is_canceled())
    }

    fn has(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Sleepers(sleepers) => self.live().count() >= sleepers,
            Wanted::Pause(pause) => {
                let until = self.elapsed.saturating_add(pause);
                self.live().any(|sleeper| sleeper.until == until)
            }
        }
    }
}

impl Default for ManualClock {
    /// A clock whose wall clock shows the first of January 2030.
    fn default() -> Self {
        Self::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000))
    }
}

impl Clock for ManualClock {
    fn coarse_time(&self) -> CoarseTime {
        let state = self.state();
        CoarseTime {
            monotonic: nanoseconds(state.elapsed),
            wall: nanoseconds(state.wall),
        }
    }

    fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        if pause.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        let mut state = self.state();
        let until = state.elapsed.saturating_add(pause);
        state.sleepers.retain(|sleeper| !sleeper.wake.is_canceled());
        state.sleepers.push(Sleeper { until, wake });
        let watchers = std::mem::take(&mut state.watchers);
        let (seen, waiting) = watchers
            .into_iter()
            .partition::<Vec<_>, _>(|watcher| state.has(watcher.wanted));
        state.watchers = waiting;
        drop(state);
        for watcher in seen {
            // The receiver is gone if the test stopped waiting.
            let _ = watcher.notify.send(());
        }
        Box::pin(async {
            // An error means that all clones of the clock are dropped: time never passes again.
            if woken.await.is_err() {
                std::future::pending().await
            }
        })
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock")
            .field("elapsed", &self.elapsed())
            .field("sleepers", &self.sleepers())
            .finish_non_exhaustive()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn sleepers_wake_when_their_pause_is_over() {
        let clock = ManualClock::default();
        let mut short = clock.sleep(SECOND);
        let mut long = clock.sleep(SECOND * 2);
        assert_eq!(clock.next_wake_in(), Some(SECOND));
        clock.advance(SECOND);
        assert!((&mut short).now_or_never().is_some());
        assert!((&mut long).now_or_never().is_none());
        assert_eq!(clock.sleepers(), 1);
        clock.suspend(SECOND);
        assert!(long.now_or_never().is_some());
    }

    #[test]
    fn a_dropped_sleeper_is_not_counted() {
        let clock = ManualClock::default();
        drop(clock.sleep(SECOND));
        assert_eq!(clock.sleepers(), 0);
    }

    #[test]
    fn a_watcher_is_notified_of_a_sleeper() {
        let clock = ManualClock::default();
        let mut watching = Box::pin(clock.until_sleeping_for(SECOND * 2));
        assert!((&mut watching).now_or_never().is_none());
        let _other = clock.sleep(SECOND);
        assert!((&mut watching).now_or_never().is_none());
        let _wanted = clock.sleep(SECOND * 2);
        assert!(watching.now_or_never().is_some());
        assert!(clock.until_sleeping(2).now_or_never().is_some());
    }

    #[test]
    fn each_clock_moves_as_on_a_real_machine() {
        let clock = ManualClock::default();
        let start = clock.coarse_time();
        let nanoseconds = |seconds: u64| seconds * 1_000_000_000;
        clock.advance(SECOND);
        clock.suspend(SECOND * 10);
        clock.step_wall(-100);
        let now = clock.coarse_time();
        assert_eq!(clock.elapsed(), SECOND * 11);
        assert_eq!(now.monotonic - start.monotonic, nanoseconds(11));
        assert_eq!(start.wall - now.wall, nanoseconds(89));
    }
}
