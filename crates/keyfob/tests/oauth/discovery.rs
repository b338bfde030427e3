//! Discovery of the endpoints of a server.

use keyfob::oauth::{Client, ClientCredentials};
use keyfob::{ErrorKind, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server, TokenEndpoint, json};

use crate::fixtures::{SECOND, token_of};

const OAUTH: &str = "/.well-known/oauth-authorization-server/tenant";
const OPENID: &str = "/tenant/.well-known/openid-configuration";

fn source(issuer: &str) -> ClientCredentials {
    ClientCredentials::new(Client::builder("desktop").issuer(issuer).build().unwrap())
}

#[tokio::test]
async fn the_oauth_path_is_tried_first_and_the_openid_path_second() {
    for found_at in [OAUTH, OPENID] {
        let endpoint = TokenEndpoint::start();
        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let document =
            ScriptedResponse::json(json!({"issuer": issuer, "token_endpoint": endpoint.url()}));
        server.expect(Expect::get(found_at).respond(document));
        if found_at == OPENID {
            server.expect(
                Expect::get(OAUTH).respond(ScriptedResponse::text("<html>not here</html>")),
            );
        }
        assert_eq!(token_of(source(&issuer)).await.unwrap().expose(), "token-1");
        server.verify();
    }
}

#[tokio::test]
async fn the_issuer_in_the_metadata_must_match_exactly() {
    let endpoint = TokenEndpoint::start();
    for change in ["/", "/other", "?x"] {
        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let document =
            json!({"issuer": format!("{issuer}{change}"), "token_endpoint": endpoint.url()});
        server.expect(Expect::get(OAUTH).respond(ScriptedResponse::json(document)));
        let error = token_of(source(&issuer)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("another issuer"), "{error}");
    }
    assert_eq!(endpoint.calls(), 0);
}

#[tokio::test]
async fn metadata_are_used_for_their_lifetime_and_during_an_outage() {
    let endpoint = TokenEndpoint::start();
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let document =
        ScriptedResponse::json(json!({"issuer": issuer, "token_endpoint": endpoint.url()}));
    server.expect(
        Expect::get(OAUTH)
            .respond(document)
            .respond(ScriptedResponse::unavailable()),
    );
    server.expect(Expect::get(OPENID).respond(ScriptedResponse::unavailable()));
    let clock = ManualClock::default();
    let client = Client::builder("desktop")
        .issuer(&issuer)
        .clock(clock.clone())
        .build()
        .unwrap();
    let tokens = TokenCache::new(ClientCredentials::new(client));
    for _ in 0..3 {
        tokens.renew().await.unwrap();
    }
    assert_eq!(server.calls(), 1);
    clock.advance(Client::METADATA_LIFETIME - SECOND);
    tokens.renew().await.unwrap();
    assert_eq!(server.calls(), 1);
    clock.advance(SECOND);
    tokens.renew().await.unwrap();
    assert_eq!(server.calls(), 3);
    server.verify();
}

#[tokio::test]
async fn t2_missing_metadata_are_requested_again() {
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    server.expect(Expect::get(OAUTH).respond(ScriptedResponse::status(404)));
    let response = ScriptedResponse::status(404).header("retry-after", "5");
    server.expect(Expect::get(OPENID).respond(response));
    let error = token_of(source(&issuer)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.pause(), Some(5 * SECOND));
}

#[tokio::test]
async fn r1_metadata_with_a_plain_http_endpoint_on_another_host_are_refused() {
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let document = json!({"issuer": issuer, "token_endpoint": "http://login.example.com/token"});
    server.expect(Expect::get(OAUTH).respond(ScriptedResponse::json(document)));
    let error = token_of(source(&issuer)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
}
