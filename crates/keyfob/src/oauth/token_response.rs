//! The token response of a token endpoint (RFC 6749 §5.1).

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::error::error::Error;
use crate::oauth::endpoint::Endpoint;
use crate::source::token_text::expiry::unix_time;
use crate::source::token_text::expiry_beside;
use crate::token::json::{Json, Object};
use crate::token::secret::Secret;
use crate::token::token;
use crate::token::token::{Expiry, Token};

/// What the client expects of a token.
pub(crate) struct ExpectedToken<'a> {
    pub(crate) token_type: ExpectedType<'a>,
    pub(crate) member: TokenMember,
    /// The scopes that were asked for. A server that grants exactly these need not name them (RFC 6749 §5.1).
    pub(crate) scopes: &'a [String],
}

/// Which member of the response is the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TokenMember {
    #[default]
    Access,
    /// The ID token if the response has no access token.
    AccessOrId,
    /// The ID token (OpenID Connect Core §3.1.3.3), whatever else there is.
    Id,
}

/// The `token_type` that the client expects.
pub(crate) enum ExpectedType<'a> {
    /// A bearer token, which is also what a missing type means.
    Bearer,
    /// A token that is bound to a key. A bearer token must not be used instead (RFC 9449 §5).
    Dpop,
    /// Whatever the server writes, the token is sent with this scheme.
    Any(&'a str),
}

impl ExpectedToken<'_> {
    /// Whether a response has a token, usable or not.
    pub(crate) fn is_in(&self, object: &Object) -> bool {
        match self.member {
            TokenMember::Access => object.has("access_token"),
            TokenMember::AccessOrId => object.has("access_token") || object.has("id_token"),
            // A response with an access token alone is a success too, but not the one that is needed.
            TokenMember::Id => object.has("id_token"),
        }
    }

    fn text(&self, object: &mut Object) -> Option<String> {
        let mut take = |name| take_text(object, name);
        match self.member {
            TokenMember::Access => take("access_token"),
            TokenMember::AccessOrId => take("access_token").or_else(|| take("id_token")),
            TokenMember::Id => take("id_token"),
        }
    }
}

/// Removes the refresh token from a response. Some servers send an empty string instead of leaving it out.
pub(crate) fn take_refresh_token(object: &mut Object) -> Option<Secret> {
    Secret::new_field(take_text(object, "refresh_token")?).ok()
}

/// Reads the access token, its expiry and its scopes, and the refresh token if there is one.
pub(crate) fn read_token(
    endpoint: &Endpoint,
    object: &mut Object,
    expected: &ExpectedToken<'_>,
) -> Result<Token, Error> {
    let Some(text) = expected.text(object) else {
        return Err(without_token(endpoint, object, expected));
    };
    let scheme = scheme(endpoint, object, expected)?;
    let token = Token::new(text)?.scheme(scheme)?;
    let expiry = match expected.member {
        // The other members say when the access token expires.
        TokenMember::Id => Expiry::Unknown,
        _ => read_expiry(endpoint, object)?,
    };
    let token = match expiry {
        // RFC 6749 §5.1 only recommends `expires_in`.
        Expiry::Unknown => token.expiry_from_jwt(),
        expiry => token.expiry(expiry),
    };
    let requested = expected.scopes.join(" ");
    let token = match read_scope(object) {
        Some(scope) => token.with_scope(&scope),
        None => token.with_scope(&requested),
    };
    Ok(match take_refresh_token(object) {
        Some(refresh) => token.or_refresh_token(Some(&refresh)),
        None => token,
    })
}

fn without_token(endpoint: &Endpoint, object: &Object, expected: &ExpectedToken<'_>) -> Error {
    if expected.member == TokenMember::Id {
        let advice = match expected.scopes.iter().any(|scope| scope == "openid") {
            true => "check that the server issues one for this grant",
            false => "request the scope `openid`",
        };
        return Error::malformed(format!(
            "{endpoint} sent a response without `id_token`, which is to be the token; {advice}"
        ));
    }
    let detail = match object.has("id_token") {
        true => ", only with an ID token, which is not sent to an API",
        false => "",
    };
    Error::malformed(format!(
        "{endpoint} sent a response without `access_token`{detail}"
    ))
}

fn scheme<'a>(
    endpoint: &Endpoint,
    object: &Object,
    expected: &ExpectedToken<'a>,
) -> Result<&'a str, Error> {
    let found = object.text("token_type").unwrap_or_default().trim();
    // It says how the access token is sent.
    let found = match expected.member {
        TokenMember::Id => "",
        _ => found,
    };
    let scheme = match expected.token_type {
        ExpectedType::Any(scheme) => return Ok(scheme),
        // LinkedIn and others leave it out.
        ExpectedType::Bearer if found.is_empty() => return Ok(token::BEARER),
        ExpectedType::Bearer => token::BEARER,
        // A server that ignores a proof returns a bearer token, which is bound to no key and must not be used instead.
        ExpectedType::Dpop => token::DPOP,
    };
    if found.eq_ignore_ascii_case(scheme) {
        return Ok(scheme);
    }
    let advice = match expected.token_type {
        ExpectedType::Dpop => "check how the client is registered at the server",
        _ => {
            "if the API takes it as a bearer token, set `token_type` to `Bearer`; otherwise check how the client is \
             registered at the server"
        }
    };
    Err(Error::malformed(format!(
        "{endpoint} returned a token whose `token_type` is not `{scheme}`, so the token cannot be used; {advice}"
    )))
}

