//! Sign-in with a device code.

use std::time::Duration;

use futures_util::future::{Either, select};
use keyfob::oauth::{Client, ClientAuthentication, DeviceAuthorization, DeviceCode};
use keyfob::{Error, ErrorKind, Token};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::error_texts::error_texts;
use crate::fixtures::form_values;

const DEVICE: &str = "/device_authorization";
const TOKEN: &str = "/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A server, its client, and the clock of the client.
struct Setup {
    server: Server,
    clock: ManualClock,
    client: Client,
}

impl Setup {
    fn new() -> Self {
        Self::with_timeout(Client::TIMEOUT)
    }

    fn with_timeout(timeout: Duration) -> Self {
        let (server, clock) = (Server::start(), ManualClock::default());
        let client = Client::builder("desktop")
            .token_endpoint(server.url_for(TOKEN))
            .device_authorization_endpoint(server.url_for(DEVICE))
            .timeout(timeout)
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            server,
            clock,
            client,
        }
    }

    /// A sign-in whose device authorization response has these fields and the usual ones.
    async fn begin(&self, fields: Value) -> Result<DeviceAuthorization, Error> {
        self.server
            .expect(Expect::post(DEVICE).respond(ScriptedResponse::json(codes(fields))));
        DeviceCode::new(self.client.clone()).start().await
    }

    /// Waits for the token, and ends each pause at once. Also returns the pauses, in seconds.
    async fn wait(&self, authorization: DeviceAuthorization) -> (Result<Token, Error>, Vec<u64>) {
        let mut waiting = Box::pin(authorization.wait());
        let mut pauses = Vec::new();
        loop {
            let asleep = Box::pin(self.clock.until_sleeping(1));
            match select(waiting, asleep).await {
                Either::Left((outcome, _)) => return (outcome, pauses),
                Either::Right(((), still)) => waiting = still,
            }
            let pause = self.clock.next_wake_in().unwrap();
            pauses.push(pause.as_secs());
            self.clock.advance(pause);
        }
    }

    /// The result after these token responses, and the pauses.
    async fn outcome(
        &self,
        fields: Value,
        responses: impl IntoIterator<Item = ScriptedResponse>,
    ) -> (Result<Token, Error>, Vec<u64>) {
        let authorization = self.begin(fields).await.unwrap();
        let expect = Expect::post(TOKEN).form("grant_type", GRANT);
        self.server
            .expect(responses.into_iter().fold(expect, Expect::respond));
        let outcome = self.wait(authorization).await;
        self.server.verify();
        outcome
    }
}

fn codes(fields: Value) -> Value {
    let mut codes = json!({
        "device_code": "d3v1ce",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://login.example.com/device",
        "expires_in": 600,
    });
    for (name, value) in fields.as_object().unwrap() {
        codes[name] = value.clone();
    }
    codes
}

fn says(error: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({"error": error})).with_status(400)
}

fn token() -> ScriptedResponse {
    ScriptedResponse::json(json!({
        "access_token": "acc3ss",
        "token_type": "bearer",
        "expires_in": 60,
        "refresh_token": "r3fresh",
    }))
}

#[tokio::test]
async fn a_device_sign_in_returns_a_token_with_a_refresh_token() {
    let setup = Setup::new();
    let complete = "https://login.example.com/device?user_code=WDJB-MJHT";
    let fields = json!({"verification_uri_complete": complete, "interval": 7});
    let authorization = setup.begin(fields).await.unwrap();
    assert_eq!(authorization.user_code(), "WDJB-MJHT");
    assert_eq!(
        authorization.verification_uri(),
        "https://login.example.com/device"
    );
    assert_eq!(authorization.verification_uri_complete(), Some(complete));
    assert_eq!(authorization.expires_in().as_secs(), 600);
    setup.clock.advance(Duration::from_secs(60));
    assert_eq!(authorization.expires_in().as_secs(), 540);

    setup.server.expect(
        Expect::post(TOKEN)
            .form("grant_type", GRANT)
            .form("device_code", "d3v1ce")
            .form("client_id", "desktop")
            .respond(says("authorization_pending"))
            .respond(token()),
    );
    let (outcome, pauses) = setup.wait(authorization).await;
    let token = outcome.unwrap();
    assert_eq!(token.expose(), "acc3ss");
    assert_eq!(token.refresh_token(), Some("r3fresh"));
    assert_eq!(pauses, [7, 7]);
}

#[tokio::test]
async fn the_device_authorization_request_has_all_settings() {
    let setup = Setup::new();
    setup
        .server
        .expect(Expect::post(DEVICE).respond(ScriptedResponse::json(codes(json!({})))));
    let flow = DeviceCode::new(setup.client.clone())
        .scopes(["read", "offline_access"])
        .resource("https://api.example.com/")
        .parameter("tenant", "seven");
    drop(flow.start().await.unwrap());
    let received = setup.server.received().pop().unwrap();
    for (name, value) in [
        ("client_id", "desktop"),
        ("scope", "read offline_access"),
        ("resource", "https://api.example.com/"),
        ("tenant", "seven"),
    ] {
        assert_eq!(form_values(&received, name), [value], "{name}");
    }
}

