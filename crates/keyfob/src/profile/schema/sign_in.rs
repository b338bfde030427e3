//! The sign-in of a person, as a profile describes it.

use crate::oauth::authorization_code::pushed_request::PushedRequests;
use crate::oauth::authorization_code::redirect_uri::RedirectUri;
use crate::profile::key::{Key, Kind, words};
use crate::profile::schema::grant_names as grant;
use crate::profile::table::{Read, Table, Value};

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
#[derive(Clone, Debug)]
pub(crate) struct SignInSettings {
    pub(crate) how: SignIn,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) device_authorization_endpoint: Option<String>,
    pub(crate) revocation_endpoint: Option<String>,
    pub(crate) pushed_authorization_request_endpoint: Option<String>,
    pub(crate) pushed_requests: Option<PushedRequests>,
    pub(crate) redirect_uri: Option<String>,
}

pub(super) fn read(table: &Table<'_>, how: SignIn) -> SignInSettings {
    SignInSettings {
        how,
        authorization_endpoint: read_endpoint(table, "authorization_endpoint"),
        device_authorization_endpoint: read_endpoint(table, "device_authorization_endpoint"),
        revocation_endpoint: read_endpoint(table, "revocation_endpoint"),
        pushed_authorization_request_endpoint: read_endpoint(
            table,
            "pushed_authorization_request_endpoint",
        ),
        pushed_requests: table.optional("pushed_authorization_requests", |value| {
            value.one_of("setting", &PUSHED_REQUESTS)
        }),
        redirect_uri: table.optional("redirect_uri", read_redirect_uri),
    }
}

fn read_endpoint(table: &Table<'_>, key: &'static str) -> Option<String> {
    table.optional(key, |value| {
        // With an issuer, its metadata have the endpoints, and two sources could contradict each other.
        if !table.has("token_endpoint") {
            return Err(value.key_error(format!(
                "`{key}` goes with `token_endpoint` only; if the metadata of the issuer lack it, give `token_endpoint` in \
                 place of `issuer`"
            )));
        }
        value.url_as_written()
    })
}

fn read_redirect_uri(value: &Value<'_>) -> Read<String> {
    let text = value.text()?;
    match RedirectUri::parse(&text) {
        Ok(_) => Ok(text),
        // The parser's own message does not name the key.
        Err(_) => Err(value.error(
            "`redirect_uri` must be plain http to this machine, such as http://127.0.0.1/callback",
        )),
    }
}

const PUSHED_REQUESTS: [(&str, PushedRequests); 3] = [
    ("when_offered", PushedRequests::WhenOffered),
    ("always", PushedRequests::Always),
    ("never", PushedRequests::Never),
];

/// The keys of a sign-in.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "authorization_endpoint",
        Kind::Url,
        "the authorization endpoint of a server without metadata",
    )
    .only(grant::SIGN_INS)
    .needs("token_endpoint"),
    Key::new(
        "device_authorization_endpoint",
        Kind::Url,
        "the device authorization endpoint of a server without metadata",
    )
    .only(grant::SIGN_INS)
    .needs("token_endpoint"),
    Key::new(
        "revocation_endpoint",
        Kind::Url,
        "the revocation endpoint of a server without metadata",
    )
    .only(grant::SIGN_INS)
    .needs("token_endpoint"),
    Key::new(
        "pushed_authorization_request_endpoint",
        Kind::Url,
        "the pushed authorization request endpoint of a server without metadata",
    )
    .only(grant::SIGN_INS)
    .needs("token_endpoint"),
    Key::new(
        "pushed_authorization_requests",
        Kind::Word(|| words(&PUSHED_REQUESTS)),
        "when the authorization request is sent to the server first (RFC 9126)",
    )
    .default("when_offered")
    .only(grant::SIGN_INS),
    Key::new(
        "redirect_uri",
        Kind::LoopbackUrl,
        "where the browser returns to on this machine",
    )
    .default("http://127.0.0.1/callback")
    .only(grant::SIGN_INS),
];
