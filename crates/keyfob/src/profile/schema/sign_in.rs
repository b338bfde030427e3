//! The sign-in of a person, as a profile describes it.

use crate::oauth::authorization_code::redirect_uri::RedirectUri;
use crate::profile::table::Table;

/// How a person signs in to a [`Profile`](crate::Profile).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignIn {
    /// With a code that the person types on another device (RFC 8628).
    DeviceCode,
    /// In a browser on this machine (RFC 6749 §4.1, with PKCE, RFC 7636).
    AuthorizationCode,
}

/// A sign-in, and the endpoints of a server without metadata.
#[derive(Debug)]
pub(crate) struct SignInSettings {
    pub(crate) how: SignIn,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) device_authorization_endpoint: Option<String>,
    pub(crate) revocation_endpoint: Option<String>,
    pub(crate) redirect_uri: Option<String>,
}

pub(super) fn read(table: &Table<'_>, how: SignIn) -> Option<SignInSettings> {
    Some(SignInSettings {
        how,
        authorization_endpoint: read_endpoint(table, "authorization_endpoint")?,
        device_authorization_endpoint: read_endpoint(table, "device_authorization_endpoint")?,
        revocation_endpoint: read_endpoint(table, "revocation_endpoint")?,
        redirect_uri: read_redirect_uri(table)?,
    })
}

/// Reads an endpoint. It goes with `token_endpoint` only, because the metadata of an issuer has its endpoints.
fn read_endpoint(table: &Table<'_>, key: &'static str) -> Option<Option<String>> {
    let Some(value) = table.get(key) else {
        return Some(None);
    };
    if !table.has("token_endpoint") {
        value.key_error(format!(
            "`{key}` goes with `token_endpoint` only; with `issuer`, the metadata has it"
        ));
        return None;
    }
    value.url_as_written().map(Some)
}

fn read_redirect_uri(table: &Table<'_>) -> Option<Option<String>> {
    let Some(value) = table.get(REDIRECT_URI) else {
        return Some(None);
    };
    let text = value.clone().text()?;
    if RedirectUri::parse(text).is_ok() {
        return Some(Some(text.to_owned()));
    }
    value.error(format!(
        "`{REDIRECT_URI}` must be plain http to this machine, such as http://127.0.0.1/callback"
    ));
    None
}

const REDIRECT_URI: &str = "redirect_uri";
