//! Google Cloud: the tokens of a service account with a key file.

use std::time::Duration;

use crate::oauth::error_response::Advice;
use crate::oauth::http_token::expiry::ExpiryForm;
use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::client::KeySettings;
use crate::profile::schema::http::{HttpBody, HttpSettings, HttpText, Piece};
use crate::profile::schema::signed_jwt::JwtSettings;
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::profile::secret_ref::SecretRef;

/// <https://developers.google.com/identity/protocols/oauth2/service-account>
pub(super) static SERVICE_ACCOUNT: Preset = Preset::new(
    "gcp_service_account",
    "The access token, the identity token, or a JWT signed here, of a Google service account with a key file",
    SERVICE_ACCOUNT_KEYS,
    &[],
    service_account,
);

const SERVICE_ACCOUNT_KEYS: &[Key] = &[
    Key::new(
        "key_file",
        Kind::Secret,
        "reference to the key file in JSON",
    )
    .default("the file that `GOOGLE_APPLICATION_CREDENTIALS` names"),
    Key::new("scopes", Kind::Texts, "the scopes of an access token"),
    Key::new(
        "target_audience",
        Kind::Text,
        "the audience of an identity token",
    ),
    Key::new(
        "self_signed",
        Kind::Text,
        "the API, such as `https://pubsub.googleapis.com/`, for which a JWT is signed here; no call is made",
    ),
    Key::new(
        "subject",
        Kind::Text,
        "the user in whose name the account acts, with domain-wide delegation",
    ),
];

fn service_account(values: &Values) -> Result<TokenSettings, String> {
    let file = values.given_secret("key_file");
    let file = file.unwrap_or(SecretRef::FileOfVariable {
        name: "GOOGLE_APPLICATION_CREDENTIALS",
        hint: "set it to the path of the key file, or set `key_file`",
    });
    let member = |pointer| SecretRef::member(&file, pointer);
    let mut jwt = JwtSettings::new(KeySettings {
        pem: member("/private_key"),
        passphrase: None,
        id: None,
        algorithm: Some(Algorithm::Rs256),
        has_certificate: false,
    });
    jwt.lifetime = LIFETIME;
    jwt.key_id = Some(member("/private_key_id"));
    jwt.secret_claims.push(("iss", member("/client_email")));
    let (scopes, audience) = (values.texts("scopes"), values.given_text("target_audience"));
    let pointer = match (scopes.is_empty(), audience, values.given_text("self_signed")) {
        (true, None, Some(api)) if values.given_text("subject").is_none() => {
            jwt.secret_claims.push(("sub", member("/client_email")));
            let jwt = TokenFrom::SignedJwt(Box::new(jwt.claim("aud", api)));
            return Ok(TokenSettings::new(jwt).called("the JWT of the service account"));
        }
        (false, None, None) => {
            jwt = jwt.claim("scope", scopes.join(" "));
            "/access_token"
        }
        (true, Some(audience), None) => {
            jwt = jwt.claim("target_audience", audience);
            "/id_token"
        }
        _ => return Err("set one of `scopes`, `target_audience` and `self_signed`; `subject` goes with `scopes` only".to_owned()),
    };
    if let Some(subject) = values.given_text("subject") {
        jwt = jwt.claim("sub", subject);
    }
    jwt.secret_claims.push(("aud", member("/token_uri")));
    let url = vec![Piece::Secret(member("/token_uri"))];
    let mut http = HttpSettings::new("Google token endpoint", url);
    http.body = HttpBody::Form(vec![
        (
            "grant_type".to_owned(),
            "urn:ietf:params:oauth:grant-type:jwt-bearer".into(),
        ),
        (
            "assertion".to_owned(),
            HttpText::token_of(JWT, "the JWT of the service account"),
        ),
    ]);
    http = match pointer {
        "/access_token" => http.answers(pointer, "/expires_in", ExpiryForm::Seconds),
        // It is a JWT, whose `exp` says when it expires.
        _ => {
            http.token = Some(pointer.to_owned());
            http
        }
    };
    http.advice = Some(&ADVICE);
    let jwt = TokenSettings::new(TokenFrom::SignedJwt(Box::new(jwt)));
    Ok(TokenSettings::new(TokenFrom::Http(Box::new(http)))
        .link(JWT, jwt)
        .called("the token of the service account"))
}

const ADVICE: Advice = Advice {
    unreachable: "",
    refused: &[
        (
            "invalid_grant",
            "check that the account and its key exist (`key_file`), and that the clock of this machine is right",
        ),
        ("invalid_scope", "check `scopes` and `target_audience`"),
        (
            "unauthorized_client",
            "an administrator has to allow the account these `scopes` for `subject`",
        ),
    ],
};

const JWT: &str = "jwt";
/// The longest that Google accepts.
const LIFETIME: Duration = Duration::from_secs(3600);
