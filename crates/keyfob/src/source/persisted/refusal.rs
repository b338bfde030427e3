//! A refusal of the source, remembered while the store holds what was refused: a new sign-in ends it (T2).

use crate::error::error::{Error, ErrorKind};
use crate::runtime::lock::{Mutex, lock};

/// The last refusal, if the source has given no token since.
#[derive(Debug, Default)]
pub(super) struct Refusal(Mutex<Option<Refused>>);

#[derive(Debug)]
struct Refused {
    error: Error,
    /// The fingerprint of the refresh token that was refused; `None` if the store held none.
    fingerprint: Option<String>,
}

impl Refusal {
    /// Remembers the error if it is a refusal.
    ///
    /// The error that is returned makes the cache ask again later. That finds a new sign-in in the store, and until there is
    /// one, [`of`](Self::of) keeps the source from being asked.
    pub(super) fn remember(&self, error: Error, fingerprint: Option<String>) -> Error {
        // A source that remembers it knows better what ends it, such as another client assertion.
        if error.kind() != ErrorKind::Refused || error.is_asked_again_later() {
            return error;
        }
        let error = error.asked_again_later();
        *lock(&self.0) = Some(Refused {
            error: error.clone(),
            fingerprint,
        });
        error
    }

    /// The refusal of the refresh token with this fingerprint.
    pub(super) fn of(&self, fingerprint: Option<&str>) -> Option<Error> {
        let remembered = lock(&self.0);
        let refused = remembered.as_ref()?;
        (refused.fingerprint.as_deref() == fingerprint).then(|| refused.error.clone())
    }

    pub(super) fn forget(&self) {
        *lock(&self.0) = None;
    }
}
