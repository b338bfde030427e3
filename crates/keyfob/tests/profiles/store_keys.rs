//! The key under which a profile's token is stored. If a key changes, every person has to sign in again.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use keyfob::store::{Entry, StoreKey, seal_again};
use keyfob::{Profiles, Token};

const CLIENT: &str = r#"
    token_endpoint = "https://login.example.com/token"
    client_id = "reports"
"#;

/// Checks the label and the id of the store key of a profile with this token table.
#[track_caller]
fn assert_key(token: &str, label: &str, id: &str) {
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example/fhir\"\nstore = {{ kind = \"file\", directory = \"/state\" }}\n[profiles.a.token]\n{token}"
    );
    let profiles = Profiles::from_text(&text).expect("the file has no fault");
    let store = profiles.get("a").and_then(|profile| profile.store());
    let (_, key) = store
        .expect("the directory is named")
        .expect("the token is kept");
    assert_eq!((key.label(), key.id()), (label, id));
}

#[test]
fn tokens_of_a_command_keep_their_store_key() {
    assert_key(
        r#"source = "command:print-token --for 'a b'""#,
        "the command print-token subject=3bda95693b427859 name=a",
        "82ee631fe26152e63b9d9bebf1f5393af2a8d882d360b5b7939b14ac9ec09bb1",
    );
}

#[test]
fn tokens_of_a_client_keep_their_store_key() {
    assert_key(
        &format!("grant = \"client_credentials\"\nclient_secret = \"env:SECRET\"{CLIENT}"),
        "https://login.example.com/token client=reports subject=6cd3f44bb7bd0b9d grant=client_credentials name=a",
        "f471ed8fb5f5e5477166d00de98d7bdafdc0b0b01b7cac71a2e4ec64751321ce",
    );
    assert_key(
        &format!(
            r#"grant = "client_credentials"
            client_secret = "env:SECRET"
            scopes = ["write", "read"]
            audience = ["b", "c"]
            resource = "https://a.example/"
            parameters = {{ tenant = "t" }}
            dpop_key = "file:/keys/dpop"
            {CLIENT}"#
        ),
        "https://login.example.com/token client=reports subject=a84122f4e15c7104 scope=read+write resource=https://a.example/ audience=b c type=DPoP grant=client_credentials name=a",
        "42eb39b30aaaac9ed1e2ab176ac9b895f61370dc62b2de32ace778aecb35e2e7",
    );
    assert_key(
        r#"grant = "smart_backend_services"
        client_id = "reports"
        private_key = "file:/keys/client"
        key_id = "one"
        algorithm = "ES384"
        scopes = ["system/*.rs"]"#,
        "https://a.example/fhir client=reports subject=5653cfcdb451789c scope=system/*.rs grant=smart_backend_services name=a",
        "33389ee6d2d1c931e873bb48bf43db69c4da451023ff8cdddc1296418616161d",
    );
}

#[test]
fn tokens_of_an_assertion_keep_their_store_key() {
    assert_key(
        &format!(
            "grant = \"jwt_bearer\"\nassertion = \"env:ASSERTION\"\nclient_authentication = \"none\"{CLIENT}"
        ),
        "https://login.example.com/token client=reports subject=bb454054949b041f grant=jwt_bearer name=a",
        "ba83b1e5b5d6e6513691ba8e7e5c0812f940c6e86604cca9edb9db3cc57d0bc7",
    );
    assert_key(
        &format!(
            r#"grant = "jwt_bearer"
            private_key = "file:/keys/client"
            subject = "anna"
            assertion_audience = "https://login.example.com"
            {CLIENT}"#
        ),
        "https://login.example.com/token client=reports subject=b2b98f348c44c60c grant=jwt_bearer name=a",
        "2e8475f4cfe026c45ed9f1408ff96f8e905e38f0308cb01139e2631cb9a23145",
    );
}

#[test]
fn exchanged_tokens_keep_their_store_key() {
    assert_key(
        &format!(
            r#"grant = "token_exchange"
            subject_token = "file:/tokens/anna"
            actor_token = "file:/tokens/robot"
            requested_token_type = "jwt"
            {CLIENT}"#
        ),
        "https://login.example.com/token client=reports subject=c6ea993adf303ec9 grant=token_exchange name=a",
        "6f4497c124aa06dcfc17aed98559cb8eb0adb19bb07b208b553530f649256205",
    );
}

#[test]
fn tokens_of_a_custom_grant_differ_by_its_type_and_parameters() {
    let key = |more: &str| {
        let text = format!(
            "[profiles.a]\nbase_url = \"https://a.example\"\nstore = {{ kind = \"file\", directory = \"/state\" }}\n[profiles.a.token]\n\
             grant = \"custom\"\ntoken_endpoint = \"https://i.example/token\"\nclient_id = \"a\"\n{more}"
        );
        let profiles = Profiles::from_text(&text).unwrap();
        let stored = profiles.get("a").unwrap().store().unwrap();
        stored.expect("the profile has a store").1.id().to_owned()
    };
    let keys = [
        "grant_type = \"one\"",
        "grant_type = \"two\"",
        "grant_type = \"one\"\nsecret_parameters = { a = \"env:A\" }",
        "grant_type = \"one\"\nsecret_parameters = { b = \"env:A\" }",
        "grant_type = \"one\"\nsecret_parameters = { a = \"env:B\" }",
    ]
    .map(key);
    assert_eq!(HashSet::from(keys.clone()).len(), keys.len(), "{keys:?}");
}

