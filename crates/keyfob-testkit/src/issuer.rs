//! Who issues tokens, and knows which of them are good.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// Issues numbered tokens and says which are valid.
///
/// Its tokens are `token-1`, `token-2` and so on. They expire, and can be revoked. Clones are the same issuer: a
/// [`TokenEndpoint`](crate::TokenEndpoint) hands the tokens out, an [`Api`](crate::Api) checks them.
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::Issuer;
///
/// let issuer = Issuer::new();
/// issuer.set_lifetime(Duration::from_secs(60));
/// let issued = issuer.issue();
/// assert_eq!(issued.token, "token-1");
/// assert!(issuer.is_valid("token-1"));
///
/// issuer.revoke("token-1");
/// assert!(!issuer.is_valid("token-1"));
/// ```
#[derive(Clone)]
pub struct Issuer {
    prefix: Arc<str>,
    ledger: Arc<Mutex<Ledger>>,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
}

/// A token with the lifetime it was issued with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    /// The token.
    pub token: String,
    /// How long it is valid from now on; `None` means that it does not expire.
    pub expires_in: Option<Duration>,
}

impl Issuer {
    /// How long tokens live if nothing else is said.
    pub const LIFETIME: Duration = Duration::from_secs(3600);

    /// Makes an issuer of `token-1`, `token-2` and so on.
    #[must_use]
    pub fn new() -> Self {
        Self::named("token")
    }

    /// Makes an issuer whose tokens begin with this name instead of `token`.
    #[must_use]
    pub fn named(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
            ledger: Arc::default(),
            now: Arc::new(Instant::now),
        }
    }

    /// Lets this closure tell the time, for tests that do not wait.
    #[must_use]
    pub fn with_now(mut self, now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// Sets the lifetime of the tokens that are issued from now on; `None` means that they do not expire.
    pub fn set_lifetime(&self, lifetime: impl Into<Option<Duration>>) {
        lock(&self.ledger).lifetime = lifetime.into();
    }

    /// Issues the next token.
    #[must_use]
    pub fn issue(&self) -> Issued {
        let (mut ledger, now) = self.ledger();
        let expires_in = ledger.lifetime;
        ledger.issued += 1;
        ledger.tokens.push_back(Token {
            issued: now,
            expires: expires_in.and_then(|lifetime| now.checked_add(lifetime)),
            is_revoked: false,
        });
        if ledger.tokens.len() > TOKENS_KEPT {
            ledger.tokens.pop_front();
        }
        Issued {
            token: self.name(ledger.issued),
            expires_in,
        }
    }

    /// The newest token, if it is valid, with the lifetime that it has left.
    #[must_use]
    pub fn current(&self) -> Option<Issued> {
        let (ledger, now) = self.ledger();
        let newest = ledger.tokens.back().filter(|token| token.is_valid(now))?;
        Some(Issued {
            token: self.name(ledger.issued),
            expires_in: newest.expires.map(|expires| expires - now),
        })
    }

    /// Says whether the token was issued here, and neither expired nor was revoked.
    ///
    /// Of very many tokens only the newest 10,000 are remembered.
    #[must_use]
    pub fn is_valid(&self, token: &str) -> bool {
        let (mut ledger, now) = self.ledger();
        let found = self.find(&mut ledger, token);
        found.is_some_and(|token| token.is_valid(now))
    }

    /// How many tokens were issued.
    #[must_use]
    pub fn issued(&self) -> u64 {
        lock(&self.ledger).issued
    }

    /// Revokes this token; says whether it was valid until now.
    pub fn revoke(&self, token: &str) -> bool {
        let (mut ledger, now) = self.ledger();
        let Some(token) = self.find(&mut ledger, token) else {
            return false;
        };
        let was_valid = token.is_valid(now);
        token.is_revoked = true;
        was_valid
    }

    /// Revokes the newest token.
    pub fn revoke_current(&self) {
        self.revoke_after(Duration::ZERO);
    }

    /// Revokes every token there is.
    pub fn revoke_all(&self) {
        for token in &mut lock(&self.ledger).tokens {
            token.is_revoked = true;
        }
    }

    /// Revokes, when so much time has passed, the token that is the newest then.
    pub fn revoke_after(&self, delay: Duration) {
        let (mut ledger, now) = self.ledger();
        ledger.revocations.push(now + delay);
        ledger.revoke_due(now);
    }

    /// The ledger as it is now, with all due revocations done.
    fn ledger(&self) -> (MutexGuard<'_, Ledger>, Instant) {
        let mut ledger = lock(&self.ledger);
        let now = (self.now)();
        ledger.revoke_due(now);
        (ledger, now)
    }

    fn find<'a>(&self, ledger: &'a mut Ledger, token: &str) -> Option<&'a mut Token> {
        let (_, number) = token.rsplit_once('-')?;
        let number: u64 = number.parse().ok()?;
        if self.name(number) != token {
            return None;
        }
        let forgotten = ledger.issued - ledger.tokens.len() as u64;
        let index = number.checked_sub(forgotten + 1)?;
        ledger.tokens.get_mut(usize::try_from(index).ok()?)
    }

    fn name(&self, number: u64) -> String {
        format!("{}-{number}", self.prefix)
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issued = self.issued();
        f.debug_struct("Issuer")
            .field("prefix", &self.prefix)
            .field("issued", &issued)
            .finish_non_exhaustive()
    }
}

