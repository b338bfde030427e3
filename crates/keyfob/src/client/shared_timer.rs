//! One timer for the timeouts of all requests of a client.
//!
//! A timer of tokio for each request cost 5 % of a request through the tower layer, and 2 % of one through the session
//! (benches `layer_cpu` and `request_cpu`; the goals are 1.06 and 1.03). So one task sleeps until the first timeout of
//! all ends. It runs while timeouts are pending, and ends at its first waking without any.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::clock::Clock;
use crate::runtime::lock::{Mutex, lock};
use crate::runtime::runtime::Runtime;

/// The timer of a client, all of whose timeouts have one length.
pub(crate) struct SharedTimer {
    limit: Duration,
    clock: Arc<dyn Clock>,
    runtime: Arc<dyn Runtime>,
    pending: Mutex<Pending>,
}

/// A timeout. It begins when it is first polled, and completes when it has passed.
pub(crate) struct Timeout {
    timer: Arc<SharedTimer>,
    /// Where its waker is, and its end.
    pending: Option<(usize, u64)>,
}

#[derive(Default)]
struct Pending {
    /// Used again when their timeouts are dropped, so that a request allocates nothing here.
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    task: Task,
}

struct Slot {
    /// In nanoseconds of [`CoarseTime::monotonic`](crate::clock::CoarseTime::monotonic).
    end: u64,
    waker: Waker,
}

/// The task that sleeps until the first timeout ends.
#[derive(Default, PartialEq, Eq)]
enum Task {
    #[default]
    Stopped,
    Running,
}

impl SharedTimer {
    pub(crate) fn new(limit: Duration, clock: &Arc<dyn Clock>, runtime: &Arc<dyn Runtime>) -> Self {
        Self {
            limit,
            clock: Arc::clone(clock),
            runtime: Arc::clone(runtime),
            pending: Mutex::default(),
        }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn start(self: &Arc<Self>) -> Timeout {
        Timeout {
            timer: Arc::clone(self),
            pending: None,
        }
    }

    fn now(&self) -> u64 {
        self.clock.coarse_time().monotonic
    }

    /// Wakes the callers whose timeouts have passed. Returns when the task has to look again, or `None` to stop it.
    fn wake_expired(&self) -> Option<Duration> {
        let now = self.now();
        let mut pending = lock(&self.pending);
        let slots = || pending.slots.iter().flatten();
        let expired = slots().filter(|slot| slot.end <= now);
        let expired: Vec<_> = expired.map(|slot| slot.waker.clone()).collect();
        let ends = slots().map(|slot| slot.end).filter(|&end| end > now);
        let pause = match ends.min() {
            Some(end) => Some(Duration::from_nanos(end - now)),
            None if expired.is_empty() => None,
            None => Some(self.limit),
        };
        if pause.is_none() {
            pending.task = Task::Stopped;
        }
        drop(pending);
        expired.into_iter().for_each(Waker::wake);
        // Some timers cannot count much further.
        pause.map(|pause| pause.min(LONGEST_PAUSE))
    }
}

impl Future for Timeout {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let timer = &*self.timer;
        let now = timer.now();
        let mut pending = lock(&timer.pending);
        let (index, end) = match self.pending {
            Some((index, end)) => {
                let slot = pending.slots[index].as_mut().expect("it is not dropped");
                slot.waker.clone_from(context.waker());
                (index, end)
            }
            None => {
                let limit = u64::try_from(timer.limit.as_nanos()).unwrap_or(u64::MAX);
                let (end, waker) = (now.saturating_add(limit), context.waker().clone());
                (pending.insert(Slot { end, waker }), end)
            }
        };
        let task = mem::replace(&mut pending.task, Task::Running);
        drop(pending);
        if task == Task::Stopped {
            let task = RunningTask(Arc::downgrade(&self.timer)).run();
            timer.runtime.spawn(Box::pin(task));
        }
        self.pending = Some((index, end));
        if end <= now {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        if let Some((index, _)) = self.pending {
            let mut pending = lock(&self.timer.pending);
            pending.slots[index] = None;
            pending.free.push(index);
        }
    }
}

impl Pending {
    fn insert(&mut self, slot: Slot) -> usize {
        let Some(index) = self.free.pop() else {
            self.slots.push(Some(slot));
            return self.slots.len() - 1;
        };
        self.slots[index] = Some(slot);
        index
    }
}

/// The task, which does not keep the client alive.
struct RunningTask(Weak<SharedTimer>);

impl RunningTask {
    async fn run(mut self) {
        while let Some(timer) = self.0.upgrade() {
            let Some(pause) = timer.wake_expired() else {
                // The next timeout starts another task.
                self.0 = Weak::new();
                return;
            };
            let sleep = timer.clock.sleep(pause);
            drop(timer);
            sleep.await;
        }
    }
}

impl Drop for RunningTask {
    /// If the runtime of the task stops, each caller that waits is woken, and the first one starts another task.
    fn drop(&mut self) {
        let Some(timer) = self.0.upgrade() else {
            return;
        };
        let mut pending = lock(&timer.pending);
        pending.task = Task::Stopped;
        let slots = pending.slots.iter().flatten();
        let wakers: Vec<_> = slots.map(|slot| slot.waker.clone()).collect();
        drop(pending);
        wakers.into_iter().for_each(Waker::wake);
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::clock::CoarseTime;
    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, pending};
    use std::sync::atomic::{AtomicU64, Ordering};

