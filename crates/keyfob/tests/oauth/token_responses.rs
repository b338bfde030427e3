//! What token responses mean, and which parts of them are never shown.

use std::time::Duration;

use keyfob::oauth::{Client, ClientCredentials};
use keyfob::{ErrorKind, TokenCache};
use keyfob_testkit::{
    Expect, ManualClock, ScriptedResponse, Server, TokenEndpoint, TokenResponse, json,
};

use crate::error_texts::error_texts;
use crate::fixtures::{client, token_of};

/// The error of a client that gets this response.
async fn error_after(response: ScriptedResponse) -> keyfob::Error {
    let endpoint = TokenEndpoint::start();
    endpoint.always(TokenResponse::other(response));
    let source = ClientCredentials::new(client(&endpoint)).parameter("password", "h1dden");
    let error = token_of(source).await.unwrap_err();
    let texts = error_texts(&error);
    for secret in ["s3cr3t", "h1dden", "SECRET"] {
        assert!(!texts.contains(secret), "{texts}");
    }
    error
}

fn refusal(status: u16, code: &str) -> ScriptedResponse {
    let body =
        json!({"error": code, "error_description": "SECRET", "error_uri": "https://x/SECRET"});
    ScriptedResponse::json(body).with_status(status)
}

#[tokio::test]
async fn t2_permanent_refusals_and_temporary_failures_are_told_apart() {
    for (status, code, kind) in [
        (400, "invalid_grant", ErrorKind::Refused),
        (401, "invalid_client", ErrorKind::Refused),
        (400, "unauthorized_client", ErrorKind::Refused),
        (400, "unsupported_grant_type", ErrorKind::Refused),
        (400, "invalid_scope", ErrorKind::Refused),
        (400, "invalid_target", ErrorKind::Refused),
        (400, "temporarily_unavailable", ErrorKind::Unavailable),
        (400, "server_error", ErrorKind::Unavailable),
        (429, "invalid_client", ErrorKind::Unavailable),
        (503, "invalid_grant", ErrorKind::Unavailable),
    ] {
        let error = error_after(refusal(status, code)).await;
        assert_eq!(error.kind(), kind, "{status} {code}");
        assert!(error.to_string().contains(code), "{error}");
    }
}

