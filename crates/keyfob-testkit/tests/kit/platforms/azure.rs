//! Azure: managed identities, and Entra's token endpoint.

use keyfob_testkit::platforms::{AzureManagedIdentity, Entra, Fake, Kubernetes};
use keyfob_testkit::{ManualClock, json};

use crate::client::{Seen, request};
use crate::platforms::{form, json_of, now};

#[test]
fn a_virtual_machine_has_tokens_whose_numbers_are_texts() {
    let clock = ManualClock::default();
    let fake = AzureManagedIdentity::virtual_machine_on(&clock);
    let get = |query: &str, headers: &[(&str, &str)]| {
        let path = format!("{}?{query}", AzureManagedIdentity::MACHINE_PATH);
        request(fake.server().address(), "GET", &path, headers, "")
    };
    let metadata = [("Metadata", "true")];
    let query = "api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";
    let body = json_of(&get(query, &metadata));
    assert_eq!(body["access_token"], "azure-fake-1");
    assert_eq!(body["expires_on"], (now(&clock) + 86_400).to_string());
    for (error, query, headers) in [
        ("bad_request_102", query, &[][..]),
        ("bad_request_102", query, &[("Metadata", "True")][..]),
        (
            "invalid_request",
            "resource=https%3A%2F%2Fvault.azure.net",
            &metadata[..],
        ),
        ("invalid_request", "api-version=2018-02-01", &metadata[..]),
        (
            "invalid_resource",
            "api-version=2018-02-01&resource=https://a.unknown.example",
            &metadata[..],
        ),
        (
            "invalid_request",
            &*format!("{query}&client_id=other"),
            &metadata[..],
        ),
    ] {
        let seen = get(query, headers);
        assert_eq!(
            (seen.status(), &json_of(&seen)["error"]),
            (400, &json!(error)),
            "{query}"
        );
    }
    fake.throttle(5);
    let seen = get(query, &metadata);
    assert_eq!(
        (seen.status(), seen.header("retry-after").as_deref()),
        (429, Some("5"))
    );
}

#[test]
fn an_app_service_needs_its_identity_header() {
    let fake = AzureManagedIdentity::app_service();
    let get = |header: &str| {
        let assigned = AzureManagedIdentity::ASSIGNED_CLIENT_ID;
        let query = format!("api-version=2019-08-01&resource=r&client_id={assigned}");
        let path = format!("{}?{query}", AzureManagedIdentity::APP_SERVICE_PATH);
        let headers = [("X-IDENTITY-HEADER", header)];
        request(fake.server().address(), "GET", &path, &headers, "")
    };
    let body = json_of(&get(AzureManagedIdentity::IDENTITY_HEADER));
    assert!(body["expires_on"].is_string() && body["expires_in"].is_null());
    assert_eq!(body["client_id"], AzureManagedIdentity::ASSIGNED_CLIENT_ID);
    let seen = get("other");
    assert_eq!(
        (seen.status(), &json_of(&seen)["statusCode"]),
        (401, &json!(401))
    );
}

fn sign_in(entra: &Fake<Entra>, assertion: &str, scope: &str) -> Seen {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", Entra::CLIENT_ID),
        ("scope", scope),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
    ];
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    request(
        entra.server().address(),
        "POST",
        Entra::TOKEN_PATH,
        &headers,
        &form(&fields),
    )
}

#[test]
fn entra_accepts_the_federated_credential_and_names_what_differs() {
    let clock = ManualClock::default();
    let (kubernetes, entra) = (Kubernetes::start_on(&clock), Entra::start_on(&clock));
    let scope = "https://graph.microsoft.com/.default";
    let good = kubernetes.token(Entra::ASSERTION_AUDIENCE);
    let code = |seen: &Seen| json_of(seen)["error_codes"][0].as_u64();
    assert_eq!(code(&sign_in(&entra, &good, scope)), Some(700_211));
    entra.trust(Kubernetes::ISSUER, "other", kubernetes.key());
    assert_eq!(code(&sign_in(&entra, &good, scope)), Some(700_213));
    entra.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    assert_eq!(
        json_of(&sign_in(&entra, &good, scope))["access_token"],
        "entra-fake-1"
    );
    let other = kubernetes.token("other");
    assert_eq!(code(&sign_in(&entra, &other, scope)), Some(700_212));
    assert_eq!(code(&sign_in(&entra, &good, "openid")), Some(1_002_012));
    assert_eq!(code(&sign_in(&entra, "text", scope)), Some(50_027));
    entra.clock().set_ahead(3600 + 301);
    let seen = sign_in(&entra, &good, scope);
    assert_eq!((seen.status(), code(&seen)), (401, Some(700_024)));
    let text = json_of(&seen)["error_description"].to_string();
    assert!(
        text.contains("AADSTS700024") && text.contains("Correlation ID"),
        "{text}"
    );
}
