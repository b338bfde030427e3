//! The error of the whole crate, and how causes are searched.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, iter};

pub(crate) use crate::error::kind::ErrorKind;
use crate::error::kind::FailedStep;

/// An error of any kind that a hook or a callback may return.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The error that keyfob returns instead of a response or a token.
///
/// A program decides by its [`kind`](Self::kind). `Display` is for people and describes this layer only; the cause is in
/// [`source`](std::error::Error::source). It contains no token, query, header value, command output or response body.
/// Clones are cheap, because all callers that waited for a failed fetch get the same error.
///
/// A source of your own makes errors with [`unavailable`](Self::unavailable) and [`refused`](Self::refused):
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
pub struct Error(Arc<Details>);

#[derive(Clone)]
struct Details {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    retry_after: Option<Duration>,
    processed: Processed,
    is_asked_again_later: bool,
    is_remembered: bool,
    is_without_call: bool,
    refuses_credential: bool,
    refuses_client: bool,
    failed_step: Option<FailedStep>,
}

/// Whether the issuer may have processed the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Processed {
    /// The source did not say. A timeout or a response that could not be understood leaves it open.
    Unspecified,
    /// The request was not sent, or the whole response arrived and is this error.
    OutcomeKnown,
    /// The request was sent, and no whole response of the issuer arrived.
    OutcomeUnknown,
}

