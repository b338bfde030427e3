//! T10: a pool with the settings of a profile.

use std::fs;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyfob::pool::PoolKey;
use keyfob::store::Entry;
use keyfob::{ErrorKind, FixedToken, Profile, Profiles, Token, TokenPool};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::folder::Folder;
use crate::grants::{private_key, renewed, token_response};

#[test]
fn t10_a_pool_of_a_profile_signs_a_jwt_for_the_subject_of_each_key() {
    let (folder, server) = (Folder::new(), Server::start());
    let key = private_key(&folder, &ECDSA_P256_SHA256_FIXED_SIGNING);
    for (subject, scope) in [("anna", "read"), ("bert", "write")] {
        server.expect(
            Expect::post("/token")
                .matching("the subject and the scopes of the key", move |received| {
                    let assertion = received.form_value("assertion").unwrap_or_default();
                    let claims = assertion.split('.').nth(1).unwrap_or_default();
                    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
                    let claims: Value = serde_json::from_slice(&claims).unwrap();
                    claims["sub"] == subject
                        && received.form_value("scope").as_deref() == Some(scope)
                })
                .respond(token_response(subject)),
        );
    }
    let text = format!(
        "[profiles.crm]\nbase_url = \"https://crm.example.com/\"\nstore = \"memory\"\n[profiles.crm.token]\ngrant = \"jwt_bearer\"\n\
         token_endpoint = \"{}\"\nclient_id = \"a\"\nprivate_key = \"file:{}\"",
        server.url_for("/token"),
        key.display()
    );
    let profiles = Profiles::from_text(&text).unwrap();
    let pool = profiles
        .get("crm")
        .unwrap()
        .pool()
        .unwrap()
        .build()
        .unwrap();
    for (subject, scope) in [("anna", "read"), ("bert", "write")] {
        let key = PoolKey::builder(subject).scopes([scope]).build().unwrap();
        assert_eq!(
            pool.lease_blocking(&key, None).unwrap().token().expose(),
            subject
        );
    }
    server.verify();
    let text = "[profiles.fixed]\nbase_url = \"https://crm.example.com/\"\ntoken = \"env:A\"";
    let fixed = Profiles::from_text(text).unwrap();
    let error = fixed.get("fixed").unwrap().pool().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
}

#[test]
fn t10_the_keys_of_a_profile_share_one_client_and_what_it_knows_of_the_server() {
    let (folder, server) = (Folder::new(), Server::start());
    let key = private_key(&folder, &ECDSA_P256_SHA256_FIXED_SIGNING);
    let metadata = json!({"issuer": server.url(), "token_endpoint": server.url_for("/token")});
    let metadata = ScriptedResponse::json(metadata);
    // Once: another request for it has no response.
    server.expect(Expect::get("/.well-known/oauth-authorization-server").respond(metadata));
    server.expect(Expect::post("/token").always(token_response("t")));
    let text = format!(
        "[profiles.crm]\nbase_url = \"https://crm.example.com/\"\nstore = \"memory\"\n[profiles.crm.token]\ngrant = \"jwt_bearer\"\n\
         issuer = \"{}\"\nclient_id = \"a\"\nprivate_key = \"file:{}\"",
        server.url(),
        key.display()
    );
    let profiles = Profiles::from_text(&text).unwrap();
    let pool = profiles.get("crm").unwrap().pool().unwrap();
    let pool = pool.build().unwrap();
    for subject in ["anna", "bert", "carl"] {
        assert_eq!(answer(&pool, &PoolKey::new(subject).unwrap()), "t");
    }
    // The client is made anew when the key of the profile changes.
    let asked = server.received().len();
    fs::remove_file(&key).unwrap();
    let other = private_key(&folder, &ECDSA_P256_SHA256_FIXED_SIGNING);
    assert_eq!(other, key);
    let metadata = json!({"issuer": server.url(), "token_endpoint": server.url_for("/token")});
    let metadata = ScriptedResponse::json(metadata);
    server.expect(Expect::get("/.well-known/oauth-authorization-server").respond(metadata));
    assert_eq!(answer(&pool, &PoolKey::new("dora").unwrap()), "t");
    assert_eq!(server.received().len(), asked + 2);
    server.verify();
}

/// The profile `a` of a file with a store in this folder.
fn profile(folder: &Folder, server: &Server, token: &str) -> Profile {
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example.com/\"\nstore = {{ kind = \"file\", directory = {:?} }}\n\
         [profiles.a.token]\ntoken_endpoint = \"{}\"\nclient_id = \"gateway\"\n{token}",
        folder.path("store"),
        server.url_for("/token"),
    );
    let profiles = Profiles::from_text(&text).expect("the file has no fault");
    profiles.get("a").expect("it is in the file").clone()
}

