//! Tokens that profiles fetch from OAuth servers, with secrets that are read when they are needed.

use std::fs;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyfob::{ErrorKind, Profiles, TokenCache};
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::folder::Folder;

/// The tokens of a profile with this token table. They are stored only in this process.
fn tokens(lines: &str) -> TokenCache {
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example/fhir\"\nstore = \"memory\"\n[profiles.a.token]\n{lines}"
    );
    let profiles = Profiles::from_text(&text).expect("the file has no fault");
    let tokens = profiles.get("a").and_then(|a| a.tokens());
    tokens.expect("it can be made")
}

pub(crate) fn token_response(token: &str) -> ScriptedResponse {
    ScriptedResponse::json(
        json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}),
    )
}

/// A new private key in PEM, in a file.
pub(crate) fn private_key(folder: &Folder, curve: &'static EcdsaSigningAlgorithm) -> PathBuf {
    let key = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new());
    let body = STANDARD.encode(key.expect("the machine has randomness"));
    folder.file(
        "key",
        &format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
    )
}

#[test]
fn client_credentials_use_the_current_secret() {
    let (folder, server) = (Folder::new(), Server::start());
    let secret = folder.file("secret", "first\n");
    for (basic, token) in [("YTpmaXJzdA==", "one"), ("YTpzZWNvbmQ=", "two")] {
        server.expect(
            Expect::post("/token")
                .header("authorization", &format!("Basic {basic}"))
                .form("grant_type", "client_credentials")
                .form("scope", "read write")
                .form("audience", "b")
                .form("resource", "https://a.example/")
                .form("tenant", "t")
                .respond(token_response(token)),
        );
    }
    let tokens = tokens(&format!(
        r#"grant = "client_credentials"
        token_endpoint = "{}"
        client_id = "a"
        client_secret = "file:{}"
        scopes = ["read", "write"]
        audience = "b"
        resource = "https://a.example/"
        parameters = {{ tenant = "t" }}"#,
        server.url_for("/token"),
        secret.display()
    ));
    assert_eq!(renewed(&tokens), "one");
    fs::write(&secret, "second").expect("the folder is ours");
    assert_eq!(renewed(&tokens), "two");
    server.verify();
}

#[test]
fn a_custom_grant_reads_its_secret_parameters_at_each_renewal() {
    let (folder, server) = (Folder::new(), Server::start());
    let secret = folder.file("secret", "first\n");
    for (key, token) in [("first", "one"), ("second", "two")] {
        server.expect(
            Expect::post("/token")
                .form("grant_type", "urn:ibm:params:oauth:grant-type:apikey")
                .form("apikey", key)
                .form("account", "A1")
                .respond(token_response(token)),
        );
    }
    let tokens = tokens(&format!(
        r#"grant = "custom"
        grant_type = "urn:ibm:params:oauth:grant-type:apikey"
        token_endpoint = "{}"
        client_id = "a"
        parameters = {{ account = "A1" }}
        secret_parameters = {{ apikey = "file:{}" }}"#,
        server.url_for("/token"),
        secret.display()
    ));
    assert_eq!(renewed(&tokens), "one");
    fs::write(&secret, "second").expect("the folder is ours");
    assert_eq!(renewed(&tokens), "two");
    server.verify();
}

#[test]
fn a_secret_can_be_sent_in_the_form() {
    let (folder, server) = (Folder::new(), Server::start());
    let secret = folder.file("secret", "s3cret");
    server.expect(
        Expect::post("/token")
            .form("client_id", "a")
            .form("client_secret", "s3cret")
            .without_header("authorization")
            .respond(token_response("one")),
    );
    let tokens = tokens(&format!(
        "grant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"a\"\n\
         client_authentication = \"client_secret_post\"\nclient_secret = \"command:cat {}\"",
        server.url_for("/token"),
        secret.display()
    ));
    assert_eq!(renewed(&tokens), "one");
    server.verify();
}

