//! The exchanges that run in the background of this process. A process that ends now would cut them off.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::runtime::block_on::block_on;

/// Waits until no exchange of a refresh token runs in the background, for at most `max_wait`. Returns whether none runs.
///
/// [`Persisted`](crate::source::Persisted) brings an exchange to its end after its caller has got an answer or has given up: it
/// stores the new token, or withdraws the note of an exchange that did not take place. A program that ends before that may
/// need a new sign-in. So call this at the end of a short program. It blocks its thread, and so must not be called by the only
/// thread of a tokio runtime.
///
/// ```
/// use std::time::Duration;
///
/// // … the program has used a session whose tokens are in a store …
/// let is_done = keyfob::source::wait_for_exchanges(Duration::from_secs(6));
/// assert!(is_done);
/// ```
pub fn wait_for_exchanges(max_wait: Duration) -> bool {
    let deadline = SystemClock.elapsed().saturating_add(max_wait);
    while count_in(RUNNING.load(Ordering::SeqCst)) > 0 {
        let left = deadline.saturating_sub(SystemClock.elapsed());
        if left.is_zero() {
            return false;
        }
        block_on(SystemClock.sleep(PAUSE.min(left)));
    }
    true
}

/// An exchange that runs, until this is dropped.
pub(super) struct Running(());

impl Running {
    pub(super) fn begin() -> Self {
        change(|count| count + 1);
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        change(|count| count.saturating_sub(1));
    }
}

fn change(new_count: impl Fn(u64) -> u64) {
    let order = Ordering::SeqCst;
    let update = |state| Some(this_process() | new_count(count_in(state)));
    // It cannot fail, because there is always a new state.
    let _ = RUNNING.fetch_update(order, order, update);
}

/// How many run in this process. A forked child has the state of its parent, but not its threads.
fn count_in(state: u64) -> u64 {
    match state & !COUNT == this_process() {
        true => state & COUNT,
        false => 0,
    }
}

fn this_process() -> u64 {
    u64::from(process::id()) << 32
}

/// How many run in a process: its number is in the upper half.
static RUNNING: AtomicU64 = AtomicU64::new(0);
const COUNT: u64 = u32::MAX as u64;

const PAUSE: Duration = Duration::from_millis(5);
