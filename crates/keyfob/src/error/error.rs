//! What went wrong, why, and what to do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::error::causes::{causes, is_client_timeout};

/// An error of any kind that a hook or a callback may return.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What keyfob reports instead of a response or a token.
///
/// Cheap to clone, because one failed fetch is reported to everyone who waited for it. [`kind`](Self::kind) says what
/// a program can do; `Display` tells a person, for this layer only; the cause is in
/// [`source`](std::error::Error::source). No token, query string, header value, helper output or response body is in it.
///
/// A source makes its own with [`unavailable`](Self::unavailable) and [`refused`](Self::refused):
///
/// ```
/// use std::time::Duration;
/// use keyfob::{Error, ErrorKind};
///
/// let error = Error::unavailable("the issuer is down for maintenance").retry_after(Duration::from_secs(30));
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert_eq!(error.to_string(), "the issuer is down for maintenance");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    retry_after: Option<Duration>,
    is_outcome_unknown: bool,
    is_remembered_by_source: bool,
}

/// What a program can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument cannot be used: a URL, a header, a setting. Correct the call; it is not retried.
    Input,
    /// The credential may not go to this origin. Use the URL it was given for, or allow the origin; it is not retried.
    Origin,
    /// The source gave no token for now. It is asked again when the cool-down ends.
    Unavailable,
    /// The source refused for good. It is asked again when forced to, or with a changed credential.
    Refused,
    /// The token has expired, and the source gave none that lasts. It is asked again when the cool-down ends.
    Expired,
    /// The token or the answer that held it cannot be used. It is asked for again when the cool-down ends.
    Malformed,
    /// The caller's time was over before there was a token. The fetch goes on without this caller.
    Deadline,
    /// The request itself failed: no connection, a broken one, or a timeout. Retried where that is safe.
    Transport,
    /// Too many redirects. Check the URL; it is not retried.
    Redirect,
}

impl ErrorKind {
    /// Whether the failure is one of authentication: there is no token that could be sent.
    #[must_use]
    pub fn is_authentication(self) -> bool {
        matches!(
            self,
            Self::Unavailable | Self::Refused | Self::Expired | Self::Malformed | Self::Deadline
        )
    }

    /// The kind in one word, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Origin => "origin",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Deadline => "deadline",
            Self::Transport => "transport",
            Self::Redirect => "redirect",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Error {
    /// A failure that may pass: the source is asked again when the cool-down ends.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A refusal that stays, such as `invalid_grant` or `invalid_client` (RFC 6749 §5.2).
    pub fn refused(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    pub(crate) fn input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
            retry_after: None,
            is_outcome_unknown: false,
            is_remembered_by_source: false,
        }))
    }

    /// The error that a hook returned: a keyfob error as it is, any other as the cause of an unavailable token.
    pub(crate) fn from_hook(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => *own,
            Err(other) => Self::unavailable("the token hook failed").caused_by(other),
        }
    }

    /// Adds the cause, which [`source`](std::error::Error::source) returns.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<BoxError>) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::from(cause.into()));
        self
    }

    /// Says how long the source shall be left alone, as the issuer's own `Retry-After` does (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        Arc::make_mut(&mut self.0).retry_after = Some(pause);
        self
    }

    /// Says that the issuer may have done what it was asked, though no answer came.
    ///
    /// A source says so when a connection breaks after the request was sent. A refresh token may be used up then, and is not
    /// sent again blindly; a [timeout](Self::is_timeout) means the same.
    #[must_use]
    pub fn outcome_unknown(mut self) -> Self {
        Arc::make_mut(&mut self.0).is_outcome_unknown = true;
        self
    }

    /// Whether the source knows by itself for how long it is a refusal, and can be asked again.
    pub(crate) fn is_remembered_by_source(&self) -> bool {
        self.0.is_remembered_by_source
    }

    /// What a program can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether there was no token that could be sent; the same as [`ErrorKind::is_authentication`].
    #[must_use]
    pub fn is_authentication(&self) -> bool {
        self.kind().is_authentication()
    }

    /// Whether it is that something took too long, and not that it broke: the caller's own deadline, or a cause that says so.
    ///
    /// Where a request timed out, the server may have seen it.
    ///
    /// ```
    /// use std::io;
    /// use keyfob::Error;
    ///
    /// let late = Error::unavailable("the vault is slow").caused_by(io::Error::from(io::ErrorKind::TimedOut));
    /// let broken = Error::unavailable("the vault is down").caused_by(io::Error::from(io::ErrorKind::BrokenPipe));
    /// assert!(late.is_timeout() && !broken.is_timeout());
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Deadline || self.source().is_some_and(timed_out)
    }

    /// Whether the issuer may have done what it was asked, though no answer came.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        self.0.is_outcome_unknown || self.is_timeout()
    }

    /// Says that the source remembers this refusal by itself: asking it again costs no call to the issuer.
    #[cfg(feature = "store")]
    pub(crate) fn remembered_by_source(mut self) -> Self {
        Arc::make_mut(&mut self.0).is_remembered_by_source = true;
        self
    }

    /// How long the issuer asked to be left alone.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// Whether an error, or one that caused it, is that time was over.
fn timed_out(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        let own = cause.downcast_ref().map(Error::kind);
        let io = cause.downcast_ref().map(io::Error::kind);
        own == Some(ErrorKind::Deadline)
            || io == Some(io::ErrorKind::TimedOut)
            || is_client_timeout(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_speaks_for_its_own_layer_and_the_cause_is_the_source() {
        let cause = std::io::Error::other("socket closed");
        let error = Error::from_hook(Box::new(cause));
        assert_eq!(error.to_string(), "the token hook failed");
        assert_eq!(error.source().unwrap().to_string(), "socket closed");
    }

    #[test]
    fn a_timeout_is_told_from_a_broken_connection_however_deep_it_lies() {
        let io = |kind| io::Error::from(kind);
        let by = |cause: BoxError| Error::unavailable("the token hook failed").caused_by(cause);
        assert!(by(io(io::ErrorKind::TimedOut).into()).is_timeout());
        assert!(by(io::Error::other(io(io::ErrorKind::TimedOut)).into()).is_timeout());
        assert!(by(by(io(io::ErrorKind::TimedOut).into()).into()).is_timeout());
        assert!(Error::new(ErrorKind::Deadline, "too late").is_timeout());
        assert!(by(Error::new(ErrorKind::Deadline, "too late").into()).is_timeout());
        assert!(!by(io(io::ErrorKind::ConnectionReset).into()).is_timeout());
        assert!(!Error::unavailable("down").is_timeout());
    }

    #[test]
    fn a_hook_that_returns_a_keyfob_error_keeps_its_kind() {
        let error = Error::from_hook(Box::new(Error::refused("invalid_grant")));
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.is_authentication());
    }
}