#[test]
fn the_metadata_of_an_issuer_are_requested_once() {
    let server = Server::start();
    server.expect(discovery(
        &server,
        "/.well-known/oauth-authorization-server",
        server.url(),
    ));
    server.expect(
        Expect::post("/token")
            .form("client_id", "a")
            .respond(token_response("one"))
            .times(2),
    );
    let tokens = tokens(&format!(
        "grant = \"client_credentials\"\nissuer = \"{}\"\nclient_id = \"a\"",
        server.url()
    ));
    assert_eq!(renewed(&tokens), "one");
    assert_eq!(renewed(&tokens), "one");
    server.verify();
}

#[test]
fn a_private_key_signs_a_jwt_that_names_the_client() {
    let (folder, server) = (Folder::new(), Server::start());
    let key = private_key(&folder, &ECDSA_P256_SHA256_FIXED_SIGNING);
    server.expect(
        Expect::post("/token")
            .matching("an assertion by ES256 with the key's name", |received| {
                let head = assertion_head(received, "client_assertion");
                head["alg"] == "ES256" && head["kid"] == "k1"
            })
            .respond(token_response("one")),
    );
    let tokens = tokens(&format!(
        "grant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"a\"\n\
         private_key = \"file:{}\"\nkey_id = \"k1\"\nalgorithm = \"ES256\"",
        server.url_for("/token"),
        key.display()
    ));
    assert_eq!(renewed(&tokens), "one");
    server.verify();
}

#[test]
fn an_encrypted_private_key_is_read_with_its_passphrase() {
    let (folder, server) = (Folder::new(), Server::start());
    let key = folder.file("key", include_str!("../oauth/keys/p256-encrypted.pem"));
    let passphrase = folder.file("passphrase", "correct-horse\n");
    let settings = |more: &str| {
        tokens(&format!(
            "grant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"a\"\n\
             private_key = \"file:{}\"\n{more}",
            server.url_for("/token"),
            key.display()
        ))
    };
    let error = settings("").get_valid_token_blocking().unwrap_err();
    assert!(
        error.to_string().contains("private_key_passphrase"),
        "{error}"
    );
    server.expect(
        Expect::post("/token")
            .matching("an assertion by ES256", |received| {
                assertion_head(received, "client_assertion")["alg"] == "ES256"
            })
            .respond(token_response("one")),
    );
    let passphrase = format!("private_key_passphrase = \"file:{}\"", passphrase.display());
    assert_eq!(renewed(&settings(&passphrase)), "one");
    server.verify();
}

#[test]
fn tokens_are_bound_to_a_key_and_each_request_has_a_proof() {
    let (folder, server) = (Folder::new(), Server::start());
    let key = private_key(&folder, &ECDSA_P256_SHA256_FIXED_SIGNING);
    let proof = |received: &Received| received.header("dpop").is_some();
    server.expect(Expect::post("/token").matching("a proof", proof).respond(
        ScriptedResponse::json(
            json!({"access_token": "one", "token_type": "DPoP", "expires_in": 3600}),
        ),
    ));
    server.expect(
        Expect::get("/x")
            .header("authorization", "DPoP one")
            .matching("a proof", proof)
            .respond(ScriptedResponse::text("ok")),
    );
    let text = format!(
        "[profiles.a]\nbase_url = \"{}\"\nstore = \"memory\"\n[profiles.a.token]\n\
         grant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"a\"\ndpop_key = \"file:{}\"",
        server.url(),
        server.url_for("/token"),
        key.display()
    );
    let profiles = Profiles::from_text(&text).expect("the file has no fault");
    let session = profiles
        .get("a")
        .and_then(|a| a.blocking_session())
        .expect("it can be made");
    assert_eq!(
        session
            .get("x")
            .send()
            .expect("the server responds")
            .status(),
        200
    );
    server.verify();
}

