//! What to do about what the store holds: pure functions, no waiting.

use std::time::{Duration, SystemTime};

#[cfg(test)]
mod tests;

use crate::error::error::Error;
use crate::source::source::Reason;
use crate::store::entry::{Entry, PendingExchange, fingerprint};
use crate::token::freshness::{Acquired, Freshness, Schedule};
use crate::token::token::{Expiry, Token};

/// What a caller asks for, and under which rules.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) reason: Reason,
    pub(super) previous: Option<&'a Token>,
    pub(super) default_lifetime: Option<Duration>,
    pub(super) now: SystemTime,
    pub(super) consumes_refresh_token: bool,
    /// How long after its start an exchange without a result is tried once more.
    pub(super) issuer_grace: Duration,
    /// What a person does to sign in again.
    pub(super) advice: &'a str,
}

/// What has to be done.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Use the stored token.
    Adopt(Token),
    /// Ask the source. `attempt` counts the exchanges of this refresh token without a result, this one included.
    Fetch { attempt: u32 },
    /// Return this error without asking the source.
    Refuse(Error),
}

impl Question<'_> {
    /// Decides what to do about an entry, or about no entry. The caller holds the lease.
    pub(super) fn decide(&self, entry: Option<&Entry>) -> Verdict {
        let Some(entry) = entry else {
            return Verdict::Fetch { attempt: 1 };
        };
        if let Some(token) = self.adoptable(entry) {
            return Verdict::Adopt(token.clone());
        }
        let pending = self.pending(entry);
        let attempt = pending.map_or(0, |pending| pending.attempts) + 1;
        // A person who forces a renewal may know that the issuer works again.
        if self.reason == Reason::Forced {
            return Verdict::Fetch { attempt };
        }
        if let Some(error) = self.shared_failure(entry) {
            return Verdict::Refuse(error);
        }
        // After the grace, the issuer may take a used refresh token for a stolen one and end the whole sign-in (RFC 9700 §4.14).
        let age = |time| self.now.duration_since(time).unwrap_or_default();
        if let Some(pending) = pending
            && (attempt > MAX_ATTEMPTS || age(pending.started) >= self.issuer_grace)
        {
            return Verdict::Refuse(sign_in_needed(pending, self.advice));
        }
        Verdict::Fetch { attempt }
    }

    /// The stored token, if it answers the question.
    pub(super) fn adoptable<'e>(&self, entry: &'e Entry) -> Option<&'e Token> {
        let token = entry.token()?;
        // The store does not keep in which field a token is sent, so the texts are compared alone.
        let is_other = self
            .previous
            .is_some_and(|previous| !previous.same_text_as(token));
        // A stored token that is due as well is no better than the one in use, so only a fresh one replaces that.
        let fits = match (self.reason, self.freshness(token)) {
            (_, Freshness::Expired | Freshness::Leeway) => false,
            (Reason::Missing, _) => true,
            (Reason::Due, Freshness::Due) => false,
            (Reason::Due, Freshness::Fresh) => is_other || self.is_extended(token),
            (Reason::Rejected | Reason::Forced, _) => is_other,
        };
        fits.then_some(token)
    }

    /// Whether another process got the same text again with a later end: some servers repeat a token until it ends.
    fn is_extended(&self, token: &Token) -> bool {
        let previous = self.previous.and_then(|previous| self.end(previous));
        let (Some(before), Some(end)) = (previous, self.end(token)) else {
            return false;
        };
        let obtained = token.obtained().unwrap_or(self.now);
        let lifetime = end.duration_since(obtained).unwrap_or_default();
        // The times of the entry were moved to this clock, so those of one token differ a little.
        end.duration_since(before)
            .is_ok_and(|more| more > lifetime / 4)
    }

    fn end(&self, token: &Token) -> Option<SystemTime> {
        let obtained = token.obtained().unwrap_or(self.now);
        match token.expires().known_at(obtained, self.default_lifetime) {
            Expiry::At(time) | Expiry::Hint(time) => Some(time),
            Expiry::In(lifetime) => obtained.checked_add(lifetime),
            Expiry::Unknown => None,
        }
    }

    /// The stored token, if the caller has none and it has not expired: better than the failure of a renewal (T3).
    pub(super) fn last_resort<'e>(&self, entry: &'e Entry) -> Option<&'e Token> {
        let token = entry.token()?;
        let is_valid = self.freshness(token) != Freshness::Expired;
        (is_valid && self.reason == Reason::Missing).then_some(token)
    }

    /// Whether a token that was fetched without the store is good enough to be stored.
    pub(super) fn is_worth_sharing(&self, token: &Token) -> bool {
        matches!(self.reason, Reason::Missing | Reason::Due)
            && self.freshness(token) == Freshness::Fresh
    }

    /// The note of an exchange of the stored refresh token that has no result.
    ///
    /// A note of another refresh token does not count: a sign-in has replaced the token since.
    pub(super) fn pending<'e>(&self, entry: &'e Entry) -> Option<&'e PendingExchange> {
        let pending = entry.pending.as_ref()?;
        let is_of_this = pending.fingerprint == fingerprint_of(entry.token());
        (self.consumes_refresh_token && is_of_this).then_some(pending)
    }

    /// The failure that the store holds, until the pause after it has ended.
    pub(super) fn shared_failure(&self, entry: &Entry) -> Option<Error> {
        let failure = entry.failure.as_ref()?;
        // If the clocks of two machines differ too much, asking the issuer too early is better than never.
        let since = self.now.duration_since(failure.at);
        let since = since.unwrap_or_else(|ahead| ahead.duration());
        let left = failure.pause.saturating_sub(since);
        if left.is_zero() {
            return None;
        }
        // The time shows that the server was not asked again.
        let message = format!("{} (the response {})", failure.message, at(failure.at));
        let error = Error::new(failure.kind(), message);
        Some(match failure.is_refusal {
            // The end of this pause does not end the refusal.
            true => error,
            false => error.retry_after(left),
        })
    }

    fn freshness(&self, token: &Token) -> Freshness {
        // The stored times are wall times, so this schedule runs on the wall clock too (T6).
        let at = self.now.duration_since(SystemTime::UNIX_EPOCH);
        let at = at.unwrap_or_default();
        let expiry = token
            .expires()
            .known_at(token.obtained().unwrap_or(self.now), self.default_lifetime);
        let acquired = Acquired {
            age: None,
            at,
            wall: self.now,
        };
        // No jitter: this is the latest time at which a process finds the token due. Another one renews earlier for all.
        Schedule::new(expiry, None, acquired.obtained(token.obtained()), 0.0).at(at)
    }
}

/// The fingerprint of the refresh token that came with this token.
pub(super) fn fingerprint_of(token: Option<&Token>) -> Option<String> {
    token?.refresh_token().map(fingerprint)
}

fn sign_in_needed(pending: &PendingExchange, advice: &str) -> Error {
    let when = at(pending.started());
    Error::refused(format!(
        "an exchange of the stored refresh token was started {when} by {} and its result was never stored; \
         the refresh token may be used up: {advice}",
        pending.process()
    ))
}

fn at(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time);
    time.map_or_else(|_| "long ago".to_owned(), |time| format!("at {time:.0}"))
}

/// How often a refresh token is exchanged in all, if no exchange has a known result.
const MAX_ATTEMPTS: u32 = 2;
