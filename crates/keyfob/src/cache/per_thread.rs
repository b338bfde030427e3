//! Copies of one value, so that threads that read it at once do not write to the same memory.
//!
//! Who clones a shared value counts himself in, and two processors that count in one place wait for each other: two
//! threads would read hardly more often than one. The copies are made with the value and go with it, and so does what is
//! secret in them.

use std::cell::Cell;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::{iter, thread};

/// One value, a copy for each of some threads.
pub(super) struct Seats<T>(Box<[Arc<T>]>);

impl<T> Seats<T> {
    /// The value, and as many copies of it as threads may run at once.
    pub(super) fn new(value: T, copy: impl Fn(&T) -> T) -> Self {
        let copies: Vec<_> = (1..number()).map(|_| Arc::new(copy(&value))).collect();
        Self(
            copies
                .into_iter()
                .chain(iter::once(Arc::new(value)))
                .collect(),
        )
    }

    /// The copy of the calling thread; it shares it with others if there are more threads than copies.
    #[inline]
    pub(super) fn mine(&self) -> &Arc<T> {
        // Their number is a power of two, by which this is the remainder.
        &self.0[seat() & (self.0.len() - 1)]
    }
}

/// The number of the calling thread.
#[inline]
fn seat() -> usize {
    match SEAT.get() {
        NONE => take_seat(),
        seat => seat,
    }
}

#[cold]
fn take_seat() -> usize {
    SEAT.set(TAKEN.fetch_add(1, Ordering::Relaxed));
    SEAT.get()
}

thread_local! {
    static SEAT: Cell<usize> = const { Cell::new(NONE) };
}

const NONE: usize = usize::MAX;

/// How many threads have a seat. For the process, as its threads are.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// At least as many as processors, which the system is asked for once, since it reads files to tell.
fn number() -> usize {
    static NUMBER: OnceLock<usize> = OnceLock::new();
    *NUMBER.get_or_init(|| {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        processors.next_power_of_two().min(AT_MOST)
    })
}

/// Of very many processors, few read one token at the same moment.
const AT_MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_come_one_after_another_have_copies_of_their_own() {
        let seats = Arc::new(Seats::new(0, |value| value + 1));
        assert_eq!(seats.0.len(), number());
        let mine = || {
            let seats = Arc::clone(&seats);
            let seat = thread::spawn(move || (seat(), Arc::as_ptr(seats.mine()) as usize));
            seat.join().unwrap()
        };
        for _ in 0..100 {
            let (one, other) = (mine(), mine());
            let apart = one.0 % seats.0.len() != other.0 % seats.0.len();
            assert_eq!(one.1 != other.1, apart);
        }
    }

    #[test]
    fn a_thread_keeps_its_copy() {
        let seats = Seats::new((), |()| ());
        assert!(Arc::ptr_eq(seats.mine(), seats.mine()));
    }
}
