//! Tunnels through a proxy to a server (RFC 9110 §9.3.6), and why there is none.

use std::error::Error as StdError;
use std::fmt;

use http::{StatusCode, Uri};

use crate::error::error::{BoxError, causes};

/// A proxy has not connected this machine to a server. The server has received nothing.
#[derive(Debug)]
pub(crate) struct NoTunnel {
    proxy: String,
    server: String,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    /// The status of its response to the CONNECT.
    Status(StatusCode),
    Failed(BoxError),
}

impl NoTunnel {
    pub(crate) fn refused(proxy: String, server: String, status: StatusCode) -> Self {
        let reason = Reason::Status(status);
        Self {
            proxy,
            server,
            reason,
        }
    }

    pub(crate) fn failed(proxy: String, server: String, cause: impl Into<BoxError>) -> Self {
        let reason = Reason::Failed(cause.into());
        Self {
            proxy,
            server,
            reason,
        }
    }

    /// The one among an error and its causes.
    pub(crate) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }

    /// The same failure with another cause, such as one in words.
    pub(crate) fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.reason = Reason::Failed(cause.into());
        self
    }

    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self.reason {
            Reason::Status(status) => Some(status),
            Reason::Failed(_) => None,
        }
    }
}

/// Whether a proxy refused a tunnel for a reason that lasts.
pub(crate) fn is_refused_for_good(error: &(dyn StdError + 'static)) -> bool {
    match NoTunnel::find(error).map(NoTunnel::status) {
        Some(status) => status.is_some_and(lasts),
        None => TunnelError::find(error) == Some(TunnelError::CredentialsRequired),
    }
}

/// A tunnel that `hyper-util` has not opened. The type of its error is private, so it is known by its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TunnelError {
    /// The proxy responded with 407.
    CredentialsRequired,
    /// It responded with another status than 200. Which one is not known.
    Refused,
    /// There was no connection to the proxy.
    Unconnected,
    /// The proxy sent no response, or one that is none of HTTP.
    NoResponse,
}

impl TunnelError {
    pub(crate) fn find(error: &(dyn StdError + 'static)) -> Option<Self> {
        causes(error).find_map(|cause| {
            let text = cause.to_string();
            Some(match text.strip_prefix("tunnel error: ")? {
                "proxy authorization required" => Self::CredentialsRequired,
                "unsuccessful" => Self::Refused,
                text if text.starts_with("failed") => Self::Unconnected,
                _ => Self::NoResponse,
            })
        })
    }

    /// Whether there was a connection to the proxy.
    pub(crate) fn is_connected(self) -> bool {
        self != Self::Unconnected
    }
}

/// The proxy that the environment names, without its user name and password.
pub(crate) fn of_environment(proxy: &Uri) -> String {
    let scheme = proxy.scheme_str().unwrap_or("http");
    let authority = proxy.authority().map_or("", |authority| authority.as_str());
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    format!("the proxy {scheme}://{host}, which the environment names,")
}

/// The proxy of a client that the application made.
pub(crate) fn of_application() -> String {
    "the proxy that the HTTP client uses".to_owned()
}

/// Whether a proxy would respond with this status again.
fn lasts(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// What to do about a status with which a proxy refuses a tunnel.
fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        407 => {
            "it wants a user name and a password that it accepts: put them into the URL of the proxy, as in \
             http://USER:PASSWORD@HOST:PORT"
        }
        401 | 403 | 451 => {
            "it does not allow this server: ask for permission where the proxy is run, or list the host in NO_PROXY if it can be \
             reached directly"
        }
        300..=399 | 511 => "sign in to this network first, with a browser",
        _ if lasts(status) => {
            "it may not be a proxy, or open no tunnels: check the URL of the proxy, such as that in HTTPS_PROXY"
        }
        _ => "it may not reach the server: check the name of the server, or try again later",
    }
}

impl fmt::Display for NoTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proxy, server, .. } = self;
        match self.reason {
            Reason::Status(status) => write!(
                f,
                "{proxy} refused a connection to {server} with status {}; {}",
                status.as_u16(),
                advice(status)
            ),
            Reason::Failed(_) => write!(f, "{proxy} has not connected to {server}"),
        }
    }
}

impl StdError for NoTunnel {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.reason {
            Reason::Status(_) => None,
            Reason::Failed(cause) => Some(&**cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> NoTunnel {
        let proxy = of_environment(&Uri::from_static("http://me:s3cret@proxy.test:3128"));
        let status = StatusCode::from_u16(status).unwrap();
        NoTunnel::refused(proxy, "api.test:443".to_owned(), status)
    }

    #[test]
    fn a_refused_tunnel_says_which_proxy_which_status_and_what_to_do() {
        for (status, advice) in [
            (407, "USER:PASSWORD"),
            (403, "NO_PROXY"),
            (302, "sign in"),
            (511, "sign in"),
            (405, "HTTPS_PROXY"),
            (502, "later"),
        ] {
            let text = refused(status).to_string();
            let named = format!(
                "the proxy http://proxy.test:3128, which the environment names, refused a connection to api.test:443 with status \
                 {status}; "
            );
            assert!(text.starts_with(&named) && text.contains(advice), "{text}");
            assert!(!text.contains("s3cret"));
        }
    }

    #[test]
    fn r4_only_a_status_that_may_pass_is_worth_another_attempt() {
        for (status, for_good) in [(407, true), (403, true), (405, true), (502, false)] {
            assert_eq!(is_refused_for_good(&refused(status)), for_good, "{status}");
        }
    }
}
