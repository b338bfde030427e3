//! Signing in with a browser that comes back to this machine.

use std::net::SocketAddr;
use std::time::Duration;

use keyfob::oauth::{AuthorizationCode, AuthorizationRequest, Client};
use keyfob::{Error, ErrorKind, Token, reqwest};
use keyfob_testkit::{Expect, Gate, ManualClock, ScriptedResponse, Server, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use url::Url;

use crate::desk::{everything_said, form_values};

const TOKEN: &str = "/token";
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// A sign-in that somebody waits for, and the browser's side of it.
struct SignIn {
    url: Url,
    redirect_uri: String,
    waiting: JoinHandle<Result<Token, Error>>,
}

impl SignIn {
    async fn begin(flow: AuthorizationCode) -> Self {
        Self::of(flow.start().await.unwrap())
    }

    fn of(request: AuthorizationRequest) -> Self {
        Self {
            url: request.url().parse().unwrap(),
            redirect_uri: request.redirect_uri().to_owned(),
            waiting: tokio::spawn(request.wait()),
        }
    }

    fn parameter(&self, name: &str) -> String {
        parameter(&self.url, name)
    }

    /// Where the server sends the browser, with the right state and these parameters.
    fn back(&self, parameters: &str) -> String {
        let state = self.parameter("state");
        format!("{}?state={state}&{parameters}", self.redirect_uri)
    }

    fn address(&self) -> SocketAddr {
        let url: Url = self.redirect_uri.parse().unwrap();
        url.socket_addrs(|| None).unwrap()[0]
    }

    async fn outcome(self) -> Result<Token, Error> {
        self.waiting.await.unwrap()
    }
}

fn parameter(url: &Url, name: &str) -> String {
    let mut values = url.query_pairs().filter(|(key, _)| key == name);
    let value = values
        .next()
        .unwrap_or_else(|| panic!("no {name}"))
        .1
        .into_owned();
    assert!(values.next().is_none(), "{name} comes twice");
    value
}

fn flow(server: &Server) -> AuthorizationCode {
    let client = Client::builder("desk")
        .token_endpoint(server.url_for(TOKEN))
        .authorization_endpoint("https://login.example.com/authorize?tenant=7")
        .build()
        .unwrap();
    AuthorizationCode::new(client)
}

/// A flow whose server says this about itself, beside where it is.
fn discovered(server: &Server, fields: &serde_json::Value) -> AuthorizationCode {
    let mut document = json!({
        "issuer": server.url(),
        "token_endpoint": server.url_for(TOKEN),
        "authorization_endpoint": server.url_for("/authorize"),
    });
    for (name, value) in fields.as_object().unwrap() {
        document[name] = value.clone();
    }
    server.expect(Expect::get(METADATA).always(ScriptedResponse::json(document)));
    let client = Client::builder("desk")
        .issuer(server.url())
        .build()
        .unwrap();
    AuthorizationCode::new(client)
}

fn token() -> ScriptedResponse {
    ScriptedResponse::json(json!({
        "access_token": "acc3ss",
        "token_type": "Bearer",
        "refresh_token": "r3fresh",
    }))
}

async fn visit(url: impl AsRef<str>) -> (u16, String) {
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = browser.get(url.as_ref()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn the_url_asks_for_a_code_with_a_proof_and_what_was_set() {
    let server = Server::start();
    let flow = flow(&server)
        .scopes(["read", "write"])
        .resource("https://api.example.com/")
        .parameter("login_hint", "anna@example.com");
    let sign_in = SignIn::begin(flow).await;
    assert!(
        sign_in
            .url
            .as_str()
            .starts_with("https://login.example.com/authorize?tenant=7&")
    );
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "desk"),
        ("scope", "read write"),
        ("resource", "https://api.example.com/"),
        ("login_hint", "anna@example.com"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", &sign_in.redirect_uri),
    ] {
        assert_eq!(sign_in.parameter(name), value);
    }
    let port = sign_in.address().port();
    assert_eq!(
        sign_in.redirect_uri,
        format!("http://127.0.0.1:{port}/callback")
    );
    assert_eq!(sign_in.parameter("state").len(), 43);
    assert_eq!(sign_in.parameter("code_challenge").len(), 43);
}

#[tokio::test]
async fn the_code_is_exchanged_with_the_verifier_and_the_page_says_so() {
    let server = Server::start();
    server.expect(
        Expect::post(TOKEN)
            .form("grant_type", "authorization_code")
            .form("client_id", "desk")
            .form("code", "c0de")
            .answer(token()),
    );
    let sign_in = SignIn::begin(flow(&server).resource("https://api.example.com/")).await;
    let challenge = sign_in.parameter("code_challenge");
    let redirect_uri = sign_in.redirect_uri.clone();
    let (status, page) = visit(sign_in.back("code=c0de")).await;
    assert_eq!(status, 200);
    assert!(page.contains("<h1>You are signed in</h1>"), "{page}");
    assert!(!page.contains("c0de"), "{page}");
    let token = sign_in.outcome().await.unwrap();
    assert_eq!(token.expose(), "acc3ss");
    assert_eq!(token.refresh_token(), Some("r3fresh"));

    let received = server.received().pop().unwrap();
    assert_eq!(form_values(&received, "redirect_uri"), [redirect_uri]);
    assert_eq!(
        form_values(&received, "resource"),
        ["https://api.example.com/"]
    );
    let verifier = form_values(&received, "code_verifier").pop().unwrap();
    assert_eq!(verifier.len(), 43);
    assert_ne!(verifier, challenge);
}

#[tokio::test]
async fn the_port_is_free_again_afterwards() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).answer(token()));
    let sign_in = SignIn::begin(flow(&server)).await;
    let (address, back) = (sign_in.address(), sign_in.back("code=c0de"));
    visit(&back).await;
    sign_in.outcome().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_answer_with_another_state_is_told_so_and_waited_through() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).form("code", "mine").answer(token()));
    let sign_in = SignIn::begin(flow(&server)).await;
    for stray in [
        "",
        "?code=theirs",
        "?code=theirs&state=other",
        "?error=access_denied&state=other",
    ] {
        let (status, page) = visit(format!("{}{stray}", sign_in.redirect_uri)).await;
        assert_eq!(status, 400, "{stray}");
        assert!(page.contains("not the sign-in that was started"), "{page}");
    }
    assert_eq!(server.calls(), 0);
    visit(sign_in.back("code=mine")).await;
    sign_in.outcome().await.unwrap();
}

