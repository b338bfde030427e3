//! What a store keeps under a key: a token, and the state of its renewal.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};

use crate::error::error::ErrorKind;
use crate::store::key::hex;
use crate::token::token::{Expiry, Token};

/// What a store keeps under a key: the token, and what is known about the exchange for the next one.
///
/// `Debug` shows no secret. [`SealingKeys`](crate::store::SealingKeys) turns an entry into bytes.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) token: Option<Token>,
    pub(crate) pending: Option<PendingExchange>,
    pub(crate) failure: Option<Failure>,
    pub(crate) saved: SystemTime,
    /// Where the entry was moved to, in words. Such an entry holds nothing else.
    pub(crate) moved: Option<String>,
    /// It is saved again as it was, and goes when it would have gone.
    pub(crate) keeps_its_end: bool,
}

/// The note of an exchange that was started and has no stored result yet.
///
/// [`TokenStore`](crate::store::TokenStore) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingExchange {
    /// The fingerprint of the refresh token that it uses up; `None` if the store held none.
    pub(crate) fingerprint: Option<String>,
    pub(crate) started: SystemTime,
    pub(crate) process: String,
    /// How many exchanges of this refresh token were started without a known result, this one included.
    pub(crate) attempts: u32,
}

/// The issuer's last failure, so that other processes need not repeat it.
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
    /// An entry with this token, saved at this time.
    ///
    /// If the token has a lifetime, it counts from when the token was [obtained](Token::obtained_at), or else from `now`.
    #[must_use]
    pub fn new(token: Token, now: SystemTime) -> Self {
        Self {
            token: Some(with_absolute_expiry(token, now)),
            ..Self::empty(now)
        }
    }

    /// An entry without a token, for the note of the first exchange.
    pub(crate) fn empty(now: SystemTime) -> Self {
        Self {
            token: None,
            pending: None,
            failure: None,
            saved: now,
            moved: None,
            keeps_its_end: false,
        }
    }

    /// What an entry leaves behind that was moved to another store.
    pub(crate) fn moved(place: &str, now: SystemTime) -> Self {
        Self {
            moved: Some(place.to_owned()),
            ..Self::empty(now)
        }
    }

    /// The token, if there is one yet.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// When the entry was saved, by the clock of the machine that saved it.
    #[must_use]
    pub fn saved(&self) -> SystemTime {
        self.saved
    }

    /// How long a store keeps the entry after the save, if nothing saves it again; `None` is forever.
    ///
    /// A token without a refresh token is of no use after its expiry. A refresh token may be of use at any time, and so may a
    /// note of an exchange that uses one up: those are kept for the time that the user sets.
    pub(crate) fn keep_for(&self, idle_timeout: Option<Duration>) -> Option<Duration> {
        let token = self.token.as_ref();
        if self.moved.is_some()
            || self.pending.is_some()
            || token.is_some_and(|token| token.refresh_token().is_some())
        {
            return idle_timeout;
        }
        let left = match token.map(Token::expires) {
            None => Duration::ZERO,
            Some(Expiry::At(end) | Expiry::Hint(end)) => {
                end.duration_since(self.saved).unwrap_or_default()
            }
            Some(Expiry::In(_) | Expiry::Unknown) => return idle_timeout,
        };
        Some(left.saturating_add(KEPT_AFTER_EXPIRY))
    }

    /// The note of an exchange whose result is not known.
    #[must_use]
    pub fn pending_exchange(&self) -> Option<&PendingExchange> {
        self.pending.as_ref()
    }

    /// The same entry, with all times moved to a clock that shows `now` (T6).
    ///
    /// If the store measured the `age` of the entry, the clock of the machine that saved it has no influence. Otherwise,
    /// an entry that seems to be saved in the future counts as saved now.
    pub(crate) fn rebase(mut self, now: SystemTime, age: Option<Duration>) -> Self {
        let saved = match age {
            Some(age) => now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH),
            // A writer whose clock is ahead must not prolong the life of its token.
            None => self.saved.min(now),
        };
        let before = std::mem::replace(&mut self.saved, saved);
        let shift = |time| shift(time, before, saved);
        if let Some(pending) = &mut self.pending {
            pending.started = shift(pending.started);
        }
        if let Some(failure) = &mut self.failure {
            failure.at = shift(failure.at);
        }
        self.token = self.token.map(|mut token| {
            if let Some(time) = token.obtained() {
                token = token.obtained_at(shift(time));
            }
            match token.expires() {
                Expiry::At(time) => token.expires_at(shift(time)),
                // The issuer's clock wrote a hint, and not that of the machine that saved it.
                Expiry::In(_) | Expiry::Hint(_) | Expiry::Unknown => token,
            }
        });
        self
    }
}

