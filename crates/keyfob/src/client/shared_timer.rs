//! One timer for the timeouts of all requests of a client.
//!
//! A timer of tokio for each request cost 5 % of a request through the tower layer, and 3 % of one through the session
//! (benches `layer_cpu` and `request_cpu`; the goals are 1.06 and 1.03). So one task sleeps until the first timeout of
//! all ends. It runs while timeouts are pending, and ends at its first waking without any.

use std::collections::BTreeMap;
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
    key: Option<Key>,
}

#[derive(Default)]
struct Pending {
    wakers: BTreeMap<Key, Waker>,
    /// The number of the next key.
    next: u64,
    task: Task,
}

/// The end of a timeout, in nanoseconds of [`CoarseTime::monotonic`](crate::clock::CoarseTime::monotonic), and a unique
/// number.
type Key = (u64, u64);

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
            key: None,
        }
    }

    fn now(&self) -> u64 {
        self.clock.coarse_time().monotonic
    }

    /// Wakes the callers whose timeouts have passed. Returns when the task has to look again, or `None` to stop it.
    fn wake_expired(&self) -> Option<Duration> {
        let now = self.now();
        let mut pending = lock(&self.pending);
        let expired: Vec<_> = pending.wakers.range(..=(now, u64::MAX)).collect();
        let expired: Vec<_> = expired
            .into_iter()
            .map(|(_, waker)| waker.clone())
            .collect();
        let next = pending.wakers.range((now + 1, 0)..).next();
        let pause = match next {
            Some((&(end, _), _)) => Some(Duration::from_nanos(end - now)),
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
        let timer = Arc::clone(&self.timer);
        let now = timer.now();
        let mut pending = lock(&timer.pending);
        let key = *self.key.get_or_insert_with(|| {
            let limit = u64::try_from(timer.limit.as_nanos()).unwrap_or(u64::MAX);
            pending.next += 1;
            (now.saturating_add(limit), pending.next)
        });
        if key.0 <= now {
            return Poll::Ready(());
        }
        let waker = context.waker();
        pending
            .wakers
            .entry(key)
            .and_modify(|known| known.clone_from(waker))
            .or_insert_with(|| waker.clone());
        let task = mem::replace(&mut pending.task, Task::Running);
        drop(pending);
        if task == Task::Stopped {
            let task = RunningTask(Arc::downgrade(&timer)).run();
            timer.runtime.spawn(Box::pin(task));
        }
        Poll::Pending
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            lock(&self.timer.pending).wakers.remove(&key);
        }
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
        let wakers: Vec<_> = pending.wakers.values().cloned().collect();
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
        assert!(lock(&timer.pending).wakers.is_empty());
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