#[tokio::test]
async fn an_error_ends_it_and_the_page_says_so() {
    for (error, kind, said) in [
        (
            "access_denied",
            ErrorKind::Refused,
            "The sign-in was refused.",
        ),
        (
            "server_error",
            ErrorKind::Unavailable,
            "Something went wrong.",
        ),
        ("s3cr3t", ErrorKind::Refused, "Something went wrong."),
    ] {
        let server = Server::start();
        let sign_in = SignIn::begin(flow(&server)).await;
        let back = sign_in.back(&format!("error={error}&error_description=%3Cb%3Es3cr3t"));
        let (status, page) = visit(back).await;
        assert_eq!(status, 200);
        assert!(
            page.contains(said) && page.contains("You are not signed in"),
            "{page}"
        );
        assert!(!page.contains("s3cr3t"), "{page}");
        let error = sign_in.outcome().await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(!everything_said(&error).contains("s3cr3t"));
    }
}

#[tokio::test]
async fn an_answer_of_another_server_ends_it_and_its_code_goes_nowhere() {
    for names_itself in [true, false] {
        let server = Server::start();
        let fields = json!({"authorization_response_iss_parameter_supported": names_itself});
        let sign_in = SignIn::begin(discovered(&server, &fields)).await;
        let (_, page) = visit(sign_in.back("code=c0de&iss=https://evil.example")).await;
        assert!(page.contains("You are not signed in"), "{page}");
        let error = sign_in.outcome().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("another server"), "{error}");
        server.verify();
    }
}