impl Error {
    /// Makes an error for a failure that may pass. The source is asked again after the cool-down.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Makes an error for a permanent refusal, such as `invalid_grant` or `invalid_client` (RFC 6749 §5.2).
    pub fn refused(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    pub(crate) fn input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    pub(crate) fn origin(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Origin, message)
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Details {
            kind,
            message: message.into(),
            source: None,
            retry_after: None,
            processed: Processed::Unspecified,
            is_asked_again_later: false,
            is_remembered: false,
            is_without_call: false,
            refuses_credential: false,
            refuses_client: false,
            failed_step: None,
        }))
    }

    /// Converts the error of a hook. A keyfob error is kept; any other becomes the cause of an `Unavailable` error.
    pub(crate) fn from_hook(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => *own,
            Err(other) => Self::unavailable("the token hook failed").caused_by(other),
        }
    }

    /// Finds a keyfob error among an error and its causes.
    ///
    /// Use it where keyfob's error is wrapped in that of another library, such as a tower client or `reqwest-middleware`.
    ///
    /// ```
    /// use std::io;
    /// use keyfob::{Error, ErrorKind};
    ///
    /// let wrapped = io::Error::other(Error::refused("invalid_client"));
    /// assert_eq!(Error::find(&wrapped).map(Error::kind), Some(ErrorKind::Refused));
    /// assert!(Error::find(&io::Error::other("disk full")).is_none());
    /// ```
    #[must_use]
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }

    /// Adds the cause, which [`source`](std::error::Error::source) returns.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<BoxError>) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::from(cause.into()));
        self
    }

    /// Sets how long the source is not asked again, as an issuer's `Retry-After` does (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        Arc::make_mut(&mut self.0).retry_after = Some(pause);
        self
    }

    /// Marks that the issuer may have processed the request, although no response arrived.
    ///
    /// For a connection that breaks after the request was sent. A refresh token may be used up then, so it is not sent again
    /// without care. A [timeout](Self::is_timeout) has the same meaning without this mark.
    #[must_use]
    pub fn outcome_unknown(mut self) -> Self {
        Arc::make_mut(&mut self.0).processed = Processed::OutcomeUnknown;
        self
    }

    /// Marks that no refresh token was used up without a new one in return.
    ///
    /// For a request that was not sent, even if it timed out, and for a whole response that brought no token. The refresh
    /// token may be sent again then. Without a mark, a timeout and a [`Malformed`](ErrorKind::Malformed) response leave that
    /// open.
    ///
    /// ```
    /// use std::io;
    /// use keyfob::Error;
    ///
    /// let late = Error::unavailable("the vault is slow").caused_by(io::Error::from(io::ErrorKind::TimedOut));
    /// assert!(late.is_outcome_unknown());
    /// assert!(!late.outcome_known().is_outcome_unknown());
    /// ```
    #[must_use]
    pub fn outcome_known(mut self) -> Self {
        Arc::make_mut(&mut self.0).processed = Processed::OutcomeKnown;
        self
    }

    /// Whether the source is asked again after a cool-down, although it has refused.
    pub(crate) fn is_asked_again_later(&self) -> bool {
        self.0.is_asked_again_later || self.is_remembered()
    }

    /// Whether the source remembers this failure, so that asking it again makes no call before its time.
    pub(crate) fn is_remembered(&self) -> bool {
        self.0.is_remembered
    }

    /// Whether the source made no call, and this is a failure that it remembers.
    pub(crate) fn is_without_call(&self) -> bool {
        self.0.is_without_call
    }

    /// Returns what happened.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether there was no token that could be sent. See [`ErrorKind::is_authentication`].
    #[must_use]
    pub fn is_authentication(&self) -> bool {
        self.kind().is_authentication()
    }

    /// True if the cause is a timeout or the caller's own deadline.
    ///
    /// A server may have processed a request that timed out.
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

    /// Whether the issuer may have processed the request, although no response arrived.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        match self.0.processed {
            Processed::Unspecified => self.is_timeout(),
            processed => processed == Processed::OutcomeUnknown,
        }
    }

    /// Whether a refresh token that was sent may be used up although no new one arrived (T9).
    ///
    /// A source that does not say may have failed to understand the response that held the new one.
    pub(crate) fn may_have_used_up(&self) -> bool {
        let is_unspecified = self.0.processed == Processed::Unspecified;
        self.is_outcome_unknown() || (is_unspecified && self.kind() == ErrorKind::Malformed)
    }

    /// Marks a refusal after which the source is asked again: it remembers the refusal itself and makes no call, or the refusal
    /// may pass.
    pub(crate) fn asked_again_later(mut self) -> Self {
        Arc::make_mut(&mut self.0).is_asked_again_later = true;
        self
    }

    /// Marks a failure that the source remembers: if it is asked again, it makes no call before its time.
    ///
    /// So the cache asks again soon, although the issuer wants a pause, and learns of a new sign-in.
    pub(crate) fn remembered(mut self) -> Self {
        Arc::make_mut(&mut self.0).is_remembered = true;
        self
    }

    /// Marks a failure that the source remembers, and now returns without a call.
    pub(crate) fn without_call(mut self) -> Self {
        let details = Arc::make_mut(&mut self.0);
        (details.is_remembered, details.is_without_call) = (true, true);
        self
    }

    /// The same error with the name of what failed in front of its text, such as a link of a chain.
    pub(crate) fn of(mut self, what: impl fmt::Display) -> Self {
        let details = Arc::make_mut(&mut self.0);
        details.message = format!("{what}: {}", details.message).into();
        self
    }

    /// The same error with what a person can do at the end of its text.
    pub(crate) fn advised(mut self, advice: &str) -> Self {
        let details = Arc::make_mut(&mut self.0);
        details.message = format!("{}; {advice}", details.message).into();
        self
    }

    /// Marks that the server refused the credential itself, so that another credential may be accepted.
    pub(crate) fn refuses_credential(mut self) -> Self {
        Arc::make_mut(&mut self.0).refuses_credential = true;
        self
    }

    /// Marks that the server does not accept the client, whatever it asks for.
    pub(crate) fn refuses_client(mut self) -> Self {
        Arc::make_mut(&mut self.0).refuses_client = true;
        self
    }

    /// Whether the server does not accept the client, whatever it asks for.
    pub(crate) fn is_about_client(&self) -> bool {
        self.0.refuses_client
    }

    /// An error with these words that means the same, and has this one as its cause.
    pub(crate) fn explained(self, message: impl Into<Cow<'static, str>>) -> Self {
        let mut details = (*self.0).clone();
        details.message = message.into();
        details.source = Some(Arc::new(self));
        Self(Arc::new(details))
    }

    /// Marks the step at which the request failed.
    pub(crate) fn at(mut self, step: Option<FailedStep>) -> Self {
        Arc::make_mut(&mut self.0).failed_step = step;
        self
    }

    /// Returns the step at which a request of a session or to a token endpoint failed.
    ///
    /// `None` if no request failed, if it timed out, or if the response was not understood.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), keyfob::Error> {
    /// use keyfob::error::FailedStep;
    /// use keyfob::{Error, RetryPolicy, Session};
    ///
    /// # let source = keyfob::hook(|_| async { Ok::<_, std::io::Error>("t0ken") });
    /// let session = Session::builder(source)
    ///     .origin("http://127.0.0.1:9")
    ///     .retry(RetryPolicy::default().attempts(1))
    ///     .build()?;
    /// let failed = session.get("http://127.0.0.1:9/").send().await;
    /// assert_eq!(failed.err().as_ref().and_then(Error::failed_step), Some(FailedStep::Connect));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn failed_step(&self) -> Option<FailedStep> {
        own_errors(self).find_map(|error| error.0.failed_step)
    }

    /// Whether the server refused the credential itself.
    pub(crate) fn is_about_credential(&self) -> bool {
        self.0.refuses_credential
    }

    /// Returns how long the source is not asked again, if [set](Self::retry_after).
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

