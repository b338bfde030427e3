//! The formats that are JSON objects, one function each, and what error texts say about all formats.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderName, header};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::error::shown_name::is_word;
use crate::source::token_text::expiry;
use crate::source::token_text::type_use::TypeUse;
use crate::token::json::{Json, Object};
use crate::token::token::{Expiry, Token, check_scheme};

/// Makes a token from an object. The table in `token_text.rs` has the same order.
pub(super) fn read_object(mut object: Object, type_use: TypeUse) -> Result<Token, Error> {
    if let Some(failure) = reported(&mut object) {
        return Err(failure);
    }
    if object.is("kind", "ExecCredential") {
        return kubernetes(object);
    }
    let format = READERS.into_iter().find(|(field, _)| object.has(field));
    if let Some((field, read)) = format
        && !(CONTAINERS.contains(&field) && object.has_object(field))
    {
        let scheme = scheme(&mut object, field, type_use)?;
        let token = read(object)?;
        return match scheme {
            Some(scheme) => token.scheme(&scheme),
            None => Ok(token),
        };
    }
    let inner = CONTAINERS
        .into_iter()
        .find(|field| object.has_object(field));
    match inner {
        Some(field) => nested(object, field, type_use),
        None => Err(unknown(&object)),
    }
}

/// The failure that an object reports, if its format can report one.
pub(super) fn reported(object: &mut Object) -> Option<Error> {
    if let Some(failure) = object.take("Err") {
        return Some(cargo_failure(failure));
    }
    matches!(object.get("success"), Some(Json::Bool(false))).then(|| {
        Error::unavailable(
            "it is a failure in the format of a Google executable source; run the command by hand to see why",
        )
    })
}

type Read = fn(Object) -> Result<Token, Error>;

const READERS: [(&str, Read); 8] = [
    ("Ok", cargo),
    ("SecretAccessKey", aws),
    ("success", google),
    ("headers", bazel),
    ("Secret", docker),
    ("access_token", oauth),
    ("accessToken", azure),
    ("token", terraform),
];

/// Fields whose value may be an object with the token, as in the output of `gcloud config config-helper`.
const CONTAINERS: [&str; 6] = [
    "token",
    "credential",
    "credentials",
    "data",
    "result",
    "status",
];

/// <https://doc.rust-lang.org/cargo/reference/credential-provider-protocol.html>
fn cargo(mut object: Object) -> Result<Token, Error> {
    let mut response = inner(&mut object, "Ok")?;
    if response.has("kind") && !response.is("kind", "get") {
        return Err(Error::malformed(
            "it is a response to another request than `get` of Cargo's protocol",
        ));
    }
    let token = Token::from_authorization(required(&mut response, "token")?)?;
    let token = token.expiry(expiry::of(&response)?);
    Ok(match response.is("cache", "never") {
        true => token.recheck_after(CACHE_NEVER),
        false => token,
    })
}

/// Maps the kinds of error in Cargo's protocol.
fn cargo_failure(failure: Json) -> Error {
    let is = |kind| matches!(&failure, Json::Object(failure) if failure.is("kind", kind));
    if is("not-found") {
        return no_credential();
    }
    if is("url-not-supported") {
        return Error::refused("the helper does not serve this registry; choose another one");
    }
    if is("operation-not-supported") {
        return Error::refused("the helper cannot give tokens (`operation-not-supported`)");
    }
    Error::unavailable(
        "it is a failure in the format of a Cargo credential provider; run the command by hand to see why",
    )
}

