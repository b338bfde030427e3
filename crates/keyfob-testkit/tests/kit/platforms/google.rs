//! Google Cloud: the metadata server, service accounts and workload identity federation.

use keyfob_testkit::platforms::{
    Fake, GcpMetadata, GcpServiceAccount, GcpWorkloadIdentity, GitHubActions, ReadJwt,
};
use keyfob_testkit::{ManualClock, json};
use serde_json::Value;
use std::time::Duration;

use crate::client::{Seen, request};
use crate::platforms::{form, json_of, now};

fn metadata(fake: &Fake<GcpMetadata>, path: &str, headers: &[(&str, &str)]) -> Seen {
    let path = format!("/computeMetadata/v1/instance/service-accounts/{path}");
    request(fake.server().address(), "GET", &path, headers, "")
}

const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

#[test]
fn the_metadata_server_serves_a_cached_token_until_five_minutes_remain() {
    let clock = ManualClock::default();
    let fake = GcpMetadata::start_on(&clock);
    let token = |left: u64| {
        let seen = metadata(&fake, "default/token", &[FLAVOR]);
        assert_eq!(seen.header("metadata-flavor").as_deref(), Some("Google"));
        let body = json_of(&seen);
        assert_eq!(body["expires_in"], left);
        body["access_token"].as_str().unwrap().to_owned()
    };
    assert_eq!(token(3600), "ya29.fake-1");
    clock.advance(Duration::from_secs(3299));
    assert_eq!(token(301), "ya29.fake-1");
    clock.advance(Duration::from_secs(1));
    assert_eq!(token(3600), "ya29.fake-2");
}

