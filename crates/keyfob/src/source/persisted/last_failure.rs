//! The last failure of the source, remembered while another call would be of no use: a new sign-in ends it (T2).

use std::time::Duration;

use crate::error::error::{Error, ErrorKind};
use crate::exchange::retry_after::LONGEST_ISSUER_PAUSE;
use crate::runtime::lock::{Mutex, lock};

/// The last refusal, or the last pause that the issuer asked for, if the source has given no token since.
#[derive(Debug, Default)]
pub(super) struct LastFailure(Mutex<Option<Remembered>>);

#[derive(Debug)]
struct Remembered {
    error: Error,
    /// The fingerprint of the refresh token with which the source failed; `None` if there was none.
    fingerprint: Option<String>,
    /// The end of the issuer's pause. `None` for a refusal.
    until: Option<Duration>,
}

impl LastFailure {
    /// Remembers the error if it is a refusal, or if the issuer asked for a pause.
    ///
    /// The error that is returned makes the cache ask again soon. That finds a new sign-in in the store, and until there is
    /// one, [`of`](Self::of) keeps the source from being called.
    pub(super) fn remember(
        &self,
        error: Error,
        fingerprint: Option<String>,
        now: Duration,
    ) -> Error {
        // The source of another token remembers it, and knows better what ends it.
        if error.is_remembered() {
            return error;
        }
        let is_final = error.kind() == ErrorKind::Refused && !error.is_asked_again_later();
        let (error, until) = match error.pause() {
            _ if is_final => (error, None),
            Some(pause) => {
                let pause = pause.min(LONGEST_ISSUER_PAUSE);
                (error.retry_after(pause), Some(now.saturating_add(pause)))
            }
            None => return error,
        };
        let error = error.remembered();
        *lock(&self.0) = Some(Remembered {
            error: error.clone(),
            fingerprint,
            until,
        });
        error
    }

    /// The failure with the refresh token of this fingerprint, if the source is not to be called now.
    pub(super) fn of(&self, fingerprint: Option<&str>, now: Duration) -> Option<Error> {
        let remembered = lock(&self.0);
        let failure = remembered.as_ref()?;
        if failure.fingerprint.as_deref() != fingerprint {
            return None;
        }
        let error = failure.error.clone().without_call();
        let Some(until) = failure.until else {
            return Some(error);
        };
        let left = until.saturating_sub(now);
        (!left.is_zero()).then(|| error.retry_after(left))
    }

    pub(super) fn forget(&self) {
        *lock(&self.0) = None;
    }
}
