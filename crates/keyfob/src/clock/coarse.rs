//! One cheap look at both clocks.

use std::time::{Duration, SystemTime};

/// One cheap look at both clocks, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoarseTime {
    /// Since a fixed moment; may stand still while the machine sleeps.
    pub monotonic: u64,
    /// Since the Unix epoch, as the system believes it now.
    pub wall: u64,
}

impl CoarseTime {
    pub(crate) fn wall_time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.wall)
    }
}
