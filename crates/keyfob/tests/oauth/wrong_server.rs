//! No credential for the wrong server: metadata of an evil issuer that name the endpoints of an honest one.

use std::error::Error as StdError;

use keyfob::oauth::{
    Algorithm, Audience, AuthorizationCode, Client, ClientAuthentication, ClientCredentials,
    DeviceCode, JwtBearer, PushedRequests, RefreshToken, SigningKey, TokenExchange, TokenType,
};
use keyfob::{Error, ErrorKind, FixedToken, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, Received, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::fixtures::{SECOND, read_jwt, token_of};
use crate::sign_in::{METADATA, SignIn, visit};

const SECRET: &str = "s3cr3t";

/// An honest server, and an evil issuer whose metadata name the honest token endpoint and its own other endpoints.
struct Servers {
    honest: Server,
    evil: Server,
}

impl Servers {
    fn start() -> Self {
        let (honest, evil) = (Server::start(), Server::start());
        let document = json!({
            "issuer": evil.url(),
            "token_endpoint": honest.url_for("/token"),
            "introspection_endpoint": evil.url_for("/introspect"),
            "revocation_endpoint": evil.url_for("/revoke"),
            "device_authorization_endpoint": evil.url_for("/device"),
            "authorization_endpoint": evil.url_for("/authorize"),
            "pushed_authorization_request_endpoint": evil.url_for("/push"),
            "authorization_response_iss_parameter_supported": "true",
        });
        evil.expect(Expect::get(METADATA).always(ScriptedResponse::json(document)));
        evil.expect(Expect::any().always(ScriptedResponse::json(json!({"active": true}))));
        let token = json!({"access_token": "t", "token_type": "Bearer"});
        honest.expect(Expect::any().always(ScriptedResponse::json(token)));
        Self { honest, evil }
    }

    fn client(&self, audience: Option<Audience>) -> Client {
        let mut who = ClientAuthentication::private_key_jwt(key());
        if let Some(audience) = audience {
            who = who.audience(audience);
        }
        let client = Client::builder("desktop").issuer(self.evil.url());
        client.authentication(who).build().unwrap()
    }

    /// The audiences of all assertions that the evil server received.
    fn stolen(&self) -> Vec<Value> {
        let received = self.evil.received();
        let assertions = received.iter().filter_map(assertion);
        assertions
            .map(|assertion| read_jwt(&assertion).1["aud"].clone())
            .collect()
    }
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

fn assertion(received: &Received) -> Option<String> {
    received
        .form_value("client_assertion")
        .or_else(|| received.form_value("assertion"))
}

fn token() -> Token {
    Token::new("t").unwrap().with_refresh_token("r").unwrap()
}

/// Sends a request of each kind to the client's server.
async fn use_everything(client: &Client) -> Vec<Error> {
    let given = || FixedToken::new(token());
    let mut errors = Vec::new();
    errors.extend(token_of(ClientCredentials::new(client.clone())).await.err());
    errors.extend(
        token_of(RefreshToken::new(client.clone(), "r").unwrap())
            .await
            .err(),
    );
    errors.extend(
        token_of(JwtBearer::signed(client.clone(), key()))
            .await
            .err(),
    );
    errors.extend(
        token_of(JwtBearer::from_source(client.clone(), given()))
            .await
            .err(),
    );
    errors.extend(
        token_of(TokenExchange::new(client.clone(), given(), TokenType::Jwt))
            .await
            .err(),
    );
    errors.extend(DeviceCode::new(client.clone()).start().await.err());
    let flow = AuthorizationCode::new(client.clone()).pushed_requests(PushedRequests::Always);
    errors.extend(flow.start().await.err());
    errors.extend(client.introspect(&token()).await.err());
    errors.extend(client.revoke(&token()).await.err());
    errors
}

#[tokio::test]
async fn with_discovery_each_assertion_is_only_for_the_issuer_that_named_the_endpoints() {
    let servers = Servers::start();
    use_everything(&servers.client(None)).await;
    let stolen = servers.stolen();
    assert!(
        stolen.len() >= 5,
        "introspection, two revocations, the device endpoint and the pushed request"
    );
    // The honest server accepts none of them.
    assert!(
        stolen
            .iter()
            .all(|audience| *audience == servers.evil.url()),
        "{stolen:?}"
    );
    let honest = servers.honest.received();
    assert!(honest.iter().filter_map(assertion).count() >= 4);
    for assertion in honest
        .iter()
        .filter_map(|received| received.form_value("client_assertion"))
    {
        assert_eq!(read_jwt(&assertion).1["aud"], servers.evil.url());
    }
}

#[tokio::test]
async fn an_assertion_for_one_server_is_not_sent_to_an_endpoint_of_another() {
    let servers = Servers::start();
    let honest = servers.honest.url_for("/token");
    for audience in [Audience::TokenEndpoint, Audience::Other(honest)] {
        let errors = use_everything(&servers.client(Some(audience))).await;
        // Introspection, revocation, the device endpoint and that for pushed requests are evil; the token endpoint is the
        // audience's own.
        assert_eq!(errors.len(), 4, "{errors:?}");
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Origin);
            assert!(error.to_string().contains("audience"), "{error}");
        }
    }
    assert!(servers.stolen().is_empty());
}

