//! GitHub: the identity token of a job, and the token of an installation of an app.

use std::time::Duration;

use http::Method;

use crate::oauth::error_response::Advice;
use crate::oauth::http_token::expiry::ExpiryForm;
use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::http::{HttpSettings, HttpText, Piece};
use crate::profile::schema::signed_jwt::JwtSettings;
use crate::profile::schema::token::{TokenFrom, TokenSettings};

/// <https://docs.github.com/en/actions/reference/security/oidc>
pub(super) static ACTIONS: Preset = Preset::new(
    "github_actions",
    "The identity token of a job in GitHub Actions, for a server that trusts it",
    ACTIONS_KEYS,
    &["audience"],
    actions,
);

const ACTIONS_KEYS: &[Key] = &[
    Key::new(
        "audience",
        Kind::Text,
        "the audience of the token, as the server that gets it expects",
    ),
    Key::new("endpoint", Kind::Url, "the URL that issues the token")
        .default("that in `ACTIONS_ID_TOKEN_REQUEST_URL`"),
    Key::new(
        "request_token",
        Kind::Secret,
        "reference to the token of the job with which the identity token is requested",
    )
    .default("`env:ACTIONS_ID_TOKEN_REQUEST_TOKEN`"),
];

fn actions(values: &Values) -> Result<TokenSettings, String> {
    let base = match values.given_text("endpoint") {
        Some(url) => Piece::Plain(url.to_owned()),
        None => Piece::Variable {
            name: "ACTIONS_ID_TOKEN_REQUEST_URL",
            hint: NO_JOB,
        },
    };
    let audience = Piece::Query {
        name: "audience",
        value: values.text("audience").to_owned(),
    };
    let token = HttpText::from(Piece::Secret(values.secret("request_token")));
    let mut http = HttpSettings::new("GitHub Actions token service", vec![base, audience])
        .header("authorization", token.after("bearer "));
    // It is a JWT, whose `exp` says when it expires.
    http.token = Some("/value".to_owned());
    let from = TokenFrom::Http(Box::new(http));
    Ok(TokenSettings::new(from)
        .keyless()
        .called("the identity token of the job"))
}

/// <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>
pub(super) static APP: Preset = Preset::new(
    "github_app",
    "The token of an installation of a GitHub App",
    APP_KEYS,
    &["app", "installation", "private_key"],
    app,
);

const APP_KEYS: &[Key] = &[
    Key::new("app", Kind::Id, "the client id of the app, or its app id"),
    Key::new(
        "installation",
        Kind::Id,
        "the id of the installation, which is a number",
    ),
    Key::new(
        "private_key",
        Kind::Secret,
        "reference to the private key of the app, in PEM",
    ),
    Key::new(
        "endpoint",
        Kind::Url,
        "the API; for GitHub Enterprise Server `https://HOST/api/v3`",
    )
    .default("`https://api.github.com`"),
];

fn app(values: &Values) -> Result<TokenSettings, String> {
    let installation = values.text("installation");
    if !installation.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(
            "`installation` is a number, which the URL of the installation's settings ends with"
                .to_owned(),
        );
    }
    let key = values.signing_key("private_key", Algorithm::Rs256);
    let mut jwt = JwtSettings::new(key).claim("iss", values.text("app"));
    // "at most 10 minutes", and a clock that is ahead must not make it more.
    jwt.lifetime = Duration::from_secs(9 * 60);
    jwt.backdate = Duration::from_secs(60);
    let base = values.text("endpoint").trim_end_matches('/');
    let url = format!("{base}/app/installations/{installation}/access_tokens");
    let mut http = HttpSettings::new("GitHub API", vec![Piece::Plain(url)])
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .header(
            "authorization",
            HttpText::token_of(JWT, "the JWT of the app").after("Bearer "),
        )
        .answers("/token", "/expires_at", ExpiryForm::Rfc3339);
    http.method = Some(Method::POST);
    http.advice = Some(&ADVICE);
    let jwt = TokenSettings::new(TokenFrom::SignedJwt(Box::new(jwt))).called("the JWT of the app");
    Ok(TokenSettings::new(TokenFrom::Http(Box::new(http)))
        .link(JWT, jwt)
        .called("the installation token"))
}

const ADVICE: Advice = Advice {
    unreachable: "",
    refused: &[
        (
            "401",
            "check that `private_key` is a key of the app in `app`, and the clock of this machine",
        ),
        ("403", "the installation may be suspended"),
        ("404", "check `app` and `installation`"),
    ],
};

const JWT: &str = "jwt";

const NO_JOB: &str =
    "this is no job of GitHub Actions, or its workflow lacks `permissions: id-token: write`";