#[test]
fn a_refresh_token_is_read_once_and_then_the_newest_is_used() {
    let (folder, server) = (Folder::new(), Server::start());
    let first = folder.file("refresh", "r1");
    for (used, next) in [("r1", "r2"), ("r2", "r3")] {
        server.expect(
            Expect::post("/token")
                .form("grant_type", "refresh_token")
                .form("refresh_token", used)
                .respond(ScriptedResponse::json(json!({
                    "access_token": used, "token_type": "Bearer", "expires_in": 3600, "refresh_token": next,
                }))),
        );
    }
    let tokens = tokens(&format!(
        "grant = \"refresh_token\"\ntoken_endpoint = \"{}\"\nclient_id = \"a\"\nrefresh_token = \"file:{}\"",
        server.url_for("/token"),
        first.display()
    ));
    assert_eq!(renewed(&tokens), "r1");
    fs::remove_file(first).expect("the folder is ours");
    assert_eq!(renewed(&tokens), "r2");
    server.verify();
}

#[test]
fn an_assertion_is_read_as_stored_or_signed() {
    let (folder, server) = (Folder::new(), Server::start());
    let kept = folder.file("assertion", "kept.assertion");
    let key = private_key(&folder, &ECDSA_P256_SHA256_FIXED_SIGNING);
    server.expect(
        Expect::post("/token")
            .form("assertion", "kept.assertion")
            .respond(token_response("kept")),
    );
    let grant = format!(
        "grant = \"jwt_bearer\"\ntoken_endpoint = \"{}\"\nclient_id = \"a\"\n",
        server.url_for("/token")
    );
    assert_eq!(
        renewed(&tokens(&format!(
            "{grant}assertion = \"file:{}\"",
            kept.display()
        ))),
        "kept"
    );
    server.expect(
        Expect::post("/token")
            .matching("an assertion by ES256, and no other", |received| {
                assertion_head(received, "assertion")["alg"] == "ES256"
                    && received.form_value("client_assertion").is_none()
            })
            .respond(token_response("signed")),
    );
    let signed = format!(
        "{grant}private_key = \"file:{}\"\nsubject = \"anna\"",
        key.display()
    );
    assert_eq!(renewed(&tokens(&signed)), "signed");
    server.verify();
}

#[test]
fn a_token_is_exchanged_for_another() {
    let (folder, server) = (Folder::new(), Server::start());
    let subject = folder.file("subject", "given");
    server.expect(
        Expect::post("/token")
            .form("subject_token", "given")
            .form("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
            .form("requested_token_type", "urn:example:mine")
            .respond(ScriptedResponse::json(json!({
                "access_token": "got",
                "token_type": "Bearer",
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            }))),
    );
    let tokens = tokens(&format!(
        "grant = \"token_exchange\"\ntoken_endpoint = \"{}\"\nclient_id = \"a\"\nsubject_token = \"file:{}\"\n\
         subject_token_type = \"jwt\"\nrequested_token_type = \"urn:example:mine\"",
        server.url_for("/token"),
        subject.display()
    ));
    assert_eq!(renewed(&tokens), "got");
    server.verify();
}

#[test]
fn without_a_sign_in_the_error_says_how_to_sign_in() {
    for grant in ["device_code", "authorization_code"] {
        let tokens = tokens(&format!(
            "grant = \"{grant}\"\nissuer = \"https://i.example\"\nclient_id = \"a\""
        ));
        let error = tokens
            .get_valid_token_blocking()
            .expect_err("there is no sign-in");
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("`keyfob login a`"), "{error}");
    }
}

