//! The token endpoints at which clients authenticate with a secret or with a JWT that their key signs.

use keyfob_testkit::platforms::{
    Auth0, Databricks, Entra, Epic, Fake, Keycloak, Kubernetes, Okta, Platform, PlatformKey,
    Salesforce, Zoom,
};
use keyfob_testkit::{ManualClock, json};
use serde_json::Value;

use crate::client::request;
use crate::platforms::{form, json_of, now};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The status, the error code, and what else the response says.
type Responded = (u16, String, Value);

/// Posts a form in which these fields replace those of the same name; a field without a value is left out.
fn post<P: Platform>(
    fake: &Fake<P>,
    path: &str,
    good: &[(&str, &str)],
    other: &[(&str, &str)],
) -> Responded {
    let mut fields: Vec<_> = good
        .iter()
        .filter(|(name, _)| other.iter().all(|(replaced, _)| replaced != name))
        .copied()
        .collect();
    fields.extend(other.iter().filter(|(_, value)| !value.is_empty()));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let seen = request(
        fake.server().address(),
        "POST",
        path,
        &headers,
        &form(&fields),
    );
    let body = json_of(&seen);
    let code = body["error"].as_str().unwrap_or_default().to_owned();
    (seen.status(), code, body)
}

/// Checks the status and the error code of a response.
#[track_caller]
fn assert_refused((status, code, body): &Responded, expected: (u16, &str)) {
    assert_eq!((*status, code.as_str()), expected, "{body}");
}

/// The assertion of a client with these claims instead of the usual ones.
fn assertion(
    key: &PlatformKey,
    (client, audience): (&str, &str),
    clock: &ManualClock,
    other: &Value,
) -> String {
    let now = now(clock);
    let mut claims = json!({
        "iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60,
        "jti": format!("id-{}", other),
    });
    let members = claims.as_object_mut().unwrap();
    members.extend(other.as_object().unwrap().clone());
    key.sign(&json!({}), &claims)
}

#[test]
fn databricks_wants_the_scope_and_the_secret() {
    let fake = Databricks::start_on(&ManualClock::default());
    let good = [
        ("grant_type", "client_credentials"),
        ("scope", "all-apis"),
        ("client_id", Databricks::CLIENT_ID),
        ("client_secret", Databricks::CLIENT_SECRET),
    ];
    let post = |other: &[(&str, &str)]| post(&fake, Databricks::TOKEN_PATH, &good, other);
    let (status, _, body) = post(&[]);
    assert_eq!((status, &body["expires_in"]), (200, &json!(3600)));
    assert_refused(&post(&[("client_secret", "x")]), (401, "invalid_client"));
    assert_refused(&post(&[("scope", "")]), (400, "invalid_scope"));
    let other_grant = post(&[("grant_type", "password")]);
    assert_refused(&other_grant, (400, "unsupported_grant_type"));
}

#[test]
fn auth0_tells_a_wrong_secret_from_a_missing_client_grant() {
    let fake = Auth0::start_on(&ManualClock::default());
    let good = [
        ("grant_type", "client_credentials"),
        ("audience", Auth0::AUDIENCE),
        ("client_id", Auth0::CLIENT_ID),
        ("client_secret", Auth0::CLIENT_SECRET),
    ];
    let post = |other: &[(&str, &str)]| post(&fake, Auth0::TOKEN_PATH, &good, other);
    assert_eq!(post(&[]).2["expires_in"], 86400);
    assert_refused(&post(&[("client_secret", "x")]), (401, "access_denied"));
    for (audience, says) in [
        (Auth0::OTHER_AUDIENCE, "client-grant"),
        ("https://unknown.example", "Service not found"),
        ("", "Non-global"),
    ] {
        let refused = post(&[("audience", audience)]);
        assert_refused(&refused, (403, "access_denied"));
        assert!(refused.2["error_description"].to_string().contains(says));
    }
    fake.forbid_grant_type();
    assert_refused(&post(&[]), (403, "unauthorized_client"));
}

#[test]
fn zoom_wants_basic_and_names_a_reason() {
    let fake = Zoom::start_on(&ManualClock::default());
    let fields = [
        ("grant_type", "account_credentials"),
        ("account_id", Zoom::ACCOUNT),
    ];
    let in_form = [
        ("client_id", Zoom::CLIENT_ID),
        ("client_secret", Zoom::CLIENT_SECRET),
    ];
    let refused = post(&fake, Zoom::TOKEN_PATH, &fields, &in_form);
    assert_refused(&refused, (400, "invalid_client"));
    assert_eq!(refused.2["reason"], "Invalid client_id or client_secret");
    let other_grant = [("grant_type", "client_credentials")];
    let refused = post(&fake, Zoom::TOKEN_PATH, &fields, &other_grant);
    assert_refused(&refused, (400, "unsupported_grant_type"));
}

