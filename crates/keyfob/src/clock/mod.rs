//! The time, and how to wait: the [`Clock`] trait and the system's own clock.
//!
//! A cache measures the age of tokens, its timeouts and its pauses by one [`Clock`]. Give it another one to control time in
//! a test. `keyfob-testkit` has a clock that is moved by hand:
//!
//! ```
//! use std::time::Duration;
//!
//! use keyfob::TokenCache;
//! use keyfob_testkit::ManualClock;
//!
//! let clock = ManualClock::default();
//! let source = keyfob::hook_blocking(|_| {
//!     Ok::<_, std::io::Error>(("t0ken", Duration::from_secs(300)))
//! });
//! let tokens = TokenCache::builder(source).clock(clock.clone()).build()?;
//! tokens.authenticate_blocking()?;
//! assert!(tokens.authenticated());
//! clock.advance(Duration::from_secs(301));
//! assert!(!tokens.authenticated());
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! The docs of [`Clock`] have a complete example of a clock of your own.
//!
//! # Two clocks
//!
//! A monotonic clock measures age, so a wall clock that is set does not revive an expired token. On Linux that clock counts
//! the time that the machine sleeps, also in [`Clock::coarse_time`]. Readers compare both clocks with the time of the next
//! check, and if the wall clock is ahead of the monotonic one by more than five seconds, it was set or the machine slept:
//! the token is checked once (T6).
//!
//! The two readings of [`Clock::coarse_time`] cost 12 to 25 ns on Linux and are part of each read of a token. A clock of
//! your own should be as fast.
//!
//! Nothing outside this folder reads the system's clocks. It may import `runtime` and the folders after it.

pub(crate) mod backoff;
pub(crate) mod clock;
pub(crate) mod system;

pub use crate::clock::clock::{Clock, CoarseTime};
pub use crate::clock::system::SystemClock;