#[tokio::test]
async fn a_server_that_always_names_itself_has_to() {
    for (names_itself, iss, signed_in) in [
        (true, true, true),
        (true, false, false),
        (false, true, true),
        (false, false, true),
    ] {
        let server = Server::start();
        let fields = json!({"authorization_response_iss_parameter_supported": names_itself});
        server.expect(Expect::post(TOKEN).always(token()));
        let sign_in = SignIn::begin(discovered(&server, &fields)).await;
        let iss = match iss {
            true => format!("&iss={}", server.url()),
            false => String::new(),
        };
        visit(sign_in.back(&format!("code=c0de{iss}"))).await;
        assert_eq!(
            sign_in.outcome().await.is_ok(),
            signed_in,
            "{names_itself} {iss}"
        );
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_code_is_reported_and_the_page_says_no() {
    let server = Server::start();
    let refusal =
        ScriptedResponse::json(json!({"error": "invalid_grant", "error_description": "c0de"}));
    server.expect(Expect::post(TOKEN).answer(refusal.with_status(400)));
    let sign_in = SignIn::begin(flow(&server)).await;
    let (_, page) = visit(sign_in.back("code=c0de")).await;
    assert!(page.contains("You are not signed in"), "{page}");
    let error = sign_in.outcome().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!everything_said(&error).contains("c0de"));
}

#[tokio::test]
async fn a_second_answer_changes_nothing() {
    let server = Server::start();
    let gate = Gate::default();
    server.expect(
        Expect::post(TOKEN)
            .form("code", "first")
            .answer(token().when(&gate)),
    );
    let sign_in = SignIn::begin(flow(&server)).await;
    let first = tokio::spawn(visit(sign_in.back("code=first")));
    server_has_calls(&server, 1).await;
    for second in ["code=first", "code=second", "error=access_denied"] {
        let (status, page) = visit(sign_in.back(second)).await;
        assert_eq!(status, 409, "{second}");
        assert!(page.contains("answered already"), "{page}");
    }
    gate.open();
    assert!(first.await.unwrap().1.contains("You are signed in"));
    sign_in.outcome().await.unwrap();
    assert_eq!(server.calls(), 1);
}

async fn server_has_calls(server: &Server, calls: usize) {
    while server.calls() < calls {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_nothing() {
    let server = Server::start();
    let sign_in = SignIn::begin(flow(&server)).await;
    let root = sign_in.redirect_uri.replace("/callback", "");
    let state = sign_in.parameter("state");
    for path in [
        "/",
        "/favicon.ico",
        "/callback/",
        "/callback2",
        "//callback",
    ] {
        let (status, _) = visit(format!("{root}{path}?code=c&state={state}")).await;
        assert_eq!(status, 404, "{path}");
    }
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    for method in [
        reqwest::Method::POST,
        reqwest::Method::HEAD,
        reqwest::Method::OPTIONS,
    ] {
        let request = browser.request(method, sign_in.back("code=c"));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()["allow"], "GET");
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
    assert_eq!(server.calls(), 0);
    assert!(!sign_in.waiting.is_finished());
}

#[tokio::test]
async fn clients_that_are_slow_silent_or_talk_nonsense_hold_up_nobody() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).answer(token()));
    let sign_in = SignIn::begin(flow(&server)).await;
    let mut open = Vec::new();
    for begun in [
        "",
        "GET /call",
        "GET /callback?code=c HTTP/1.1\r\nhost: a\r\n",
    ] {
        for _ in 0..5 {
            let mut slow = TcpStream::connect(sign_in.address()).await.unwrap();
            slow.write_all(begun.as_bytes()).await.unwrap();
            open.push(slow);
        }
    }
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\r\n\r\nhello\r\n\r\n",
    ] {
        let mut client = TcpStream::connect(sign_in.address()).await.unwrap();
        client.write_all(nonsense).await.unwrap();
        let answer = until_closed(&mut client).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    visit(sign_in.back("code=c0de")).await;
    sign_in.outcome().await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = Server::start();
    let sign_in = SignIn::begin(flow(&server)).await;
    for (kibibytes, refused) in [(8, false), (20, true)] {
        let mut client = TcpStream::connect(sign_in.address()).await.unwrap();
        let code = "x".repeat(kibibytes * 1024);
        let head = format!("GET /callback?code={code} HTTP/1.1\r\nhost: a\r\n\r\n");
        // The server may have hung up before all of it was written.
        _ = client.write_all(head.as_bytes()).await;
        let answer = until_closed(&mut client).await;
        let was_read = answer.starts_with("HTTP/1.1 400");
        assert_eq!(was_read, !refused, "{answer}");
        let says_so = answer.is_empty() || answer.starts_with("HTTP/1.1 431");
        assert_eq!(says_so, refused, "{answer}");
    }
    assert!(!sign_in.waiting.is_finished());
}