#[tokio::test]
async fn the_assertion_of_another_source_is_not_sent_to_a_third_server() {
    let (issuer, tokens, third) = (Server::start(), Server::start(), Server::start());
    let document = json!({
        "issuer": issuer.url(),
        "token_endpoint": tokens.url_for("/token"),
        "introspection_endpoint": third.url_for("/introspect"),
        "revocation_endpoint": third.url_for("/revoke"),
        "device_authorization_endpoint": third.url_for("/device"),
        "authorization_endpoint": issuer.url_for("/authorize"),
        "pushed_authorization_request_endpoint": third.url_for("/push"),
    });
    issuer.expect(Expect::get(METADATA).always(ScriptedResponse::json(document)));
    let token = json!({"access_token": "t", "token_type": "Bearer"});
    tokens.expect(Expect::any().always(ScriptedResponse::json(token)));
    let assertion = FixedToken::new(Token::new("th3-assertion").unwrap());
    let client = Client::builder("desktop")
        .issuer(issuer.url())
        .authentication(ClientAuthentication::assertion_from(assertion))
        .build()
        .unwrap();
    let errors = use_everything(&client).await;
    assert_eq!(errors.len(), 4, "{errors:?}");
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Origin, "{error}");
        let text = error.to_string();
        assert!(
            text.contains("the client assertion is not sent there"),
            "{text}"
        );
        assert!(!text.contains("th3-assertion"), "{text}");
    }
    assert_eq!(third.calls(), 0);
    assert!(tokens.calls() >= 4);
}

#[tokio::test]
async fn an_assertion_grant_does_not_send_another_servers_assertion() {
    let evil = Server::start();
    let document = json!({"issuer": evil.url(), "token_endpoint": evil.url_for("/token")});
    evil.expect(Expect::get(METADATA).always(ScriptedResponse::json(document)));
    let client = Client::builder("desktop")
        .issuer(evil.url())
        .build()
        .unwrap();
    for audience in [
        json!("https://honest.example/token"),
        json!(["https://honest.example", evil.url()]),
    ] {
        let source = JwtBearer::signed(client.clone(), key()).claim("aud", audience);
        let error = token_of(source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin, "{error}");
    }
    assert_eq!(evil.calls(), 1, "only the metadata were fetched");
}

