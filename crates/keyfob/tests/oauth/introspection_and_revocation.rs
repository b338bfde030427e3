//! Introspection and revocation.

use std::time::{Duration, SystemTime};

use keyfob::oauth::{Client, ClientAuthentication};
use keyfob::{ErrorKind, Token};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::fixtures::basic;

fn client(server: &Server) -> Client {
    Client::builder("desktop")
        .token_endpoint(server.url_for("/token"))
        .introspection_endpoint(server.url_for("/introspect"))
        .revocation_endpoint(server.url_for("/revoke"))
        .authentication(ClientAuthentication::secret_basic("s3cr3t"))
        .build()
        .unwrap()
}

#[tokio::test]
async fn introspection_returns_the_response_of_the_server() {
    let server = Server::start();
    let introspection =
        json!({"active": true, "exp": 1_000_000_000, "scope": "a b", "sub": "anna"});
    server.expect(
        Expect::post("/introspect")
            .form("token", "t0ken")
            .form("token_type_hint", "access_token")
            .respond(ScriptedResponse::json(introspection))
            .respond(ScriptedResponse::json(json!({"active": false}))),
    );
    let token = Token::new("t0ken").unwrap();
    let introspection = client(&server).introspect(&token).await.unwrap();
    assert!(introspection.is_active());
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    assert_eq!(introspection.expires(), Some(expires));
    assert_eq!(introspection.scopes().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(introspection.field("sub"), Some(&json!("anna")));
    assert_eq!(basic(&server.received()[0]), "desktop:s3cr3t");

    let introspection = client(&server).introspect(&token).await.unwrap();
    assert!(!introspection.is_active());
    assert_eq!(introspection.expires(), None);
    assert_eq!(introspection.scopes().count(), 0);
}

#[tokio::test]
async fn introspection_reads_what_servers_write_instead() {
    for (fields, expires, scopes) in [
        (json!({"exp": "1000000000", "scope": ["a", "b"]}), true, 2),
        (json!({"exp": null, "scope": null}), false, 0),
        (json!({"exp": [], "scope": 7}), false, 0),
        (json!({"exp": 1e9}), true, 0),
    ] {
        let server = Server::start();
        let mut body = fields.clone();
        body["active"] = json!(true);
        server.expect(Expect::post("/introspect").respond(ScriptedResponse::json(body)));
        let token = Token::new("t0ken").unwrap();
        let introspection = client(&server).introspect(&token).await.unwrap();
        assert!(introspection.is_active());
        assert_eq!(introspection.expires().is_some(), expires, "{fields}");
        assert_eq!(introspection.scopes().count(), scopes, "{fields}");
    }
}

#[tokio::test]
async fn a_list_is_no_introspection_response() {
    let server = Server::start();
    let list = ScriptedResponse::json(json!([true, 1, "a"]));
    server.expect(Expect::post("/introspect").respond(list));
    let token = Token::new("t0ken").unwrap();
    let error = client(&server).introspect(&token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn revocation_sends_the_refresh_token_first() {
    let server = Server::start();
    server.expect(
        Expect::post("/revoke")
            .form("token", "refresh")
            .form("token_type_hint", "refresh_token")
            .respond(ScriptedResponse::status(200)),
    );
    server.expect(
        Expect::post("/revoke")
            .form("token", "t0ken")
            .form("token_type_hint", "access_token")
            .respond(ScriptedResponse::status(200)),
    );
    let token = Token::new("t0ken")
        .unwrap()
        .with_refresh_token("refresh")
        .unwrap();
    client(&server).revoke(&token).await.unwrap();
    let first = server.received()[0].form_value("token");
    assert_eq!(first.as_deref(), Some("refresh"));
    server.verify();
}

/// Tells the server what to respond to the revocation of each token.
fn revocations(server: &Server, refresh_token: ScriptedResponse, access_token: ScriptedResponse) {
    for (text, response) in [("refresh", refresh_token), ("t0ken", access_token)] {
        server.expect(
            Expect::post("/revoke")
                .form("token", text)
                .respond(response),
        );
    }
}

fn both_tokens() -> Token {
    let token = Token::new("t0ken").unwrap();
    token.with_refresh_token("refresh").unwrap()
}

#[tokio::test]
async fn a_token_that_the_server_does_not_know_counts_as_revoked() {
    // Google sends 400 and Keycloak 200, for an access token that ended with its refresh token and for both on a second try.
    for status in [200, 400] {
        let unknown =
            || ScriptedResponse::json(json!({"error": "invalid_token"})).with_status(status);
        for refresh in [ScriptedResponse::status(200), unknown()] {
            let server = Server::start();
            revocations(&server, refresh, unknown());
            client(&server).revoke(&both_tokens()).await.unwrap();
            server.verify();
        }
    }
}

#[tokio::test]
async fn the_access_token_is_revoked_although_the_refresh_token_cannot_be() {
    let refused = || ScriptedResponse::json(json!({"error": "invalid_client"})).with_status(401);
    for access in [ScriptedResponse::status(200), refused()] {
        let server = Server::start();
        revocations(&server, refused(), access);
        let error = client(&server).revoke(&both_tokens()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        server.verify();
    }
}

#[tokio::test]
async fn a_revocation_that_fails_once_is_sent_again_if_the_server_soon_accepts_it() {
    let busy = |seconds| ScriptedResponse::unavailable().header("retry-after", seconds);
    let refused = || ScriptedResponse::json(json!({"error": "invalid_request"})).with_status(400);
    for (response, calls) in [(busy("0"), 2), (busy("6"), 1), (refused(), 1)] {
        let server = Server::start();
        server.expect(
            Expect::post("/revoke")
                .respond(response)
                .always(ScriptedResponse::status(200)),
        );
        let outcome = client(&server).revoke(&Token::new("t0ken").unwrap()).await;
        assert_eq!((outcome.is_ok(), server.calls()), (calls == 2, calls));
    }
}

#[tokio::test]
async fn the_error_says_which_token_could_not_be_revoked() {
    let refused = || ScriptedResponse::json(json!({"error": "invalid_request"})).with_status(400);
    for (refresh, text) in [
        (refused(), "the refresh token could not be revoked"),
        (
            ScriptedResponse::status(200),
            "the refresh token is revoked, but the access token",
        ),
    ] {
        let server = Server::start();
        revocations(&server, refresh, refused());
        let error = client(&server).revoke(&both_tokens()).await.unwrap_err();
        assert!(error.to_string().starts_with(text), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_the_endpoint_gets_no_request() {
    let client = Client::builder("desktop")
        .token_endpoint("http://127.0.0.1:9/token")
        .build()
        .unwrap();
    let token = Token::new("t0ken").unwrap();
    let error = client.introspect(&token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains("`introspection_endpoint`"),
        "{error}"
    );
    let error = client.revoke(&token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains("`revocation_endpoint`"),
        "{error}"
    );
}
