//! The caller of a renewal, which may give up before the renewal ends.

use futures_channel::oneshot;

use crate::error::error::Error;
use crate::store::error::StoreError;
use crate::token::token::Token;

/// Why a renewal brought no token.
pub(super) enum Stop {
    Store(StoreError),
    Source(Error),
}

impl From<StoreError> for Stop {
    fn from(fault: StoreError) -> Self {
        Self::Store(fault)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Source(error)
    }
}

/// Where the outcome of a renewal goes.
pub(super) struct Caller(Option<oneshot::Sender<Result<Token, Stop>>>);

impl Caller {
    /// A caller that polls the renewal itself: it gets the return value, and dropping it cancels the renewal.
    pub(super) fn polling() -> Self {
        Self(None)
    }

    /// A caller that waits for a renewal in the background.
    pub(super) fn waiting(sender: oneshot::Sender<Result<Token, Stop>>) -> Self {
        Self(Some(sender))
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.0.as_ref().is_some_and(oneshot::Sender::is_canceled)
    }

    /// Sends the outcome, unless an outcome was sent before.
    pub(super) fn answer(&mut self, outcome: Result<Token, Stop>) {
        if let Some(sender) = self.0.take() {
            // The receiver is gone if the caller has given up.
            let _ = sender.send(outcome);
        }
    }
}
