//! The settings of a job on the builders of keyfob.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use keyfob::RetryPolicy;
use keyfob_conformance::case::{Client, Retry};

/// Sets what all builders have.
macro_rules! configured {
    ($builder:expr, $client:expr) => {{
        let client: &keyfob_conformance::case::Client = $client;
        let mut builder = $builder;
        for origin in &client.origins {
            builder = builder.origin(origin);
        }
        for origin in &client.plain_http {
            builder = builder.allow_plain_http(origin);
        }
        if client.origins.is_empty() && client.plain_http.is_empty() {
            builder = builder.any_https_origin();
        }
        builder
            .rejected_statuses(crate::drivers::settings::statuses(
                &client.rejected_statuses,
            ))
            .timeout(std::time::Duration::from_millis(client.timeout_ms))
            .retry(crate::drivers::settings::policy(&client.retry))
    }};
}

pub(super) use configured;

pub(super) fn policy(retry: &Retry) -> RetryPolicy {
    let policy = RetryPolicy::default()
        .attempts(retry.attempts)
        .total(Duration::from_millis(retry.total_ms))
        .pauses(
            Duration::from_millis(retry.first_pause_ms),
            Duration::from_millis(retry.longest_pause_ms),
        );
    statuses(&retry.also).fold(policy, RetryPolicy::retry)
}

pub(super) fn statuses(codes: &[u16]) -> impl Iterator<Item = StatusCode> {
    let status = |&code| StatusCode::from_u16(code).expect("a case has valid statuses");
    codes.iter().map(status)
}

pub(super) fn default_headers(client: &Client) -> HeaderMap {
    headers(&client.default_headers)
}

pub(super) fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::try_from(name).expect("a case has valid header names");
        let value = HeaderValue::try_from(value).expect("a case has valid header values");
        headers.append(name, value);
    }
    headers
}