#[tokio::test]
async fn a_client_authenticates_at_both_endpoints() {
    let server = Server::start();
    let clock = ManualClock::default();
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .device_authorization_endpoint(server.url_for(DEVICE))
        .authentication(ClientAuthentication::secret_basic("s3cr3t"))
        .clock(clock.clone())
        .build()
        .unwrap();
    let known = |expect: Expect| expect.header("authorization", "Basic ZGVza3RvcDpzM2NyM3Q=");
    server.expect(known(Expect::post(DEVICE)).respond(ScriptedResponse::json(codes(json!({})))));
    server.expect(known(Expect::post(TOKEN)).respond(token()));
    let authorization = DeviceCode::new(client.clone()).start().await.unwrap();
    let setup = Setup {
        server,
        clock,
        client,
    };
    setup.wait(authorization).await.0.unwrap();
}

#[tokio::test]
async fn the_poll_interval_is_five_seconds_unless_the_server_sets_it() {
    for (fields, pause) in [
        (json!({}), 5),
        (json!({"interval": 2}), 2),
        (json!({"interval": "3"}), 3),
        (json!({"interval": 0}), 1),
    ] {
        let (outcome, pauses) = Setup::new().outcome(fields, [token()]).await;
        outcome.unwrap();
        assert_eq!(pauses, [pause]);
    }
}

#[tokio::test]
async fn each_slow_down_adds_five_seconds_permanently() {
    let responses = [
        says("slow_down"),
        says("authorization_pending"),
        says("slow_down"),
        says("authorization_pending"),
        token(),
    ];
    let (outcome, pauses) = Setup::new().outcome(json!({}), responses).await;
    outcome.unwrap();
    assert_eq!(pauses, [5, 10, 10, 15, 15]);
}

#[tokio::test]
async fn a_server_that_does_not_respond_is_polled_less_often() {
    let responses = [
        ScriptedResponse::hang(),
        ScriptedResponse::reset(),
        ScriptedResponse::unavailable(),
        says("authorization_pending"),
        token(),
    ];
    // Requests that hang end after a timeout of the system's clock. The other responses have to arrive before that.
    let setup = Setup::with_timeout(Duration::from_secs(5));
    let (outcome, pauses) = setup.outcome(json!({}), responses).await;
    outcome.unwrap();
    assert_eq!(pauses, [5, 10, 20, 40, 5]);
}

#[tokio::test]
async fn a_retry_after_of_the_server_is_obeyed() {
    let responses = [ScriptedResponse::too_many_requests("120"), token()];
    let (outcome, pauses) = Setup::new().outcome(json!({}), responses).await;
    outcome.unwrap();
    assert_eq!(pauses, [5, 120]);
}

#[tokio::test]
async fn a_pending_response_with_status_200_is_understood() {
    let pending = ScriptedResponse::json(json!({"error": "authorization_pending"}));
    let (outcome, pauses) = Setup::new().outcome(json!({}), [pending, token()]).await;
    outcome.unwrap();
    assert_eq!(pauses, [5, 5]);
}

#[tokio::test]
async fn a_pending_response_of_twitch_is_understood() {
    let pending = json!({"status": 400, "message": "authorization_pending"});
    let pending = ScriptedResponse::json(pending).with_status(400);
    let (outcome, pauses) = Setup::new().outcome(json!({}), [pending, token()]).await;
    outcome.unwrap();
    assert_eq!(pauses, [5, 5]);
}

#[tokio::test]
async fn a_denied_sign_in_is_an_error() {
    let (outcome, pauses) = Setup::new()
        .outcome(json!({}), [says("access_denied")])
        .await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("`access_denied`"), "{error}");
    assert_eq!(pauses, [5]);

    let (outcome, _) = Setup::new()
        .outcome(json!({}), [says("invalid_grant")])
        .await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn an_expired_code_ends_the_sign_in_whether_server_or_clock_reports_it() {
    let (outcome, _) = Setup::new()
        .outcome(json!({}), [says("expired_token")])
        .await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(error.to_string().contains("start it again"), "{error}");

    // No request is sent after the code has expired.
    let pending = || says("authorization_pending");
    let (outcome, pauses) = Setup::new()
        .outcome(json!({"expires_in": 12}), [pending(), pending()])
        .await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Deadline);
    assert_eq!(pauses, [5, 5, 2]);
}

