//! A token that is ready to be put on a request, and the snapshot behind it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::SignedDuration;

use crate::cache::per_thread::PerThread;
use crate::clock::clock::CoarseTime;
use crate::error::error::Error;
use crate::observe::events;
use crate::token::freshness::{Schedule, time_since};
use crate::token::token::Token;

/// A token that is ready to be put on a request.
///
/// It does not change when the cache renews its token. When a server rejects the token, report it with this lease, so that
/// the cache knows which token was rejected (T8).
///
/// ```
/// use http::HeaderMap;
/// use keyfob::{FixedToken, Token, TokenCache};
///
/// let tokens = TokenCache::new(FixedToken::new(Token::new("mF_9.B5f-4.1JqM")?));
/// let lease = tokens.lease_blocking(None)?;
/// let mut headers = HeaderMap::new();
/// lease.apply(&mut headers);
/// assert_eq!(headers["authorization"], "Bearer mF_9.B5f-4.1JqM");
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct Lease(pub(super) Arc<Snapshot>);

/// A token with its header fields, its schedule, and the time of the next check.
///
/// What each read needs is behind the reference count, so that a hit in a pool loads one line of memory here. With copies, no
/// read writes to that line: the reads of a thread count in its copy.
///
/// Two copies must not share a pair of cache lines that one thread writes and another reads
/// (see [`PerThread`](crate::cache::per_thread::PerThread)). A reference count is at the beginning of a copy. So the field that
/// each read uses is in its middle, more than two lines from its own count and from that of the next copy. An alignment would
/// do the same, and cost 144 bytes for each token of a pool.
#[derive(Clone)]
#[repr(C)]
pub(super) struct Snapshot {
    /// While both clocks are before these times, the token is fresh and readers need no lock.
    pub(super) next_check: CoarseTime,
    /// A copy for each thread, unless this is one.
    pub(super) copies: PerThread<Snapshot>,
    pub(super) schedule: Schedule,
    /// When its lifetime began, on [`Clock::elapsed`](crate::clock::Clock::elapsed).
    pub(super) since: SignedDuration,
    pub(super) headers: Box<[(HeaderName, HeaderValue)]>,
    pub(super) token: Token,
    pub(super) generation: u64,
    /// All clocks when the snapshot was made.
    pub(super) clocks: ClockReading,
}

/// If the wall clock gets ahead of the monotonic clock by more than these nanoseconds, it was set or the machine slept.
// Less than that is a correction of the clock, and no reason to ask the source.
const CLOCK_STEP: u64 = 5_000_000_000;

/// All clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    pub(super) elapsed: Duration,
    pub(super) coarse: CoarseTime,
}

impl Snapshot {
    /// The value of the header field that carries the token.
    #[inline]
    pub(super) fn header(&self) -> &HeaderValue {
        &self.headers[0].1
    }

    /// Copies the snapshot with new header values, because cloning a header value writes to its memory.
    pub(super) fn separate_copy(&self) -> Self {
        Self {
            headers: self.token.headers().into(),
            ..self.clone()
        }
    }

    /// Whether the wall clock got ahead since the snapshot was made: it was set, or the machine slept (T6).
    pub(super) fn clock_stepped(&self, now: ClockReading) -> bool {
        let expected = self.clocks.predict(now.elapsed).wall;
        now.coarse.wall > expected.saturating_add(CLOCK_STEP)
    }

    /// Returns the same token with another time of the next check.
    pub(super) fn checked_next(&self, elapsed: Duration, now: ClockReading) -> Self {
        Self {
            clocks: now,
            next_check: now.predict(elapsed),
            ..self.clone()
        }
    }
}

impl ClockReading {
    /// Returns what both clocks will show at a later moment, if no clock is set and the machine does not sleep.
    pub(super) fn predict(&self, elapsed: Duration) -> CoarseTime {
        let ahead = elapsed.saturating_sub(self.elapsed).as_nanos();
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
        CoarseTime {
            monotonic: self.coarse.monotonic.saturating_add(ahead),
            wall: self.coarse.wall.saturating_add(ahead),
        }
    }
}

impl Lease {
    /// Returns the value of the header field that carries the token, marked sensitive.
    #[inline]
    #[must_use]
    pub fn header(&self) -> &HeaderValue {
        self.0.header()
    }

    /// Returns all header fields of the credential, each marked sensitive. The first one carries the token.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// Puts the credential on a request, and replaces any other value of its header fields (R9).
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0.headers {
            // The same value again, as on a retry, is no override worth a log event.
            if headers
                .insert(name, value.clone())
                .is_some_and(|old| old != value)
            {
                events::credential_overridden(name);
            }
        }
    }

    /// Returns the time since the source was asked for the token.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        time_since(self.0.since, now)
    }

    /// Returns the header fields of the credential as a map.
    pub(crate) fn to_headers(&self) -> HeaderMap {
        self.headers().iter().cloned().collect()
    }

    /// Returns the token itself.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.0.token
    }

    /// Returns when the token expires on the wall clock, or `None` if its expiry is not known.
    ///
    /// The cache measures age on a monotonic clock (T6). This is the same moment on the wall clock as it was set when the
    /// cache last checked the token, exact to a tick of the system's clock.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        let (then, expired) = (self.0.clocks, self.0.schedule.stated);
        if expired == Duration::MAX {
            return None;
        }
        let wall = then.coarse.wall_time();
        match expired.checked_sub(then.elapsed) {
            Some(ahead) => wall.checked_add(ahead),
            None => wall.checked_sub(then.elapsed - expired),
        }
    }

    /// Returns the number of the token, which grows each time another token replaces the last one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Whether both are sent as the same credential. A token that was replaced and came back is the same (T8).
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.generation() == other.generation() || self.token().same_as(other.token())
    }
}

pub(super) fn same_token_again() -> Error {
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

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn what_each_read_uses_is_two_cache_lines_from_every_reference_count() {
        const COUNTS: usize = 2 * size_of::<usize>();
        const PAIR_OF_LINES: usize = 128;
        let begins = COUNTS + offset_of!(Snapshot, headers);
        let ends = begins + size_of::<Box<[(HeaderName, HeaderValue)]>>();
        assert!(begins >= PAIR_OF_LINES);
        assert!(COUNTS + size_of::<Snapshot>() - ends >= PAIR_OF_LINES);
    }
}
