//! The authorization code grant: the parameters of the URL, and the outcome of each redirect.

use std::time::Duration;

use keyfob::ErrorKind;
use keyfob::oauth::AuthorizationCode;
use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server, json};
use url::Url;

use crate::error_texts::error_texts;
use crate::fixtures::form_values;
use crate::sign_in::{
    SignIn, TOKEN, discovered, flow, parameter, server_has_calls, timed, token, visit,
};

#[tokio::test]
async fn the_url_requests_a_code_with_a_challenge_and_the_settings() {
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
        ("client_id", "desktop"),
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
async fn the_code_is_exchanged_with_the_verifier_and_the_page_says_signed_in() {
    let server = Server::start();
    server.expect(
        Expect::post(TOKEN)
            .form("grant_type", "authorization_code")
            .form("client_id", "desktop")
            .form("code", "c0de")
            .respond(token()),
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
async fn an_error_ends_the_sign_in_and_the_page_says_so() {
    for (error, kind, said) in [
        (
            "access_denied",
            ErrorKind::Refused,
            "The sign-in was denied.",
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
        assert!(!error_texts(&error).contains("s3cr3t"));
    }
}

#[tokio::test]
async fn a_redirect_from_another_server_ends_the_sign_in_and_sends_no_code() {
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
async fn a_server_that_announces_iss_has_to_send_it() {
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
async fn a_refused_code_is_an_error_and_the_page_says_not_signed_in() {
    let server = Server::start();
    let refusal =
        ScriptedResponse::json(json!({"error": "invalid_grant", "error_description": "c0de"}));
    server.expect(Expect::post(TOKEN).respond(refusal.with_status(400)));
    let sign_in = SignIn::begin(flow(&server)).await;
    let (_, page) = visit(sign_in.back("code=c0de")).await;
    assert!(page.contains("You are not signed in"), "{page}");
    let error = sign_in.outcome().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!error_texts(&error).contains("c0de"));
}

#[tokio::test]
async fn a_sign_in_ends_after_its_time_limit() {
    let server = Server::start();
    for (visited, pasted, told) in [
        (false, false, "the sign-in was not completed in time; start"),
        (
            true,
            false,
            "the browser only sent responses that belong to another sign-in",
        ),
        (false, true, "what was pasted belongs to another sign-in"),
        (
            true,
            true,
            "the browser only sent responses that belong to another sign-in",
        ),
    ] {
        let (clock, flow) = timed(&server);
        let limit = Duration::from_secs(120);
        let request = flow.timeout(limit).start().await.unwrap();
        let manual = request.manual_response();
        let sign_in = SignIn::of(request);
        clock.until_sleeping_for(limit).await;
        let stray = format!("{}?code=theirs", sign_in.redirect_uri);
        if pasted {
            manual.submit(&stray).await.unwrap_err();
        }
        if visited {
            visit(stray).await;
        }
        clock.advance(limit);
        let error = sign_in.outcome().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn an_exchange_that_began_in_time_is_completed() {
    let server = Server::start();
    let gate = Gate::default();
    server.expect(Expect::post(TOKEN).respond(token().when(&gate)));
    let (clock, flow) = timed(&server);
    let sign_in = SignIn::begin(flow.timeout(Duration::from_secs(10))).await;
    let page = tokio::spawn(visit(sign_in.back("code=c0de")));
    server_has_calls(&server, 1).await;
    clock.advance(Duration::from_secs(20));
    gate.open();
    sign_in.outcome().await.unwrap();
    assert!(page.await.unwrap().1.contains("You are signed in"));
}

#[tokio::test]
async fn only_the_challenge_method_s256_is_used() {
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
async fn an_openid_refresh_token_is_requested_with_consent() {
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
async fn a_parameter_that_the_flow_sets_cannot_be_set_again() {
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

#[tokio::test]
async fn a_response_that_a_person_copies_completes_the_sign_in() {
    for form in [
        "{uri}?state={state}&code=c0de",
        "  {address}?code=c0de&state={state}#fragment\n",
        "?code=c0de&state={state}",
        "code=c0de&state={state}",
        "c0de {state}",
        "{uri}?code=c0de&amp;state={state}",
        "\u{feff}{uri}?code=c0de&state={state}\r\n",
        "\"{uri}?code=c0de&state={state}\"",
        "'<{uri}?code=c0de&state={state}#_=_>'",
        "code=c0de&state={state}#_=_",
    ] {
        let server = Server::start();
        server.expect(Expect::post(TOKEN).form("code", "c0de").respond(token()));
        let request = flow(&server).start().await.unwrap();
        let manual = request.manual_response();
        let sign_in = SignIn::of(request);
        let uri = &sign_in.redirect_uri;
        let text = form
            .replace("{uri}", uri)
            .replace("{address}", uri.strip_prefix("http://").unwrap())
            .replace("{state}", &sign_in.parameter("state"));
        manual.submit(&text).await.unwrap();
        assert_eq!(
            sign_in.outcome().await.unwrap().expose(),
            "acc3ss",
            "{form}"
        );
        assert!(manual.submit(&text).await.is_err(), "the sign-in has ended");
    }
}

#[tokio::test]
async fn a_copied_response_is_checked_like_a_redirect() {
    let server = Server::start();
    let request = discovered(&server, &json!({})).start().await.unwrap();
    let manual = request.manual_response();
    let sign_in = SignIn::of(request);
    let (uri, state) = (&sign_in.redirect_uri, sign_in.parameter("state"));
    for text in [
        "",
        "c0de",
        "c0de other",
        "c0de other third",
        &format!("{uri}?code=c0de"),
        // The second line of an address that was wrapped.
        &format!("&state={state}"),
        &format!("{uri}?state={state}"),
        &format!("{uri}?code=c0de&state=other"),
        &format!("https://evil.example/callback?code=c0de&state={state}"),
        &format!("{uri}/other?code=c0de&state={state}"),
    ] {
        let error = manual.submit(text).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{text}");
        assert!(!error.to_string().contains("c0de"), "{error}");
        assert!(!sign_in.waiting.is_finished(), "{text}");
    }
    let other_issuer = format!("{uri}?code=c0de&state={state}&iss=https://evil.example");
    manual.submit(&other_issuer).await.unwrap();
    let error = sign_in.outcome().await.unwrap_err();
    assert!(error.to_string().contains("another server"), "{error}");
    assert_eq!(server.calls(), 1, "only the metadata were requested");
}
