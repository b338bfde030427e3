//! HashiCorp Vault and OpenBao: the tokens of an AppRole, and of the service account of a pod.

use http::Method;

use crate::oauth::error_response::Advice;
use crate::oauth::http_token::expiry::ExpiryForm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::http::{HttpBody, HttpSettings, HttpText, Piece, RenewalSettings};
use crate::profile::schema::place::TokenPlace;
use crate::profile::schema::token::{TokenFrom, TokenSettings};

/// <https://developer.hashicorp.com/vault/api-docs/auth/approle>
pub(super) static APPROLE: Preset = Preset::new(
    "vault_approle",
    "A token of HashiCorp Vault or OpenBao, for an AppRole",
    APPROLE_KEYS,
    &["role_id", "secret_id"],
    approle,
);

const APPROLE_KEYS: &[Key] = &[
    Key::new("role_id", Kind::Text, "the role id of the AppRole"),
    Key::new(
        "secret_id",
        Kind::Secret,
        "where a secret id of the AppRole is",
    ),
    ENDPOINT,
    Key::new("mount", Kind::Text, MOUNT).default("`approle`"),
    NAMESPACE,
];

fn approle(values: &Values) -> Result<TokenSettings, String> {
    let body = [
        ("/role_id", HttpText::from(values.text("role_id"))),
        (
            "/secret_id",
            Piece::Secret(values.secret("secret_id")).into(),
        ),
    ];
    log_in(values, body)
}

/// <https://developer.hashicorp.com/vault/api-docs/auth/kubernetes>
pub(super) static KUBERNETES: Preset = Preset::new(
    "vault_kubernetes",
    "A token of HashiCorp Vault or OpenBao, for the service account of a pod",
    KUBERNETES_KEYS,
    &["role"],
    kubernetes,
);

const KUBERNETES_KEYS: &[Key] = &[
    Key::new("role", Kind::Text, "the role of the auth method"),
    Key::new(
        "jwt",
        Kind::Token,
        "where the token of the service account is",
    )
    .default("`file:/var/run/secrets/kubernetes.io/serviceaccount/token`"),
    ENDPOINT,
    Key::new("mount", Kind::Text, MOUNT).default("`kubernetes`"),
    NAMESPACE,
];

fn kubernetes(values: &Values) -> Result<TokenSettings, String> {
    let jwt = values.token("jwt");
    // Of a link, its own settings tell.
    let is_of_platform = jwt
        .secret()
        .is_some_and(|jwt| jwt.is_variable() || jwt.is_file());
    let jwt = match jwt {
        TokenPlace::Secret(secret) => Piece::Secret(secret).into(),
        TokenPlace::Link(key) => HttpText::token_of(&key, "the token of the service account"),
    };
    let body = [
        ("/role", HttpText::from(values.text("role"))),
        ("/jwt", jwt),
    ];
    let token = log_in(values, body)?;
    Ok(match is_of_platform {
        true => token.keyless(),
        false => token,
    })
}

fn log_in(values: &Values, body: [(&str, HttpText); 2]) -> Result<TokenSettings, String> {
    let server = values.url_or_path("endpoint", "")?;
    let server = server.trim_end_matches('/');
    let mount = values.text("mount").trim_matches('/');
    let login = format!("{server}/v1/auth/{mount}/login");
    let mut http = HttpSettings::new("Vault server", vec![Piece::Plain(login)]).answers(
        "/auth/client_token",
        "/auth/lease_duration",
        // A root token, for example, does not expire.
        ExpiryForm::SecondsOrNever,
    );
    http.method = Some(Method::POST);
    if let Some(namespace) = values.given_text("namespace") {
        http = http.header("x-vault-namespace", namespace);
    }
    http.body = HttpBody::Json(body.map(|(at, text)| (at.to_owned(), text)).into());
    http.advice = Some(&ADVICE);
    http.renewal = Some(RenewalSettings {
        url: format!("{server}/v1/auth/token/renew-self"),
        header: HEADER,
        renewable: "/auth/renewable",
    });
    Ok(TokenSettings::new(TokenFrom::Http(Box::new(http)))
        .called("the token of Vault")
        .in_header(HEADER))
}

const ENDPOINT: Key = Key::new(
    "endpoint",
    Kind::Url,
    "the server that logs the program in, if it is not that of `base_url`",
);

const NAMESPACE: Key = Key::new("namespace", Kind::Text, "the namespace of the auth method");

const MOUNT: &str = "Where the auth method is mounted.";
const ADVICE: Advice = Advice {
    unreachable: "",
    refused: &[
        (
            "400",
            "check `role_id` and that the secret id in `secret_id` is valid, or `role` for Kubernetes",
        ),
        (
            "403",
            "check `mount`, and for Kubernetes that the role has the service account and the audience of the token in `jwt`",
        ),
        ("404", "check `namespace`"),
    ],
};

const HEADER: &str = "x-vault-token";
