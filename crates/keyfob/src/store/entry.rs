//! What a store keeps under a key.

use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::error::error::ErrorKind;
use crate::store::key::hex;
use crate::token::token::{Expiry, Token};

/// What a store keeps under a key: the token, and what is known of the exchange for the next one.
///
/// `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) token: Option<Token>,
    pub(crate) pending: Option<PendingExchange>,
    pub(crate) failure: Option<Failure>,
    pub(crate) saved: SystemTime,
}

/// The note of an exchange that was begun and whose answer is not stored yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingExchange {
    /// A hash of the refresh token that it uses up; `None` for one that the source brought along.
    pub(crate) refresh_token: Option<String>,
    pub(crate) started: SystemTime,
    pub(crate) process: String,
    /// How many exchanges were begun with this refresh token, of which none is known to have ended.
    pub(crate) attempts: u32,
}

/// The issuer's last failure, which those who share the store need not find out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) at: SystemTime,
    pub(crate) pause: Duration,
    pub(crate) is_refusal: bool,
    pub(crate) message: String,
}

impl Failure {
    /// What kind of error it is.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.is_refusal {
            true => ErrorKind::Refused,
            false => ErrorKind::Unavailable,
        }
    }
}

impl Entry {
    /// An entry with this token, as a sign-in makes it at this time of the wall clock.
    ///
    /// A lifetime counts from when the token was [obtained](Token::obtained_at), or else from now.
    #[must_use]
    pub fn new(token: Token, now: SystemTime) -> Self {
        Self {
            token: Some(fixed_in_time(token, now)),
            pending: None,
            failure: None,
            saved: now,
        }
    }

    /// An entry without a token, to note down that the first exchange begins.
    pub(crate) fn empty(now: SystemTime) -> Self {
        Self {
            token: None,
            pending: None,
            failure: None,
            saved: now,
        }
    }

    /// The token, if an exchange has given one yet.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// When it was saved, by the clock of the machine that did.
    #[must_use]
    pub fn saved(&self) -> SystemTime {
        self.saved
    }

    /// The note of an exchange whose answer is not known.
    #[must_use]
    pub fn pending_exchange(&self) -> Option<&PendingExchange> {
        self.pending.as_ref()
    }

    /// The same, told in the time of a clock that shows `now`.
    ///
    /// With the `age` that the store itself measured, the writer's clock does not count at all. Without it, one that
    /// runs ahead is noticed, and its entry counts as saved just now.
    pub(crate) fn rebase(mut self, now: SystemTime, age: Option<Duration>) -> Self {
        let saved = match age {
            Some(age) => now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH),
            None => self.saved.min(now),
        };
        let shift = Shift::between(self.saved, saved);
        self.saved = saved;
        self.token = self.token.map(|token| shift.token(token));
        if let Some(pending) = &mut self.pending {
            pending.started = shift.time(pending.started);
        }
        if let Some(failure) = &mut self.failure {
            failure.at = shift.time(failure.at);
        }
        self
    }
}

impl PendingExchange {
    /// When it began.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// How many exchanges were begun with this refresh token whose answers are not known, this one included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Which process began it, on which machine.
    #[must_use]
    pub fn process(&self) -> &str {
        &self.process
    }
}

/// The token with an expiry that means the same whenever it is read.
fn fixed_in_time(token: Token, now: SystemTime) -> Token {
    let obtained = token.obtained().unwrap_or(now);
    let token = token.obtained_at(obtained);
    match token.expires() {
        Expiry::In(lifetime) => match obtained.checked_add(lifetime) {
            Some(end) => token.expires_at(end),
            None => token.expiry(Expiry::Unknown),
        },
        Expiry::At(_) | Expiry::Unknown => token,
    }
}

/// A hash by which a refresh token is recognised, and from which it cannot be found.
pub(crate) fn fingerprint(refresh_token: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"keyfob refresh token 1");
    hash.update(refresh_token.as_bytes());
    hex(&hash.finalize()[..16])
}

/// How far one clock is from another.
#[derive(Clone, Copy)]
enum Shift {
    Later(Duration),
    Earlier(Duration),
}

impl Shift {
    fn between(from: SystemTime, to: SystemTime) -> Self {
        match to.duration_since(from) {
            Ok(later) => Self::Later(later),
            Err(earlier) => Self::Earlier(earlier.duration()),
        }
    }

    fn time(self, time: SystemTime) -> SystemTime {
        match self {
            Self::Later(by) => time.checked_add(by),
            Self::Earlier(by) => time.checked_sub(by),
        }
        .unwrap_or(time)
    }

    fn token(self, token: Token) -> Token {
        let (obtained, expires) = (token.obtained(), token.expires());
        let token = match obtained {
            Some(time) => token.obtained_at(self.time(time)),
            None => token,
        };
        match expires {
            Expiry::At(time) => token.expires_at(self.time(time)),
            Expiry::In(_) | Expiry::Unknown => token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + MINUTE * (1000 + minutes)
    }

    fn entry(saved: SystemTime) -> Entry {
        let token = Token::new("t").unwrap().expires_in(MINUTE * 10);
        Entry::new(token, saved)
    }

    fn expiry(entry: &Entry) -> SystemTime {
        match entry.token().unwrap().expires() {
            Expiry::At(time) => time,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lifetime_becomes_a_moment() {
        assert_eq!(expiry(&entry(at(0))), at(10));
        let old = Token::new("t")
            .unwrap()
            .obtained_at(at(0))
            .expires_in(MINUTE * 10);
        assert_eq!(expiry(&Entry::new(old, at(5))), at(10));
    }

    #[test]
    fn t6_the_age_that_the_store_measured_wins_over_the_writers_clock() {
        for clock in [at(0), at(50), at(500)] {
            let rebased = entry(clock).rebase(at(100), Some(MINUTE * 3));
            assert_eq!(expiry(&rebased), at(107));
            assert_eq!(rebased.token().unwrap().obtained(), Some(at(97)));
        }
    }

    #[test]
    fn t6_a_writers_clock_that_runs_ahead_does_not_prolong_a_token() {
        let rebased = entry(at(30)).rebase(at(20), None);
        assert_eq!(expiry(&rebased), at(30));
        assert_eq!(expiry(&entry(at(15)).rebase(at(20), None)), at(25));
    }

    #[test]
    fn s1_debug_of_an_entry_shows_no_secret() {
        let token = Token::new("s3cr3t").unwrap();
        let token = token.with_refresh_token("s3cr3t-2").unwrap();
        let shown = format!("{:?}", Entry::new(token, at(0)));
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    #[test]
    fn refresh_tokens_are_told_apart_by_their_fingerprints() {
        assert_eq!(fingerprint("a"), fingerprint("a"));
        assert_ne!(fingerprint("a"), fingerprint("b"));
        assert!(!fingerprint("refresh").contains("refresh"));
    }
}
