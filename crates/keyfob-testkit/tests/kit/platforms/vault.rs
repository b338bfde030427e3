//! Vault: logins, leases and their renewal. `--test real_servers` compares its responses with those of OpenBao.

use std::time::Duration;

use keyfob_testkit::platforms::{Fake, Kubernetes, Vault};
use keyfob_testkit::{ManualClock, json};
use serde_json::Value;

use crate::client::request;
use crate::platforms::json_of;

fn post(fake: &Fake<Vault>, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let headers = [("x-vault-token", token)];
    let address = fake.server().address();
    let seen = request(address, "POST", path, &headers, &body.to_string());
    (seen.status(), json_of(&seen))
}

#[test]
fn a_lease_is_renewed_up_to_the_maximum_lifetime() {
    let clock = ManualClock::default();
    let fake = Vault::start_on(&clock);
    fake.set_lifetimes(Duration::from_secs(600), Duration::from_secs(1000));
    let login = json!({"role_id": Vault::ROLE_ID, "secret_id": Vault::SECRET_ID});
    let (_, body) = post(&fake, Vault::APPROLE_PATH, "", &login);
    let token = body["auth"]["client_token"].as_str().unwrap().to_owned();
    let renew = || post(&fake, Vault::RENEW_PATH, &token, &json!({}));
    clock.advance(Duration::from_secs(500));
    assert_eq!(renew().1["auth"]["lease_duration"], 500);
    clock.advance(Duration::from_secs(501));
    assert_eq!(renew().0, 403);
}

#[test]
fn the_role_for_kubernetes_wants_the_audience_and_the_service_account() {
    let clock = ManualClock::default();
    let (fake, kubernetes) = (Vault::start_on(&clock), Kubernetes::start_on(&clock));
    let login = |role: &str, audience: &str| {
        let body = json!({"role": role, "jwt": kubernetes.token(audience)});
        post(&fake, Vault::KUBERNETES_PATH, "", &body).0
    };
    assert_eq!(login(Vault::ROLE, Vault::AUDIENCE), 403);
    fake.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    assert_eq!(login(Vault::ROLE, Vault::AUDIENCE), 200);
    assert_eq!(login(Vault::ROLE, "other"), 403);
    assert_eq!(login("other", Vault::AUDIENCE), 400);
    fake.set_namespace("team-a");
    assert_eq!(login(Vault::ROLE, Vault::AUDIENCE), 404);
}
