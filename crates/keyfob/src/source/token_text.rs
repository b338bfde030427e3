//! Makes a token from text in any of the usual formats: what a helper prints, a token file, an environment variable.
//!
//! The format is detected. Text that starts with `{`, `[` or `"` is JSON. A byte order mark, `\r\n` and quotes around a single
//! token are tolerated, unknown fields are ignored, and `null` is the same as no field. The first row that fits counts:
//!
//! | Detected by | Format | Token |
//! |---|---|---|
//! | `Ok`, `Err` | Cargo credential provider, with or without the line `{"v":[1]}` before | `Ok.token`, a whole `Authorization` value, as Cargo sends it |
//! | `kind` is `ExecCredential` | Kubernetes | `status.token` |
//! | `SecretAccessKey` | AWS `credential_process` | none: an error says why |
//! | `success` | Google executable source | `id_token` |
//! | `headers` | EngFlow and Bazel credential helper | the header `Authorization`, or else the first; all others are sent with it |
//! | `Secret` | Docker | `Secret` |
//! | `access_token` | OAuth 2.0 (RFC 6749 §5.1) | `access_token` under the scheme `token_type`, see [`type_use`] |
//! | `accessToken` | Azure CLI, AWS single sign-on | `accessToken` under the scheme `tokenType`, see [`type_use`] |
//! | `token` | Terraform and others | `token`, or the token in that object |
//! | `credential`, `credentials`, `data`, `result`, `status` | gcloud and others | the token in that object |
//! | a JSON text | `az … --query accessToken` | the text |
//! | lines `name=value` | git credential | `authtype` and `credential`, else `password` |
//! | one line | gcloud, gh and others | the line |
//!
//! In each format the expiry is in a field whose name says so, such as `expires_at`, `expirationTimestamp`, `expires_in` or
//! `password_expiry_utc`. A time is in RFC 3339 with or without a zone (without one it is UTC), or in seconds or milliseconds
//! since 1970. A time counts more than a lifetime. An expiry that cannot be read is an error that names the field, and so is a
//! field that is not known and whose name says that it is an expiry (T5). `expiresOn` of the Azure CLI is in the zone of this
//! machine, and is read only if there is no `expires_on`.
//!
//! If there is no expiry, the `exp` of a JWT is used as a hint. With Cargo's `"cache":"never"`, the helper runs again in the
//! background after [`CACHE_NEVER`](formats::CACHE_NEVER). A helper that has no credential (it prints `{}`, for example) is an
//! error, because no request is sent without a credential (R2).
//!
//! Errors do not quote the text. The names of unknown fields are shown if they are plain words. Each error begins with `it`, the
//! text: the caller says where it is.

pub(crate) mod expiry;
mod formats;
mod git;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
pub(crate) mod type_use;

use crate::error::error::Error;
use crate::source::token_text::formats::{
    ACCEPTED, error_response, no_credential, read_object, reported, token_of,
};
use crate::source::token_text::type_use::TypeUse;
use crate::token::json::{Json, Object};
use crate::token::token::Expiry;
use crate::token::token::Token;

/// What [`docker-credential-helpers`](https://github.com/docker/docker-credential-helpers) prints to stdout, with status 1.
const DOCKER_NOT_FOUND: &str = "credentials not found in native keychain";

/// Makes a token from text in any of the usual formats: a bare token, a token response, the output of a credential helper.
///
/// [`CommandToken`](crate::CommandToken) and [`FileToken`](crate::FileToken) read the same formats. Use it in a hook whose
/// token comes as text.
///
/// ```
/// use std::time::Duration;
/// use keyfob::Expiry;
/// use keyfob::source::token_from_text;
///
/// let token = token_from_text(br#"{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 300}"#)?;
/// assert_eq!(token.expires(), Expiry::In(Duration::from_secs(300)));
/// # Ok::<(), keyfob::Error>(())
/// ```
///
/// # Errors
///
/// Why there is no token in it, or why its expiry cannot be read. The text begins with "it" and quotes nothing of the input.
pub fn parse(text: &[u8]) -> Result<Token, Error> {
    parse_as(text, TypeUse::AnyScheme)
}

/// Makes a token from text, for a source that is asked for a token with this use of its type.
pub(crate) fn parse_as(text: &[u8], type_use: TypeUse) -> Result<Token, Error> {
    let text = trimmed(text)?;
    let token = if text.starts_with(['{', '[', '"']) {
        read_json(text, type_use)?
    } else if git::is_credential(text) {
        git::read(text)?
    } else {
        read_line(text)?
    };
    Ok(token.expiry_from_jwt())
}

/// The failure that a helper reported on stdout, if its format can report one.
pub(crate) fn reported_failure(stdout: &[u8]) -> Option<Error> {
    let text = trimmed(stdout).ok()?;
    if text.starts_with(DOCKER_NOT_FOUND) {
        return Some(no_credential());
    }
    // Any other text is no report, and may be the secret itself.
    if !text.starts_with('{') {
        return None;
    }
    let mut object = document(text).ok()?;
    reported(&mut object).or_else(|| error_response(&object))
}

/// The expiry among the fields of an object, whatever it is called (T5).
pub(crate) fn expiry_beside(object: &Object) -> Result<Expiry, Error> {
    expiry::of(object)
}

fn trimmed(text: &[u8]) -> Result<&str, Error> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Error::malformed(
            "it is not UTF-8; a token is plain ASCII text",
        ));
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(Error::unavailable("it is empty; it must be the token"));
    }
    Ok(text)
}

fn read_json(text: &str, type_use: TypeUse) -> Result<Token, Error> {
    if text.starts_with('"') {
        let mut values = Json::all(text)?.into_iter();
        let (Some(Json::Text(mut text)), None) = (values.next(), values.next()) else {
            return Err(too_many_values());
        };
        return token_of(std::mem::take(&mut *text));
    }
    read_object(document(text)?, type_use)
}

/// The only object in the output, or the one that follows Cargo's greeting.
fn document(text: &str) -> Result<Object, Error> {
    let mut values = Json::all(text)?;
    let greeted =
        values.len() == 2 && matches!(&values[0], Json::Object(greeting) if greeting.has("v"));
    if values.len() != 1 && !greeted {
        return Err(too_many_values());
    }
    let Some(Json::Object(object)) = values.pop() else {
        let message = format!("it is JSON and not an object; {ACCEPTED}");
        return Err(Error::malformed(message));
    };
    Ok(object)
}

fn read_line(text: &str) -> Result<Token, Error> {
    if text.contains(['\n', '\r']) {
        return Err(Error::malformed(format!(
            "it is several lines of text; {ACCEPTED}"
        )));
    }
    // JSON has no such quotes, and no token begins and ends with them.
    let quoted = text
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''));
    token_of(quoted.unwrap_or(text).to_owned())
}

fn too_many_values() -> Error {
    Error::malformed("it is several JSON values; give one")
}
