//! The time, and how to wait: the [`Clock`] trait and the system's own clock.
//!
//! A cache measures the age of tokens, its timeouts and its pauses by one [`Clock`]. Give it another one to control time in
//! a test: `TokenCache::builder(source).clock(my_clock)`. The docs of [`Clock`] have a complete example.
//!
//! Nothing outside this folder reads the system's clocks. It may import only `runtime` and the folders after it.

pub(crate) mod clock;
pub(crate) mod system;

pub use crate::clock::clock::{Clock, CoarseTime};
pub use crate::clock::system::SystemClock;
