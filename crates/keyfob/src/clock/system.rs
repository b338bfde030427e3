//! The clocks of the operating system. Nothing else in the crate reads them.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::clock::clock::{Clock, CoarseTime};
use crate::runtime::runtime;

/// The clocks of the operating system.
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

/// Linux: a coarse clock costs about 6 ns per reading, a precise one 25 ns, and every read of a token pays for two.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod read {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    #[inline]
    pub(super) fn coarse_monotonic() -> u64 {
        nanoseconds(ClockId::MonotonicCoarse)
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
}