/// What comes until the connection ends, however it does.
async fn until_closed(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    _ = client.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_silent_connection_is_closed_in_time() {
    let server = Server::start();
    let (clock, flow) = timed(&server);
    let sign_in = SignIn::begin(flow).await;
    let mut silent = TcpStream::connect(sign_in.address()).await.unwrap();
    clock.until_sleeping_for(Duration::from_secs(30)).await;
    clock.advance(Duration::from_secs(30));
    assert_eq!(until_closed(&mut silent).await, "");
    assert!(!sign_in.waiting.is_finished());
}

/// A flow that a manual clock times.
fn timed(server: &Server) -> (ManualClock, AuthorizationCode) {
    let clock = ManualClock::default();
    let client = Client::builder("desk")
        .token_endpoint(server.url_for(TOKEN))
        .authorization_endpoint("https://login.example.com/authorize")
        .clock(clock.clone())
        .build()
        .unwrap();
    (clock, AuthorizationCode::new(client))
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_was_set() {
    let server = Server::start();
    for (stray, beside) in [(false, false), (true, true)] {
        let (clock, flow) = timed(&server);
        let limit = Duration::from_secs(120);
        let sign_in = SignIn::begin(flow.time_limit(limit)).await;
        clock.until_sleeping_for(limit).await;
        if stray {
            visit(format!("{}?code=theirs", sign_in.redirect_uri)).await;
        }
        clock.advance(limit);
        let error = sign_in.outcome().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert_eq!(
            error.to_string().contains("another sign-in"),
            beside,
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_exchange_that_began_in_time_is_brought_to_its_end() {
    let server = Server::start();
    let gate = Gate::default();
    server.expect(Expect::post(TOKEN).answer(token().when(&gate)));
    let (clock, flow) = timed(&server);
    let sign_in = SignIn::begin(flow.time_limit(Duration::from_secs(10))).await;
    let page = tokio::spawn(visit(sign_in.back("code=c0de")));
    server_has_calls(&server, 1).await;
    clock.advance(Duration::from_secs(20));
    gate.open();
    sign_in.outcome().await.unwrap();
    assert!(page.await.unwrap().1.contains("You are signed in"));
}

#[tokio::test]
async fn only_s256_is_used() {
    for (methods, works) in [
        (json!({}), true),
        (
            json!({"code_challenge_methods_supported": ["plain", "S256"]}),
            true,
        ),
        (
            json!({"code_challenge_methods_supported": ["plain"]}),
            false,
        ),
        (json!({"code_challenge_methods_supported": []}), false),
    ] {
        let server = Server::start();
        let outcome = discovered(&server, &methods).start().await;
        assert_eq!(outcome.is_ok(), works, "{methods}");
    }
}

#[tokio::test]
async fn a_refresh_token_of_openid_is_asked_for_with_consent() {
    let server = Server::start();
    let prompt = async |flow: AuthorizationCode| {
        let request = flow.start().await.unwrap();
        let url: Url = request.url().parse().unwrap();
        let prompts: Vec<_> = url
            .query_pairs()
            .filter(|(name, _)| name == "prompt")
            .map(|(_, value)| value.into_owned())
            .collect();
        prompts.join(",")
    };
    let openid = || flow(&server).scopes(["openid", "offline_access"]);
    assert_eq!(prompt(openid()).await, "consent");
    assert_eq!(prompt(openid().parameter("prompt", "login")).await, "login");
    assert_eq!(prompt(flow(&server).scopes(["offline_access"])).await, "");
}

#[tokio::test]
async fn what_the_flow_sets_cannot_be_set_beside_it() {
    let server = Server::start();
    for name in [
        "state",
        "redirect_uri",
        "code_challenge_method",
        "response_type",
    ] {
        let outcome = flow(&server).parameter(name, "x").start().await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Input, "{name}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let server = Server::start();
    let taken = server.address().port();
    let flow = flow(&server)
        .redirect_uri(format!("http://127.0.0.1:{taken}/back"))
        .unwrap();
    let error = flow.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains(&format!("port {taken}")),
        "{error}"
    );
}

#[tokio::test]
async fn the_other_loopback_address_works_as_well() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).answer(token()));
    let flow = flow(&server).redirect_uri("http://[::1]/back").unwrap();
    let sign_in = SignIn::begin(flow).await;
    assert!(sign_in.redirect_uri.starts_with("http://[::1]:"));
    visit(sign_in.back("code=c0de")).await;
    sign_in.outcome().await.unwrap();
}

#[tokio::test]
async fn s1_neither_state_nor_verifier_is_shown() {
    let server = Server::start();
    let request = flow(&server).start().await.unwrap();
    let url: Url = request.url().parse().unwrap();
    let shown = format!("{request:?}");
    assert!(!shown.contains(&parameter(&url, "state")), "{shown}");
    assert!(
        !shown.contains(&parameter(&url, "code_challenge")),
        "{shown}"
    );
}