/// <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>
fn kubernetes(mut object: Object) -> Result<Token, Error> {
    if !object.has("status") {
        return Err(Error::malformed(
            "it is an ExecCredential without `status`, which should hold the token",
        ));
    }
    let mut status = inner(&mut object, "status")?;
    // A plugin may return both. Then the token is enough.
    if !status.has("token") && status.has("clientCertificateData") {
        return Err(Error::malformed(
            "it is a client certificate, and keyfob needs a token; give the certificate to the TLS client",
        ));
    }
    let token = token_of(required(&mut status, "token")?)?;
    Ok(token.expiry(expiry::of(&status)?))
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>
fn aws(_: Object) -> Result<Token, Error> {
    Err(Error::malformed(
        "it is a pair of AWS keys, which sign requests (SigV4) and cannot be sent as a token; \
         use an AWS client, or a helper that prints a bearer token",
    ))
}

/// <https://google.aip.dev/auth/4117>, executable-sourced credentials.
fn google(mut object: Object) -> Result<Token, Error> {
    if !object.has("id_token") && object.has("saml_response") {
        return Err(Error::malformed(
            "it is a SAML response, which must be exchanged for a token; \
             use a helper that prints the token",
        ));
    }
    if !object.has("id_token") {
        return Err(Error::malformed(
            "it is in the format of a Google executable (`success`), which needs `id_token`",
        ));
    }
    let token = token_of(required(&mut object, "id_token")?)?;
    Ok(token.expiry(expiry::of(&object)?))
}

/// <https://github.com/EngFlow/credential-helper-spec/blob/main/spec.md>
fn bazel(mut object: Object) -> Result<Token, Error> {
    let expiry = expiry::of(&object)?;
    let mut fields = Vec::new();
    for (name, values) in inner(&mut object, "headers")?.into_fields() {
        let name = field_name(&name)?;
        let Json::List(values) = values else {
            return Err(mistyped("headers"));
        };
        for value in values {
            let Json::Text(value) = value else {
                return Err(mistyped("headers"));
            };
            fields.push((name.clone(), value));
        }
    }
    let own = fields.iter().filter(|(name, _)| name == AUTHORIZATION);
    if own.count() > 1 {
        return Err(Error::malformed(
            "it has several values for `Authorization`; a request can have one",
        ));
    }
    // A stable sort moves `Authorization` to the front, and keeps the order of all others.
    fields.sort_by_key(|(name, _)| name != AUTHORIZATION);
    let mut fields = fields.into_iter();
    let (name, value) = fields.next().ok_or_else(no_credential)?;
    let token = match name {
        AUTHORIZATION => Token::from_authorization(value.trim())?,
        name => Token::from_field(name, value.trim())?,
    };
    let token = fields.try_fold(token, |token, (name, value)| {
        token.with_header(name, value.trim())
    })?;
    Ok(token.expiry(expiry))
}

/// The name of a header that a helper may set. Headers that frame the message are for the HTTP client.
fn field_name(name: &str) -> Result<HeaderName, Error> {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(Error::malformed(
            "it has a header whose name is not valid in HTTP",
        ));
    };
    if FRAMING.contains(&name) {
        return Err(Error::malformed(format!(
            "it has the header `{name}`, which only the HTTP client may set"
        )));
    }
    Ok(name)
}

const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// <https://github.com/docker/docker-credential-helpers>
fn docker(mut object: Object) -> Result<Token, Error> {
    let token = token_of(required(&mut object, "Secret")?)?;
    Ok(token.expiry(expiry::of(&object)?))
}

/// RFC 6749 §5.1.
fn oauth(mut object: Object) -> Result<Token, Error> {
    let token = token_of(required(&mut object, "access_token")?)?;
    Ok(token.expiry(expiry::of(&object)?))
}

/// <https://learn.microsoft.com/cli/azure/account#az-account-get-access-token>
fn azure(mut object: Object) -> Result<Token, Error> {
    let token = token_of(required(&mut object, "accessToken")?)?;
    Ok(token.expiry(expiry::of(&object)?))
}

/// <https://developer.hashicorp.com/terraform/internals/credentials-helpers>
fn terraform(mut object: Object) -> Result<Token, Error> {
    let token = token_of(required(&mut object, "token")?)?;
    Ok(token.expiry(expiry::of(&object)?))
}

/// An object in an object. The expiry may be in either.
fn nested(mut object: Object, field: &'static str, type_use: TypeUse) -> Result<Token, Error> {
    let outer = expiry::of(&object)?;
    let token = read_object(inner(&mut object, field)?, type_use)?;
    Ok(match token.expires() {
        Expiry::Unknown => token.expiry(outer),
        _ => token,
    })
}

/// The token of this text.
pub(super) fn token_of(text: String) -> Result<Token, Error> {
    if NO_TOKEN.contains(&text.as_str()) {
        return Err(Error::malformed(format!(
            "it is the word `{text}`, which programs print for a missing value"
        )));
    }
    Token::new(text)
}

const NO_TOKEN: [&str; 5] = ["(null)", "None", "nil", "null", "undefined"];

