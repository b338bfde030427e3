//! What happens while the store is not available.

use std::sync::Arc;
use std::time::Duration;

use crate::observe::store as events;
use crate::runtime::lock::{Mutex, lock};
use crate::store::availability::{Availability, Step, Unreadable};
use crate::store::error::{StoreError, StoreErrorKind};
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

/// What a source knows about outages of its store, and the token that was fetched without it.
#[derive(Debug)]
pub(super) struct Outage {
    /// For all sources with this store.
    pub(super) availability: Availability,
    unreadable: Mutex<Option<Arc<Unreadable>>>,
    token: Mutex<Option<Token>>,
}

impl Outage {
    pub(super) fn of(availability: Availability) -> Self {
        Self {
            availability,
            unreadable: Mutex::default(),
            token: Mutex::default(),
        }
    }

    /// Notes whether the store did this step.
    pub(super) fn note<T>(
        &self,
        step: Step,
        now: Duration,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &result {
            Err(fault) if fault.is_unreadable() => {
                self.availability.succeeded(step);
                self.note_unreadable(fault);
            }
            Err(fault) if fault.kind() == StoreErrorKind::Unavailable => {
                self.availability.failed(step, now, fault);
            }
            // Any other error is a reply of the store.
            Err(_) => self.availability.succeeded(step),
            Ok(_) => {
                self.availability.succeeded(step);
                if step == Step::Load {
                    self.note_readable();
                }
            }
        }
        result
    }

    fn note_unreadable(&self, fault: &StoreError) {
        let mut unreadable = lock(&self.unreadable);
        match *unreadable {
            Some(_) => events::unavailable(fault.error(), false),
            None => *unreadable = Some(self.availability.unreadable(fault)),
        }
    }

    fn note_readable(&self) {
        let unreadable = lock(&self.unreadable).take();
        // It was the last such entry.
        if unreadable.and_then(Arc::into_inner).is_some() {
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
