//! What a program can decide by: the kind of an error, and the step at which a request failed.

use std::fmt;

/// What happened, and so what a program can do about an [`Error`](crate::Error).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is not valid: a URL, a header or a setting.
    ///
    /// Correct the call. It is not retried.
    Input,
    /// The credential must not go to the origin of the request.
    ///
    /// Use a URL of an origin that the credential is bound to, or bind it to this origin too. It is not retried.
    Origin,
    /// The source could not give a token, but may do so later.
    ///
    /// Check the cause if it lasts. The source is asked again after the cool-down.
    Unavailable,
    /// The source refused to give a token, and will do so again.
    ///
    /// Change the credential, or sign in again. The source is asked again only by a forced renewal or after a token is set.
    Refused,
    /// The token has expired, and the source gave only expired ones.
    ///
    /// Check the source and the clock of this machine. The source is asked again after the cool-down.
    Expired,
    /// The token, or the response that contained it, could not be understood.
    ///
    /// Check what the source returns. The source is asked again after the cool-down.
    Malformed,
    /// The caller's deadline passed before there was a token.
    ///
    /// Call again later or wait longer. The fetch continues without this caller.
    Deadline,
    /// The request failed: there was no connection, it broke, or it timed out.
    ///
    /// Check the server and the network. It was retried where that is safe.
    Transport,
    /// There were too many redirects.
    ///
    /// Check the URL. It is not retried.
    Redirect,
}

impl ErrorKind {
    /// Whether the failure concerns authentication: there is no token that could be sent.
    #[must_use]
    pub fn is_authentication(self) -> bool {
        matches!(
            self,
            Self::Unavailable | Self::Refused | Self::Expired | Self::Malformed | Self::Deadline
        )
    }

    /// Returns the kind in one word, for logs and metrics.
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

/// The step at which a request failed, which [`Error::failed_step`](crate::Error::failed_step) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailedStep {
    /// The name of the host was not resolved to an address.
    Resolve,
    /// The name of the proxy that the environment names was not resolved to an address.
    ResolveProxy,
    /// There was no connection to the server or to a proxy, as when it is refused.
    Connect,
    /// A proxy refused to connect this machine to the server.
    Tunnel,
    /// The TLS handshake failed, but not because of the certificate of the server.
    Handshake,
    /// The certificate of the server is not trusted, is for another host, or has expired.
    Certificate,
    /// The server closed the connection before it had sent a response.
    NoResponse,
    /// The connection broke before the response had begun.
    Receive,
}
