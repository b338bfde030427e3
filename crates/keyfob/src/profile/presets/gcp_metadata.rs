//! Google Cloud: the tokens that the metadata server of a machine has for its service account.

use crate::oauth::error_response::Advice;
use crate::oauth::http_token::expiry::ExpiryForm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::http::{HttpSettings, Piece, PlainHttpTo};
use crate::profile::schema::token::{TokenFrom, TokenSettings};

/// <https://cloud.google.com/compute/docs/access/authenticate-workloads>
pub(super) static METADATA: Preset = Preset::new(
    "gcp_metadata",
    "The access token or identity token of the service account of a machine on Google Cloud",
    METADATA_KEYS,
    &[],
    metadata,
);

const METADATA_KEYS: &[Key] = &[
    Key::new(
        "audience",
        Kind::Text,
        "the audience of an identity token, which is asked for in place of an access token",
    ),
    Key::new("scopes", Kind::Texts, "the scopes of the access token")
        .default("those of the machine"),
    Key::new(
        "account",
        Kind::Text,
        "the address of the service account, if the machine has several",
    )
    .default("`default`"),
    Key::new("endpoint", Kind::Url, "the metadata server")
        .default("the host in `GCE_METADATA_HOST`, or `http://metadata.google.internal`"),
];

fn metadata(values: &Values) -> Result<TokenSettings, String> {
    let (audience, scopes) = (values.given_text("audience"), values.texts("scopes"));
    if audience.is_some() && !scopes.is_empty() {
        return Err(
            "`audience` and `scopes` exclude each other: an identity token has no scopes"
                .to_owned(),
        );
    }
    let account = values.text("account");
    if !account
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte))
    {
        return Err("`account` is `default`, or the address of a service account".to_owned());
    }
    let path = |kind| {
        Piece::Plain(format!(
            "/computeMetadata/v1/instance/service-accounts/{account}/{kind}"
        ))
    };
    let mut url = match values.given_text("endpoint") {
        Some(endpoint) => vec![Piece::Plain(endpoint.to_owned())],
        None => vec![Piece::IfSet {
            variable: "GCE_METADATA_HOST",
            set: vec![
                Piece::Plain("http://".to_owned()),
                Piece::set("GCE_METADATA_HOST"),
            ],
            unset: vec![Piece::Plain("http://metadata.google.internal".to_owned())],
        }],
    };
    let (token, name) = match audience {
        Some(audience) => {
            url.extend([
                path("identity"),
                Piece::query("audience", audience),
                Piece::query("format", "full"),
            ]);
            (None, "the identity token of the machine")
        }
        None => {
            url.push(path("token"));
            if !scopes.is_empty() {
                url.push(Piece::query("scopes", scopes.join(",")));
            }
            (Some("/access_token"), "the access token of the machine")
        }
    };
    let mut http = HttpSettings::new("metadata server", url).header("metadata-flavor", "Google");
    if let Some(token) = token {
        http = http.answers(token, "/expires_in", ExpiryForm::Seconds);
    } else {
        // The whole body is the token: a JWT, whose `exp` says when it expires.
        http = http.header("accept", "*/*");
    }
    http.plain_http = PlainHttpTo::MetadataService;
    http.advice = Some(&ADVICE);
    Ok(TokenSettings::new(TokenFrom::Http(Box::new(http)))
        .keyless()
        .called(name))
}

const ADVICE: Advice = Advice {
    unreachable: "there is no metadata server: this machine is not on Google Cloud; use the preset `gcp_service_account` or `gcp_workload_identity` here",
    refused: &[
        (
            "403",
            "it is not the metadata server of Google Cloud, or a proxy is in between",
        ),
        (
            "404",
            "the machine has no such service account; check `account`, or give the machine one",
        ),
        ("400", "check `audience` and `scopes`"),
    ],
};
