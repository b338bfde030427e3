//! The time, and how to wait. Nothing else reads the clocks of the system. Imports `runtime`.

pub(crate) mod clock;
pub(crate) mod coarse;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod linux;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) mod portable;

pub use crate::clock::clock::{Clock, SystemClock};
pub use crate::clock::coarse::CoarseTime;
