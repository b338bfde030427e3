//! The clock and the runtime of a model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use shuttle::future;
use shuttle::rand::{Rng, thread_rng};

use crate::clock::clock::{Clock, CoarseTime};
use crate::runtime::runtime::Runtime;

/// A clock that a test sets.
#[derive(Clone, Default)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for Time {
    fn coarse_time(&self) -> CoarseTime {
        let now = self.0.load(Ordering::Relaxed) * 1_000_000_000;
        CoarseTime {
            monotonic: now,
            wall: now,
        }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }

    /// No timeout passes in these tests.
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// Runs renewals as tasks of the checker. It can drop one before its end, as a runtime that stops does.
#[derive(Clone, Default)]
pub(crate) struct Runs {
    running: Arc<AtomicUsize>,
    stop_next: Arc<AtomicUsize>,
}

impl Runs {
    pub(crate) fn stop_next(&self) {
        self.stop_next.store(1, Ordering::Relaxed);
    }

    pub(crate) fn until_all_ended(&self) {
        while self.running.load(Ordering::Relaxed) > 0 {
            shuttle::thread::yield_now();
        }
    }
}

impl Runtime for Runs {
    fn spawn(&self, mut task: BoxFuture<'static, ()>) {
        let stops = self.stop_next.swap(0, Ordering::Relaxed) == 1;
        let running = Arc::clone(&self.running);
        running.fetch_add(1, Ordering::Relaxed);
        let task = async move {
            if stops {
                for _ in 0..thread_rng().gen_range(0..3) {
                    if (&mut task).now_or_never().is_some() {
                        break;
                    }
                    future::yield_now().await;
                }
            } else {
                task.await;
            }
            running.fetch_sub(1, Ordering::Relaxed);
        };
        drop(future::spawn(task));
    }

    fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) {
        unreachable!("no source here blocks")
    }
}