/// What was issued; the newest token is the last and has the number `issued`.
struct Ledger {
    lifetime: Option<Duration>,
    issued: u64,
    tokens: VecDeque<Token>,
    revocations: Vec<Instant>,
}

struct Token {
    issued: Instant,
    expires: Option<Instant>,
    is_revoked: bool,
}

impl Ledger {
    fn revoke_due(&mut self, now: Instant) {
        let tokens = &mut self.tokens;
        self.revocations.retain(|due| {
            if *due > now {
                return true;
            }
            // What counts is the newest token at that time, not the newest at the time someone looks.
            let then = tokens.iter_mut().rev().find(|token| token.issued <= *due);
            if let Some(token) = then {
                token.is_revoked = true;
            }
            false
        });
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            lifetime: Some(Issuer::LIFETIME),
            issued: 0,
            tokens: VecDeque::new(),
            revocations: Vec::new(),
        }
    }
}

impl Token {
    fn is_valid(&self, now: Instant) -> bool {
        !self.is_revoked && self.expires.is_none_or(|expires| now < expires)
    }
}

const TOKENS_KEPT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// An issuer whose time passes only when told to.
    fn issuer() -> (Issuer, impl Fn(u64)) {
        let start = Instant::now();
        let passed = Arc::new(Mutex::new(Duration::ZERO));
        let clock = Arc::clone(&passed);
        let issuer = Issuer::new().with_now(move || start + *lock(&clock));
        (issuer, move |seconds| {
            *lock(&passed) += Duration::from_secs(seconds);
        })
    }

    #[test]
    fn a_token_is_valid_until_it_expires() {
        let (issuer, pass) = issuer();
        issuer.set_lifetime(Duration::from_secs(60));
        let issued = issuer.issue();
        pass(59);
        assert!(issuer.is_valid(&issued.token));
        let left = issuer.current().expect("a valid token").expires_in;
        assert_eq!(left, Some(Duration::from_secs(1)));
        pass(1);
        assert!(!issuer.is_valid(&issued.token));
        assert_eq!(issuer.current(), None);
    }

    #[test]
    fn a_token_without_a_lifetime_does_not_expire() {
        let (issuer, pass) = issuer();
        issuer.set_lifetime(None);
        assert_eq!(issuer.issue().expires_in, None);
        pass(1 << 30);
        assert!(issuer.is_valid("token-1"));
    }

    #[test]
    fn only_what_was_issued_is_valid() {
        let (issuer, _) = issuer();
        let _ = issuer.issue();
        assert!(issuer.is_valid("token-1"));
        for other in [
            "token-0", "token-2", "token-01", "token-+1", "token", "other-1", "-1", "",
        ] {
            assert!(!issuer.is_valid(other), "{other}");
        }
    }

    #[test]
    fn a_revocation_hits_the_token_that_is_the_newest_then() {
        let (issuer, pass) = issuer();
        let _ = issuer.issue();
        issuer.revoke_after(Duration::from_secs(10));
        pass(5);
        let _ = issuer.issue();
        pass(10);
        let _ = issuer.issue();
        let valid = ["token-1", "token-2", "token-3"].map(|token| issuer.is_valid(token));
        assert_eq!(valid, [true, false, true]);
    }

    #[test]
    fn revoking_says_whether_it_changed_anything() {
        let (issuer, _) = issuer();
        let _ = issuer.issue();
        assert!(issuer.revoke("token-1"));
        assert!(!issuer.revoke("token-1"));
        assert!(!issuer.revoke("token-2"));
    }

    #[test]
    fn old_tokens_are_forgotten() {
        let (issuer, _) = issuer();
        for _ in 0..=TOKENS_KEPT {
            let _ = issuer.issue();
        }
        assert!(!issuer.is_valid("token-1"));
        assert!(issuer.is_valid("token-2"));
        assert!(issuer.is_valid("token-10001"));
    }
}
