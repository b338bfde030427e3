//! What the errors of `reqwest` mean for an exchange.

use std::error::Error as StdError;
use std::io;

use crate::error::error::{Error, ErrorKind, causes};
use crate::error::kind::FailedStep;
use crate::exchange::outcome::Failure;
use crate::exchange::reqwest_failure::proxy::{ProxiesFrom, explain};
use crate::exchange::tunnel::{NoTunnel, TunnelError};

pub(crate) mod proxy;
#[cfg(feature = "rustls")]
pub(crate) mod tls;

/// Without rustls, no TLS of the client's can fail.
#[cfg(not(feature = "rustls"))]
pub(crate) mod tls {
    pub(crate) fn reason(_: &reqwest::Error) -> Option<String> {
        None
    }

    pub(crate) fn reason_after_handshake(_: &reqwest::Error) -> Option<String> {
        None
    }

    pub(crate) fn reason_of_proxy(_: &reqwest::Error) -> Option<String> {
        None
    }

    pub(crate) fn is_about_client_certificate(_: &reqwest::Error) -> bool {
        false
    }

    pub(crate) fn demands_client_certificate(_: &reqwest::Error) -> bool {
        false
    }

    pub(crate) fn failed_step(_: &reqwest::Error) -> Option<crate::error::kind::FailedStep> {
        None
    }
}

/// Why an attempt got no response.
pub(crate) enum Fault {
    Client(reqwest::Error),
    /// The client's connection was lost after the TLS handshake, so that no alert is about the client's certificate.
    Lost(reqwest::Error),
    /// A proxy before the server failed, or refused.
    Proxy(NoTunnel),
    /// Nothing moved for too long (R8).
    Stalled,
    /// The attempt was not sent (R2).
    Refused(Error),
}

impl Fault {
    /// Finds out whether a client's error is the fault of a proxy.
    pub(crate) async fn of_client(error: reqwest::Error, proxies: ProxiesFrom) -> Self {
        match explain(error, proxies).await {
            Ok(proxy) => Self::Proxy(proxy),
            Err(error) => Self::Client(error),
        }
    }

