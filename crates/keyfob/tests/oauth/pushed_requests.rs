//! Pushed authorization requests (RFC 9126), and what else an authorization request asks for.

use std::time::Duration;

use keyfob::exchange::StepUp;
use keyfob::http::header::WWW_AUTHENTICATE;
use keyfob::http::{HeaderMap, HeaderValue, StatusCode};
use keyfob::oauth::{
    Algorithm, AuthorizationCode, Client, ClientAuthentication, DeviceCode, DpopProver,
    PushedRequests, SigningKey,
};
use keyfob::{Error, ErrorKind};
use keyfob_testkit::{Expect, ManualClock, Received, ScriptedResponse, Server, json};

use crate::error_texts::error_texts;
use crate::fixtures::{basic, form_values, read_jwt};
use crate::sign_in::{METADATA, SignIn, TOKEN, parameter, token, visit};

const PUSH: &str = "/push";
const REFERENCE: &str = "urn:ietf:params:oauth:request_uri:1";

/// A server that offers or requires pushed requests.
fn server(required: bool) -> Server {
    let server = Server::start();
    server.expect(Expect::get(METADATA).always(ScriptedResponse::json(json!({
        "issuer": server.url(),
        "token_endpoint": server.url_for(TOKEN),
        "authorization_endpoint": server.url_for("/authorize"),
        "pushed_authorization_request_endpoint": server.url_for(PUSH),
        "require_pushed_authorization_requests": required,
    }))));
    server
}

fn reference(uri: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({"request_uri": uri, "expires_in": 60})).with_status(201)
}

fn client(server: &Server) -> Client {
    Client::builder("desktop")
        .issuer(server.url())
        .build()
        .unwrap()
}

fn flow(server: &Server) -> AuthorizationCode {
    AuthorizationCode::new(client(server)).scopes(["read"])
}

fn pushed(server: &Server) -> Vec<Received> {
    let received = server.received().into_iter();
    received.filter(|received| received.path == PUSH).collect()
}

fn prover() -> DpopProver {
    DpopProver::new(SigningKey::generate(Algorithm::Es256).unwrap())
}

async fn refused(flow: AuthorizationCode) -> Error {
    flow.start().await.unwrap_err()
}

#[tokio::test]
async fn the_browser_gets_a_reference_and_the_server_the_parameters() {
    let server = server(false);
    server.expect(Expect::post(PUSH).respond(reference(REFERENCE)));
    server.expect(Expect::post(TOKEN).respond(token()));
    let flow = flow(&server).resource("https://api.example.com/");
    let sign_in = SignIn::begin(flow).await;
    let names: Vec<_> = sign_in.url.query_pairs().map(|(name, _)| name).collect();
    assert_eq!(names, ["client_id", "request_uri"]);
    assert_eq!(sign_in.parameter("client_id"), "desktop");
    assert_eq!(sign_in.parameter("request_uri"), REFERENCE);

    let pushed = pushed(&server).pop().unwrap();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "desktop"),
        ("scope", "read"),
        ("resource", "https://api.example.com/"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", &*sign_in.redirect_uri),
    ] {
        assert_eq!(form_values(&pushed, name), [value], "{name}");
    }
    let state = form_values(&pushed, "state").pop().unwrap();
    visit(format!("{}?state={state}&code=c0de", sign_in.redirect_uri)).await;
    assert_eq!(sign_in.outcome().await.unwrap().expose(), "acc3ss");
    server.verify();
}

#[tokio::test]
async fn each_sign_in_pushes_a_request_of_its_own() {
    let server = server(true);
    server.expect(
        Expect::post(PUSH)
            .respond(reference("urn:example:1"))
            .respond(reference("urn:example:2")),
    );
    let flow = flow(&server);
    for uri in ["urn:example:1", "urn:example:2"] {
        let sign_in = SignIn::begin(flow.clone()).await;
        assert_eq!(sign_in.parameter("request_uri"), uri);
    }
    let states = pushed(&server);
    let states: Vec<_> = states
        .iter()
        .map(|each| form_values(each, "state"))
        .collect();
    assert_ne!(states[0], states[1]);
}

