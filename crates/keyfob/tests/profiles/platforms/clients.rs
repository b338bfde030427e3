//! The presets for servers that issue tokens to a client with a secret, a key or a token of another platform.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyfob::ErrorKind;
use keyfob_testkit::platforms::{
    Auth0, Databricks, Epic, Fake, Keycloak, Kubernetes, Okta, Platform, PlatformKey, Salesforce,
    Zoom,
};
use keyfob_testkit::{ManualClock, json};

use crate::folder::Folder;
use crate::platforms::lives::{
    api_of, assert_error, check, clock, error_of, profile, serve_1000_requests_in_4_lives,
    serve_and_prepare,
};
use crate::platforms::page::{example, examples, replaced, section};

/// Calls of the token endpoint in four lives: one for each.
#[track_caller]
pub(super) fn assert_one_call_for_each_life<P: Platform>(fake: &Fake<P>, path: &str) {
    assert_eq!((fake.accepted_at(path), fake.refusals()), (4, Vec::new()));
}

/// Checks each changed text: what the error is about, and what it says.
#[track_caller]
fn assert_errors(
    text: &str,
    (name, clock): (&str, &ManualClock),
    secrets: &[&str],
    cases: &[((&str, &str), &[&str])],
) {
    for ((from, to), says) in cases {
        let changed = replaced(text, &[(from, to)]);
        let error = error_of(&profile(&changed, name), clock, secrets);
        assert_error(&error, ErrorKind::Refused, says);
    }
}

fn databricks(fake: &Fake<Databricks>, folder: &Folder) -> String {
    let secret = folder.file("databricks", Databricks::CLIENT_SECRET);
    example(
        "databricks_m2m",
        &[
            (
                "https://dbc-a1b2345c-d6e7.cloud.databricks.com",
                &fake.url(),
            ),
            (
                "file:/run/secrets/databricks",
                &format!("file:{}", secret.display()),
            ),
        ],
    )
}

#[test]
fn databricks_m2m_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Databricks::start_on(&clock);
    let profile = profile(&databricks(&fake, &folder), "databricks");
    serve_1000_requests_in_4_lives(&profile, &clock, Databricks::TOKEN_LIFETIME);
    assert_one_call_for_each_life(&fake, Databricks::TOKEN_PATH);
}

#[tokio::test]
async fn databricks_m2m_passes_the_check_and_says_what_to_change() {
    let (folder, fake) = (Folder::new(), Databricks::start());
    let text = databricks(&fake, &folder);
    check(&profile(&text, "databricks"))
        .await
        .expect("each step works");
    tokio::task::spawn_blocking(move || {
        let clock = clock();
        assert_errors(
            &text,
            ("databricks", &clock),
            &[Databricks::CLIENT_SECRET],
            &[(
                (Databricks::CLIENT_ID, "other"),
                &["`invalid_client`", "`client_id`"],
            )],
        );
        let scope = format!("{text}token.scopes = \"other\"\n");
        let error = error_of(&profile(&scope, "databricks"), &clock, &[]);
        assert_error(&error, ErrorKind::Refused, &["`invalid_scope`", "`scopes`"]);
        fake.throttle(30);
        let error = error_of(&profile(&text, "databricks"), &clock, &[]);
        assert_error(&error, ErrorKind::Unavailable, &["429"]);
    })
    .await
    .expect("no step fails");
}

pub(super) fn salesforce(fake: &Fake<Salesforce>, folder: &Folder, key: &PlatformKey) -> String {
    let file = folder.file("salesforce.pem", &key.private_pem());
    example(
        "salesforce_jwt",
        &[
            ("https://example.my.salesforce.com", &fake.url()),
            (
                "file:~/keys/salesforce.pem",
                &format!("file:{}", file.display()),
            ),
        ],
    )
}

#[test]
fn salesforce_jwt_serves_1000_requests_although_no_lifetime_is_sent() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Salesforce::start_on(&clock);
    let profile = profile(&salesforce(&fake, &folder, fake.key()), "salesforce");
    assert_eq!(
        profile.default_lifetime(),
        Some(Salesforce::SESSION_TIMEOUT)
    );
    serve_1000_requests_in_4_lives(&profile, &clock, Salesforce::SESSION_TIMEOUT);
    assert_one_call_for_each_life(&fake, Salesforce::TOKEN_PATH);
}