    /// The same fault, of which the caller knows that the handshake was over and that a certificate was not refused.
    pub(crate) fn after_handshake(self) -> Self {
        match self {
            Self::Client(error) if !error.is_connect() => Self::Lost(error),
            other => other,
        }
    }

    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Client(error) => classify(error),
            Self::Lost(error) if error.is_timeout() => Failure::Timeout,
            Self::Lost(_) => Failure::Broken,
            Self::Proxy(error) => Failure::of_connect(error),
            Self::Stalled => Failure::Timeout,
            Self::Refused(_) => Failure::Final,
        }
    }

    /// The error for the caller. It has no URL, because path and query may be confidential.
    pub(crate) fn report(self, destination: &str) -> Error {
        let failure = self.failure();
        match self {
            Self::Client(cause) if cause.is_builder() => {
                Error::input(format!("{destination} cannot be sent as it was built"))
                    .caused_by(cause.without_url())
            }
            Self::Client(cause) => {
                let error = failure.error(destination).at(failed_step(&cause));
                if let Some(reason) = tls::reason(&cause) {
                    // Not caused by the error of the client, whose text is that of a debugger.
                    return error.caused_by(Error::new(ErrorKind::Transport, reason));
                }
                match plain_http_reason(&cause) {
                    Some(reason) => error.caused_by(
                        Error::new(ErrorKind::Transport, reason).caused_by(cause.without_url()),
                    ),
                    None => error.caused_by(cause.without_url()),
                }
            }
            Self::Lost(cause) => {
                let error = failure.error(destination).at(step_after_handshake(&cause));
                if let Some(reason) = tls::reason_after_handshake(&cause) {
                    return error.caused_by(Error::new(ErrorKind::Transport, reason));
                }
                let too_early = || is_broken_body(&cause).then(|| ENDED_TOO_EARLY.to_owned());
                match plain_http_reason(&cause).or_else(too_early) {
                    Some(reason) => error.caused_by(
                        Error::new(ErrorKind::Transport, reason).caused_by(cause.without_url()),
                    ),
                    None => error.caused_by(cause.without_url()),
                }
            }
            Self::Proxy(proxy) => {
                let error = failure.error(destination).at(step_at_proxy(&proxy));
                match client_error(&proxy).and_then(|cause| tls::reason_of_proxy(cause)) {
                    Some(reason) => {
                        let reason = Error::new(ErrorKind::Transport, reason);
                        error.caused_by(proxy.because(reason))
                    }
                    None => error.caused_by(proxy),
                }
            }
            Self::Stalled => {
                let cause = io::Error::from(io::ErrorKind::TimedOut);
                failure.error(destination).caused_by(cause)
            }
            Self::Refused(error) => error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

pub(crate) fn classify(error: &reqwest::Error) -> Failure {
    if error.is_builder() || error.is_redirect() {
        Failure::Final
    } else if error.is_connect() {
        Failure::of_connect(error)
    } else if error.is_timeout() {
        Failure::Timeout
    } else if is_broken_body(error) {
        Failure::Broken
    } else if tls::is_about_client_certificate(error) {
        // In TLS 1.3, after the client has sent the request.
        Failure::Final
    } else if error.is_request() || error.is_body() {
        Failure::Broken
    } else {
        Failure::Final
    }
}

/// Whether the server has said in HTTP/2 that it did not process the request, as one does that stops (RFC 9113 §8.7).
#[cfg(feature = "http2")]
pub(crate) fn is_unprocessed(error: &reqwest::Error) -> bool {
    let mut faults = causes(error).filter_map(|cause| cause.downcast_ref::<h2::Error>());
    faults.any(|fault| {
        let is_refused = fault.is_reset() && fault.reason() == Some(h2::Reason::REFUSED_STREAM);
        // Only streams that it will not process get the error of its `GOAWAY`.
        fault.is_remote() && (is_refused || fault.is_go_away())
    })
}

#[cfg(not(feature = "http2"))]
pub(crate) fn is_unprocessed(_: &reqwest::Error) -> bool {
    false
}

/// Where the request failed; `None` for a timeout, or a response that is none of HTTP.
fn failed_step(error: &reqwest::Error) -> Option<FailedStep> {
    if error.is_timeout() || is_hyper(error, hyper::Error::is_parse) {
        return None;
    }
    tls::failed_step(error).or_else(|| match error.is_connect() {
        true if is_unresolved(error) => Some(FailedStep::Resolve),
        true => Some(FailedStep::Connect),
        false => step_after_handshake(error),
    })
}

fn step_after_handshake(error: &reqwest::Error) -> Option<FailedStep> {
    if error.is_timeout() || is_hyper(error, hyper::Error::is_parse) {
        return None;
    }
    match is_hyper(error, hyper::Error::is_incomplete_message) {
        true => Some(FailedStep::NoResponse),
        false => Some(FailedStep::Receive),
    }
}

/// Where the connection to or through a proxy failed.
fn step_at_proxy(proxy: &NoTunnel) -> Option<FailedStep> {
    let Some(client) = client_error(proxy) else {
        return Some(FailedStep::Tunnel);
    };
    match failed_step(client)? {
        FailedStep::Resolve => Some(FailedStep::ResolveProxy),
        FailedStep::Connect if TunnelError::find(client).is_some_and(TunnelError::is_connected) => {
            Some(FailedStep::Tunnel)
        }
        step => Some(step),
    }
}

fn client_error(proxy: &NoTunnel) -> Option<&reqwest::Error> {
    proxy.source()?.downcast_ref()
}

/// The type of the error is private.
fn is_unresolved(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.to_string() == "dns error")
}

fn is_hyper(error: &reqwest::Error, test: fn(&hyper::Error) -> bool) -> bool {
    let mut faults = causes(error).filter_map(|cause| cause.downcast_ref());
    faults.any(test)
}

/// Whether the connection broke while a body was received. `reqwest` reports that in the same way as a body that is no JSON.
fn is_broken_body(error: &reqwest::Error) -> bool {
    error.is_decode() && is_hyper(error, |_| true)
}

/// Why plain http failed, if the server may speak TLS.
fn plain_http_reason(error: &reqwest::Error) -> Option<String> {
    match error.url()?.scheme() {
        "http" => not_http(error),
        _ => None,
    }
}

/// What was wrong with a response, if it was none of HTTP.
pub(crate) fn not_http(error: &(dyn StdError + 'static)) -> Option<String> {
    let fault = causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>())?;
    let what = if fault.is_parse() {
        "the server's response is not HTTP"
    } else if fault.is_incomplete_message() {
        "the server closed the connection without a response"
    } else {
        return None;
    };
    Some(format!(
        "{what}; if it speaks TLS, its URL begins with `https://`"
    ))
}

const ENDED_TOO_EARLY: &str = "the response ended too early";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_no_json_would_be_none_again() {
        let response = http::Response::new("no JSON");
        let error = reqwest::Response::from(response).json::<u8>().await;
        assert_eq!(classify(&error.unwrap_err()), Failure::Final);
    }
}
