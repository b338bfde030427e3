//! What a client is told when there is no response of the upstream.

use std::error::Error as StdError;

use http::{Method, StatusCode};
use url::Url;

use crate::cache::cache::TokenCache;
use crate::client::proxy::problem::Problem;
use crate::client::proxy::recorded_body::BrokenOff;
use crate::error::error::{Error, ErrorKind, causes};
use crate::exchange::io_failure::classify;
use crate::exchange::outcome::Failure;
use crate::exchange::reqwest_failure::not_http;
use crate::exchange::reqwest_failure::tls;
use crate::exchange::tunnel::NoTunnel;

/// The problem for a request of this method that failed (P1).
pub(super) fn problem_of(
    error: &(dyn StdError + 'static),
    method: &Method,
    (base, tokens): (&Url, &TokenCache),
) -> Problem {
    if let Some(broken) = causes(error).find_map(|cause| cause.downcast_ref::<BrokenOff>()) {
        return Problem::new(
            StatusCode::BAD_REQUEST,
            ErrorKind::Input,
            broken.to_string(),
        );
    }
    match Error::find(error) {
        Some(own) if own.kind() != ErrorKind::Transport => own_failure(own, tokens),
        _ => upstream_failure(error, method, base),
    }
}

fn own_failure(error: &Error, tokens: &TokenCache) -> Problem {
    let status = match error.kind() {
        // It may pass.
        ErrorKind::Unavailable | ErrorKind::Expired | ErrorKind::Deadline => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::BAD_GATEWAY,
    };
    let mut problem = Problem::new(status, error.kind(), error.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // The failure is remembered until then (T2). A store is read sooner, because a new sign-in may be in it.
        let status = tokens.status();
        let cool_down = status
            .next_renewal_in
            .filter(|_| status.last_error.is_some());
        let issuers_pause = error.pause().filter(|_| error.is_remembered());
        problem.retry_after = issuers_pause.or(cool_down);
    }
    problem
}

fn upstream_failure(error: &(dyn StdError + 'static), method: &Method, base: &Url) -> Problem {
    let destination = format!("{method} {}", base.origin().ascii_serialization());
    let failure = classify(error);
    let status = match failure {
        Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    let reason = NoTunnel::find(error)
        .map(of_proxy)
        .or_else(|| tls::reason(error))
        .or_else(|| match base.scheme() {
            "http" => not_http(error),
            _ => None,
        });
    let mut detail = failure.error(&destination).to_string();
    if let Some(reason) = reason {
        detail = format!("{detail}: {reason}");
    }
    Problem::new(status, ErrorKind::Transport, detail)
}

/// What failed at a proxy before the upstream, with its cause.
pub(super) fn of_proxy(failure: &NoTunnel) -> String {
    match failure.source() {
        None => failure.to_string(),
        Some(cause) => match (tls::reason_of_proxy(cause), causes(cause).last()) {
            (Some(reason), _) => format!("{failure}: {reason}"),
            // The first ones say only that a step failed.
            (None, last) => format!("{failure}: {}", last.unwrap_or(cause)),
        },
    }
}