#[tokio::test]
async fn the_client_authenticates_and_its_id_is_sent_once() {
    for method in [
        ClientAuthentication::none(),
        ClientAuthentication::secret_basic("s3cr3t"),
        ClientAuthentication::secret_basic_unencoded("s3cr3t"),
        ClientAuthentication::secret_post("s3cr3t"),
        ClientAuthentication::private_key_jwt(SigningKey::generate(Algorithm::Es256).unwrap()),
    ] {
        let server = server(true);
        server.expect(Expect::post(PUSH).respond(reference(REFERENCE)));
        let client = Client::builder("desktop").issuer(server.url());
        let client = client.authentication(method.clone()).build().unwrap();
        let _waiting = AuthorizationCode::new(client).start().await.unwrap();
        let pushed = pushed(&server).pop().unwrap();
        assert_eq!(form_values(&pushed, "client_id"), ["desktop"], "{method:?}");
        let shown = format!("{method:?}");
        if shown.contains("basic") {
            assert_eq!(basic(&pushed), "desktop:s3cr3t");
        } else if shown.contains("post") {
            assert_eq!(form_values(&pushed, "client_secret"), ["s3cr3t"]);
        } else if shown.contains("jwt") {
            // RFC 9126 §2: the issuer "SHOULD be used as the value of the audience".
            let assertion = pushed.form_value("client_assertion").unwrap();
            assert_eq!(read_jwt(&assertion).1["aud"], server.url());
        }
    }
}