#[test]
fn salesforce_jwt_says_what_to_change() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Salesforce::start_on(&clock);
    let text = salesforce(&fake, &folder, fake.key());
    assert_errors(
        &text,
        ("salesforce", &clock),
        &["BEGIN"],
        &[
            (
                (Salesforce::CONSUMER_KEY, "other"),
                &["`invalid_client_id`", "`client_id`"],
            ),
            (
                (Salesforce::USER, "other@example.com"),
                &["`invalid_grant`", "`subject`"],
            ),
        ],
    );
    let sandbox = format!("{text}token.assertion_audience = \"https://login.example.com\"\n");
    let error = error_of(&profile(&sandbox, "salesforce"), &clock, &[]);
    assert_error(&error, ErrorKind::Refused, &["`assertion_audience`"]);
    fake.clock().set_ahead(600);
    let error = error_of(&profile(&text, "salesforce"), &clock, &[]);
    assert_error(&error, ErrorKind::Refused, &["`invalid_grant`", "clock"]);
}

/// The private RSA key as a JWK with its id (RFC 7517), as Okta hands it out.
fn rsa_jwk(key: &PlatformKey) -> String {
    let pem = key.private_pkcs1_pem();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).expect("it is base64");
    // RFC 8017 §A.1.2: a sequence of integers, the first of which is a version.
    let mut rest = &der[4..];
    let mut integers = Vec::new();
    while let [2, length, after @ ..] = rest {
        let (length, after) = match length {
            0x81 => (usize::from(after[0]), &after[1..]),
            0x82 => (
                usize::from(after[0]) << 8 | usize::from(after[1]),
                &after[2..],
            ),
            short => (usize::from(*short), after),
        };
        let number = &after[..length];
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        integers.push(URL_SAFE_NO_PAD.encode(&number[zeros..]));
        rest = &after[length..];
    }
    let names = ["", "n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut jwk = json!({"kty": "RSA", "kid": key.id()});
    for (name, value) in names.iter().zip(integers).skip(1) {
        jwk[*name] = value.into();
    }
    jwk.to_string()
}

pub(super) fn okta(fake: &Fake<Okta>, folder: &Folder) -> String {
    let file = folder.file("okta.jwk", &rsa_jwk(fake.key()));
    example(
        "okta_private_key_jwt",
        &[
            ("https://example.okta.com", &fake.url()),
            ("file:~/keys/okta.jwk", &format!("file:{}", file.display())),
        ],
    )
}

#[test]
fn okta_private_key_jwt_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Okta::start_on(&clock);
    let profile = profile(&okta(&fake, &folder), "okta");
    serve_1000_requests_in_4_lives(&profile, &clock, Okta::TOKEN_LIFETIME);
    assert_one_call_for_each_life(&fake, Okta::TOKEN_PATH);
}

#[test]
fn okta_private_key_jwt_says_what_to_change() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Okta::start_on(&clock);
    let text = okta(&fake, &folder);
    assert_errors(
        &text,
        ("okta", &clock),
        &["\"d\""],
        &[
            (
                (Okta::CLIENT_ID, "other"),
                &["`invalid_client`", "`client_id`"],
            ),
            (
                ("okta.users.read", "okta.apps.manage"),
                &["`invalid_scope`", "`scopes`"],
            ),
        ],
    );
    fake.clock().set_ahead(600);
    let error = error_of(&profile(&text, "okta"), &clock, &[]);
    assert_error(&error, ErrorKind::Refused, &["clock"]);
    fake.clock().set_ahead(0);
    fake.require_dpop();
    let error = error_of(&profile(&text, "okta"), &clock, &[]);
    assert_error(&error, ErrorKind::Refused, &["`dpop_key`"]);
    fake.throttle(30);
    let error = error_of(&profile(&text, "okta"), &clock, &[]);
    assert_error(&error, ErrorKind::Unavailable, &["429"]);
}

