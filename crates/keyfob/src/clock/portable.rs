//! Elsewhere: `Instant` and `SystemTime`. Where `Instant` stands still during sleep, the wall clock shows the gap.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use crate::clock::coarse::CoarseTime;

#[derive(Clone, Copy)]
pub(super) struct Clocks {
    origin: Instant,
}

impl Default for Clocks {
    #[expect(clippy::disallowed_methods, reason = "this is the system's clock")]
    fn default() -> Self {
        // One origin for the process, so that readings of all clocks compare.
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        Self {
            origin: *ORIGIN.get_or_init(Instant::now),
        }
    }
}

impl Clocks {
    #[expect(clippy::disallowed_methods, reason = "this is the system's clock")]
    #[inline]
    pub(super) fn coarse_time(self) -> CoarseTime {
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        CoarseTime {
            monotonic: nanoseconds(self.origin.elapsed()),
            wall: nanoseconds(wall),
        }
    }

    pub(super) fn elapsed(self) -> Duration {
        self.origin.elapsed()
    }
}

#[inline]
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