#[tokio::test]
async fn settings_that_contradict_the_server_are_an_error() {
    let offering = server(true);
    let error = refused(flow(&offering).pushed_requests(PushedRequests::Never)).await;
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("requires pushed"), "{error}");
    for required in [false, true] {
        let server = Server::start();
        server.expect(Expect::get(METADATA).always(ScriptedResponse::json(json!({
            "issuer": server.url(),
            "token_endpoint": server.url_for(TOKEN),
            "authorization_endpoint": server.url_for("/authorize"),
            "require_pushed_authorization_requests": required,
        }))));
        let wish = match required {
            true => PushedRequests::WhenOffered,
            false => PushedRequests::Always,
        };
        let error = refused(flow(&server).pushed_requests(wish)).await;
        assert_eq!(error.kind(), ErrorKind::Input);
        let words = "name no pushed authorization request endpoint";
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_pushed_if_it_is_turned_off_or_not_offered() {
    let server = server(false);
    let sign_in = SignIn::begin(flow(&server).pushed_requests(PushedRequests::Never)).await;
    assert_eq!(sign_in.parameter("scope"), "read");
    assert!(pushed(&server).is_empty());
}

#[tokio::test]
async fn an_endpoint_that_the_application_gave_is_used() {
    let server = Server::start();
    server.expect(Expect::post(PUSH).respond(reference(REFERENCE)));
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .authorization_endpoint(server.url_for("/authorize"))
        .pushed_authorization_request_endpoint(server.url_for(PUSH));
    let sign_in = SignIn::begin(AuthorizationCode::new(client.build().unwrap())).await;
    assert_eq!(sign_in.parameter("request_uri"), REFERENCE);
}

#[tokio::test]
async fn only_an_offered_endpoint_that_is_not_there_leaves_the_parameters_to_the_browser() {
    for status in [404, 405] {
        for (required, wish, falls_back) in [
            (false, PushedRequests::WhenOffered, true),
            (false, PushedRequests::Always, false),
            (true, PushedRequests::WhenOffered, false),
        ] {
            let server = server(required);
            server.expect(Expect::post(PUSH).always(ScriptedResponse::status(status)));
            let started = flow(&server).pushed_requests(wish).start().await;
            match started {
                Ok(request) => {
                    assert!(falls_back, "{wish:?}");
                    assert_eq!(parameter(&request.url().parse().unwrap(), "scope"), "read");
                    assert_eq!(request.expires_in(), None);
                }
                Err(error) => {
                    assert!(!falls_back, "{error}");
                    assert!(error.to_string().contains(&status.to_string()), "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn any_other_failure_of_an_offered_endpoint_fails_the_sign_in() {
    let code = |status, code| ScriptedResponse::json(json!({"error": code})).with_status(status);
    for (response, kind) in [
        (code(404, "invalid_client"), ErrorKind::Refused),
        (code(400, "invalid_request"), ErrorKind::Refused),
        (code(401, "invalid_client"), ErrorKind::Refused),
        (ScriptedResponse::status(413), ErrorKind::Unavailable),
        (ScriptedResponse::status(501), ErrorKind::Unavailable),
        (ScriptedResponse::unavailable(), ErrorKind::Unavailable),
        (
            ScriptedResponse::too_many_requests("7"),
            ErrorKind::Unavailable,
        ),
        (
            ScriptedResponse::redirect(307, "https://evil.example/"),
            ErrorKind::Unavailable,
        ),
        (ScriptedResponse::reset(), ErrorKind::Unavailable),
        (ScriptedResponse::close(), ErrorKind::Unavailable),
        (ScriptedResponse::garbage(), ErrorKind::Unavailable),
    ] {
        let server = server(false);
        server.expect(Expect::post(PUSH).always(response));
        let error = refused(flow(&server)).await;
        assert_eq!(error.kind(), kind, "{error}");
        let words = "the pushed authorization request endpoint at";
        assert!(error.to_string().contains(words), "{error}");
    }
    // Nothing listens there.
    let server = Server::start();
    server.expect(Expect::get(METADATA).always(ScriptedResponse::json(json!({
        "issuer": server.url(),
        "token_endpoint": server.url_for(TOKEN),
        "authorization_endpoint": server.url_for("/authorize"),
        "pushed_authorization_request_endpoint": "http://127.0.0.1:1/push",
    }))));
    assert_eq!(refused(flow(&server)).await.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_response_that_cannot_be_used_is_malformed() {
    for response in [
        json!({"expires_in": 60}),
        json!({"request_uri": "", "expires_in": 60}),
        json!({"request_uri": 7, "expires_in": 60}),
        json!({"request_uri": "urn:a b", "expires_in": 60}),
        json!({"request_uri": "urn:\u{1b}[2J", "expires_in": 60}),
        json!({"request_uri": "u".repeat(3000), "expires_in": 60}),
        json!({"request_uri": REFERENCE, "expires_in": 0}),
        json!({"request_uri": REFERENCE, "expires_in": -5}),
        json!("text"),
    ] {
        let server = server(false);
        let given = ScriptedResponse::json(response.clone()).with_status(201);
        server.expect(Expect::post(PUSH).respond(given));
        let error = refused(flow(&server)).await;
        assert_eq!(error.kind(), ErrorKind::Malformed, "{response} {error}");
    }
}

#[tokio::test]
async fn s3_no_error_quotes_the_request_or_the_response() {
    let server = server(false);
    let who = ClientAuthentication::secret_post("hush");
    let client = Client::builder("desktop")
        .issuer(server.url())
        .authentication(who);
    for error in ["hush", "bad_hush"] {
        let response = json!({"error": error, "error_description": "your secret was hush"});
        server
            .expect(Expect::post(PUSH).respond(ScriptedResponse::json(response).with_status(400)));
    }
    let flow = AuthorizationCode::new(client.build().unwrap());
    for _ in 0..2 {
        let error = refused(flow.clone()).await;
        assert!(!error_texts(&error).contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn the_url_can_be_opened_for_as_long_as_the_server_says() {
    let (server, clock) = (Server::start(), ManualClock::default());
    server.expect(Expect::post(PUSH).always(reference(REFERENCE)));
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .authorization_endpoint(server.url_for("/authorize"))
        .pushed_authorization_request_endpoint(server.url_for(PUSH))
        .clock(clock.clone());
    let request = AuthorizationCode::new(client.build().unwrap());
    let request = request.start().await.unwrap();
    assert_eq!(request.expires_in(), Some(Duration::from_secs(60)));
    assert!(!format!("{request:?}").contains("request_uri:1"));
    clock.advance(Duration::from_secs(40));
    assert_eq!(request.expires_in(), Some(Duration::from_secs(20)));
    clock.advance(Duration::from_secs(40));
    assert_eq!(request.expires_in(), Some(Duration::ZERO));
}

fn bound(server: &Server, prover: &DpopProver) -> AuthorizationCode {
    let client = Client::builder("desktop").issuer(server.url());
    AuthorizationCode::new(client.dpop(prover.clone()).build().unwrap())
}

#[tokio::test]
async fn the_code_is_bound_to_the_dpop_key() {
    let (server, prover) = (server(false), prover());
    let flow = bound(&server, &prover).pushed_requests(PushedRequests::Never);
    let sign_in = SignIn::begin(flow).await;
    assert_eq!(sign_in.parameter("dpop_jkt"), prover.thumbprint());
}

#[tokio::test]
async fn a_pushed_request_has_a_proof_and_the_nonce_that_the_server_asks_for() {
    let (server, prover) = (server(false), prover());
    let nonce = ScriptedResponse::json(json!({"error": "use_dpop_nonce"}));
    server.expect(
        Expect::post(PUSH)
            .respond(nonce.with_status(400).header("dpop-nonce", "n0nce"))
            .respond(reference(REFERENCE)),
    );
    let _waiting = bound(&server, &prover).start().await.unwrap();
    let pushed = pushed(&server);
    // RFC 9449 §8: the first request only brought the nonce.
    assert_eq!(pushed.len(), 2);
    for (received, nonce) in pushed.iter().zip([None, Some("n0nce")]) {
        assert_eq!(form_values(received, "dpop_jkt"), [prover.thumbprint()]);
        let (_, claims) = read_jwt(received.header("dpop").unwrap());
        assert_eq!(claims["htu"], server.url_for(PUSH));
        assert_eq!(claims["htm"], "POST");
        assert_eq!(claims["nonce"].as_str(), nonce);
    }
}

#[tokio::test]
async fn a_bound_parameter_cannot_be_replaced() {
    let server = server(false);
    for name in ["dpop_jkt", "request_uri"] {
        let error = refused(flow(&server).parameter(name, "x")).await;
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn what_a_server_asks_of_the_person_is_asked_for_once() {
    let server = Server::start();
    server.expect(Expect::post("/device").respond(ScriptedResponse::status(500)));
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .authorization_endpoint(server.url_for("/authorize"))
        .device_authorization_endpoint(server.url_for("/device"))
        .build()
        .unwrap();
    let flow = AuthorizationCode::new(client.clone())
        .parameter("max_age", "9")
        .acr_values(["other"])
        .acr_values(["phr", "phrh"])
        .max_age(Duration::from_millis(300_900))
        .scopes(["read", "write", "read"])
        .scopes(["write", "admin"]);
    let sign_in = SignIn::begin(flow).await;
    assert_eq!(sign_in.parameter("acr_values"), "phr phrh");
    assert_eq!(sign_in.parameter("max_age"), "300");
    assert_eq!(sign_in.parameter("scope"), "read write admin");

    let headers = HeaderMap::from_iter([(
        WWW_AUTHENTICATE,
        HeaderValue::from_static(
            "Bearer error=insufficient_user_authentication, scope=\"a read\", acr_values=hi, max_age=7",
        ),
    )]);
    let asked = StepUp::from_response(StatusCode::UNAUTHORIZED, &headers).unwrap();
    let flow = AuthorizationCode::new(client.clone()).scopes(["read"]);
    let sign_in = SignIn::begin(flow.acr_values(["low"]).step_up(&asked)).await;
    assert_eq!(sign_in.parameter("acr_values"), "hi");
    assert_eq!(sign_in.parameter("max_age"), "7");
    assert_eq!(sign_in.parameter("scope"), "read a");

    let flow = DeviceCode::new(client)
        .acr_values(["phr"])
        .max_age(Duration::ZERO);
    let _ = flow.start().await.unwrap_err();
    let received = server.received().pop().unwrap();
    assert_eq!(form_values(&received, "acr_values"), ["phr"]);
    assert_eq!(form_values(&received, "max_age"), ["0"]);
}