    const LIMIT: Duration = Duration::from_secs(20);

    /// A clock that stands still, and a runtime that keeps its tasks instead of running them.
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
            panic!("a timer does not block");
        }
    }

    impl World {
        fn timer(self: &Arc<Self>) -> Arc<SharedTimer> {
            let clock: Arc<dyn Clock> = Arc::clone(self) as _;
            let runtime: Arc<dyn Runtime> = Arc::clone(self) as _;
            Arc::new(SharedTimer::new(LIMIT, &clock, &runtime))
        }

        fn pass(&self, seconds: u64) {
            self.seconds.fetch_add(seconds, Ordering::Relaxed);
        }

        fn tasks(&self) -> usize {
            lock(&self.tasks).len()
        }
    }

    #[test]
    fn r8_a_timeout_counts_from_its_first_poll() {
        let world = Arc::new(World::default());
        let mut timeout = world.timer().start();
        world.pass(5);
        assert!((&mut timeout).now_or_never().is_none());
        world.pass(19);
        assert!((&mut timeout).now_or_never().is_none());
        world.pass(1);
        assert!((&mut timeout).now_or_never().is_some());
    }

    #[test]
    fn r8_many_timeouts_have_one_task() {
        let world = Arc::new(World::default());
        let timer = world.timer();
        let mut timeoutes: Vec<_> = (0..100).map(|_| timer.start()).collect();
        assert_eq!(world.tasks(), 0);
        for timeout in &mut timeoutes {
            assert!(timeout.now_or_never().is_none());
        }
        assert_eq!(world.tasks(), 1);
    }

    #[test]
    fn r8_a_task_whose_runtime_stops_is_replaced() {
        let world = Arc::new(World::default());
        let mut timeout = world.timer().start();
        assert!((&mut timeout).now_or_never().is_none());
        lock(&world.tasks).clear();
        assert!((&mut timeout).now_or_never().is_none());
        assert_eq!(world.tasks(), 1);
    }

    #[test]
    fn the_task_ends_when_no_timeout_is_pending() {
        let world = Arc::new(World::default());
        let timer = world.timer();
        for _ in 0..1000 {
            assert!(timer.start().now_or_never().is_none());
        }
        assert_eq!(lock(&timer.pending).slots.len(), 1);
        let task = lock(&world.tasks).pop().expect("a task");
        assert!(task.now_or_never().is_some());
        assert!(lock(&timer.pending).task == Task::Stopped);
    }

    #[test]
    fn the_task_wakes_what_has_passed_and_sleeps_until_the_next_end() {
        let world = Arc::new(World::default());
        let timer = world.timer();
        let (mut early, mut late) = (timer.start(), timer.start());
        assert!((&mut early).now_or_never().is_none());
        world.pass(8);
        assert!((&mut late).now_or_never().is_none());
        assert_eq!(timer.wake_expired(), Some(Duration::from_secs(12)));
        world.pass(12);
        assert_eq!(timer.wake_expired(), Some(Duration::from_secs(8)));
        drop(early);
        drop(late);
        assert_eq!(timer.wake_expired(), None);
    }
}
