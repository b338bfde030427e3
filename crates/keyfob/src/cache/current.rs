//! The current token: read by anyone without a lock, replaced only under the cache's lock.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::cache::lease::{Anchor, Lease, Snapshot};
use crate::cache::per_thread::Seats;
use crate::clock::clock::{Clock, CoarseTime};
use crate::error::error::{Error, ErrorKind};
use crate::runtime::lock::interleave;
use crate::token::freshness::Freshness;
use crate::token::token::Token;

/// The snapshot that is served, and the clock that it is looked at by.
pub(super) struct Current {
    snapshot: ArcSwapOption<Published>,
    pub(super) clock: Arc<dyn Clock>,
}

/// A snapshot with a copy for each thread that reads it.
struct Published {
    look: CoarseTime,
    seats: Seats<Snapshot>,
}

/// A look at a token that was fresh, without a lock.
pub(super) struct FreshGuard(Guard<Option<Arc<Published>>>);

impl Deref for FreshGuard {
    type Target = Arc<Snapshot>;

    #[inline]
    fn deref(&self) -> &Arc<Snapshot> {
        let current = self.0.as_ref();
        current.expect("a fresh look has a token").seats.mine()
    }
}

impl Current {
    pub(super) fn none(clock: Arc<dyn Clock>) -> Self {
        Self {
            snapshot: ArcSwapOption::empty(),
            clock,
        }
    }

    /// The same snapshot and clock in a place of their own, and the generation of the token.
    pub(super) fn forked(&self) -> (Self, u64) {
        let generation = self.snapshot().map_or(0, |snapshot| snapshot.generation);
        let forked = Self {
            snapshot: ArcSwapOption::new(self.snapshot.load_full()),
            clock: Arc::clone(&self.clock),
        };
        (forked, generation)
    }

    /// The token, if nothing needs to be decided about it: the way that nearly every read takes.
    #[inline]
    pub(super) fn fresh(&self) -> Option<FreshGuard> {
        interleave();
        let current = self.snapshot.load();
        let look = current.as_ref()?.look;
        let now = self.clock.coarse_time();
        (now.monotonic < look.monotonic && now.wall < look.wall).then_some(FreshGuard(current))
    }

    /// The token, as long as it has not truly expired.
    pub(super) fn usable(&self) -> Option<Lease> {
        self.lease_if(|freshness| freshness != Freshness::Expired)
    }

    /// The token, if it lies outside its leeway.
    pub(super) fn authenticated(&self) -> Option<Lease> {
        self.lease_if(|freshness| matches!(freshness, Freshness::Fresh | Freshness::Due))
    }

    /// What a caller gets who will not wait any longer.
    pub(super) fn waited_too_long(&self, rejected: Option<&Lease>) -> Result<Lease, Error> {
        let other = |lease: &Lease| rejected.is_none_or(|rejected| !lease.same_as(rejected));
        self.usable().filter(other).ok_or_else(|| {
            Error::new(
                ErrorKind::Deadline,
                "the token did not come before the caller's deadline; the fetch goes on, and a later call may find it",
            )
        })
    }

    fn lease_if(&self, wanted: impl FnOnce(Freshness) -> bool) -> Option<Lease> {
        let now = self.clock.elapsed();
        let snapshot = self.snapshot()?;
        wanted(snapshot.schedule.at(now)).then(|| Lease::new(snapshot))
    }

    /// The snapshot, whatever it is worth.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let current = self.snapshot.load();
        Some(Arc::clone(current.as_ref()?.seats.mine()))
    }

    /// The token, expired or not.
    pub(super) fn token(&self) -> Option<Token> {
        self.snapshot().map(|snapshot| snapshot.token.clone())
    }

    /// Whether that is the token in place, expired or not.
    pub(super) fn is(&self, token: &Token) -> bool {
        let snapshot = self.snapshot();
        snapshot.is_some_and(|snapshot| snapshot.token.same_as(token))
    }

    /// Only under the lock, so that no older snapshot takes the place of a newer one.
    pub(super) fn publish(&self, snapshot: Snapshot) -> Lease {
        let published = Published {
            look: snapshot.look,
            seats: Seats::new(snapshot, Snapshot::apart),
        };
        let lease = Lease::new(Arc::clone(published.seats.mine()));
        self.snapshot.store(Some(Arc::new(published)));
        interleave();
        lease
    }

    /// Has the next reader decide anew.
    pub(super) fn look_now(&self) {
        if let Some(snapshot) = self.snapshot() {
            let anchor = self.anchor();
            self.publish(snapshot.look_at(anchor.elapsed, anchor));
        }
    }

    /// All clocks now.
    pub(super) fn anchor(&self) -> Anchor {
        Anchor {
            elapsed: self.clock.elapsed(),
            coarse_time: self.clock.coarse_time(),
        }
    }
}
