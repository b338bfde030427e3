//! What `reqwest` reports of an attempt, in the words of the exchange.

use std::io;
use std::time::Duration;

use crate::error::error::causes;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::exchange::Failure;

/// How long a connection may take to be made, unless the client is the user's own.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Why an attempt brought no answer.
pub(crate) enum Fault {
    Client(reqwest::Error),
    /// Nothing moved for too long.
    Stalled,
}

impl Fault {
    /// What kind of failure it is, and so whether it may be retried.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Client(error) => classify(error),
            Self::Stalled => Failure::Timeout,
        }
    }

    /// The error that a caller gets: as it was, less the URL, whose path and query may be confidential.
    pub(crate) fn report(self, destination: &str) -> Error {
        let what = match self.failure() {
            Failure::Connect => "found no connection",
            Failure::Timeout => {
                "was not answered in time; set `timeout` if the server needs longer"
            }
            Failure::Broken => "lost its connection",
            Failure::Final => "failed, and would fail again",
        };
        let error = Error::new(ErrorKind::Transport, format!("{destination} {what}"));
        match self {
            Self::Client(cause) if cause.is_builder() => {
                Error::input(format!("{destination} cannot be sent as it was built"))
                    .caused_by(cause.without_url())
            }
            Self::Client(cause) => error.caused_by(cause.without_url()),
            Self::Stalled => error.caused_by(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }
}

pub(crate) fn classify(error: &reqwest::Error) -> Failure {
    if error.is_builder() || error.is_redirect() || error.is_decode() || is_tls_refusal(error) {
        Failure::Final
    } else if error.is_connect() {
        Failure::Connect
    } else if error.is_timeout() {
        Failure::Timeout
    } else if error.is_request() || error.is_body() {
        Failure::Broken
    } else {
        Failure::Final
    }
}

/// A handshake that failed for good, such as a certificate that is not trusted: rustls reports it as invalid data.
fn is_tls_refusal(error: &reqwest::Error) -> bool {
    error.is_connect()
        && causes(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|fault| fault.kind() == io::ErrorKind::InvalidData)
}