#[test]
fn okta_says_what_is_wrong_with_an_assertion() {
    let clock = ManualClock::default();
    let fake = Okta::start_on(&clock);
    let endpoint = fake.url_for(Okta::TOKEN_PATH);
    let good = [
        ("grant_type", "client_credentials"),
        ("scope", "okta.users.read"),
        ("client_assertion_type", JWT_BEARER),
    ];
    let post = |claims: Value, other: &[(&str, &str)]| {
        let jwt = assertion(fake.key(), (Okta::CLIENT_ID, &endpoint), &clock, &claims);
        let mut fields = vec![("client_assertion", jwt.as_str())];
        fields.extend(other);
        post(&fake, Okta::TOKEN_PATH, &good, &fields)
    };
    assert_eq!(post(json!({}), &[]).0, 200);
    let now = now(&clock);
    for (claims, says) in [
        (json!({"aud": fake.url()}), "must be the endpoint invoked"),
        (json!({"exp": now - 1}), "is expired"),
        (json!({"exp": now + 3601}), "too far into the future"),
        (json!({"iss": "other"}), "must be the client id"),
        (json!({"iat": now + 600}), "not valid yet"),
    ] {
        let refused = post(claims, &[]);
        assert_refused(&refused, (401, "invalid_client"));
        assert!(
            refused.2["error_description"].to_string().contains(says),
            "{refused:?}"
        );
    }
    let refused = post(json!({}), &[("scope", "okta.apps.manage")]);
    assert_refused(&refused, (400, "invalid_scope"));
    fake.require_dpop();
    assert_refused(&post(json!({}), &[]), (400, "invalid_dpop_proof"));
    fake.throttle(30);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let seen = request(
        fake.server().address(),
        "POST",
        Okta::TOKEN_PATH,
        &headers,
        "",
    );
    assert_eq!(
        (seen.status(), &json_of(&seen)["errorCode"]),
        (429, &json!("E0000047"))
    );
}

#[test]
fn salesforce_tells_the_audience_the_time_and_the_approval_apart() {
    let clock = ManualClock::default();
    let fake = Salesforce::start_on(&clock);
    let good = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")];
    let post = |claims: Value| {
        let mut all = json!({"sub": Salesforce::USER});
        let members = all.as_object_mut().unwrap();
        members.extend(claims.as_object().unwrap().clone());
        let names = (Salesforce::CONSUMER_KEY, Salesforce::AUDIENCE);
        let jwt = assertion(fake.key(), names, &clock, &all);
        post(&fake, Salesforce::TOKEN_PATH, &good, &[("assertion", &jwt)])
    };
    let (status, _, body) = post(json!({}));
    assert_eq!((status, &body["expires_in"]), (200, &Value::Null));
    let now = now(&clock);
    for (claims, code, says) in [
        (
            json!({"aud": "https://a.example"}),
            "invalid_grant",
            "audience is invalid",
        ),
        (json!({"exp": now - 1}), "invalid_grant", "expired"),
        (
            json!({"exp": now + 181}),
            "invalid_grant",
            "invalid assertion",
        ),
        (
            json!({"iss": "x"}),
            "invalid_client_id",
            "client identifier invalid",
        ),
        (
            json!({"sub": "x@example.com"}),
            "invalid_grant",
            "hasn't approved",
        ),
    ] {
        let refused = post(claims);
        assert_refused(&refused, (400, code));
        assert!(
            refused.2["error_description"].to_string().contains(says),
            "{refused:?}"
        );
    }
    fake.set_approval("inactive user");
    assert_eq!(post(json!({})).2["error_description"], "inactive user");
}

#[test]
fn epic_accepts_each_assertion_once_and_gives_no_reason() {
    let clock = ManualClock::default();
    let fake = Epic::start_on(&clock);
    let endpoint = fake.url_for(Epic::TOKEN_PATH);
    let good = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", JWT_BEARER),
    ];
    let post = |claims: Value| {
        let jwt = assertion(fake.key(), (Epic::CLIENT_ID, &endpoint), &clock, &claims);
        post(
            &fake,
            Epic::TOKEN_PATH,
            &good,
            &[("client_assertion", &jwt)],
        )
    };
    assert_eq!(post(json!({})).0, 200);
    let now = now(&clock);
    for claims in [
        json!({}),
        json!({"exp": now + 301}),
        json!({"aud": fake.url()}),
        json!({"jti": "x".repeat(152)}),
    ] {
        let refused = post(claims);
        assert_refused(&refused, (400, "invalid_client"));
        assert_eq!(refused.2["error_description"], Value::Null);
    }
    assert_eq!(
        fake.refusals(),
        [
            "`jti` was used before",
            "the JWT expires 301 s in the future",
            "`aud` of the JWT is missing or wrong",
            "`jti` is missing or too long",
        ]
    );
}