impl PendingExchange {
    /// When it started.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// How many exchanges of this refresh token were started without a known result, this one included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Which process started it, on which machine.
    #[must_use]
    pub fn process(&self) -> &str {
        &self.process
    }
}

/// Replaces a lifetime by a point in time, which means the same whenever it is read.
fn with_absolute_expiry(token: Token, now: SystemTime) -> Token {
    let obtained = token.obtained().unwrap_or(now);
    let token = token.obtained_at(obtained);
    match token.expires() {
        Expiry::In(lifetime) => match obtained.checked_add(lifetime) {
            Some(end) => token.expires_at(end),
            None => token.expiry(Expiry::Unknown),
        },
        Expiry::At(_) | Expiry::Hint(_) | Expiry::Unknown => token,
    }
}

/// A hash that identifies a refresh token and does not reveal it.
pub(crate) fn fingerprint(refresh_token: &str) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(b"keyfob refresh token 1");
    hash.update(refresh_token.as_bytes());
    hex(&hash.finish().as_ref()[..16])
}

/// Moves a time from a clock that shows `from` to one that shows `to` at the same moment.
fn shift(time: SystemTime, from: SystemTime, to: SystemTime) -> SystemTime {
    let shifted = match time.duration_since(from) {
        Ok(after) => to.checked_add(after),
        Err(before) => to.checked_sub(before.duration()),
    };
    shifted.unwrap_or(time)
}

/// How long an entry is kept after its token has expired: long enough for the issuer's last failure, and for a person who looks
/// why a program has no token.
pub(crate) const KEPT_AFTER_EXPIRY: Duration = Duration::from_secs(24 * 3600);

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
    fn a_lifetime_becomes_a_point_in_time() {
        assert_eq!(expiry(&entry(at(0))), at(10));
        let old = Token::new("t")
            .unwrap()
            .obtained_at(at(0))
            .expires_in(MINUTE * 10);
        assert_eq!(expiry(&Entry::new(old, at(5))), at(10));
    }

    #[test]
    fn t6_the_age_from_the_store_wins_over_the_writers_clock() {
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
    fn t9_only_what_can_be_of_no_use_is_kept_for_a_limited_time() {
        let kept = |entry: &Entry| entry.keep_for(None);
        assert_eq!(kept(&entry(at(0))), Some(MINUTE * 10 + KEPT_AFTER_EXPIRY));
        // The clock of the machine that saved it counts, and not when the token was obtained.
        let expired = Token::new("t").unwrap().expires_at(at(0));
        assert_eq!(kept(&Entry::new(expired, at(5))), Some(KEPT_AFTER_EXPIRY));
        assert_eq!(kept(&Entry::empty(at(0))), Some(KEPT_AFTER_EXPIRY));
        let refresh = Token::new("t").unwrap().expires_at(at(0));
        let refresh = refresh.with_refresh_token("r").unwrap();
        let pending = PendingExchange {
            fingerprint: None,
            started: at(0),
            process: "p".to_owned(),
            attempts: 1,
        };
        let pending = Entry {
            pending: Some(pending),
            ..Entry::empty(at(0))
        };
        for entry in [
            Entry::new(refresh, at(0)),
            Entry::new(Token::new("t").unwrap(), at(0)),
            Entry::moved("elsewhere", at(0)),
            pending,
        ] {
            assert_eq!(kept(&entry), None);
            assert_eq!(entry.keep_for(Some(MINUTE)), Some(MINUTE));
        }
    }

    #[test]
    fn s1_debug_of_an_entry_shows_no_secret() {
        let token = Token::new("s3cr3t").unwrap();
        let token = token.with_refresh_token("s3cr3t-2").unwrap();
        let shown = format!("{:?}", Entry::new(token, at(0)));
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    #[test]
    fn refresh_tokens_differ_in_their_fingerprints() {
        assert_eq!(fingerprint("a"), fingerprint("a"));
        assert_ne!(fingerprint("a"), fingerprint("b"));
        assert!(!fingerprint("refresh").contains("refresh"));
    }
}