/// What a pool says to this key: the token, or the error.
fn answer(pool: &TokenPool, key: &PoolKey) -> String {
    match pool.lease_blocking(key, None) {
        Ok(lease) => lease.token().expose().to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn t10_a_pool_exchanges_the_subject_token_of_each_key_and_stores_each_apart() {
    let (folder, server) = (Folder::new(), Server::start());
    let exchange = "grant = \"token_exchange\"\nsubject_token = \"env:UNUSED\"\nresource = \"https://own.example/\"";
    let profile = profile(&folder, &server, exchange);
    let pool = || {
        let subject_token = |key: &PoolKey| {
            let token = Token::new(format!("subject-token-of-{}", key.subject()))?;
            Ok(FixedToken::new(token))
        };
        let pool = profile.pool_with_subject_tokens(subject_token).unwrap();
        pool.build().unwrap()
    };
    let keys = [
        PoolKey::new("anna"),
        PoolKey::new("bert"),
        PoolKey::builder("anna")
            .resource("https://b.example/")
            .build(),
        PoolKey::builder("anna")
            .scopes(["write"])
            .client("gateway")
            .build(),
    ]
    .map(Result::unwrap);
    for (number, key) in keys.iter().enumerate() {
        let subject_token = format!("subject-token-of-{}", key.subject());
        let mut request = Expect::post("/token")
            .form("subject_token", &subject_token)
            .form("resource", key.resource().unwrap_or("https://own.example/"));
        if let Some(scope) = key.scopes().next() {
            request = request.form("scope", scope);
        }
        server.expect(request.respond(token_response(&format!("token-{number}"))));
    }
    let first = pool();
    // Those of the second pool, as in another process, are in the store.
    for pool in [first, pool()] {
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(answer(&pool, key), format!("token-{number}"));
        }
    }
    server.verify();
    let other = PoolKey::builder("anna").client("other").build().unwrap();
    assert!(answer(&pool(), &other).contains("names another client"));
    let error = profile.pool().unwrap_err().to_string();
    assert!(error.contains("the same for all of them"), "{error}");
    assert!(error.contains("`a`") && !error.contains("any"), "{error}");
}

/// Puts the outcome of a sign-in into the store. The token is valid for this time from now on.
#[expect(clippy::disallowed_methods, reason = "profiles use the system's clock")]
fn sign_in(profile: &Profile, key: &PoolKey, token: Token, lifetime: Duration) {
    let now = SystemTime::now();
    let profile = profile.for_key(key).expect("it takes subjects");
    let stored = profile.store().expect("it can be made");
    let (store, key) = stored.expect("it is a folder");
    let entry = Entry::new(token.obtained_at(now).expires_at(now + lifetime), now);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let saved = store.replace(&key, &entry, Duration::from_secs(9));
    runtime.block_on(saved).expect("the folder can be written");
}

#[test]
fn t10_each_key_of_a_sign_in_renews_with_its_own_refresh_token() {
    let (folder, server) = (Folder::new(), Server::start());
    let profile = profile(
        &folder,
        &server,
        "grant = \"device_code\"\ndevice_authorization_endpoint = \"https://a.example.com/device\"",
    );
    let keys = ["anna", "bert"].map(|subject| PoolKey::new(subject).unwrap());
    for key in &keys {
        let first = format!("first-of-{}", key.subject());
        let token = Token::new("old").unwrap().with_refresh_token(first);
        sign_in(&profile, key, token.unwrap(), Duration::ZERO);
    }
    // One entry, so that each key evicts the other.
    let pool = profile.pool().unwrap().max_entries(1).build().unwrap();
    for (old, new) in [("first", "second"), ("second", "third")] {
        for key in &keys {
            let subject = key.subject();
            server.expect(
                Expect::post("/token")
                    .form("grant_type", "refresh_token")
                    .form("refresh_token", &format!("{old}-of-{subject}"))
                    .respond(ScriptedResponse::json(json!({
                        "access_token": format!("token-of-{subject}-{new}"), "token_type": "Bearer", "expires_in": 3600,
                        "refresh_token": format!("{new}-of-{subject}"),
                    }))),
            );
            assert_eq!(
                renewed(&pool.tokens(key).unwrap()),
                format!("token-of-{subject}-{new}")
            );
        }
    }
    server.verify();
    let carla = PoolKey::new("carla").unwrap();
    assert!(answer(&pool, &carla).contains("there is no sign-in"));
}

#[test]
fn t10_an_exchange_takes_the_subject_token_of_a_profile_with_subjects() {
    let (folder, server) = (Folder::new(), Server::start());
    let login = format!(
        "[profiles.login]\norigins = []\nstore = {{ kind = \"file\", directory = {:?} }}\n[profiles.login.token]\n\
         grant = \"authorization_code\"\nissuer = \"https://login.example.com\"\nclient_id = \"web\"",
        folder.path("store")
    );
    let exchange = "grant = \"token_exchange\"\nsubject_token = \"profile:login\"";
    let text = |store: &str| {
        format!(
            "[profiles.a]\nbase_url = \"https://a.example.com/\"\nstore = \"memory\"\n[profiles.a.token]\n\
         token_endpoint = \"{}\"\nclient_id = \"gateway\"\n{exchange}\n{store}",
            server.url_for("/token")
        )
    };
    let profiles = Profiles::from_text(&text(&login)).unwrap();
    let login = profiles.get("login").unwrap();
    for subject in ["anna", "bert"] {
        let key = PoolKey::new(subject).unwrap();
        let token = Token::new(format!("login-of-{subject}")).unwrap();
        sign_in(login, &key, token, Duration::from_secs(3600));
        server.expect(
            Expect::post("/token")
                .form("subject_token", &format!("login-of-{subject}"))
                .respond(token_response(&format!("api-of-{subject}"))),
        );
    }
    let pool = profiles.get("a").unwrap().pool().unwrap().build().unwrap();
    for subject in ["anna", "bert"] {
        let key = PoolKey::builder(subject).scopes(["read"]).build().unwrap();
        assert_eq!(answer(&pool, &key), format!("api-of-{subject}"));
    }
    server.verify();
    let fixed = "[profiles.login]\norigins = []\ntoken = \"env:A\"";
    let profiles = Profiles::from_text(&text(fixed)).unwrap();
    let error = profiles.get("a").unwrap().pool().unwrap_err().to_string();
    assert!(
        error.contains("`login` has no token for each subject"),
        "{error}"
    );
}

#[test]
fn t10_a_profile_without_subjects_makes_no_pool() {
    let (folder, server) = (Folder::new(), Server::start());
    let refusal = |token: &str| {
        let error = profile(&folder, &server, token).pool().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    };
    for token in [
        "grant = \"client_credentials\"",
        "grant = \"refresh_token\"\nrefresh_token = \"env:A\"",
    ] {
        assert!(refusal(token).contains("no token for each subject"));
    }
    let text = "[profiles.a]\nbase_url = \"https://a.example.com/\"\nstore = \"memory\"\n[profiles.a.token]\n\
                grant = \"device_code\"\nissuer = \"https://login.example.com\"\nclient_id = \"a\"";
    let profiles = Profiles::from_text(text).unwrap();
    let error = profiles.get("a").unwrap().pool().unwrap_err().to_string();
    assert!(error.contains("has no store"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_the_keys_of_a_pool_open_the_store_once_and_another_seal_loses_nothing() {
    let (folder, server) = (Folder::new(), Server::start());
    let seal = folder.file("seal", &STANDARD.encode([7; 32]));
    let key = private_key(&folder, &ECDSA_P256_SHA256_FIXED_SIGNING);
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example.com/\"\n\
         store = {{ kind = \"file\", directory = {:?}, keys = \"file:{}\", on_store_outage = \"fail\" }}\n[profiles.a.token]\ngrant = \"jwt_bearer\"\n\
         token_endpoint = \"{}\"\nclient_id = \"a\"\nprivate_key = \"file:{}\"",
        folder.path("store"),
        seal.display(),
        server.url_for("/token"),
        key.display()
    );
    let pool = || {
        let profiles = Profiles::from_text(&text).unwrap();
        let profile = profiles.get("a").unwrap();
        profile.pool().unwrap().build().unwrap()
    };
    let token_of = async |pool: &TokenPool, subject: &str| {
        let lease = pool.lease(&PoolKey::new(subject).unwrap(), None).await;
        lease.map(|lease| lease.token().expose().to_owned())
    };
    server.expect(Expect::post("/token").respond(token_response("of-anna")));
    server.expect(Expect::post("/token").respond(token_response("of-bert")));
    let first = pool();
    assert_eq!(token_of(&first, "anna").await.unwrap(), "of-anna");
    // Who opened the store again would read this key.
    let other = STANDARD.encode([8; 32]);
    std::fs::write(&seal, &other).unwrap();
    assert_eq!(token_of(&first, "bert").await.unwrap(), "of-bert");
    // A process with the wrong key gets neither token, and leaves both.
    let error = token_of(&pool(), "anna").await.unwrap_err().to_string();
    assert!(
        error.contains("sealed with a key that was not given"),
        "{error}"
    );
    std::fs::write(&seal, STANDARD.encode([7; 32])).unwrap();
    let again = pool();
    for subject in ["anna", "bert"] {
        assert_eq!(
            token_of(&again, subject).await.unwrap(),
            format!("of-{subject}")
        );
    }
    server.verify();
}
