//! Azure: managed identities, and a token of another platform as the credential at Microsoft Entra.

use http::StatusCode;

use crate::oauth::error_response::Advice;
use crate::oauth::http_token::expiry::ExpiryForm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::http::{HttpBody, HttpSettings, HttpText, Piece, PlainHttpTo};
use crate::profile::schema::place::TokenPlace;
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::profile::secret_ref::SecretRef;

/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
pub(super) static MANAGED_IDENTITY: Preset = Preset::new(
    "azure_managed_identity",
    "The access token of the managed identity of a machine, an app or a function on Azure",
    MANAGED_IDENTITY_KEYS,
    &["resource"],
    managed_identity,
);

const MANAGED_IDENTITY_KEYS: &[Key] = &[
    Key::new(
        "resource",
        Kind::Text,
        "the application id URI of the service that the token is for",
    ),
    Key::new(
        "client_id",
        Kind::Text,
        "the client id of an identity that the user assigned",
    )
    .default("`AZURE_CLIENT_ID`, or the machine's own identity"),
    Key::new(
        "endpoint",
        Kind::Url,
        "the metadata service of a virtual machine",
    )
    .default("`IDENTITY_ENDPOINT`, or the metadata service at its usual address"),
];

fn managed_identity(values: &Values) -> Result<TokenSettings, String> {
    let machine = |url: &str| {
        vec![
            Piece::Plain(url.to_owned()),
            Piece::query("api-version", "2018-02-01"),
        ]
    };
    // App Service sets both variables.
    let mut url = match values.given_text("endpoint") {
        Some(url) => machine(url),
        None => vec![Piece::IfSet {
            variable: "IDENTITY_ENDPOINT",
            set: vec![
                Piece::set("IDENTITY_ENDPOINT"),
                Piece::query("api-version", "2019-08-01"),
            ],
            unset: machine(METADATA_SERVICE),
        }],
    };
    url.push(Piece::query("resource", values.text("resource")));
    url.push(match values.given_text("client_id") {
        Some(id) => Piece::query("client_id", id),
        None => Piece::QueryIfSet {
            name: "client_id",
            variable: "AZURE_CLIENT_ID",
        },
    });
    let mut http = HttpSettings::new("token service of the managed identity", url)
        .header("metadata", "true")
        .answers("/access_token", "/expires_on", ExpiryForm::UnixSeconds);
    if values.given_text("endpoint").is_none() {
        http = http.header(
            "x-identity-header",
            Piece::IfSet {
                variable: "IDENTITY_ENDPOINT",
                set: vec![Piece::Variable {
                    name: "IDENTITY_HEADER",
                    hint: ARC,
                }],
                unset: Vec::new(),
            },
        );
    }
    http.plain_http = PlainHttpTo::MetadataService;
    // The service responds with 404 and 410 while it is updated.
    http.refused = Some(vec![
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    ]);
    http.advice = Some(&MACHINE_ADVICE);
    Ok(TokenSettings::new(TokenFrom::Http(Box::new(http)))
        .keyless()
        .called("the token of the managed identity"))
}

/// <https://azure.github.io/azure-workload-identity/docs/>
pub(super) static WORKLOAD_IDENTITY: Preset = Preset::new(
    "azure_workload_identity",
    "An access token of Microsoft Entra in exchange for the token of another platform that Entra trusts",
    WORKLOAD_IDENTITY_KEYS,
    &["scopes"],
    workload_identity,
);

const WORKLOAD_IDENTITY_KEYS: &[Key] = &[
    Key::new(
        "scopes",
        Kind::Text,
        "the scope of the token, which ends in `/.default`",
    ),
    Key::new(
        "client_id",
        Kind::Text,
        "the client id of the application or identity",
    )
    .default("`AZURE_CLIENT_ID`"),
    Key::new("tenant", Kind::Text, "the tenant").default("`AZURE_TENANT_ID`"),
    Key::new(
        "assertion",
        Kind::Token,
        "where the token of the other platform is",
    )
    .default("the file that `AZURE_FEDERATED_TOKEN_FILE` names"),
    Key::new("endpoint", Kind::Url, "the host of Entra")
        .default("`AZURE_AUTHORITY_HOST`, or `https://login.microsoftonline.com`"),
];