#[tokio::test]
async fn a_server_whose_interval_is_as_long_as_the_life_of_the_code_is_polled() {
    for interval in [json!(5000), json!(1e18), json!(1799)] {
        let fields = json!({"interval": interval, "expires_in": 1800});
        let responses = [says("authorization_pending"), token()];
        let (outcome, pauses) = Setup::new().outcome(fields, responses).await;
        assert_eq!(outcome.unwrap().expose(), "acc3ss");
        assert_eq!(pauses, [180, 180]);
    }
}

#[tokio::test]
async fn a_code_is_polled_once_more_before_it_expires() {
    let pending = || says("authorization_pending");
    let (outcome, pauses) = Setup::new()
        .outcome(json!({"expires_in": 14}), [pending(), pending(), token()])
        .await;
    assert_eq!(outcome.unwrap().expose(), "acc3ss");
    assert_eq!(pauses, [5, 5, 2]);
}

#[tokio::test]
async fn a_verification_uri_must_be_http_or_https_without_userinfo() {
    let long = format!("https://login.example.com/{}", "a".repeat(2000));
    for page in [
        "https://bank.example@login.example.com/device",
        "https://:pw@login.example.com/device",
        &long,
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://login.example.com/",
        "device",
    ] {
        let error = Setup::new()
            .begin(json!({"verification_uri": page}))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{page}");

        let fields = json!({"verification_uri_complete": page});
        let authorization = Setup::new().begin(fields).await.unwrap();
        assert_eq!(authorization.verification_uri_complete(), None, "{page}");
    }
}

#[tokio::test]
async fn a_user_code_that_a_terminal_would_obey_or_hide_is_refused() {
    let long = "A".repeat(101);
    for code in [
        "",
        "AB\u{1b}[2JCD",
        "AB\u{202e}CD",
        "AB\nCD",
        "AB\u{200b}CD",
        " AB",
        &long,
    ] {
        let fields = json!({"user_code": code});
        let error = Setup::new().begin(fields).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{code:?}");
    }
}

#[tokio::test]
async fn the_older_name_of_the_verification_uri_is_understood() {
    let fields = json!({"verification_uri": null, "verification_url": "https://a.example/device"});
    let mut codes = codes(fields);
    codes.as_object_mut().unwrap().remove("verification_uri");
    let setup = Setup::new();
    setup
        .server
        .expect(Expect::post(DEVICE).respond(ScriptedResponse::json(codes)));
    let authorization = DeviceCode::new(setup.client.clone()).start().await.unwrap();
    assert_eq!(authorization.verification_uri(), "https://a.example/device");
}

#[tokio::test]
async fn a_server_without_the_endpoint_is_reported() {
    let server = Server::start();
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .build()
        .unwrap();
    let error = DeviceCode::new(client).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains("device authorization endpoint"),
        "{error}"
    );
}

#[tokio::test]
async fn s1_no_code_is_shown() {
    let setup = Setup::new();
    let complete = "https://login.example.com/device?user_code=WDJB-MJHT";
    let authorization = setup
        .begin(json!({"verification_uri_complete": complete}))
        .await
        .unwrap();
    let shown = format!("{authorization:?}");
    assert!(
        !shown.contains("d3v1ce") && !shown.contains("WDJB"),
        "{shown}"
    );

    let refusal =
        ScriptedResponse::json(json!({"error": "invalid_grant", "error_description": "d3v1ce"}));
    setup
        .server
        .expect(Expect::post(TOKEN).respond(refusal.with_status(400)));
    let error = setup.wait(authorization).await.0.unwrap_err();
    let texts = error_texts(&error);
    assert!(!texts.contains("d3v1ce"), "{texts}");
}

#[tokio::test]
async fn a_task_can_wait_for_a_sign_in() {
    let setup = Setup::new();
    let authorization = setup.begin(json!({})).await.unwrap();
    setup.server.expect(Expect::post(TOKEN).respond(token()));
    let waiting = tokio::spawn(authorization.wait());
    setup.clock.until_sleeping(1).await;
    setup.clock.advance(Duration::from_secs(5));
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_assertion_of_another_source_is_sent_with_both_requests() {
    let server = Server::start();
    let signed = |path| Expect::post(path).form("client_assertion", "jwt");
    server.expect(signed(DEVICE).respond(ScriptedResponse::json(codes(json!({"interval": 0})))));
    let token = json!({"access_token": "t", "token_type": "Bearer"});
    server.expect(signed(TOKEN).respond(ScriptedResponse::json(token)));
    let assertion = keyfob::FixedToken::new(Token::new("jwt").unwrap());
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .device_authorization_endpoint(server.url_for(DEVICE))
        .authentication(ClientAuthentication::assertion_from(assertion));
    let setup = Setup {
        clock: ManualClock::default(),
        client: client.build().unwrap(),
        server,
    };
    let flow = DeviceCode::new(setup.client.clone());
    let token = flow.start().await.unwrap().wait().await.unwrap();
    assert_eq!(token.expose(), "t");
    setup.server.verify();
}
