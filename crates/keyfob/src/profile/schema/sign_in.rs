//! How a person signs in, as a profile describes it.

use crate::oauth::authorization_code::redirect_uri::RedirectUri;
use crate::profile::table::Table;

/// How a person signs in to a [`Profile`](crate::Profile).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignIn {
    /// With a code that is entered on another device (RFC 8628).
    DeviceCode,
    /// In a browser on this machine (RFC 6749 §4.1, with PKCE of RFC 7636).
    AuthorizationCode,
}

/// A sign-in, and what a server does not say about itself.
#[derive(Debug)]
pub(crate) struct SigningIn {
    pub(crate) how: SignIn,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) device_authorization_endpoint: Option<String>,
    pub(crate) revocation_endpoint: Option<String>,
    pub(crate) redirect_uri: Option<String>,
}

pub(super) fn read(table: &Table<'_>, how: SignIn) -> Option<SigningIn> {
    Some(SigningIn {
        how,
        authorization_endpoint: read_endpoint(table, AUTHORIZATION)?,
        device_authorization_endpoint: read_endpoint(table, DEVICE_AUTHORIZATION)?,
        revocation_endpoint: read_endpoint(table, REVOCATION)?,
        redirect_uri: read_redirect_uri(table)?,
    })
}

/// An endpoint that stands beside the token endpoint; an issuer names its own.
fn read_endpoint(table: &Table<'_>, key: &'static str) -> Option<Option<String>> {
    let Some(value) = table.get(key) else {
        return Some(None);
    };
    if !table.has("token_endpoint") {
        value.fault_of_key(format!(
            "`{key}` stands beside `token_endpoint`; with `issuer`, its metadata name it"
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
    value.fault(format!(
        "`{REDIRECT_URI}` takes plain http to this machine, such as http://127.0.0.1/callback"
    ));
    None
}

const AUTHORIZATION: &str = "authorization_endpoint";
const DEVICE_AUTHORIZATION: &str = "device_authorization_endpoint";
const REVOCATION: &str = "revocation_endpoint";
const REDIRECT_URI: &str = "redirect_uri";
