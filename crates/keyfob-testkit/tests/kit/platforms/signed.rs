//! APIs that take a JWT which the client signs itself, in place of a token.

use keyfob_testkit::platforms::{AppStoreConnect, Fake, Platform, Snowflake};
use keyfob_testkit::{ManualClock, json};
use serde_json::Value;

use crate::client::request;
use crate::platforms::{json_of, now};

/// The status and the body of the response to a request with this JWT.
fn get<P: Platform>(fake: &Fake<P>, path: &str, jwt: &str) -> (u16, Value) {
    let bearer = format!("Bearer {jwt}");
    let headers = [("authorization", bearer.as_str()), ("user-agent", "test")];
    let seen = request(fake.server().address(), "GET", path, &headers, "");
    (seen.status(), json_of(&seen))
}

#[test]
fn snowflake_wants_the_names_and_the_fingerprint_in_upper_case() {
    let clock = ManualClock::default();
    let fake = Snowflake::start_on(&clock);
    let now = now(&clock);
    let name = "MYORG-ACCOUNT1.ETL_USER";
    let fingerprint = Snowflake::fingerprint(fake.key());
    let good = json!({
        "iss": format!("{name}.{fingerprint}"), "sub": name, "iat": now, "exp": now + 3600,
    });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        get(
            &fake,
            "/api/v2/databases",
            &fake.key().sign(&json!({}), &claims),
        )
    };
    assert_eq!(with("exp", json!(now + 3600)).0, 200);
    for (claim, value) in [
        ("sub", json!(name.to_lowercase())),
        ("iss", json!(name)),
        ("iat", json!(now + 61)),
        ("iat", json!(now - 3601)),
        ("exp", json!(now - 61)),
    ] {
        let (status, body) = with(claim, value);
        assert_eq!((status, &body["code"]), (401, &json!("390144")), "{claim}");
    }
}

#[test]
fn app_store_connect_limits_the_lifetime_and_knows_two_kinds_of_keys() {
    let clock = ManualClock::default();
    let fake = AppStoreConnect::start_on(&clock);
    let now = now(&clock);
    let times = json!({"aud": AppStoreConnect::AUDIENCE, "iat": now, "exp": now + 1200});
    let sent = |key: &keyfob_testkit::platforms::PlatformKey, other: Value| {
        let mut claims = times.clone();
        claims
            .as_object_mut()
            .unwrap()
            .extend(other.as_object().unwrap().clone());
        get(&fake, "/v1/apps", &key.sign(&json!({}), &claims))
    };
    let (team, person) = (fake.team_key(), fake.individual_key());
    let issuer = AppStoreConnect::ISSUER;
    assert_eq!(sent(team, json!({"iss": issuer})).0, 200);
    assert_eq!(sent(person, json!({"sub": "user"})).0, 200);
    for (key, claims) in [
        (team, json!({})),
        (team, json!({"iss": issuer, "exp": now + 1201})),
        (team, json!({"iss": issuer, "aud": "appstoreconnect"})),
        (person, json!({"sub": "user", "iss": issuer})),
        (person, json!({"iss": issuer})),
    ] {
        let (status, body) = sent(key, claims);
        assert_eq!(status, 401);
        assert_eq!(body["errors"][0]["code"], "NOT_AUTHORIZED");
    }
}