/// The error for TLS that cannot be set up, or what to do if there is no authority to trust, as in a bare container.
pub(crate) fn tls_not_set_up(error: Error, cause: impl Into<BoxError>) -> Error {
    let cause = cause.into();
    // `rustls-platform-verifier` says it only in words.
    let no_authorities =
        causes(&*cause).any(|cause| cause.to_string().contains("No CA certificates"));
    let error = match no_authorities {
        true => Error::input(
            "this system has no certificates of authorities to trust; install its package `ca-certificates`, or name a file with \
             such certificates: `ca_file` in a profile or a builder, `--cacert`, `verify` in Python, or SSL_CERT_FILE",
        ),
        false => error,
    };
    error.caused_by(cause)
}

/// Iterates over an error and its causes.
///
/// The error inside an `io::Error` is one of them, although `io::Error::source` skips it. So is that of a middleware.
pub(crate) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |error| cause(*error))
}

/// The texts of an error and of those of its causes that are keyfob's.
pub(crate) fn own_texts(error: &Error) -> Vec<String> {
    own_errors(error).map(ToString::to_string).collect()
}

fn own_errors(error: &Error) -> impl Iterator<Item = &Error> {
    causes(error).filter_map(|cause| cause.downcast_ref())
}

fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    #[cfg(feature = "middleware")]
    if let Some(reqwest_middleware::Error::Middleware(inside)) = error.downcast_ref() {
        return Some(&**inside);
    }
    match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

fn timed_out(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        #[cfg(feature = "session")]
        if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
            return error.is_timeout();
        }
        let own = cause.downcast_ref().map(Error::kind);
        let io = cause.downcast_ref().map(io::Error::kind);
        own == Some(ErrorKind::Deadline) || io == Some(io::ErrorKind::TimedOut)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_inside_an_io_error_is_a_cause() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, "untrusted");
        let outer = io::Error::other(io::Error::other(inner));
        let kinds: Vec<_> = causes(&outer)
            .filter_map(|cause| cause.downcast_ref().map(io::Error::kind))
            .collect();
        assert_eq!(
            kinds,
            [
                io::ErrorKind::Other,
                io::ErrorKind::Other,
                io::ErrorKind::InvalidData
            ]
        );
    }

    #[test]
    fn a_keyfob_error_is_found_among_the_causes_of_another() {
        let own = Error::refused("invalid_grant");
        assert!(Error::find(&own).is_some());
        let wrapped = io::Error::other(io::Error::other(own));
        assert_eq!(
            Error::find(&wrapped).map(Error::kind),
            Some(ErrorKind::Refused)
        );
        assert!(Error::find(&io::Error::other("other")).is_none());
    }

    #[test]
    fn display_describes_one_layer_and_the_cause_is_in_source() {
        let cause = std::io::Error::other("socket closed");
        let error = Error::from_hook(Box::new(cause));
        assert_eq!(error.to_string(), "the token hook failed");
        assert_eq!(error.source().unwrap().to_string(), "socket closed");
    }

    #[test]
    fn a_timeout_is_found_at_any_depth_and_a_broken_connection_is_none() {
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
