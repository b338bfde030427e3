//! What to do with what the store holds: pure functions, no waiting.

use std::time::{Duration, SystemTime};

#[cfg(test)]
mod tests;

use crate::error::error::Error;
use crate::source::source::Reason;
use crate::store::entry::{Entry, Failure, PendingExchange, fingerprint};
use crate::token::freshness::{Acquired, Freshness, Schedule};
use crate::token::token::{Expiry, Token};

/// What is asked for, and under which rules.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) reason: Reason,
    pub(super) previous: Option<&'a Token>,
    pub(super) default_lifetime: Option<Duration>,
    pub(super) now: SystemTime,
    pub(super) consumes_refresh_token: bool,
    /// So long after its start an exchange without an answer is tried once more.
    pub(super) grace: Duration,
}

/// What follows from it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The stored token is the answer.
    Adopt(Token),
    /// The source is asked; before it, so many exchanges have begun with this refresh token, this one included.
    Exchange(u32),
    /// Nobody is asked.
    Refuse(Error),
}

impl Question<'_> {
    /// What to do about an entry, or about there being none. To be asked under the lease.
    pub(super) fn decide(&self, entry: Option<&Entry>) -> Verdict {
        let Some(entry) = entry else {
            return Verdict::Exchange(1);
        };
        if let Some(token) = self.adoptable(entry) {
            return Verdict::Adopt(token.clone());
        }
        if self.reason == Reason::Forced {
            return Verdict::Exchange(
                self.open_note(entry).map_or(0, |pending| pending.attempts) + 1,
            );
        }
        if let Some(error) = entry
            .failure
            .as_ref()
            .and_then(|failure| self.cooling(failure))
        {
            return Verdict::Refuse(error);
        }
        match self.open_note(entry) {
            None => Verdict::Exchange(1),
            Some(pending)
                if pending.attempts < ATTEMPTS && self.since(pending.started) < self.grace =>
            {
                Verdict::Exchange(pending.attempts + 1)
            }
            Some(pending) => Verdict::Refuse(sign_in_needed(pending)),
        }
    }

    /// The stored token, if it does for what is asked.
    pub(super) fn adoptable<'e>(&self, entry: &'e Entry) -> Option<&'e Token> {
        let token = entry.token()?;
        let is_other = self
            .previous
            .is_some_and(|previous| !previous.same_as(token));
        let fits = match (self.reason, self.freshness(token)) {
            (_, Freshness::Expired | Freshness::Leeway) => false,
            (Reason::Missing, _) => true,
            (Reason::Due, freshness) => is_other && freshness == Freshness::Fresh,
            (Reason::Rejected | Reason::Forced, _) => is_other,
        };
        fits.then_some(token)
    }

    /// The stored token, if whoever asks has none and it has not expired: better than the failure of a renewal (T3).
    pub(super) fn last_resort<'e>(&self, entry: &'e Entry) -> Option<&'e Token> {
        let token = entry.token()?;
        let is_valid = self.freshness(token) != Freshness::Expired;
        (is_valid && self.reason == Reason::Missing).then_some(token)
    }

    /// Whether a token that was got without the store is good enough to be put there.
    pub(super) fn is_worth_sharing(&self, token: &Token) -> bool {
        matches!(self.reason, Reason::Missing | Reason::Due)
            && self.freshness(token) == Freshness::Fresh
    }

    /// The note of an exchange of just this refresh token.
    pub(super) fn open_note<'e>(&self, entry: &'e Entry) -> Option<&'e PendingExchange> {
        if !self.consumes_refresh_token {
            return None;
        }
        let pending = entry.pending.as_ref()?;
        (pending.refresh_token == consumed(entry.token())).then_some(pending)
    }

    fn cooling(&self, failure: &Failure) -> Option<Error> {
        // By a clock that differs too much, the issuer is rather asked once more.
        let since = match self.now.duration_since(failure.at) {
            Ok(since) => since,
            Err(ahead) => ahead.duration(),
        };
        let left = failure
            .pause
            .checked_sub(since)
            .filter(|left| !left.is_zero())?;
        let error = match failure.is_refusal {
            true => Error::refused(failure.message.clone()),
            false => Error::unavailable(failure.message.clone()),
        };
        Some(error.retry_after(left))
    }

    fn since(&self, time: SystemTime) -> Duration {
        self.now.duration_since(time).unwrap_or_default()
    }

    fn freshness(&self, token: &Token) -> Freshness {
        let at = self
            .now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let expiry = match (token.expires(), self.default_lifetime) {
            (Expiry::Unknown, Some(lifetime)) => Expiry::In(lifetime),
            (given, _) => given,
        };
        let acquired = Acquired {
            asked: None,
            at,
            wall: self.now,
        };
        // The latest due moment: a process that draws an earlier one renews for all.
        let windows = Schedule::new(expiry, None, acquired.obtained(token.obtained()), 0.0);
        windows.map_or(Freshness::Expired, |windows| windows.at(at))
    }
}

/// By which the refresh token of a token is recognised that an exchange uses up.
pub(super) fn consumed(token: Option<&Token>) -> Option<String> {
    token?.refresh_token().map(fingerprint)
}

fn sign_in_needed(pending: &PendingExchange) -> Error {
    let when = jiff::Timestamp::try_from(pending.started())
        .map_or_else(|_| "long ago".to_owned(), |time| format!("at {time:.0}"));
    Error::refused(format!(
        "an exchange of the stored refresh token was begun {when} by {} and its answer was never stored; \
         the refresh token may be used up: sign in again",
        pending.process()
    ))
}

/// An exchange of one refresh token whose answer is not known is tried so often in all.
const ATTEMPTS: u32 = 2;