#[tokio::test]
async fn an_assertion_is_not_sent_to_another_server_to_which_the_endpoint_moves() {
    let (honest, evil) = (Server::start(), Server::start());
    let names =
        |url: String| ScriptedResponse::json(json!({"issuer": evil.url(), "token_endpoint": url}));
    evil.expect(
        Expect::get(METADATA)
            .respond(names(honest.url_for("/nothing")))
            .respond(names(evil.url_for("/token"))),
    );
    evil.expect(Expect::any().always(ScriptedResponse::status(404)));
    honest.expect(Expect::any().always(ScriptedResponse::status(404)));
    let clock = ManualClock::default();
    let client = Client::builder("desktop")
        .issuer(evil.url())
        .clock(clock.clone());
    let source = JwtBearer::signed(client.build().unwrap(), key())
        .assertion_audience(honest.url_for("/token"));
    let tokens = TokenCache::new(source);
    tokens.renew().await.unwrap_err();
    assert_eq!(honest.calls(), 1);
    // From then on, the metadata may be the reason.
    clock.advance(SECOND * 61);
    let error = tokens.renew().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin, "{error}");
    assert_eq!(honest.calls(), 2);
    assert!(
        evil.received()
            .iter()
            .filter_map(assertion)
            .next()
            .is_none()
    );
    assert_eq!(evil.calls(), 2, "only the metadata were fetched");
}

#[tokio::test]
async fn endpoints_that_the_application_gave_belong_to_one_server() {
    let (token_server, other) = (Server::start(), Server::start());
    let client = |audience| {
        let who = ClientAuthentication::private_key_jwt(key()).audience(audience);
        let client = Client::builder("desktop")
            .token_endpoint(token_server.url_for("/token"))
            .revocation_endpoint(other.url_for("/revoke"))
            .issuer("https://login.example.com");
        client.authentication(who).build().unwrap()
    };
    let error = client(Audience::TokenEndpoint).revoke(&token()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Origin);
    other.expect(Expect::post("/revoke").always(ScriptedResponse::status(200)));
    for audience in [Audience::Issuer, Audience::Other("urn:example".to_owned())] {
        client(audience).revoke(&token()).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_secret_is_not_sent_where_another_issuers_document_points() {
    for secret in [
        ClientAuthentication::secret_basic(SECRET),
        ClientAuthentication::secret_post(SECRET),
    ] {
        let (asked, evil) = (Server::start(), Server::start());
        // The path of RFC 8414 has the document of an evil issuer, and that of OpenID the right one.
        let evil_document = json!({
            "issuer": evil.url(), "token_endpoint": evil.url_for("/token"),
            "device_authorization_endpoint": evil.url_for("/device"),
            "pushed_authorization_request_endpoint": evil.url_for("/push"),
        });
        let own = json!({"issuer": asked.url(), "token_endpoint": asked.url_for("/token")});
        asked.expect(Expect::get(METADATA).always(ScriptedResponse::json(evil_document)));
        asked.expect(
            Expect::get("/.well-known/openid-configuration").always(ScriptedResponse::json(own)),
        );
        let response = json!({"access_token": "t", "token_type": "Bearer"});
        asked.expect(Expect::post("/token").always(ScriptedResponse::json(response)));
        let client = Client::builder("desktop")
            .issuer(asked.url())
            .authentication(secret);
        let errors = use_everything(&client.build().unwrap()).await;
        // The right document has none of the other endpoints.
        assert!(
            errors.iter().all(|error| error.kind() == ErrorKind::Input),
            "{errors:?}"
        );
        assert_eq!(errors.len(), 4);
        assert_eq!(evil.calls(), 0);
    }
}

#[tokio::test]
async fn rfc_9207_a_promised_iss_is_required_and_compared_however_the_promise_is_written() {
    for promise in [json!(true), json!("true"), json!("TRUE")] {
        for iss in ["", "&iss=https://other.example"] {
            let server = Server::start();
            let document = json!({
                "issuer": server.url(),
                "token_endpoint": server.url_for("/token"),
                "authorization_endpoint": server.url_for("/authorize"),
                "authorization_response_iss_parameter_supported": promise,
            });
            server.expect(Expect::get(METADATA).always(ScriptedResponse::json(document)));
            let client = Client::builder("desktop")
                .issuer(server.url())
                .build()
                .unwrap();
            let sign_in = SignIn::begin(AuthorizationCode::new(client)).await;
            visit(sign_in.back(&format!("code=c0de{iss}"))).await;
            let error = sign_in.outcome().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains("`iss`"), "{error}");
            assert!(StdError::source(&error).is_none());
            assert_eq!(server.calls(), 1, "the code was sent to no server");
        }
    }
}