#[test]
fn the_metadata_server_refuses_in_plain_words() {
    let fake = GcpMetadata::start();
    let forwarded = ("X-Forwarded-For", "192.0.2.1");
    for (status, path, headers) in [
        (403, "default/token", &[][..]),
        (403, "default/token", &[FLAVOR, forwarded][..]),
        (404, "other@fake/token", &[FLAVOR][..]),
        (404, "default/tokens", &[FLAVOR][..]),
        (400, "default/identity", &[FLAVOR][..]),
    ] {
        let seen = metadata(&fake, path, headers);
        assert_eq!(seen.status(), status, "{path}");
        assert!(seen.header("content-type").unwrap().starts_with("text/"));
    }
    let seen = metadata(
        &fake,
        "default/identity?audience=api&format=full",
        &[FLAVOR],
    );
    let jwt = String::from_utf8(seen.body().to_vec()).unwrap();
    let jwt = ReadJwt::read(&jwt).unwrap();
    assert_eq!(
        (jwt.audiences(), jwt.text("email")),
        (vec!["api"], Some(GcpMetadata::ACCOUNT))
    );
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn grant(fake: &Fake<GcpServiceAccount>, jwt: &str) -> Seen {
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let form = form(&[("grant_type", grant_type), ("assertion", jwt)]);
    request(fake.server().address(), "POST", "/token", &[FORM], &form)
}

#[test]
fn google_checks_the_jwt_of_a_service_account() {
    let clock = ManualClock::default();
    let fake = GcpServiceAccount::start_on(&clock);
    let now = now(&clock);
    let good = json!({
        "iss": GcpServiceAccount::ACCOUNT, "aud": fake.url_for("/token"), "scope": "s",
        "iat": now, "exp": now + 3600,
    });
    let with = |changes: Value| {
        let mut claims = good.clone();
        let members = claims.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        grant(&fake, &fake.key().sign(&json!({}), &claims))
    };
    assert_eq!(json_of(&with(json!({})))["access_token"], "ya29.fake-1");
    let body = json_of(&with(json!({"scope": null, "target_audience": "api"})));
    assert!(body["id_token"].is_string() && body["access_token"].is_null());
    for (error, text, changes) in [
        (
            "invalid_grant",
            "account not found",
            json!({"iss": "other"}),
        ),
        (
            "invalid_grant",
            "audience",
            json!({"aud": "https://other.example/"}),
        ),
        ("invalid_grant", "short-lived", json!({"exp": now + 3601})),
        (
            "invalid_grant",
            "short-lived",
            json!({"iat": now + 600, "exp": now + 900}),
        ),
        ("invalid_scope", "scope", json!({"scope": null})),
    ] {
        let body = json_of(&with(changes));
        assert_eq!(body["error"], error);
        assert!(body["error_description"].as_str().unwrap().contains(text));
    }
    let other = fake.google_key().sign(&json!({}), &good);
    assert_eq!(
        json_of(&grant(&fake, &other))["error_description"],
        "Invalid JWT Signature."
    );
    assert_eq!((fake.accepted(), fake.refusals().len()), (2, 6));
}

#[test]
fn a_google_api_accepts_a_jwt_that_the_account_signed() {
    let clock = ManualClock::default();
    let fake = GcpServiceAccount::start_on(&clock);
    let (now, account) = (now(&clock), GcpServiceAccount::ACCOUNT);
    let ask = |audience: &str| {
        let claims =
            json!({"iss": account, "sub": account, "aud": audience, "iat": now, "exp": now + 3600});
        let token = format!("Bearer {}", fake.key().sign(&json!({}), &claims));
        request(
            fake.server().address(),
            "GET",
            "/api",
            &[("authorization", &token)],
            "",
        )
        .status()
    };
    assert_eq!(ask(GcpServiceAccount::API_AUDIENCE), 200);
    assert_eq!(ask("https://other.googleapis.com/"), 401);
}

#[test]
fn google_exchanges_the_token_of_a_trusted_issuer_and_impersonates() {
    let clock = ManualClock::default();
    let fake = GcpWorkloadIdentity::start_on(&clock);
    let actions = GitHubActions::start_on(&clock);
    fake.trust(GitHubActions::ISSUER, actions.key());
    let now = now(&clock);
    let exchange = |audience: &str, token_audience: &str, more: &[(&str, &str)]| {
        let claims = json!({
            "iss": GitHubActions::ISSUER, "sub": "s", "aud": token_audience, "iat": now, "exp": now + 300,
        });
        let subject = actions.key().sign(&json!({}), &claims);
        let mut fields = vec![
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", &subject),
            ("audience", audience),
            ("scope", "https://www.googleapis.com/auth/cloud-platform"),
        ];
        fields.extend(more);
        request(
            fake.server().address(),
            "POST",
            "/v1/token",
            &[FORM],
            &form(&fields),
        )
    };
    let provider = GcpWorkloadIdentity::PROVIDER;
    let body = json_of(&exchange(provider, provider, &[]));
    assert_eq!(
        body["access_token"],
        "ya29.federated-1",
        "{:?}",
        fake.refusals()
    );
    for (error, seen) in [
        (
            "invalid_client",
            exchange(provider, provider, &[("client_id", "a")]),
        ),
        ("invalid_request", exchange("other", provider, &[])),
        (
            "invalid_target",
            exchange("//iam.googleapis.com/projects/1", provider, &[]),
        ),
        ("invalid_grant", exchange(provider, "other", &[])),
    ] {
        assert_eq!(json_of(&seen)["error"], error);
    }
    let impersonate = |token: &str, account: &str, body: Value| {
        let path = format!("/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
        let token = format!("Bearer {token}");
        let headers = [
            ("authorization", &*token),
            ("content-type", "application/json"),
        ];
        request(
            fake.server().address(),
            "POST",
            &path,
            &headers,
            &body.to_string(),
        )
    };
    let (token, account) = ("ya29.federated-1", GcpWorkloadIdentity::ACCOUNT);
    let wanted = json!({"scope": ["s"], "lifetime": "600s"});
    let body = json_of(&impersonate(token, account, wanted.clone()));
    assert_eq!(body["accessToken"], "ya29.impersonated-1");
    assert_eq!(body["expireTime"], "2030-01-01T00:10:00Z");
    for (status, seen) in [
        (
            "UNAUTHENTICATED",
            impersonate("other", account, wanted.clone()),
        ),
        ("PERMISSION_DENIED", impersonate(token, "other", wanted)),
        (
            "INVALID_ARGUMENT",
            impersonate(token, account, json!({"scope": "s"})),
        ),
    ] {
        assert_eq!(json_of(&seen)["error"]["status"], status);
    }
}