/// The scheme that the type of the token in this field names; `None` for a bearer token.
fn scheme(
    object: &mut Object,
    token: &str,
    type_use: TypeUse,
) -> Result<Option<Zeroizing<String>>, Error> {
    let beside = TYPES.into_iter().find(|(field, _)| *field == token);
    let Some((_, field)) = beside.filter(|_| type_use != TypeUse::Ignored) else {
        return Ok(None);
    };
    let kind = optional(object, field)?.unwrap_or_default();
    let kind = Zeroizing::new(kind.trim().to_owned());
    // RFC 6749 §5.1: the value is case insensitive. RFC 8693 §2.2.1 has `N_A` for a token that is no access token.
    let is = |known: &str| kind.eq_ignore_ascii_case(known);
    if ["", "bearer", "n_a"].into_iter().any(is) {
        return Ok(None);
    }
    match type_use {
        TypeUse::UsualScheme if !["basic", "token"].into_iter().any(is) => {
            Err(Error::malformed(format!(
                "it has a `{field}` other than `Bearer`, `Basic` and `token`; in a profile, set `scheme` to the word that the API \
                 expects before the token, such as `Bearer`"
            )))
        }
        _ if check_scheme(&kind).is_err() => Err(Error::malformed(
            "it has a token type that is not the name of a scheme such as `Bearer`",
        )),
        _ => Ok(Some(kind)),
    }
}

/// The fields with a token, and those with its type.
const TYPES: [(&str, &str); 2] = [("access_token", "token_type"), ("accessToken", "tokenType")];

/// The failure of an object that has the error of RFC 6749 §5.2 in place of a token.
pub(super) fn error_response(object: &Object) -> Option<Error> {
    let code = object.text("error").filter(|code| !code.is_empty())?;
    let code = match is_word(code, LONGEST_CODE) {
        true => format!(": `{code}`"),
        false => String::new(),
    };
    Some(Error::unavailable(format!(
        "it is the error response of a token endpoint{code}; see why the program that wrote it got no token"
    )))
}

const LONGEST_NAME: usize = 24;
const LONGEST_CODE: usize = 40;

fn unknown(object: &Object) -> Error {
    if let Some(failure) = error_response(object) {
        return failure;
    }
    // Of the fields that hold a token, only one that is null can be left.
    let is_known = |name: &str| READERS.iter().any(|(field, _)| *field == name);
    if object.is_empty() || object.names().any(is_known) {
        return no_credential();
    }
    let is_shown = |name: &&str| is_word(name, LONGEST_NAME);
    let names: Vec<_> = object.names().filter(is_shown).take(8).collect();
    let names = match names.as_slice() {
        [] => String::new(),
        names => format!(" with the fields `{}`", names.join("`, `")),
    };
    Error::malformed(format!(
        "it is JSON in an unknown format{names}; {ACCEPTED}"
    ))
}

fn inner(object: &mut Object, field: &'static str) -> Result<Object, Error> {
    match object.take(field) {
        Some(Json::Object(inner)) => Ok(inner),
        _ => Err(mistyped(field)),
    }
}

fn optional(object: &mut Object, field: &'static str) -> Result<Option<Zeroizing<String>>, Error> {
    match object.take(field) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(mistyped(field)),
    }
}

fn required(object: &mut Object, field: &'static str) -> Result<String, Error> {
    match optional(object, field)? {
        Some(mut text) => Ok(std::mem::take(&mut *text)),
        None => Err(Error::malformed(format!(
            "it is JSON without the field `{field}`"
        ))),
    }
}

fn mistyped(field: &'static str) -> Error {
    Error::malformed(format!(
        "it is JSON whose field `{field}` has the wrong type"
    ))
}

/// How soon a helper that says `"cache":"never"` is asked again.
pub(super) const CACHE_NEVER: Duration = Duration::from_secs(10);

/// The error for a helper that works but has no credential.
pub(super) fn no_credential() -> Error {
    Error::unavailable(
        "it says that there is no credential for this; log in with the helper's own tool",
    )
}

/// The formats that are accepted, for error texts.
pub(super) const ACCEPTED: &str = "give the token alone on one line, git's `name=value` lines, or the JSON of OAuth \
    (`access_token`), a Bazel credential helper (`headers`), Kubernetes (`ExecCredential`), Cargo (`Ok`), \
    Docker (`Secret`), Terraform (`token`), Azure CLI (`accessToken`) or a Google executable (`success`)";
