//! The time limits of all requests of one client, kept by one timer.
//!
//! A timer for each request would be set and taken back thousands of times a second, to ring never: it was the dearest part
//! of a request's cost here. All limits of a client are equally long, so that they end in the order in which they began,
//! and one task that sleeps until the oldest ends is enough. It runs while there is something to watch, and for so long
//! afterwards.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::clock::Clock;
use crate::runtime::lock::{Mutex, lock};
use crate::runtime::runtime::Runtime;

/// The guard looks at least so often; some timers cannot count much farther.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Watches over time limits of one length.
#[derive(Clone)]
pub(crate) struct Alarm(Arc<Shared>);

/// A limit that begins when it is first polled; completes when it has passed.
pub(crate) struct Watch {
    alarm: Arc<Shared>,
    slot: Option<usize>,
}

struct Shared {
    limit: Duration,
    clock: Arc<dyn Clock>,
    runtime: Arc<dyn Runtime>,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    watched: Vec<Slot>,
    free: Vec<usize>,
    /// A task sleeps until the oldest limit ends.
    guarded: bool,
}

/// One limit; free if it has no waker.
#[derive(Default)]
struct Slot {
    /// In nanoseconds of the clock's [`CoarseTime::monotonic`](crate::clock::clock::CoarseTime::monotonic).
    end: u64,
    waker: Option<Waker>,
}

impl Alarm {
    pub(crate) fn new(limit: Duration, clock: &Arc<dyn Clock>, runtime: &Arc<dyn Runtime>) -> Self {
        Self(Arc::new(Shared {
            limit,
            clock: Arc::clone(clock),
            runtime: Arc::clone(runtime),
            slots: Mutex::new(Slots::default()),
        }))
    }

    pub(crate) fn limit(&self) -> Duration {
        self.0.limit
    }

    /// A limit of the alarm's length.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            alarm: Arc::clone(&self.0),
            slot: None,
        }
    }
}

impl Watch {
    /// Begins anew with the next poll.
    pub(crate) fn restart(&mut self) {
        if let Some(slot) = self.slot.take() {
            lock(&self.alarm.slots).release(slot);
        }
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let now = self.alarm.clock.coarse_time().monotonic;
        let mut slots = lock(&self.alarm.slots);
        let slot = match self.slot {
            Some(slot) => slot,
            None => slots.take(now.saturating_add(self.alarm.nanoseconds())),
        };
        let watched = &mut slots.watched[slot];
        let over = watched.end <= now;
        match &mut watched.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        let unguarded = !std::mem::replace(&mut slots.guarded, true);
        drop(slots);
        self.slot = Some(slot);
        if unguarded {
            self.alarm
                .runtime
                .spawn(Box::pin(Guard(Arc::downgrade(&self.alarm)).stand()));
        }
        if over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.restart();
    }
}

impl Slots {
    fn take(&mut self, end: u64) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.watched.push(Slot::default());
            self.watched.len() - 1
        });
        self.watched[slot].end = end;
        slot
    }

    fn release(&mut self, slot: usize) {
        self.watched[slot].waker = None;
        self.free.push(slot);
    }

    fn ends(&self) -> impl Iterator<Item = u64> {
        let watched = self.watched.iter().filter(|slot| slot.waker.is_some());
        watched.map(|slot| slot.end)
    }

    fn wakers(&self, wanted: impl Fn(u64) -> bool) -> Vec<Waker> {
        let wanted = self.watched.iter().filter(|slot| wanted(slot.end));
        wanted.filter_map(|slot| slot.waker.clone()).collect()
    }
}

impl Shared {
    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.limit.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wakes those whose limit has passed, and says when to look again; `None` if nobody is watched.
    fn ring(&self) -> Option<Duration> {
        let now = self.clock.coarse_time().monotonic;
        let mut slots = lock(&self.slots);
        let over = slots.wakers(|end| end <= now);
        let next = slots.ends().filter(|&end| end > now).min();
        let pause = match next {
            Some(end) => Some(Duration::from_nanos(end - now).min(LONGEST)),
            None if over.is_empty() => None,
            None => Some(self.limit),
        };
        slots.guarded = pause.is_some();
        drop(slots);
        over.into_iter().for_each(Waker::wake);
        pause
    }
}

/// The task that sleeps until the oldest limit ends; it does not keep the client alive.
struct Guard(Weak<Shared>);

impl Guard {
    async fn stand(mut self) {
        while let Some(alarm) = self.0.upgrade() {
            let Some(pause) = alarm.ring() else {
                // Relieved in due form: whoever comes next starts another guard.
                self.0 = Weak::new();
                return;
            };
            let sleep = alarm.clock.sleep(pause);
            drop(alarm);
            sleep.await;
        }
    }
}

