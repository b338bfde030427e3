//! A token as it was at one moment, ready to be put on a request.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::clock::CoarseTime;
use crate::error::error::Error;
use crate::observe::events;
use crate::token::freshness::Schedule;
use crate::token::token::Token;

/// A token as it was at one moment, ready to be put on a request.
///
/// It knows which token it is: a rejection is reported with the lease that was rejected (T8).
#[derive(Clone)]
pub struct Lease(Arc<Snapshot>);

/// The current token, its headers made ready, and the moments of both clocks at which it must be looked at again.
///
/// So aligned that the count of its leases has memory of its own; see [`Seats`](crate::cache::per_thread::Seats).
#[derive(Clone)]
#[repr(align(128))]
pub(super) struct Snapshot {
    pub(super) token: Token,
    pub(super) headers: Box<[(HeaderName, HeaderValue)]>,
    pub(super) generation: u64,
    pub(super) schedule: Schedule,
    /// When its lifetime began, on the clock that counts sleep.
    pub(super) since: Duration,
    /// Both clocks when the snapshot was made.
    pub(super) anchor: Anchor,
    /// Before both of these the token is fresh, and nothing needs to be decided.
    pub(super) look: CoarseTime,
}

/// The wall clock may run so many nanoseconds ahead of the monotonic one before it counts as set.
const STEP: u64 = 5_000_000_000;

/// All clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) elapsed: Duration,
    pub(super) coarse_time: CoarseTime,
}

impl Snapshot {
    /// The field that carries the token.
    #[inline]
    pub(super) fn header(&self) -> &HeaderValue {
        &self.headers[0].1
    }

    /// The same, in memory of its own as far as readers write to it.
    pub(super) fn apart(&self) -> Self {
        Self {
            headers: self.token.headers().into(),
            ..self.clone()
        }
    }

    /// Whether the wall clock has run ahead since the snapshot was made: it was set, or the machine slept.
    pub(super) fn stepped(&self, now: Anchor) -> bool {
        let expected = self.anchor.coarse_time_at(now.elapsed).wall;
        now.coarse_time.wall > expected.saturating_add(STEP)
    }

    /// The same token, to be looked at again at another moment.
    pub(super) fn look_at(&self, elapsed: Duration, anchor: Anchor) -> Self {
        Self {
            anchor,
            look: anchor.coarse_time_at(elapsed),
            ..self.clone()
        }
    }
}

impl Anchor {
    /// What both clocks will show at a later moment, if neither is set and the machine does not sleep.
    pub(super) fn coarse_time_at(&self, elapsed: Duration) -> CoarseTime {
        let ahead = elapsed.saturating_sub(self.elapsed).as_nanos();
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
        CoarseTime {
            monotonic: self.coarse_time.monotonic.saturating_add(ahead),
            wall: self.coarse_time.wall.saturating_add(ahead),
        }
    }
}

impl Lease {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(snapshot)
    }

    /// The field value that carries the token, marked sensitive.
    #[inline]
    #[must_use]
    pub fn header(&self) -> &HeaderValue {
        self.0.header()
    }

    /// All fields of the credential, the token's own first, each marked sensitive.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// Puts the credential on a request; what stood in its fields is replaced (R9).
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0.headers {
            if headers
                .insert(name, value.clone())
                .is_some_and(|old| old != value)
            {
                events::credential_overridden(name);
            }
        }
    }

    /// Time since the source was asked for the token.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.0.since)
    }

    /// The credential alone, as the head of a request.
    pub(crate) fn to_headers(&self) -> HeaderMap {
        self.headers().iter().cloned().collect()
    }

    /// The token itself.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.0.token
    }

    /// When the token expires on the wall clock, as the cache counts it; `None` if that is not known.
    ///
    /// The cache counts on a clock that nobody sets. This is what that comes to on the wall clock as it stood when the lease
    /// was last looked at, exact to a tick of the system's clock.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        let (anchor, expired) = (self.0.anchor, self.0.schedule.expired);
        let wall = anchor.coarse_time.wall_time();
        match expired.checked_sub(anchor.elapsed) {
            _ if expired == Duration::MAX => None,
            Some(ahead) => wall.checked_add(ahead),
            None => wall.checked_sub(anchor.elapsed - expired),
        }
    }

    /// Which token it is: the number grows each time another token takes the place of the last.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Whether both would be sent as the same credential; a token that went and came back is the same (T8).
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.generation() == other.generation() || self.token().same_as(other.token())
    }

    /// This lease, unless it is the very token that was just rejected.
    pub(super) fn unless_same_as(self, rejected: &Self) -> Result<Self, Error> {
        if self.same_as(rejected) {
            return Err(same_token());
        }
        Ok(self)
    }
}

pub(super) fn same_token() -> Error {
    Error::unavailable(
        "the source gave the same token that was just rejected; renew or replace it at its origin",
    )
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
