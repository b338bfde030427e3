//! Copies of a value, one for each thread, so that threads that read it do not write to the same memory.
//!
//! Cloning an `Arc` writes its reference count, and two cores that write to one cache line wait for each other. With one
//! shared `Arc`, two threads would read hardly more often than one; the goal is 1.8 times as often. The copies are made
//! together with the value and dropped together with it, and so are the secrets in them.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// The copies of a value, of which each thread uses its own.
#[derive(Clone)]
pub(super) struct PerThread<T>(Box<[Arc<T>]>);

impl<T> PerThread<T> {
    /// Makes as many copies as there are threads that run at the same time.
    pub(super) fn new(copy: impl Fn() -> T) -> Self {
        Self((0..copies()).map(|_| Arc::new(copy())).collect())
    }

    /// No copies, where their memory counts for more than the time of reads that happen at once.
    pub(super) fn none() -> Self {
        Self(Box::default())
    }

    /// Returns the copy of the calling thread, if there are copies. If there are fewer than threads, some threads share one.
    #[inline]
    pub(super) fn get(&self) -> Option<&Arc<T>> {
        // The number of copies is a power of two, so this mask is the remainder, without a division.
        self.0.get(thread_index() & self.0.len().wrapping_sub(1))
    }
}

/// Returns the index of the calling thread, which it keeps for its lifetime.
#[inline]
fn thread_index() -> usize {
    thread_local! {
        // `Relaxed` is enough: the numbers only need to differ, and order no other memory.
        static INDEX: usize = NEXT_INDEX.fetch_add(1, Ordering::Relaxed);
    }
    INDEX.with(|index| *index)
}

/// Global, as threads are.
static NEXT_INDEX: AtomicUsize = AtomicUsize::new(0);

/// At least the number of processors. It is asked for once, because the system reads files to find it.
fn copies() -> usize {
    static COPIES: OnceLock<usize> = OnceLock::new();
    *COPIES.get_or_init(|| {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        processors.next_power_of_two().min(MAX_COPIES)
    })
}

/// On larger machines only few of the processors read one token at the same moment.
const MAX_COPIES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_start_one_after_another_have_different_copies() {
        let values = Arc::new(PerThread::new(|| 0));
        assert_eq!(values.0.len(), copies());
        let in_a_thread = || {
            let values = Arc::clone(&values);
            let thread = thread::spawn(move || {
                (thread_index(), Arc::as_ptr(values.get().unwrap()) as usize)
            });
            thread.join().unwrap()
        };
        for _ in 0..100 {
            let (one, other) = (in_a_thread(), in_a_thread());
            let differ = one.0 % copies() != other.0 % copies();
            assert_eq!(one.1 != other.1, differ);
        }
    }

    #[test]
    fn a_thread_keeps_its_copy() {
        let values = PerThread::new(|| ());
        assert!(Arc::ptr_eq(values.get().unwrap(), values.get().unwrap()));
        assert!(PerThread::<()>::none().get().is_none());
    }
}
