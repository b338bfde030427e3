//! What the source has refused, as long as the store holds what it refused: a new sign-in ends it (T2).

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::error::{Error, ErrorKind};

/// The last refusal, if the source has given no token since.
#[derive(Debug, Default)]
pub(super) struct Refusal(Mutex<Option<Refused>>);

#[derive(Debug)]
struct Refused {
    error: Error,
    /// By which the refresh token is recognised that was refused; `None` if there was none in the store.
    refresh_token: Option<String>,
}

impl Refusal {
    /// Remembers it if it is one, and lets the cache ask again: it asks the store, and nobody else.
    pub(super) fn remember(&self, error: Error, refresh_token: Option<String>) -> Error {
        if error.kind() != ErrorKind::Refused {
            return error;
        }
        let error = error.remembered_by_source();
        *self.lock() = Some(Refused {
            error: error.clone(),
            refresh_token,
        });
        error
    }

    /// What was refused, if that is still what the store holds.
    pub(super) fn of(&self, refresh_token: Option<&str>) -> Option<Error> {
        let remembered = self.lock();
        let refused = remembered.as_ref()?;
        (refused.refresh_token.as_deref() == refresh_token).then(|| refused.error.clone())
    }

    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
