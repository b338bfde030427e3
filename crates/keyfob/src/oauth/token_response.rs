//! The token response of a token endpoint (RFC 6749 §5.1).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::error::error::Error;
use crate::oauth::endpoint::{Endpoint, ServerResponse};
use crate::token::token::Token;

/// The members that are used. All others are ignored.
#[derive(Deserialize)]
struct Members {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Value>,
    refresh_token: Option<String>,
}

/// Reads the access token, which must have this `token_type`, and the refresh token if there is one.
pub(crate) fn read_token(
    endpoint: &Endpoint,
    response: &ServerResponse,
    scheme: &str,
) -> Result<Token, Error> {
    let members: Members = response.json(endpoint)?;
    let text = require_member(endpoint, "access_token", members.access_token)?;
    let token_type = require_member(endpoint, "token_type", members.token_type)?;
    // A server that ignores a proof returns a bearer token, which is bound to no key and must not be used instead.
    if !token_type.eq_ignore_ascii_case(scheme) {
        return Err(Error::malformed(format!(
            "{endpoint} returned a token whose `token_type` is not `{scheme}`, so the token cannot be used; check how the \
             client is registered at the server"
        )));
    }
    let token = Token::new(text)?.scheme(scheme)?;
    let token = match read_seconds(members.expires_in.as_ref()) {
        Some(lifetime) => token.expires_in(lifetime),
        // RFC 6749 §5.1 only recommends `expires_in`.
        None => token.expiry_from_jwt(),
    };
    match members.refresh_token {
        // Some servers send an empty string instead of leaving the member out.
        Some(refresh) if !refresh.is_empty() => token.with_refresh_token(refresh),
        _ => Ok(token),
    }
}

/// Reads a number of seconds. Some servers send it as a string. T5: a value that cannot be read is unknown.
pub(crate) fn read_seconds(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // A negative number means a token that has expired, and not one without an expiry.
    Duration::try_from_secs_f64(seconds.clamp(0.0, MAX_SECONDS)).ok()
}

pub(crate) fn require_member<T>(
    endpoint: &Endpoint,
    name: &str,
    member: Option<T>,
) -> Result<T, Error> {
    let missing = || Error::malformed(format!("{endpoint} sent a response without `{name}`"));
    member.ok_or_else(missing)
}

/// About 68 years. Longer times are cut to it, so that no addition overflows.
const MAX_SECONDS: f64 = (1_u64 << 31) as f64;
