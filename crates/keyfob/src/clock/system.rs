//! The clocks of the operating system. Nothing else in the crate reads them.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::clock::clock::{Clock, CoarseTime};
use crate::runtime::runtime;

/// The clocks of the operating system.
///
/// [`Clock`](crate::clock::Clock) has an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn coarse_time(&self) -> CoarseTime {
        CoarseTime {
            monotonic: read::coarse_monotonic(),
            wall: read::coarse_wall(),
        }
    }

    fn elapsed(&self) -> Duration {
        read::elapsed()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        runtime::sleep(pause)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the system's clock")]
    fn sleep_blocking(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// Linux: a coarse clock costs a quarter of a precise one, and every read of a token pays for two.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod read {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    /// `CLOCK_BOOTTIME` counts while the machine sleeps, and has no coarse variant. So it is read once per tick.
    #[inline]
    pub(super) fn coarse_monotonic() -> u64 {
        static BOOT_TIME: OncePerTick = OncePerTick::new();
        BOOT_TIME.at(nanoseconds(ClockId::MonotonicCoarse), || {
            nanoseconds(ClockId::Boottime)
        })
    }

    #[inline]
    pub(super) fn coarse_wall() -> u64 {
        nanoseconds(ClockId::RealtimeCoarse)
    }

    /// `CLOCK_BOOTTIME` also counts while the machine sleeps.
    pub(super) fn elapsed() -> Duration {
        Duration::from_nanos(nanoseconds(ClockId::Boottime))
    }

    /// A time before the clock's origin reads as zero. 64 bits last for 584 years.
    #[inline]
    fn nanoseconds(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(time.tv_nsec as u64)
    }

    /// A clock that is expensive to read and is read again only when a cheap one has moved on.
    struct OncePerTick {
        tick: AtomicU64,
        time: AtomicU64,
    }

    impl OncePerTick {
        const fn new() -> Self {
            Self {
                tick: AtomicU64::new(u64::MAX),
                time: AtomicU64::new(0),
            }
        }

        /// The time as it was read at this tick.
        #[inline]
        fn at(&self, tick: u64, read: impl FnOnce() -> u64) -> u64 {
            if self.tick.load(Ordering::Acquire) == tick {
                return self.time.load(Ordering::Relaxed);
            }
            let time = read();
            // The larger one, so that a thread that was held up for long does not put the clock back for the others.
            let latest = time.max(self.time.fetch_max(time, Ordering::Relaxed));
            self.tick.store(tick, Ordering::Release);
            latest
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn t6_the_clock_that_counts_sleep_is_read_once_per_tick_and_never_runs_backward() {
            let clock = OncePerTick::new();
            assert_eq!(clock.at(10, || 100), 100);
            assert_eq!(clock.at(10, || unreachable!("no tick has passed")), 100);
            // The machine slept for an hour: the cheap clock has moved by one tick only.
            assert_eq!(clock.at(11, || 3700), 3700);
            // A thread that read both clocks before the sleep comes late.
            assert_eq!(clock.at(10, || 101), 3700);
            assert_eq!(clock.at(11, || 3701), 3701);
        }
    }
}

/// Other systems: where `Instant` stops while the machine sleeps, the wall clock shows that it did.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(clippy::disallowed_methods, reason = "this is the system's clock")]
mod read {
    use std::sync::LazyLock;
    use std::time::{Duration, Instant, SystemTime};

    /// One origin for the whole process, so that the readings of all caches can be compared.
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

    #[inline]
    pub(super) fn coarse_monotonic() -> u64 {
        nanoseconds(elapsed())
    }

    #[inline]
    pub(super) fn coarse_wall() -> u64 {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        nanoseconds(wall.unwrap_or_default())
    }

    pub(super) fn elapsed() -> Duration {
        ORIGIN.elapsed()
    }

    #[inline]
    fn nanoseconds(time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_never_run_backward() {
        let (elapsed, coarse) = (SystemClock.elapsed(), SystemClock.coarse_time());
        assert!(SystemClock.elapsed() >= elapsed);
        assert!(SystemClock.coarse_time().monotonic >= coarse.monotonic);
    }

    #[test]
    fn t6_the_coarse_clock_has_the_origin_of_the_clock_that_counts_sleep() {
        let coarse = Duration::from_nanos(SystemClock.coarse_time().monotonic);
        let elapsed = SystemClock.elapsed();
        assert!(elapsed >= coarse && elapsed - coarse < Duration::from_secs(60));
    }
}
