//! An issuer of tokens that knows which of them are valid.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// Issues numbered tokens and says which are valid.
///
/// Its tokens are `token-1`, `token-2` and so on. They expire, and can be revoked. Clones are the same issuer: a
/// [`TokenEndpoint`](crate::TokenEndpoint) hands out the tokens, and an [`Api`](crate::Api) checks them.
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
    state: Arc<Mutex<State>>,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
}

/// A token with the lifetime it was issued with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    /// The token.
    pub token: String,
    /// How long it stays valid from now on; `None` means that it does not expire.
    pub expires_in: Option<Duration>,
}

impl Issuer {
    /// The default lifetime of tokens.
    pub const LIFETIME: Duration = Duration::from_secs(3600);

    /// Makes an issuer of `token-1`, `token-2` and so on.
    #[must_use]
    pub fn new() -> Self {
        Self::named("token")
    }

    /// Makes an issuer whose tokens begin with this prefix instead of `token`.
    #[must_use]
    pub fn named(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
            state: Arc::default(),
            now: Arc::new(Instant::now),
        }
    }

    /// Takes the time from this closure, for tests that do not wait.
    #[must_use]
    pub fn with_now(mut self, now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// Sets the lifetime of the tokens issued from now on; `None` means that they do not expire.
    pub fn set_lifetime(&self, lifetime: impl Into<Option<Duration>>) {
        lock(&self.state).lifetime = lifetime.into();
    }

    /// Issues the next token.
    #[must_use]
    pub fn issue(&self) -> Issued {
        let (mut state, now) = self.tokens();
        let expires_in = state.lifetime;
        state.issued += 1;
        state.tokens.push_back(Token {
            issued: now,
            expires: expires_in.and_then(|lifetime| now.checked_add(lifetime)),
            is_revoked: false,
        });
        if state.tokens.len() > TOKEN_LIMIT {
            state.tokens.pop_front();
        }
        Issued {
            token: self.name(state.issued),
            expires_in,
        }
    }

    /// The newest token, if it is valid, with its remaining lifetime.
    #[must_use]
    pub fn current(&self) -> Option<Issued> {
        let (state, now) = self.tokens();
        let newest = state.tokens.back().filter(|token| token.is_valid(now))?;
        Some(Issued {
            token: self.name(state.issued),
            expires_in: newest.expires.map(|expires| expires - now),
        })
    }

    /// Returns whether this issuer issued the token, and it is neither expired nor revoked.
    ///
    /// Only the newest 10,000 tokens can be valid.
    #[must_use]
    pub fn is_valid(&self, token: &str) -> bool {
        let (mut state, now) = self.tokens();
        let found = self.find(&mut state, token);
        found.is_some_and(|token| token.is_valid(now))
    }

    /// How many tokens were issued.
    #[must_use]
    pub fn issued(&self) -> u64 {
        lock(&self.state).issued
    }

    /// Revokes this token. Returns whether it was valid until now.
    pub fn revoke(&self, token: &str) -> bool {
        let (mut state, now) = self.tokens();
        let Some(token) = self.find(&mut state, token) else {
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

    /// Revokes all tokens.
    pub fn revoke_all(&self) {
        for token in &mut lock(&self.state).tokens {
            token.is_revoked = true;
        }
    }

    /// Revokes the token that is the newest after this delay.
    pub fn revoke_after(&self, delay: Duration) {
        let (mut state, now) = self.tokens();
        state.revocations.push(now + delay);
        state.revoke_due(now);
    }

    /// The tokens after all revocations that are due, and the time.
    fn tokens(&self) -> (MutexGuard<'_, State>, Instant) {
        let mut state = lock(&self.state);
        let now = (self.now)();
        state.revoke_due(now);
        (state, now)
    }

    fn find<'a>(&self, state: &'a mut State, token: &str) -> Option<&'a mut Token> {
        let (_, number) = token.rsplit_once('-')?;
        let number: u64 = number.parse().ok()?;
        if self.name(number) != token {
            return None;
        }
        let forgotten = state.issued - state.tokens.len() as u64;
        let index = number.checked_sub(forgotten + 1)?;
        state.tokens.get_mut(usize::try_from(index).ok()?)
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

/// The issued tokens. The newest one is the last, and its number is `issued`.
struct State {
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

impl State {
    fn revoke_due(&mut self, now: Instant) {
        let tokens = &mut self.tokens;
        self.revocations.retain(|due| {
            if *due > now {
                return true;
            }
            // The newest token at the time of the revocation counts, not the newest token now.
            let then = tokens.iter_mut().rev().find(|token| token.issued <= *due);
            if let Some(token) = then {
                token.is_revoked = true;
            }
            false
        });
    }
}

impl Default for State {
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

const TOKEN_LIMIT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// An issuer whose time the test moves.
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
    fn only_issued_tokens_are_valid() {
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
    fn a_delayed_revocation_revokes_the_newest_token_of_its_time() {
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
    fn revoke_returns_whether_the_token_was_valid() {
        let (issuer, _) = issuer();
        let _ = issuer.issue();
        assert!(issuer.revoke("token-1"));
        assert!(!issuer.revoke("token-1"));
        assert!(!issuer.revoke("token-2"));
    }

    #[test]
    fn old_tokens_are_forgotten() {
        let (issuer, _) = issuer();
        for _ in 0..=TOKEN_LIMIT {
            let _ = issuer.issue();
        }
        assert!(!issuer.is_valid("token-1"));
        assert!(issuer.is_valid("token-2"));
        assert!(issuer.is_valid("token-10001"));
    }
}