#[test]
fn signed_in_tokens_keep_their_store_key() {
    assert_key(
        &format!("grant = \"refresh_token\"\nrefresh_token = \"env:FIRST\"{CLIENT}"),
        "https://login.example.com/token client=reports subject=aab1b9f16d8e53ab grant=refresh_token name=a",
        "636b85e06ba577780940140d22814c136eb195a95f4ca985c87e7a6fa5bae176",
    );
    assert_key(
        r#"grant = "device_code"
        issuer = "https://login.example.com"
        client_id = "reports""#,
        "https://login.example.com client=reports subject=49c41d8268a74fd7 grant=device_code name=a",
        "6978d3f47000f744e1739c5f4d476f4a21e96bde846dcfe070fa914e62106d7d",
    );
    assert_key(
        &format!(
            r#"grant = "authorization_code"
            authorization_endpoint = "https://login.example.com/authorize"
            redirect_uri = "http://127.0.0.1/callback"
            {CLIENT}"#
        ),
        "https://login.example.com/token client=reports subject=e2a8fecb46297167 grant=authorization_code name=a",
        "26762ac1d1dbf3c6a9854db84ffe42d366820ae68f60ba2d35306c8b9114cd6c",
    );
}

#[test]
fn the_token_of_another_job_or_user_is_not_in_the_store_that_is_the_default() {
    const EXCHANGE: &str = "grant = \"token_exchange\"\nclient_authentication = \"none\"";
    const BEARER: &str = "grant = \"jwt_bearer\"\nclient_authentication = \"none\"";
    let job = "{ preset = \"github_actions\", audience = \"a\" }";
    let lines = |grant: &str, more: &str| format!("{grant}\n{more}{CLIENT}");
    for (token, is_stored) in [
        (
            lines(EXCHANGE, "subject_token = \"env:CI_JOB_TOKEN\""),
            false,
        ),
        (
            lines(
                EXCHANGE,
                "subject_token = \"file:/f\"\nactor_token = \"env:A\"",
            ),
            false,
        ),
        (lines(EXCHANGE, &format!("subject_token = {job}")), false),
        (lines(EXCHANGE, "subject_token = \"profile:job\""), false),
        (lines(EXCHANGE, "subject_token = \"profile:over\""), false),
        (
            lines(
                EXCHANGE,
                "subject_token = { source = \"env:CI_JOB_TOKEN\" }",
            ),
            false,
        ),
        (lines(BEARER, "assertion = \"env:ASSERTION\""), false),
        (lines(BEARER, &format!("assertion = {job}")), false),
        (
            "preset = \"vault_kubernetes\"\nrole = \"a\"".to_owned(),
            false,
        ),
        (
            format!("preset = \"vault_kubernetes\"\nrole = \"a\"\njwt = {job}"),
            false,
        ),
        (
            "preset = \"vault_kubernetes\"\nrole = \"a\"\njwt = \"command:jwt\"".to_owned(),
            true,
        ),
        (
            lines(EXCHANGE, "subject_token = \"file:/tokens/anna\""),
            true,
        ),
        (lines(EXCHANGE, "subject_token = \"profile:anna\""), true),
        (
            lines(
                "grant = \"client_credentials\"",
                "client_secret = \"env:SECRET\"",
            ),
            true,
        ),
        // A sign-in would be lost.
        (
            lines("grant = \"refresh_token\"", "refresh_token = \"env:FIRST\""),
            true,
        ),
    ] {
        let text = format!(
            "[profiles.job]\norigins = []\ntoken = {job}\n\
             [profiles.over]\norigins = []\ntoken = {{ grant = \"token_exchange\", subject_token = \"profile:job\", \
             client_authentication = \"none\", client_id = \"a\", issuer = \"https://i.example\" }}\n\
             [profiles.anna]\norigins = []\ntoken = {{ grant = \"device_code\", client_id = \"a\", issuer = \"https://i.example\" }}\n\
             [profiles.a]\nbase_url = \"https://a.example/\"\n[profiles.a.token]\n{token}"
        );
        let profiles = Profiles::from_text(&text).expect("the file has no fault");
        let store = profiles.get("a").and_then(|profile| profile.store());
        assert_eq!(
            store.is_ok_and(|store| store.is_some()),
            is_stored,
            "{token}"
        );
        let named = text.replace(
            "base_url",
            "store = { kind = \"file\", directory = \"/state\" }\nbase_url",
        );
        let profiles = Profiles::from_text(&named).expect("the file has no fault");
        let store = profiles.get("a").and_then(|profile| profile.store());
        assert!(store.is_ok_and(|store| store.is_some()), "{token}");
    }
}

#[tokio::test]
async fn t9_a_profile_whose_tokens_have_no_expiry_keeps_those_of_others_in_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let seal = folder.path().join("key");
    std::fs::write(&seal, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example\"\ntoken = \"command:true\"\n\
         store = {{ kind = \"file\", directory = \"{}\", keys = \"file:{}\" }}\n",
        folder.path().join("store").display(),
        seal.display()
    );
    let profiles = Profiles::from_text(&text).unwrap();
    let (store, own) = profiles.get("a").unwrap().store().unwrap().unwrap();
    let other = StoreKey::builder("other").build();
    let second = Duration::from_secs(1);
    for (key, is_kept) in [(own, false), (other, true)] {
        let token = Token::new("t").unwrap().with_refresh_token("r").unwrap();
        let entry = Entry::new(token, SystemTime::now());
        store.replace(&key, &entry, second).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap().is_some(), is_kept);
        assert_eq!(seal_again(&*store, &key, second).await.unwrap(), is_kept);
        assert_eq!(store.load(&key).await.unwrap().is_some(), is_kept);
    }
}