#[test]
fn keycloak_takes_a_secret_a_jwt_of_the_client_or_of_a_cluster() {
    let clock = ManualClock::default();
    let (fake, kubernetes) = (Keycloak::start_on(&clock), Kubernetes::start_on(&clock));
    let realm = fake.url_for(Keycloak::REALM_PATH);
    let by_secret = [
        ("grant_type", "client_credentials"),
        ("client_id", Keycloak::CLIENT_ID),
        ("client_secret", Keycloak::CLIENT_SECRET),
    ];
    let with_secret = |other: &[(&str, &str)]| post(&fake, Keycloak::TOKEN_PATH, &by_secret, other);
    assert_eq!(with_secret(&[]).2["expires_in"], 300);
    let wrong = with_secret(&[("client_secret", "x")]);
    assert_refused(&wrong, (401, "unauthorized_client"));
    let unknown = with_secret(&[("client_id", "x")]);
    assert_refused(&unknown, (401, "invalid_client"));
    assert_refused(&with_secret(&[("scope", "x")]), (400, "invalid_scope"));

    let by_jwt = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", JWT_BEARER),
    ];
    let with_jwt = |jwt: &str| {
        post(
            &fake,
            Keycloak::TOKEN_PATH,
            &by_jwt,
            &[("client_assertion", jwt)],
        )
    };
    let own = |audience| {
        let names = (Keycloak::CLIENT_ID, audience);
        with_jwt(&assertion(fake.key(), names, &clock, &json!({})))
    };
    assert_eq!(own(&realm).0, 200);
    let token_endpoint = fake.url_for(Keycloak::TOKEN_PATH);
    assert_refused(&own(&token_endpoint), (400, "invalid_client"));

    let projected = kubernetes.token(&realm);
    assert_refused(&with_jwt(&projected), (400, "invalid_client"));
    fake.trust(Kubernetes::ISSUER, "other", kubernetes.key());
    assert_refused(&with_jwt(&projected), (401, "invalid_client"));
    fake.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    assert_eq!(with_jwt(&projected).0, 200);
    assert_refused(
        &with_jwt(&kubernetes.token("vault")),
        (400, "invalid_client"),
    );
    fake.forbid_service_account();
    assert_refused(&with_secret(&[]), (401, "unauthorized_client"));
}

#[test]
fn entra_takes_a_secret_and_a_registered_certificate() {
    let clock = ManualClock::default();
    let fake = Entra::start_on(&clock);
    let by_secret = [
        ("grant_type", "client_credentials"),
        ("scope", "https://graph.microsoft.com/.default"),
        ("client_id", Entra::CLIENT_ID),
    ];
    let code = |other: &[(&str, &str)]| {
        let (status, _, body) = post(&fake, Entra::TOKEN_PATH, &by_secret, other);
        (status, body["error_codes"][0].as_u64())
    };
    let with_secret = |secret| code(&[("client_secret", secret)]);
    assert_eq!(with_secret(Entra::CLIENT_SECRET), (200, None));
    assert_eq!(with_secret("x"), (401, Some(7_000_215)));
    assert_eq!(with_secret(""), (401, Some(7_000_218)));

    let endpoint = fake.url_for(Entra::TOKEN_PATH);
    let with_jwt = |head: Value, other: Value| {
        let now = now(&clock);
        let mut claims = json!({
            "iss": Entra::CLIENT_ID, "sub": Entra::CLIENT_ID, "aud": endpoint, "iat": now, "exp": now + 60,
        });
        claims
            .as_object_mut()
            .unwrap()
            .extend(other.as_object().unwrap().clone());
        let jwt = fake.key().sign(&head, &claims);
        code(&[
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &jwt),
        ])
    };
    // The thumbprint of the registered bytes, whatever they are.
    let good = json!({"x5t#S256": "peKvyIIvZTgeZgE2oXjYQEw0eF8gzLDcB6eMo-2lqiE"});
    assert_eq!(with_jwt(good.clone(), json!({})), (401, Some(700_027)));
    fake.register_certificate(b"the certificate");
    assert_eq!(with_jwt(json!({}), json!({})), (401, Some(700_027)));
    assert_eq!(with_jwt(good.clone(), json!({})), (200, None));
    let other = json!({"aud": fake.url()});
    assert_eq!(with_jwt(good.clone(), other), (401, Some(700_023)));
    let old = json!({"exp": now(&clock) - 301});
    assert_eq!(with_jwt(good, old), (401, Some(700_024)));
}
