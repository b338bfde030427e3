//! The current token, which is read without a lock and replaced only under the cache's lock.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::cache::lease::{ClockReading, Lease, Snapshot};
use crate::cache::per_thread::PerThread;
use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::runtime::lock::interleave;
use crate::token::freshness::Freshness;
use crate::token::token::Token;

/// The current token, if there is one, and the clock of the cache.
#[repr(C)]
pub(super) struct CurrentToken {
    /// A read loads the token's next check from here, and takes the copy of its thread, or this snapshot if there are none.
    published: ArcSwapOption<Snapshot>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) copies: Copies,
}

/// How many copies of a snapshot there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// One for each thread that runs at the same time, so that threads do not write to the same memory.
    PerThread,
    /// A single one: in a pool of many tokens, threads rarely read the same one at once.
    One,
}

/// A borrowed snapshot of a fresh token, which costs no reference count.
pub(super) struct FreshGuard(Guard<Option<Arc<Snapshot>>>);

impl Deref for FreshGuard {
    type Target = Arc<Snapshot>;

    #[inline]
    fn deref(&self) -> &Arc<Snapshot> {
        of_this_thread(self.0.as_ref().expect("a guard has a token"))
    }
}

#[inline]
fn of_this_thread(published: &Arc<Snapshot>) -> &Arc<Snapshot> {
    published.copies.get().unwrap_or(published)
}

impl CurrentToken {
    pub(super) fn none(clock: Arc<dyn Clock>, copies: Copies) -> Self {
        Self {
            published: ArcSwapOption::empty(),
            clock,
            copies,
        }
    }

    /// Returns a copy for a forked child, and the generation of the token.
    pub(super) fn forked(&self) -> (Self, u64) {
        let generation = self.snapshot().map_or(0, |snapshot| snapshot.generation);
        let forked = Self {
            published: ArcSwapOption::new(self.published.load_full()),
            clock: Arc::clone(&self.clock),
            copies: self.copies,
        };
        (forked, generation)
    }

    /// Returns the token if it is certainly fresh, without a lock. Nearly every read ends here.
    #[inline]
    pub(super) fn fresh(&self) -> Option<FreshGuard> {
        interleave();
        let published = self.published.load();
        let check = published.as_ref()?.next_check;
        let now = self.clock.coarse_time();
        // Both clocks are compared: one of them may have stopped while the machine slept, or been set (T6).
        let is_fresh = now.monotonic < check.monotonic && now.wall < check.wall;
        is_fresh.then_some(FreshGuard(published))
    }

    /// Returns the token if it has not expired.
    pub(super) fn usable(&self) -> Option<Lease> {
        self.lease_if(|freshness| freshness != Freshness::Expired)
    }

    /// Returns the token if it is outside its leeway.
    pub(super) fn authenticated(&self) -> Option<Lease> {
        self.lease_if(|freshness| matches!(freshness, Freshness::Fresh | Freshness::Due))
    }

    /// Returns what a caller gets whose `max_wait` is over: a usable token, except the rejected one, or an error.
    pub(super) fn after_max_wait(&self, rejected: Option<&Lease>) -> Result<Lease, Error> {
        let not_rejected = |lease: &Lease| rejected.is_none_or(|rejected| !lease.same_as(rejected));
        self.usable().filter(not_rejected).ok_or_else(|| {
            Error::new(
                ErrorKind::Deadline,
                "there was no token before the caller's deadline; the fetch continues, and a later call may find one",
            )
        })
    }

    fn lease_if(&self, wanted: impl FnOnce(Freshness) -> bool) -> Option<Lease> {
        let now = self.clock.elapsed();
        let snapshot = self.snapshot()?;
        wanted(snapshot.schedule.at(now)).then(|| Lease(snapshot))
    }

    /// Returns the snapshot, expired or not.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let published = self.published.load();
        Some(Arc::clone(of_this_thread(published.as_ref()?)))
    }

    /// Returns the token, expired or not.
    pub(super) fn token(&self) -> Option<Token> {
        self.snapshot().map(|snapshot| snapshot.token.clone())
    }

    /// Whether this is the current token, expired or not.
    pub(super) fn is(&self, token: &Token) -> bool {
        let snapshot = self.snapshot();
        snapshot.is_some_and(|snapshot| snapshot.token.same_as(token))
    }

    /// Replaces the snapshot. Only under the lock, so that an older snapshot never replaces a newer one.
    pub(super) fn publish(&self, snapshot: Snapshot) -> Lease {
        let published = Arc::new(match self.copies {
            Copies::PerThread => Snapshot {
                copies: PerThread::new(|| snapshot.separate_copy()),
                ..snapshot
            },
            Copies::One => snapshot,
        });
        let lease = Lease(Arc::clone(of_this_thread(&published)));
        // One store replaces the token and its next check together, so no reader sees one without the other.
        self.published.store(Some(published));
        interleave();
        lease
    }

    /// Makes the next reader check the token again, under the lock. Only under the lock.
    pub(super) fn check_now(&self) {
        if let Some(snapshot) = self.snapshot() {
            let now = self.read_clocks();
            self.publish(snapshot.checked_next(now.elapsed, now));
        }
    }

    pub(super) fn read_clocks(&self) -> ClockReading {
        ClockReading {
            elapsed: self.clock.elapsed(),
            coarse: self.clock.coarse_time(),
        }
    }
}
