//! What happens while the store cannot be used.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::error::Error;
use crate::observe::store as events;
use crate::token::token::Token;

/// What happens while the store cannot be used.
///
/// A token in memory is used as long as it is valid, whatever is chosen; and a fetch that would use up a refresh token
/// is never made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnStoreOutage {
    /// A source that may be repeated is asked by each process for itself, until the store is there again.
    #[default]
    FetchLocally,
    /// Nobody asks the source: callers without a valid token get the store's error.
    Fail,
}

/// Whether the store is away, and the token that was got without it.
#[derive(Debug, Default)]
pub(super) struct Absence {
    is_away: AtomicBool,
    token: Mutex<Option<Token>>,
}

impl Absence {
    /// The store could not be used; said once, until it can be used again.
    pub(super) fn began(&self, error: &Error) {
        let first = !self.is_away.swap(true, Ordering::Relaxed);
        events::unavailable(error, first);
    }

    pub(super) fn ended(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            events::available_again();
        }
    }

    /// The token that was got without the store.
    pub(super) fn token(&self) -> Option<Token> {
        self.lock().clone()
    }

    pub(super) fn remember(&self, token: Token) {
        *self.lock() = Some(token);
    }

    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
