//! Google Cloud: a token of another platform is exchanged for one of Google.

use crate::oauth::error_response::Advice;
use crate::oauth::http_token::expiry::ExpiryForm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::http::{HttpBody, HttpSettings, HttpText, Piece};
use crate::profile::schema::place::TokenPlace;
use crate::profile::schema::token::{TokenFrom, TokenSettings};

/// <https://cloud.google.com/iam/docs/workload-identity-federation>
pub(super) static WORKLOAD_IDENTITY: Preset = Preset::new(
    "gcp_workload_identity",
    "A token of Google in exchange for the token of another platform that Google trusts",
    WORKLOAD_IDENTITY_KEYS,
    &["provider", "subject_token"],
    workload_identity,
);

const WORKLOAD_IDENTITY_KEYS: &[Key] = &[
    Key::new(
        "provider",
        Kind::Text,
        "the full name of the workload identity provider, `projects/…/providers/…`",
    ),
    Key::new(
        "subject_token",
        Kind::Token,
        "where the token of the other platform is",
    ),
    Key::new(
        "service_account",
        Kind::Text,
        "the address of the service account whose token is wanted, in place of a federated token",
    ),
    Key::new("scopes", Kind::Texts, "the scopes of the access token")
        .default("`https://www.googleapis.com/auth/cloud-platform`"),
    Key::new(
        "target_audience",
        Kind::Text,
        "the audience of an identity token of the service account",
    ),
    Key::new("endpoint", Kind::Url, "the Security Token Service")
        .default("`https://sts.googleapis.com`"),
    Key::new(
        "iam_endpoint",
        Kind::Url,
        "the IAM Service Account Credentials API",
    )
    .default("`https://iamcredentials.googleapis.com`"),
];

fn workload_identity(values: &Values) -> Result<TokenSettings, String> {
    let account = values.given_text("service_account");
    let audience = values.given_text("target_audience");
    if account.is_none() && audience.is_some() {
        return Err(
            "`target_audience` goes with `service_account`, whose identity token it asks for"
                .to_owned(),
        );
    }
    // A federated token that is only used to get another one needs the scope of that API.
    let scopes = match account {
        Some(_) => vec![CLOUD_PLATFORM.to_owned()],
        None => scopes(values),
    };
    let federated = federated(values, &scopes)?;
    match account {
        Some(account) => impersonated(values, account, federated),
        None => Ok(federated),
    }
}

/// The scopes of the token that is wanted.
fn scopes(values: &Values) -> Vec<String> {
    match values.texts("scopes") {
        [] => vec![CLOUD_PLATFORM.to_owned()],
        scopes => scopes.to_vec(),
    }
}

fn federated(values: &Values, scopes: &[String]) -> Result<TokenSettings, String> {
    let provider = values.text("provider");
    let provider = ["https:", "//iam.googleapis.com/"]
        .iter()
        .fold(provider, |name, prefix| {
            name.strip_prefix(prefix).unwrap_or(name)
        });
    if !provider.starts_with("projects/") && !provider.starts_with("locations/") {
        return Err("`provider` is the full name of the provider, such as `projects/123456789012/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`".to_owned());
    }
    let url = format!("{}/v1/token", values.text("endpoint").trim_end_matches('/'));
    let subject = match values.token("subject_token") {
        TokenPlace::Link(key) => HttpText::token_of(&key, "the subject token"),
        TokenPlace::Secret(secret) => Piece::Secret(secret).into(),
    };
    let mut http = HttpSettings::new("Security Token Service of Google", vec![Piece::Plain(url)])
        .answers("/access_token", "/expires_in", ExpiryForm::Seconds);
    http.body = HttpBody::Form(
        [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange".into(),
            ),
            (
                "audience",
                format!("//iam.googleapis.com/{provider}").into(),
            ),
            ("scope", scopes.join(" ").into()),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token".into(),
            ),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:jwt".into(),
            ),
            ("subject_token", subject),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into(),
    );
    http.advice = Some(&EXCHANGE_ADVICE);
    Ok(TokenSettings::new(TokenFrom::Http(Box::new(http)))
        .keyless()
        .called("the federated token"))
}

fn impersonated(
    values: &Values,
    account: &str,
    federated: TokenSettings,
) -> Result<TokenSettings, String> {
    if !account
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte))
    {
        return Err("`service_account` is the address of a service account".to_owned());
    }
    let base = values.text("iam_endpoint").trim_end_matches('/');
    let url = |method| {
        vec![Piece::Plain(format!(
            "{base}/v1/projects/-/serviceAccounts/{account}:{method}"
        ))]
    };
    let name = "IAM Service Account Credentials API";
    let mut http = match values.given_text("target_audience") {
        Some(audience) => {
            let mut http = HttpSettings::new(name, url("generateIdToken"));
            http.body = HttpBody::Json(vec![
                ("/audience".to_owned(), audience.into()),
                ("/includeEmail".to_owned(), Piece::Json(true.into()).into()),
            ]);
            // It is a JWT, whose `exp` says when it expires.
            http.token = Some("/token".to_owned());
            http
        }
        None => {
            let mut http = HttpSettings::new(name, url("generateAccessToken"));
            let scopes = scopes(values);
            http.body = HttpBody::Json(vec![
                ("/scope".to_owned(), Piece::Json(scopes.into()).into()),
                ("/lifetime".to_owned(), "3600s".into()),
            ]);
            http.answers("/accessToken", "/expireTime", ExpiryForm::Rfc3339)
        }
    };
    let token = HttpText::token_of(FEDERATED, "the federated token");
    http = http.header("authorization", token.after("Bearer "));
    http.advice = Some(&IMPERSONATION_ADVICE);
    Ok(TokenSettings::new(TokenFrom::Http(Box::new(http)))
        .link(FEDERATED, federated)
        .keyless()
        .called("the token of the service account"))
}

const EXCHANGE_ADVICE: Advice = Advice {
    unreachable: "",
    refused: &[
        (
            "invalid_target",
            "check `provider`, and that it is not disabled",
        ),
        ("invalid_request", "check `provider` and `subject_token`"),
        (
            "invalid_grant",
            "the token in `subject_token` has expired, or its issuer or audience is not what the provider expects",
        ),
        (
            "unauthorized_client",
            "the attribute condition of the provider refuses the token in `subject_token`",
        ),
    ],
};

const IMPERSONATION_ADVICE: Advice = Advice {
    unreachable: "",
    refused: &[
        (
            "PERMISSION_DENIED",
            "check `service_account`, and grant `roles/iam.workloadIdentityUser` on it",
        ),
        ("INVALID_ARGUMENT", "check `scopes` and `target_audience`"),
        ("NOT_FOUND", "check `service_account`"),
    ],
};

const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const FEDERATED: &str = "federated";