/// The profile for Keycloak of the example with this number, whose API takes the tokens of the fake.
pub(super) fn keycloak(
    fake: &Fake<Keycloak>,
    number: usize,
    credential: (&str, &str),
) -> (String, keyfob_testkit::Server) {
    let api = api_of(fake.issuer());
    let text = replaced(
        &examples(section("keycloak"))[number],
        &[
            ("https://orders.example.com/", &api.url()),
            (
                "https://sso.example.com/realms/shop",
                &fake.url_for(Keycloak::REALM_PATH),
            ),
            credential,
        ],
    );
    (text, api)
}

#[test]
fn keycloak_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Keycloak::start_on(&clock);
    let secret = folder.file("secret", Keycloak::CLIENT_SECRET);
    let secret = format!("file:{}", secret.display());
    let (text, _api) = keycloak(&fake, 0, ("file:/run/secrets/keycloak", &secret));
    serve_1000_requests_in_4_lives(&profile(&text, "orders"), &clock, Keycloak::TOKEN_LIFETIME);
    assert_one_call_for_each_life(&fake, Keycloak::TOKEN_PATH);
}

#[test]
fn keycloak_takes_the_token_of_a_pod_and_no_secret_is_on_disk() {
    let (folder, clock) = (Folder::new(), clock());
    let (fake, kubernetes) = (Keycloak::start_on(&clock), Kubernetes::start_on(&clock));
    fake.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    let realm = fake.url_for(Keycloak::REALM_PATH);
    let project = || {
        let written = kubernetes.project(&folder.path("token"), &realm);
        written.expect("the folder is ours")
    };
    let file = format!("file:{}", project().display());
    let (text, _api) = keycloak(&fake, 1, ("file:/var/run/secrets/tokens/keycloak", &file));
    let profile = profile(&text, "orders-in-a-pod");
    serve_and_prepare(&profile, &clock, Keycloak::TOKEN_LIFETIME, || {
        drop(project())
    });
    assert_one_call_for_each_life(&fake, Keycloak::TOKEN_PATH);
}

#[test]
fn keycloak_says_what_to_change() {
    let (folder, clock) = (Folder::new(), clock());
    let (fake, kubernetes) = (Keycloak::start_on(&clock), Kubernetes::start_on(&clock));
    let secret = folder.file("secret", "wr0ng");
    let secret = format!("file:{}", secret.display());
    let (text, _api) = keycloak(&fake, 0, ("file:/run/secrets/keycloak", &secret));
    let error = error_of(&profile(&text, "orders"), &clock, &["wr0ng"]);
    assert_error(
        &error,
        ErrorKind::Refused,
        &["`unauthorized_client`", "service account"],
    );
    // The audience is another one, and later the token has expired.
    fake.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    for (audience, seconds) in [
        ("vault", 0),
        (fake.url_for(Keycloak::REALM_PATH).as_str(), 7200),
    ] {
        let token = kubernetes.token(audience);
        fake.clock().set_ahead(seconds);
        let file = format!("file:{}", folder.file("token", &token).display());
        let (text, _api) = keycloak(&fake, 1, ("file:/var/run/secrets/tokens/keycloak", &file));
        let error = error_of(&profile(&text, "orders-in-a-pod"), &clock, &[&token]);
        assert_error(
            &error,
            ErrorKind::Refused,
            &["`invalid_client`", "audience", "expired"],
        );
    }
}

pub(super) fn auth0(fake: &Fake<Auth0>, folder: &Folder) -> (String, keyfob_testkit::Server) {
    let secret = folder.file("auth0", Auth0::CLIENT_SECRET);
    let api = api_of(fake.issuer());
    let text = example(
        "auth0",
        &[
            ("https://api.example.com/", &api.url()),
            (
                "file:/run/secrets/auth0",
                &format!("file:{}", secret.display()),
            ),
        ],
    );
    let text = format!(
        "{text}token.endpoint = \"{}\"\ntoken.audience = \"{}\"\n",
        fake.url_for(Auth0::TOKEN_PATH),
        Auth0::AUDIENCE
    );
    (text, api)
}

#[test]
fn auth0_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Auth0::start_on(&clock);
    let (text, _api) = auth0(&fake, &folder);
    serve_1000_requests_in_4_lives(&profile(&text, "api"), &clock, Auth0::TOKEN_LIFETIME);
    assert_one_call_for_each_life(&fake, Auth0::TOKEN_PATH);
}