#[test]
fn s1_a_secret_that_cannot_be_used_is_not_quoted() {
    let folder = Folder::new();
    let key = folder.file("key", "-----BEGIN s3cret");
    let missing = folder.path("missing");
    for (lines, word) in [
        (
            format!("private_key = \"file:{}\"", key.display()),
            "is cut",
        ),
        (
            format!("client_secret = \"file:{}\"", missing.display()),
            "does not exist",
        ),
        (
            "client_secret = \"command:false s3cret\"".to_owned(),
            "failed",
        ),
        (
            format!("client_secret = \"command:head -c 0 {}\"", key.display()),
            "is empty",
        ),
    ] {
        let tokens = tokens(&format!(
            "grant = \"client_credentials\"\ntoken_endpoint = \"https://i.example/token\"\nclient_id = \"a\"\n{lines}"
        ));
        let error = tokens
            .get_valid_token_blocking()
            .expect_err("there is no secret");
        assert!(error.to_string().contains(word), "{error}");
        assert!(
            !format!("{error:?} {tokens:?}").contains("s3cret"),
            "{error:?}"
        );
    }
}

fn discovery(server: &Server, path: &str, issuer: String) -> Expect {
    Expect::get(path).respond(ScriptedResponse::json(json!({
        "issuer": issuer,
        "token_endpoint": server.url_for("/token"),
    })))
}

pub(crate) fn renewed(tokens: &TokenCache) -> String {
    let token = tokens.renew_blocking().expect("the server gives one");
    token.expose().to_owned()
}

/// The head of a signed assertion in a form.
pub(crate) fn assertion_head(received: &Received, field: &str) -> Value {
    let assertion = received.form_value(field).unwrap_or_default();
    let head = assertion.split('.').next().unwrap_or_default();
    let head = URL_SAFE_NO_PAD.decode(head).unwrap_or_default();
    serde_json::from_slice(&head).unwrap_or_default()
}

#[tokio::test]
async fn a_profile_decides_whether_a_sign_in_request_is_pushed() {
    for (lines, is_pushed) in [
        ("", true),
        ("pushed_authorization_requests = \"when_offered\"", true),
        ("pushed_authorization_requests = \"always\"", true),
        ("pushed_authorization_requests = \"never\"", false),
    ] {
        let server = Server::start();
        let uri = json!({"request_uri": "urn:example:1", "expires_in": 60});
        if is_pushed {
            server.expect(Expect::post("/push").respond(ScriptedResponse::json(uri)));
        }
        let text = format!(
            "[profiles.a]\nbase_url = \"https://a.example/\"\n[profiles.a.token]\ngrant = \"authorization_code\"\n\
             client_id = \"a\"\ntoken_endpoint = \"{}\"\nauthorization_endpoint = \"{}\"\n\
             pushed_authorization_request_endpoint = \"{}\"\n{lines}\n",
            server.url_for("/token"),
            server.url_for("/authorize"),
            server.url_for("/push")
        );
        let profiles = Profiles::from_text(&text).expect("the file has no fault");
        let profile = profiles.get("a").expect("it is there");
        let flow = profile
            .authorization_code()
            .await
            .expect("it has a sign-in");
        let request = flow.start().await.expect("the server accepts it");
        assert_eq!(request.url().contains("request_uri="), is_pushed, "{lines}");
        assert_eq!(
            request.url().contains("code_challenge="),
            !is_pushed,
            "{lines}"
        );
    }
}

#[tokio::test]
async fn r1_a_server_on_plain_http_inside_a_cluster_must_be_allowed_by_its_origin() {
    for (key, is_allowed) in [
        ("", false),
        ("allow_plain_http = \"http://keycloak.auth.svc\"", false),
        ("allow_plain_http = \"http://keycloak.auth.svc:8080\"", true),
    ] {
        let text = format!(
            "[profiles.a]\nbase_url = \"https://a.example\"\nstore = \"memory\"\n[profiles.a.token]\n\
             grant = \"client_credentials\"\nissuer = \"http://keycloak.auth.svc:8080/realms/main\"\n\
             client_id = \"a\"\n{key}\n"
        );
        let profiles = Profiles::from_text(&text).unwrap();
        let client = profiles.get("a").unwrap().client().await;
        assert_eq!(client.is_ok(), is_allowed, "{key}");
        if let Err(error) = client {
            assert!(error.to_string().contains("allow_plain_http"), "{error}");
        }
    }
}
