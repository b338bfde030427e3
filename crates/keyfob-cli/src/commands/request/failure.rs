//! A response with a status of 400 or more, as `--fail` reports it.

use std::time::SystemTime;

use http::HeaderMap;
use keyfob::exchange::{Challenges, RetryAfter};
use reqwest::Response;

use crate::commands::request::mask::Mask;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// The failure, with what the server says about it; `None` for other statuses.
pub(super) fn of(response: &Response, mask: &Mask) -> Option<CliError> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let mut more = String::new();
    if let Some(reason) = reason(response.headers()) {
        more.push_str(&format!(": {}", mask.text(&reason)));
    }
    if let Some(wait) = RetryAfter::from_headers(response.headers()) {
        let seconds = wait.wait(SystemTime::now()).as_secs();
        more.push_str(&format!("; the server asks to wait for {seconds} s"));
    }
    Some(CliError::new(
        ExitCode::Status,
        format!("the response has the status {status}{more}"),
    ))
}

/// Why the server rejects the token: its description, and the error code (RFC 6750 §3).
fn reason(headers: &HeaderMap) -> Option<String> {
    let challenges = Challenges::from_headers(headers);
    let mut reasons = challenges.iter().filter_map(|challenge| {
        match (challenge.error_description(), challenge.error()) {
            (Some(description), Some(error)) => Some(format!("{description} ({error})")),
            (one, other) => one.or(other).map(str::to_owned),
        }
    });
    reasons.next()
}
