//! What a client is told when there is no response of the upstream.

use std::error::Error as StdError;

use http::StatusCode;

use crate::cache::cache::TokenCache;
use crate::client::proxy::problem::Problem;
use crate::client::proxy::recorded_body::BrokenOff;
use crate::error::error::{Error, ErrorKind, causes};
use crate::exchange::io_failure::classify;
use crate::exchange::outcome::Failure;
use crate::exchange::tls_failure;

/// The problem for a request that failed (P1). `destination` is its method and the upstream's origin.
pub(super) fn problem_of(
    error: &(dyn StdError + 'static),
    destination: &str,
    tokens: &TokenCache,
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
        _ => upstream_failure(error, destination),
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
        // The failure is remembered until then (T2).
        let status = tokens.status();
        problem.retry_after = status
            .next_renewal_in
            .filter(|_| status.last_error.is_some());
    }
    problem
}

fn upstream_failure(error: &(dyn StdError + 'static), destination: &str) -> Problem {
    let failure = classify(error);
    let status = match failure {
        Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    let mut detail = failure.error(destination).to_string();
    if let Some(reason) = tls_failure::reason(error) {
        detail = format!("{destination} failed: {reason}");
    }
    Problem::new(status, ErrorKind::Transport, detail)
}
