//! Why a store could not do what it was asked.

use crate::error::error::Error;

/// What a store reports: an [`Error`] for people, and what may be done about it.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    error: Error,
}

/// What may be done about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be used now: not reached, not readable, full, or written by a newer version.
    Unavailable,
    /// Somebody else has the lease, and kept it longer than the caller could wait.
    Busy,
    /// There is an entry, but it cannot be understood; it may have held a refresh token.
    Damaged,
    /// The lease was lost, and somebody else has saved since.
    Conflict,
}

impl StoreError {
    /// The store cannot be used now.
    #[must_use]
    pub fn unavailable(error: Error) -> Self {
        Self::new(StoreErrorKind::Unavailable, error)
    }

    /// Somebody else has the lease.
    #[must_use]
    pub fn busy(error: Error) -> Self {
        Self::new(StoreErrorKind::Busy, error)
    }

    /// The entry cannot be understood.
    #[must_use]
    pub fn damaged(error: Error) -> Self {
        Self::new(StoreErrorKind::Damaged, error)
    }

    /// Somebody else has saved since.
    #[must_use]
    pub fn conflict(error: Error) -> Self {
        Self::new(StoreErrorKind::Conflict, error)
    }

    fn new(kind: StoreErrorKind, error: Error) -> Self {
        Self { kind, error }
    }

    /// The same in other words, because of this one.
    pub(crate) fn with_message(&self, message: String) -> Self {
        Self::new(self.kind, Error::new(self.error.kind(), message))
    }

    /// What may be done about it.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The error for people.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl From<StoreError> for Error {
    fn from(fault: StoreError) -> Self {
        fault.error
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