#[test]
fn auth0_says_what_to_change() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Auth0::start_on(&clock);
    let (text, _api) = auth0(&fake, &folder);
    assert_errors(
        &text,
        ("api", &clock),
        &[Auth0::CLIENT_SECRET],
        &[
            ((Auth0::CLIENT_ID, "other"), &["401", "`client_id`"]),
            (
                (Auth0::AUDIENCE, Auth0::OTHER_AUDIENCE),
                &["403", "`audience`"],
            ),
            (
                (Auth0::AUDIENCE, "https://unknown.example"),
                &["403", "`audience`"],
            ),
        ],
    );
    fake.forbid_grant_type();
    let error = error_of(&profile(&text, "api"), &clock, &[]);
    assert_error(
        &error,
        ErrorKind::Refused,
        &["`unauthorized_client`", "grant type"],
    );
    fake.throttle(30);
    let error = error_of(&profile(&text, "api"), &clock, &[]);
    assert_error(&error, ErrorKind::Unavailable, &["429"]);
}

/// The profile for Entra of the example with this number, whose API takes the tokens of the fake.
pub(super) fn epic(fake: &Fake<Epic>, folder: &Folder) -> String {
    let file = folder.file("epic.pem", &fake.key().private_pem());
    example(
        "epic_backend_services",
        &[
            (
                "https://fhir.epic.com/interconnect-fhir-oauth/api/FHIR/R4",
                &fake.url_for(Epic::FHIR_PATH),
            ),
            ("file:~/keys/epic.pem", &format!("file:{}", file.display())),
        ],
    )
}

#[test]
fn epic_backend_services_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Epic::start_on(&clock);
    let profile = profile(&epic(&fake, &folder), "epic");
    serve_1000_requests_in_4_lives(&profile, &clock, Epic::TOKEN_LIFETIME);
    assert_one_call_for_each_life(&fake, Epic::TOKEN_PATH);
}

#[test]
fn epic_backend_services_says_what_to_check_as_epic_gives_no_reason() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Epic::start_on(&clock);
    let text = epic(&fake, &folder);
    let case: &[&str] = &["`invalid_client`", "`client_id`", "`private_key`"];
    assert_errors(
        &text,
        ("epic", &clock),
        &["BEGIN"],
        &[((Epic::CLIENT_ID, "other"), case)],
    );
    fake.clock().set_ahead(600);
    let error = error_of(&profile(&text, "epic"), &clock, &[]);
    assert_error(&error, ErrorKind::Refused, &["clock"]);
}

pub(super) fn zoom(fake: &Fake<Zoom>, folder: &Folder) -> (String, keyfob_testkit::Server) {
    let secret = folder.file("zoom", Zoom::CLIENT_SECRET);
    let api = api_of(fake.issuer());
    let text = example(
        "zoom_server_to_server",
        &[
            ("https://api.zoom.us/v2/", &api.url()),
            (
                "file:/run/secrets/zoom",
                &format!("file:{}", secret.display()),
            ),
        ],
    );
    let endpoint = fake.url_for(Zoom::TOKEN_PATH);
    (format!("{text}token.endpoint = \"{endpoint}\"\n"), api)
}

#[test]
fn zoom_server_to_server_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Zoom::start_on(&clock);
    let (text, _api) = zoom(&fake, &folder);
    serve_1000_requests_in_4_lives(&profile(&text, "zoom"), &clock, Zoom::TOKEN_LIFETIME);
    assert_one_call_for_each_life(&fake, Zoom::TOKEN_PATH);
}

#[test]
fn zoom_server_to_server_says_what_to_change() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Zoom::start_on(&clock);
    let (text, _api) = zoom(&fake, &folder);
    assert_errors(
        &text,
        ("zoom", &clock),
        &[Zoom::CLIENT_SECRET],
        &[
            (
                (Zoom::CLIENT_ID, "other"),
                &["`invalid_client`", "`client_id`"],
            ),
            (
                (Zoom::ACCOUNT, "other"),
                &["`invalid_request`", "`account_id`"],
            ),
        ],
    );
    fake.throttle(30);
    let error = error_of(&profile(&text, "zoom"), &clock, &[]);
    assert_error(&error, ErrorKind::Unavailable, &["429"]);
}
