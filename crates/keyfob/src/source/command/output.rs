//! Makes a token from what a helper prints, in any of the usual formats.
//!
//! The format is detected. Text that starts with `{`, `[` or `"` is JSON. A byte order mark and `\r\n` are
//! tolerated, unknown fields are ignored, and `null` is the same as no field. The first row that fits counts:
//!
//! | Detected by | Format | Token | Expiry |
//! |---|---|---|---|
//! | `Ok`, `Err` | Cargo credential provider, with or without the line `{"v":[1]}` before | `Ok.token`, a whole `Authorization` value, as Cargo sends it | `expiration` where `cache` is `expires` |
//! | `kind` is `ExecCredential` | Kubernetes | `status.token` | `status.expirationTimestamp` |
//! | `SecretAccessKey` | AWS `credential_process` | none: an error says why | |
//! | `success` | Google executable source | `id_token` | `expiration_time` |
//! | `headers` | EngFlow and Bazel credential helper | the header `Authorization`, or else the first; all others are sent with it | `expires` |
//! | `Secret` | Docker | `Secret` | |
//! | `access_token` | OAuth 2.0 (RFC 6749 §5.1) | `access_token` under the scheme `token_type` | `expires_in` |
//! | `accessToken` | Azure CLI | `accessToken` under the scheme `tokenType` | `expires_on`, never `expiresOn`, which has no zone |
//! | `token` | Terraform | `token` | |
//! | a JSON text | `az … --query accessToken` | the text | |
//! | lines `name=value` | git credential | `authtype` and `credential`, else `password` | `password_expiry_utc` |
//! | one line | gcloud, gh and others | the line | |
//!
//! If the output has no expiry, the `exp` of a JWT is used as a hint. An expiry that cannot be read is an error. With Cargo's
//! `"cache":"never"`, the helper runs again in the background after [`CACHE_NEVER`](formats::CACHE_NEVER). A helper that has
//! no credential (it prints `{}`, for example) is an error, because no request is sent without a credential (R2).
//!
//! Errors do not quote the output. The names of unknown fields are shown if they are plain words.

mod formats;
mod git;
#[cfg(test)]
mod tests;

use crate::error::error::Error;
use crate::source::command::output::formats::{ACCEPTED, no_credential, read_object, reported};
use crate::token::json::{Json, Object};
use crate::token::token::Token;

/// What [`docker-credential-helpers`](https://github.com/docker/docker-credential-helpers) prints to stdout, with status 1.
const DOCKER_NOT_FOUND: &str = "credentials not found in native keychain";

/// Makes a token from all that a helper printed to stdout.
pub(crate) fn parse(stdout: &[u8]) -> Result<Token, Error> {
    let text = text(stdout)?;
    let token = if text.starts_with(['{', '[', '"']) {
        read_json(text)?
    } else if git::is_credential(text) {
        git::read(text)?
    } else {
        read_line(text)?
    };
    Ok(token.expiry_from_jwt())
}

/// The failure that a helper reported on stdout, if its format can report one.
pub(crate) fn reported_failure(stdout: &[u8]) -> Option<Error> {
    let text = text(stdout).ok()?;
    if text.starts_with(DOCKER_NOT_FOUND) {
        return Some(no_credential());
    }
    // Any other text is no report, and may be the secret itself.
    if !text.starts_with('{') {
        return None;
    }
    reported(&mut document(text).ok()?)
}

fn text(stdout: &[u8]) -> Result<&str, Error> {
    let Ok(text) = std::str::from_utf8(stdout) else {
        return Err(Error::malformed(
            "it printed something that is not UTF-8; a token is plain ASCII text",
        ));
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(Error::unavailable(
            "it printed nothing; it must print the token to its standard output",
        ));
    }
    Ok(text)
}

fn read_json(text: &str) -> Result<Token, Error> {
    if text.starts_with('"') {
        let mut values = Json::all(text)?.into_iter();
        let (Some(Json::Text(mut text)), None) = (values.next(), values.next()) else {
            return Err(too_many_values());
        };
        return Token::new(std::mem::take(&mut *text));
    }
    read_object(document(text)?)
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
        let message = format!("it printed JSON that is not an object; {ACCEPTED}");
        return Err(Error::malformed(message));
    };
    Ok(object)
}

fn read_line(text: &str) -> Result<Token, Error> {
    if text.contains(['\n', '\r']) {
        return Err(Error::malformed(format!(
            "it printed several lines of text; {ACCEPTED}"
        )));
    }
    Token::new(text)
}

fn too_many_values() -> Error {
    Error::malformed("it printed several JSON values; it must print one")
}