fn workload_identity(values: &Values) -> Result<TokenSettings, String> {
    let or_variable = |key, name| match values.given_text(key) {
        Some(text) => Piece::Plain(text.to_owned()),
        None => Piece::Variable { name, hint: NO_POD },
    };
    let host = match values.given_text("endpoint") {
        Some(url) => Piece::Plain(url.to_owned()),
        None => Piece::variable_or("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com"),
    };
    let url = vec![
        host,
        Piece::Plain("/".to_owned()),
        or_variable("tenant", "AZURE_TENANT_ID"),
        Piece::Plain("/oauth2/v2.0/token".to_owned()),
    ];
    let assertion = match values.given_token("assertion") {
        Some(TokenPlace::Link(key)) => HttpText::token_of(&key, "the assertion"),
        Some(TokenPlace::Secret(secret)) => Piece::Secret(secret).into(),
        None => Piece::Secret(SecretRef::FileOfVariable {
            name: "AZURE_FEDERATED_TOKEN_FILE",
            hint: NO_POD,
        })
        .into(),
    };
    let mut http = HttpSettings::new("token endpoint of Microsoft Entra", url).answers(
        "/access_token",
        "/expires_in",
        ExpiryForm::Seconds,
    );
    http.body = HttpBody::Form(
        [
            ("grant_type", "client_credentials".into()),
            (
                "client_id",
                or_variable("client_id", "AZURE_CLIENT_ID").into(),
            ),
            ("scope", values.text("scopes").into()),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),
            ),
            ("client_assertion", assertion),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into(),
    );
    http.advice = Some(&ENTRA_ADVICE);
    Ok(TokenSettings::new(TokenFrom::Http(Box::new(http)))
        .keyless()
        .called("the access token of Entra"))
}

const MACHINE_ADVICE: Advice = Advice {
    unreachable: "there is no metadata service: this machine is not on Azure; use the preset `azure_workload_identity` here",
    refused: &[
        (
            "invalid_resource",
            "`resource` is not the application id URI of a service",
        ),
        (
            "400",
            "check `resource`, and that the identity in `client_id` is assigned to this machine",
        ),
        (
            "401",
            "`IDENTITY_HEADER` is not what the token service expects",
        ),
    ],
};

const ENTRA_ADVICE: Advice = Advice {
    unreachable: "",
    refused: &[
        (
            "AADSTS700024",
            "the token in `assertion` has expired or is not valid yet: check that its file is replaced, and the clock",
        ),
        (
            "AADSTS700211",
            "no federated identity credential has the issuer of the token in `assertion`",
        ),
        (
            "AADSTS700212",
            "no federated identity credential has the audience of the token in `assertion`, which is `api://AzureADTokenExchange` in most cases",
        ),
        (
            "AADSTS700213",
            "no federated identity credential has the subject of the token in `assertion`",
        ),
        ("AADSTS700016", "check `client_id` and `tenant`"),
        ("AADSTS90002", "check `tenant`"),
        (
            "AADSTS1002012",
            "`scopes` is one scope that ends in `/.default`",
        ),
        (
            "AADSTS500011",
            "`scopes` names a service that the tenant does not have",
        ),
        ("AADSTS50027", "what is in `assertion` is no JWT"),
    ],
};

const ARC: &str = "with `IDENTITY_ENDPOINT` alone this looks like a machine of Azure Arc, which the preset \
                   `azure_managed_identity` does not support";
const NO_POD: &str =
    "this is no pod with Azure Workload Identity; set the key that replaces the variable";
const METADATA_SERVICE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