#[tokio::test]
async fn t2_a_refusal_without_a_code_is_judged_by_its_status() {
    for (status, kind) in [
        (400, ErrorKind::Refused),
        (401, ErrorKind::Refused),
        (403, ErrorKind::Refused),
        (404, ErrorKind::Unavailable),
        (408, ErrorKind::Unavailable),
        (429, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
        (502, ErrorKind::Unavailable),
        (504, ErrorKind::Unavailable),
    ] {
        let body = ScriptedResponse::json(json!({"message": "SECRET"}));
        for response in [body, ScriptedResponse::text("")] {
            let error = error_after(response.with_status(status)).await;
            assert_eq!(error.kind(), kind, "{status}");
        }
    }
}

#[tokio::test]
async fn t2_a_text_that_is_none_of_oauth_is_no_refusal() {
    for (status, content_type, body) in [
        (400, "text/html", "<html>hush</html>"),
        (400, "text/plain", "hush"),
        (403, "text/plain", "error code: 1020"),
        (403, "application/xml", "<Error><Code>hush</Code></Error>"),
        (403, "Text/HTML", "<html>hush</html>"),
        (403, "application/xhtml+xml", "<html>hush</html>"),
    ] {
        let response = ScriptedResponse::text(body).header("content-type", content_type);
        let error = error_after(response.with_status(status)).await;
        let text = error.to_string();
        assert_eq!(
            error.kind(),
            ErrorKind::Unavailable,
            "{content_type}: {text}"
        );
        assert!(text.contains("a proxy or a gateway before"), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn t2_a_refusal_that_may_pass_is_not_remembered_for_ever() {
    let code = |code: &str| json!({"error": code});
    for (name, status, body, is_remembered) in [
        ("a grant", 400, code("invalid_grant"), true),
        ("a client", 401, code("invalid_client"), true),
        ("a scope", 400, code("invalid_scope"), true),
        ("a code of GitHub", 400, code("bad_refresh_token"), true),
        ("a limit of Exact", 400, code("access_denied"), false),
        ("a limit of Zoho", 400, code("Access Denied"), false),
        ("an unknown code", 403, code("policy_of_tuesdays"), false),
        ("no code", 401, json!({"message": "no"}), false),
        ("nothing at all", 401, json!({}), true),
    ] {
        let server = Server::start();
        let refusal = ScriptedResponse::json(body).with_status(status);
        let token = ScriptedResponse::json(json!({"access_token": "t", "token_type": "Bearer"}));
        server.expect(Expect::post("/token").respond(refusal).always(token));
        let client = Client::builder("desktop").token_endpoint(server.url_for("/token"));
        let clock = ManualClock::default();
        let tokens = TokenCache::builder(ClientCredentials::new(client.build().unwrap()))
            .clock(clock.clone())
            .build()
            .unwrap();
        let error = tokens.get_valid_token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{name}: {error}");
        assert!(tokens.get_valid_token().await.is_err(), "{name}");
        clock.advance(Duration::from_secs(120));
        assert_eq!(
            tokens.get_valid_token().await.is_err(),
            is_remembered,
            "{name}"
        );
        assert_eq!(server.calls(), if is_remembered { 1 } else { 2 }, "{name}");
    }
}

#[tokio::test]
async fn t2_a_refusal_of_a_proxy_or_a_gateway_is_none_of_the_server() {
    let page = ScriptedResponse::status(403)
        .header("content-type", "text/html; charset=utf-8")
        .body("<html>blocked: hush</html>");
    for (response, advice) in [
        (ScriptedResponse::status(407), "(407); put the user name"),
        (
            ScriptedResponse::status(511),
            "(511); sign in to this network",
        ),
        (page, "(403); its response is a page for people"),
    ] {
        let error = error_after(response).await;
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{text}");
        assert!(
            text.starts_with("a proxy or a gateway before the token endpoint at "),
            "{text}"
        );
        assert!(text.contains(advice) && !text.contains("hush"), "{text}");
        assert!(!error.is_outcome_unknown());
    }
}

#[tokio::test]
async fn s3_a_code_that_is_not_registered_is_shown_unless_it_may_be_a_secret() {
    let error = error_after(refusal(400, "tenant_disabled")).await;
    assert!(error.to_string().contains("`tenant_disabled`"), "{error}");
    // `SECRET` is no word of a code, and the other is a part of the request.
    for code in ["SECRET", "h1dden", "s3cr3t", "bad_s3cr3t"] {
        let error = error_after(refusal(400, code)).await;
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
}

#[tokio::test]
async fn t2_the_retry_after_of_the_server_is_kept() {
    let error = error_after(ScriptedResponse::unavailable().header("retry-after", "17")).await;
    assert_eq!(error.pause(), Some(Duration::from_secs(17)));
    let error = error_after(refusal(429, "slow_down").header("retry-after", "3")).await;
    assert_eq!(error.pause(), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn s3_a_response_that_is_no_token_is_not_quoted() {
    for (body, word) in [
        (
            json!({"access_token": "SECRET", "token_type": "mac"}),
            "`token_type`",
        ),
        (
            json!({"access_token": "SECRET", "token_type": "N_A"}),
            "`token_type`",
        ),
        (
            json!({"token_type": "Bearer", "id_token": "SECRET"}),
            "`access_token`",
        ),
        (
            json!({"access_token": "SECRET\nX-Evil: 1", "token_type": "Bearer"}),
            "header",
        ),
        (
            json!({"access_token": ["SECRET"], "token_type": "Bearer"}),
            "`access_token`",
        ),
        (json!(["SECRET"]), "JSON"),
    ] {
        let error = error_after(ScriptedResponse::json(body)).await;
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = error_after(ScriptedResponse::text("<html>SECRET</html>")).await;
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn a_new_refresh_token_is_not_said_to_be_kept_where_no_source_keeps_it() {
    let response = json!({"access_token": "t", "token_type": "mac", "refresh_token": "SECRET"});
    let error = error_after(ScriptedResponse::json(response)).await;
    let texts = error_texts(&error);
    assert!(texts.contains("a new refresh token"), "{texts}");
    assert!(!texts.contains("kept"), "{texts}");
}

#[tokio::test]
async fn t5_a_time_in_a_smaller_unit_is_an_error_that_names_the_field() {
    for name in ["expires_at", "expires_on", "expires"] {
        for time in [
            json!(1_925_000_000_000_000_u64),
            json!("1925000000000000000"),
        ] {
            let response = json!({"access_token": "t", "token_type": "Bearer", name: time});
            let error = error_after(ScriptedResponse::json(response)).await;
            assert_eq!(error.kind(), ErrorKind::Malformed, "{name} {time}");
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
    }
}

#[tokio::test]
async fn a_token_type_may_be_missing_and_its_case_does_not_matter() {
    for token_type in [json!("bEARER"), json!(" Bearer "), json!(""), json!(null)] {
        let endpoint = TokenEndpoint::start();
        endpoint.next(TokenResponse::token().field("token_type", token_type));
        let token = token_of(ClientCredentials::new(client(&endpoint))).await;
        assert!(token.unwrap().is_bearer());
    }
}

#[tokio::test]
async fn another_token_type_needs_a_setting_and_the_error_names_it() {
    for token_type in ["BearerToken", "N_A", "mac", "DPoP"] {
        let endpoint = TokenEndpoint::start();
        endpoint.always(TokenResponse::token().field("token_type", json!(token_type)));
        let error = token_of(ClientCredentials::new(client(&endpoint))).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("set `token_type` to `Bearer`"), "{error}");
        let client = Client::builder("desktop")
            .token_endpoint(endpoint.url())
            .token_type("Bearer")
            .build()
            .unwrap();
        let token = token_of(ClientCredentials::new(client)).await.unwrap();
        assert!(token.is_bearer(), "{token_type}");
    }
}

#[test]
fn a_token_type_that_is_no_scheme_is_refused() {
    let client = |token_type: &str| {
        Client::builder("desktop")
            .token_endpoint("https://a.example/token")
            .token_type(token_type)
            .build()
    };
    assert!(client("Zoho-oauthtoken").is_ok());
    assert_eq!(client("two words").unwrap_err().kind(), ErrorKind::Input);
}

#[tokio::test]
async fn at_most_one_mebibyte_is_read() {
    let mut text = r#"{"access_token":"t","token_type":"Bearer","x":""#.to_owned();
    text.push_str(&"x".repeat((1 << 20) - text.len() - 2));
    text.push_str(r#""}"#);
    assert_eq!(text.len(), 1 << 20);
    let endpoint = TokenEndpoint::start();
    endpoint.next(TokenResponse::other(ScriptedResponse::text(text.clone())));
    token_of(ClientCredentials::new(client(&endpoint)))
        .await
        .unwrap();

    let error = error_after(ScriptedResponse::text(text + " ")).await;
    assert_eq!(error.kind(), ErrorKind::Malformed);
    // An endless body is not read forever.
    let error = error_after(ScriptedResponse::stream(1 << 40).chunked()).await;
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn r1_no_redirect_carries_the_secret() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start();
        let error = error_after(ScriptedResponse::redirect(
            status,
            &elsewhere.url_for("/token"),
        ))
        .await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("redirect"), "{error}");
        assert_eq!(elsewhere.calls(), 0);
    }
}

#[tokio::test]
async fn t2_a_missing_response_is_a_temporary_failure() {
    let server = Server::start();
    server.expect(Expect::post("/token").respond(ScriptedResponse::hang()));
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for("/token"))
        .timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let error = token_of(ClientCredentials::new(client)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_timeout());
    assert!(error.to_string().contains("may have seen"), "{error}");
}

#[tokio::test]
async fn t2_a_refused_connection_is_a_temporary_failure() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let client = Client::builder("desktop")
        .token_endpoint(format!("http://127.0.0.1:{port}/token"))
        .build()
        .unwrap();
    let error = token_of(ClientCredentials::new(client)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[test]
fn r1_plain_http_to_another_machine_is_refused() {
    for url in ["http://login.example.com/token", "http://10.0.0.1/token"] {
        let error = Client::builder("desktop")
            .token_endpoint(url)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin);
        let error = Client::builder("desktop").issuer(url).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin);
    }
}

#[test]
fn a_client_needs_a_server() {
    let error = Client::builder("desktop").build().unwrap_err();
    assert!(error.to_string().contains("issuer"), "{error}");
    for url in [
        "/token",
        "https://u:p@login.example.com/token",
        "https://login.example.com/token#x",
    ] {
        let error = Client::builder("desktop")
            .token_endpoint(url)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
    }
}
