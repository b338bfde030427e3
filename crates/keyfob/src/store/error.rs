//! Errors of token stores.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::error::Error;

/// An error of a token store: an [`Error`] for people, and a kind that says how to react.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    error: Error,
    is_unreadable: bool,
    moved_to: Option<Arc<str>>,
}

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be used now: it is unreachable, not readable, full, or written by a newer version.
    Unavailable,
    /// Another task or process held the lease for longer than the caller could wait.
    Busy,
    /// There is an entry that cannot be understood. It may have held a refresh token.
    Damaged,
    /// The lease expired, and another lease has saved since.
    Conflict,
    /// The entry is an older state than one that this process has seen. Its refresh token may be used up.
    Outdated,
}

impl StoreError {
    /// An error of the kind [`Unavailable`](StoreErrorKind::Unavailable).
    #[must_use]
    pub fn unavailable(error: Error) -> Self {
        Self::new(StoreErrorKind::Unavailable, error)
    }

    /// An error of the kind [`Busy`](StoreErrorKind::Busy).
    #[must_use]
    pub fn busy(error: Error) -> Self {
        Self::new(StoreErrorKind::Busy, error)
    }

    /// An error of the kind [`Damaged`](StoreErrorKind::Damaged).
    #[must_use]
    pub fn damaged(error: Error) -> Self {
        Self::new(StoreErrorKind::Damaged, error)
    }

    /// An error of the kind [`Conflict`](StoreErrorKind::Conflict).
    #[must_use]
    pub fn conflict(error: Error) -> Self {
        Self::new(StoreErrorKind::Conflict, error)
    }

    /// An error of the kind [`Outdated`](StoreErrorKind::Outdated).
    #[must_use]
    pub fn outdated(error: Error) -> Self {
        Self::new(StoreErrorKind::Outdated, error)
    }

    fn new(kind: StoreErrorKind, error: Error) -> Self {
        Self {
            kind,
            error,
            is_unreadable: false,
            moved_to: None,
        }
    }

    /// The error of a store that cannot be used now, in these words.
    pub(super) fn unusable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::unavailable(Error::unavailable(message))
    }

    /// The error of an entry that this process cannot read, and must leave as it is, in these words.
    pub(super) fn unreadable(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            is_unreadable: true,
            ..Self::unusable(message)
        }
    }

    /// The same error of an entry that was moved to another store, which is this place in words.
    pub(super) fn moved(self, place: &str) -> Self {
        Self {
            moved_to: Some(place.into()),
            ..self
        }
    }

    /// The error of a caller that waited too long for a lease.
    pub(super) fn lease_is_held() -> Self {
        Self::busy(Error::unavailable(
            "another task or process renews the stored token, and that takes too long",
        ))
    }

    /// The same error with another message.
    pub(crate) fn with_message(&self, message: String) -> Self {
        Self {
            error: Error::new(self.error.kind(), message),
            ..self.clone()
        }
    }

    /// Whether the store works, and this process cannot read the entry, as with a wrong sealing key. It does not pass by itself.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// The other store, in words, if the entry was [moved](crate::store::move_entry) there.
    #[must_use]
    pub fn moved_to(&self) -> Option<&str> {
        self.moved_to.as_deref()
    }

    /// The kind of error.
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
