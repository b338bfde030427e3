//! What a token endpoint answers (RFC 6749 §5.1).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::error::error::Error;
use crate::oauth::endpoint::{Answer, Endpoint};
use crate::token::token::Token;

/// The fields that are used. The rest may be anything.
#[derive(Deserialize)]
struct Fields {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Value>,
    refresh_token: Option<String>,
}

/// How a token has to be sent that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As a bearer token (RFC 6750).
    Bearer,
    /// With a proof of possession (RFC 9449). A server that gives a bearer token instead has bound it to nothing.
    Dpop,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// Reads the token, with the refresh token that came with it.
pub(crate) fn token(endpoint: &Endpoint, answer: &Answer, kind: Kind) -> Result<Token, Error> {
    let fields: Fields = answer.json(endpoint)?;
    let text = fields
        .access_token
        .ok_or_else(|| lacks(endpoint, "access_token"))?;
    let name = fields
        .token_type
        .ok_or_else(|| lacks(endpoint, "token_type"))?;
    if !name.eq_ignore_ascii_case(kind.name()) {
        return Err(Error::malformed(format!(
            "{endpoint} gave a token whose `token_type` is not `{}`; it cannot be sent as it has to be",
            kind.name()
        )));
    }
    let token = Token::new(text)?.scheme(kind.name())?;
    let token = match lifetime(fields.expires_in.as_ref()) {
        Some(lifetime) => token.expires_in(lifetime),
        None => token.expires_as_jwt_says(),
    };
    match fields.refresh_token {
        Some(refresh) if !refresh.is_empty() => token.with_refresh_token(refresh),
        _ => Ok(token),
    }
}

/// A number of seconds, which some servers write as text. T5: what cannot be read is unknown.
pub(crate) fn lifetime(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST)).ok()
}

pub(crate) fn lacks(endpoint: &Endpoint, field: &str) -> Error {
    Error::malformed(format!("{endpoint} answered without `{field}`"))
}

/// Some 68 years, in seconds; whatever is longer is cut to it.
const LONGEST: f64 = (1_u64 << 31) as f64;
