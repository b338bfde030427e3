//! Tokens from secret sources, and the sessions of their profiles.

use std::fs;

use keyfob::http::header::AUTHORIZATION;
use keyfob::{ErrorKind, Profiles};
use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::folder::Folder;

fn profiles(origin: &str, token: &str) -> Profiles {
    let text = format!("[profiles.a]\nbase_url = \"{origin}\"\n{token}\n");
    Profiles::from_text(&text).expect("the file has no fault")
}

#[test]
fn a_token_comes_from_the_configured_secret_source() {
    let folder = Folder::new();
    let path = folder.file("profile-token", "t0ken\n");
    let places = [
        format!("token = \"file:{}\"", path.display()),
        format!(
            "store = \"memory\"\ntoken = \"command:cat {}\"",
            path.display()
        ),
        format!(
            "[profiles.a.token]\nsource = \"file:{}\"\ndefault_lifetime = 60",
            path.display()
        ),
    ];
    for place in places {
        let profiles = profiles("https://a.example", &place);
        let tokens = profiles
            .get("a")
            .and_then(|a| a.tokens())
            .expect("it can be made");
        let token = tokens.get_valid_token_blocking().expect("it is there");
        assert_eq!(token.expose(), "t0ken");
    }
}

#[test]
fn a_secret_source_without_a_token_is_an_error_that_names_it() {
    let profiles = profiles("https://a.example", "token = \"env:KEYFOB_TEST_NOT_SET\"");
    let tokens = profiles
        .get("a")
        .and_then(|a| a.tokens())
        .expect("nothing is read yet");
    let error = tokens
        .get_valid_token_blocking()
        .expect_err("it is not set");
    assert!(error.is_authentication());
    assert!(error.to_string().contains("KEYFOB_TEST_NOT_SET"), "{error}");
}

#[test]
fn s1_a_key_that_cannot_be_used_is_named_and_not_quoted() {
    let folder = Folder::new();
    let file = folder.file(
        "key",
        r#"{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\ns3cr3t\n"}"#,
    );
    let key = format!("\"file:{}\"", file.display());
    let server = "token_endpoint = \"https://b.example\"\nclient_id = \"a\"";
    let jwt_bearer = format!("grant = \"jwt_bearer\"\n{server}");
    let credentials = format!("grant = \"client_credentials\"\n{server}");
    for (token, name) in [
        (format!("{credentials}\nprivate_key = {key}"), "private"),
        (format!("{jwt_bearer}\nprivate_key = {key}"), "private"),
        (
            format!("source = \"signed_jwt\"\nprivate_key = {key}"),
            "private",
        ),
        (format!("{credentials}\ndpop_key = {key}"), "DPoP"),
    ] {
        let lines = format!("store = \"memory\"\n[profiles.a.token]\n{token}");
        let profiles = profiles("https://a.example", &lines);
        let tokens = profiles.get("a").and_then(|a| a.tokens());
        let error = tokens.and_then(|tokens| tokens.get_valid_token_blocking());
        let error = error.expect_err("the key is none").to_string();
        let named = format!(
            "the {name} key in the file {}: the signing key is JSON with a PEM in `private_key`",
            file.display()
        );
        assert!(error.contains(&named), "{token}: {error}");
        assert!(error.contains("gcp_service_account"), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}

#[test]
fn t1_all_sessions_of_a_profile_share_its_token() {
    let folder = Folder::new();
    let count = folder.file("profile-count", "");
    let script = folder.file(
        "profile-script",
        &format!("echo >> {0}; echo t0ken", count.display()),
    );
    let profiles = profiles(
        "https://a.example",
        &format!(
            "store = \"memory\"\ntoken = \"command:sh {}\"",
            script.display()
        ),
    );
    for _ in 0..3 {
        let profile = profiles.get("a").expect("it is there").clone();
        let tokens = profile.tokens().expect("it can be made");
        tokens
            .authenticate_blocking()
            .expect("the command prints one");
    }
    assert_eq!(fs::read_to_string(count).expect("it was written"), "\n");
}

#[test]
fn the_header_of_a_token_can_be_chosen() {
    let folder = Folder::new();
    let path = folder.file("profile-key", "s3cret");
    for (field, name, value) in [
        ("header = \"X-Api-Key\"", "x-api-key", "s3cret"),
        ("scheme = \"token\"", AUTHORIZATION.as_str(), "token s3cret"),
    ] {
        let token = format!(
            "[profiles.a.token]\nsource = \"file:{}\"\n{field}",
            path.display()
        );
        let profiles = profiles("https://a.example", &token);
        let tokens = profiles
            .get("a")
            .and_then(|a| a.tokens())
            .expect("it can be made");
        let lease = tokens.lease_blocking(None).expect("it is there");
        let [(field, sent)] = lease.headers() else {
            panic!("{lease:?}")
        };
        assert_eq!((field.as_str(), sent.as_bytes()), (name, value.as_bytes()));
    }
}

#[test]
fn r1_a_session_has_the_base_url_retries_and_origins_of_its_profile() {
    let folder = Folder::new();
    let server = Server::start();
    server.expect(
        Expect::get("/v1/items")
            .header("authorization", "Bearer t0ken")
            .respond(ScriptedResponse::status(503)),
    );
    let path = folder.file("profile-session", "t0ken");
    let profiles = profiles(
        &format!("{}/v1", server.url()),
        &format!(
            "token = \"file:{}\"\n[profiles.a.retry]\nattempts = 1",
            path.display()
        ),
    );
    let session = profiles
        .get("a")
        .and_then(|a| a.blocking_session())
        .expect("it can be made");
    let response = session.get("items").send().expect("the server responds");
    assert_eq!(response.status(), 503);
    let error = session
        .get("https://b.example")
        .send()
        .expect_err("it is another origin");
    assert_eq!(error.kind(), ErrorKind::Origin);
    server.verify();
}

#[test]
fn s1_the_debug_text_of_a_profile_shows_no_secret() {
    let folder = Folder::new();
    let path = folder.file("profile-debug", "s3cret-token");
    for token in [
        format!("token = \"file:{}\"", path.display()),
        "token = \"command:echo s3cret-argument\"".to_owned(),
    ] {
        let profiles = profiles("https://a.example", &format!("{token}\nstore = \"memory\""));
        let profile = profiles.get("a").expect("it is there");
        let tokens = profile.tokens().expect("it can be made");
        let token = tokens.get_valid_token_blocking().expect("it is there");
        assert!(token.expose().starts_with("s3cret"));
        let text = format!("{profile:?} {profiles:?} {profile:#?}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