/// The scopes that the server granted: one text, or a list. Some servers separate them by commas.
fn read_scope(object: &Object) -> Option<String> {
    // The second is Bitbucket's.
    let words = match object.get("scope").or_else(|| object.get("scopes"))? {
        Json::Text(text) => text.replace(',', " "),
        Json::List(items) => {
            let words = items.iter().filter_map(|item| match item {
                Json::Text(text) => Some(text.as_str()),
                _ => None,
            });
            words.collect::<Vec<_>>().join(" ")
        }
        _ => return None,
    };
    (!words.trim().is_empty()).then_some(words)
}

/// When the token expires. T5: a value that is there and cannot be read is an error.
fn read_expiry(endpoint: &Endpoint, object: &Object) -> Result<Expiry, Error> {
    let is_there = |name: &&&str| object.get(name).is_some();
    let is_set = |name: &&&str| match object.get(name) {
        Some(Json::Text(text)) => !text.trim().is_empty(),
        found => found.is_some(),
    };
    let lifetime = LIFETIMES.iter().find(is_set);
    let Some(name) = lifetime.or_else(|| TIMES.iter().find(is_set)) else {
        return match LIFETIMES.iter().chain(&TIMES).any(|name| is_there(&name)) {
            // It is there, and says nothing.
            true => Ok(Expiry::Unknown),
            false => other_expiry(endpoint, object),
        };
    };
    let value = object.get(name);
    let expiry = match lifetime {
        Some(_) => read_seconds(value).map(Expiry::In),
        None => value.and_then(read_time),
    };
    // A helper's output may have a time in more forms, such as one without a zone.
    let in_other_form = || expiry_beside(object).ok().filter(|_| lifetime.is_none());
    expiry.or_else(in_other_form).ok_or_else(|| {
        Error::malformed(format!(
            "{endpoint} sent an expiry in `{name}` that cannot be read as a time"
        ))
    })
}

/// An expiry that has none of the usual names.
fn other_expiry(endpoint: &Endpoint, object: &Object) -> Result<Expiry, Error> {
    expiry_beside(object).map_err(|fault| {
        Error::malformed(format!(
            "{endpoint} sent a response whose expiry is not clear: beside the token, {fault}; in a profile, `source = \"http\"` can \
             say where the expiry is"
        ))
    })
}

/// Reads a number of seconds. Some servers send it as a string.
pub(crate) fn read_seconds(value: Option<&Json>) -> Option<Duration> {
    let seconds = number(value?)?;
    // A negative number means a token that has expired, and not one without an expiry.
    Duration::try_from_secs_f64(seconds.clamp(0.0, MAX_SECONDS)).ok()
}

/// Reads a point in time: RFC 3339, or seconds or milliseconds since 1970. A small number is a lifetime.
pub(crate) fn read_time(value: &Json) -> Option<Expiry> {
    let Some(number) = number(value) else {
        let Json::Text(text) = value else { return None };
        let time = text.trim().parse::<Timestamp>().ok()?;
        return SystemTime::try_from(time).ok().map(Expiry::At);
    };
    if number <= MAX_SECONDS / 4.0 {
        return read_seconds(Some(value)).map(Expiry::In);
    }
    unix_time(number).map(Expiry::At)
}

pub(crate) fn number(value: &Json) -> Option<f64> {
    let number = match value {
        Json::Integer(number) => *number as f64,
        Json::Fraction(number) => *number,
        Json::Text(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Removes a member that is a string and not empty.
pub(crate) fn take_text(object: &mut Object, name: &str) -> Option<String> {
    match object.take(name)? {
        Json::Text(mut text) if !text.is_empty() => Some(std::mem::take(&mut *text)),
        _ => None,
    }
}

pub(crate) fn require_member<T>(
    endpoint: &Endpoint,
    name: &str,
    member: Option<T>,
) -> Result<T, Error> {
    let missing = || Error::malformed(format!("{endpoint} sent a response without `{name}`"));
    member.ok_or_else(missing)
}

/// Members with a lifetime in seconds. The first is Zoho's, whose `expires_in` may be in milliseconds.
const LIFETIMES: [&str; 2] = ["expires_in_sec", "expires_in"];

/// Members with a point in time, which some servers send instead.
const TIMES: [&str; 3] = ["expires_on", "expires_at", "expires"];

/// About 68 years. Longer times are cut to it, so that no addition overflows.
const MAX_SECONDS: f64 = (1_u64 << 31) as f64;