impl Drop for Guard {
    /// A guard whose runtime stops is relieved by those who are watched: each of them looks for another.
    fn drop(&mut self) {
        let Some(alarm) = self.0.upgrade() else {
            return;
        };
        let mut slots = lock(&alarm.slots);
        if slots.guarded {
            slots.guarded = false;
            let left = slots.wakers(|_| true);
            drop(slots);
            left.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::clock::CoarseTime;
    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, pending};
    use std::sync::atomic::{AtomicU64, Ordering};

    const LIMIT: Duration = Duration::from_secs(20);

    /// A clock that stands still, and keeps the tasks that it is given instead of running them.
    #[derive(Default)]
    struct World {
        seconds: AtomicU64,
        tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
    }

    impl Clock for World {
        fn coarse_time(&self) -> CoarseTime {
            let monotonic = self.seconds.load(Ordering::Relaxed) * 1_000_000_000;
            CoarseTime {
                monotonic,
                wall: monotonic,
            }
        }

        fn elapsed(&self) -> Duration {
            Duration::from_nanos(self.coarse_time().monotonic)
        }

        fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
            assert!(!pause.is_zero() && pause <= LIMIT, "{pause:?}");
            Box::pin(pending())
        }
    }

    impl Runtime for World {
        fn spawn(&self, task: BoxFuture<'static, ()>) {
            lock(&self.tasks).push(task);
        }

        fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) {
            panic!("an alarm does not block");
        }
    }

    impl World {
        fn alarm(self: &Arc<Self>) -> Alarm {
            {
                let clock: Arc<dyn Clock> = Arc::clone(self) as _;
                let runtime: Arc<dyn Runtime> = Arc::clone(self) as _;
                Alarm::new(LIMIT, &clock, &runtime)
            }
        }

        fn pass(&self, seconds: u64) {
            self.seconds.fetch_add(seconds, Ordering::Relaxed);
        }

        fn guards(&self) -> usize {
            lock(&self.tasks).len()
        }
    }

    #[test]
    fn r8_a_limit_counts_from_its_first_poll_and_again_from_a_restart() {
        let world = Arc::new(World::default());
        let mut watch = world.alarm().watch();
        world.pass(5);
        assert!((&mut watch).now_or_never().is_none());
        world.pass(19);
        assert!((&mut watch).now_or_never().is_none());
        world.pass(1);
        assert!((&mut watch).now_or_never().is_some());
        watch.restart();
        assert!((&mut watch).now_or_never().is_none());
        world.pass(20);
        assert!((&mut watch).now_or_never().is_some());
    }

    #[test]
    fn r8_many_limits_have_one_guard() {
        let world = Arc::new(World::default());
        let alarm = world.alarm();
        let mut watches: Vec<_> = (0..100).map(|_| alarm.watch()).collect();
        assert_eq!(world.guards(), 0);
        for watch in &mut watches {
            assert!(watch.now_or_never().is_none());
        }
        assert_eq!(world.guards(), 1);
    }

    #[test]
    fn r8_a_guard_that_stops_is_replaced() {
        let world = Arc::new(World::default());
        let mut watch = world.alarm().watch();
        assert!((&mut watch).now_or_never().is_none());
        lock(&world.tasks).clear();
        assert!((&mut watch).now_or_never().is_none());
        assert_eq!(world.guards(), 1);
    }

    #[test]
    fn a_guard_ends_when_nobody_is_watched_and_the_slots_are_used_again() {
        let world = Arc::new(World::default());
        let alarm = world.alarm();
        for _ in 0..1000 {
            assert!(alarm.watch().now_or_never().is_none());
        }
        assert_eq!(lock(&alarm.0.slots).watched.len(), 1);
        let guard = lock(&world.tasks).pop().expect("a guard");
        assert!(guard.now_or_never().is_some());
        assert!(!lock(&alarm.0.slots).guarded);
    }

    #[test]
    fn the_guard_wakes_who_is_over_and_sleeps_until_the_next() {
        let world = Arc::new(World::default());
        let alarm = world.alarm();
        let (mut early, mut late) = (alarm.watch(), alarm.watch());
        assert!((&mut early).now_or_never().is_none());
        world.pass(8);
        assert!((&mut late).now_or_never().is_none());
        assert_eq!(alarm.0.ring(), Some(Duration::from_secs(12)));
        world.pass(12);
        assert_eq!(alarm.0.ring(), Some(Duration::from_secs(8)));
        drop(early);
        drop(late);
        assert_eq!(alarm.0.ring(), None);
    }
}
