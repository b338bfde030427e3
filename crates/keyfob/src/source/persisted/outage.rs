//! What happens while the store is not available.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::observe::store as events;
use crate::runtime::lock::{Mutex, lock};
use crate::store::error::StoreError;
use crate::token::token::Token;

/// What happens while the store is not available.
///
/// With either choice, a token in memory is used as long as it is valid, and a refresh token is never exchanged.
///
/// An entry that the process cannot read, because it was sealed with a key that the process does not have, was written by a newer
/// version or moved to another store, counts as an outage, too: the entry stays, and requests go on if they can. But it does not
/// pass by itself, so it is logged as an error.
///
/// [`Persisted`](crate::source::Persisted) has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnStoreOutage {
    /// Each process asks the source for itself, if the source can be asked again, until the store is available.
    #[default]
    FetchLocally,
    /// The source is not asked. Callers without a valid token get the store's error.
    Fail,
}

/// Whether the store is not available, and the token that was fetched without it.
#[derive(Debug, Default)]
pub(super) struct Outage {
    is_ongoing: AtomicBool,
    token: Mutex<Option<Token>>,
}

impl Outage {
    /// Notes that the store could not be used. Only the first time is logged as a warning.
    pub(super) fn begin(&self, fault: &StoreError) {
        let is_first = !self.is_ongoing.swap(true, Ordering::Relaxed);
        if is_first && fault.is_unreadable() {
            events::unreadable(fault.error());
        } else {
            events::unavailable(fault.error(), is_first);
        }
    }

    pub(super) fn end(&self) {
        if self.is_ongoing.swap(false, Ordering::Relaxed) {
            events::available_again();
        }
    }

    /// The token that was fetched without the store.
    pub(super) fn token(&self) -> Option<Token> {
        lock(&self.token).clone()
    }

    pub(super) fn remember(&self, token: Token) {
        *lock(&self.token) = Some(token);
    }

    pub(super) fn forget_token(&self) {
        *lock(&self.token) = None;
    }
}
