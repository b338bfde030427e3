//! S1: no secret in the debug output, errors or logs of a session, nor in the logs of the libraries that it uses.

use std::fmt::Debug;
use std::io::Error as IoError;

use http::HeaderName;
use keyfob::authentication::{
    BearerAuthSession, ExternallyManagedJwt, ExternallyManagedJwtSession,
};
use keyfob::{Session, Token, TokenCache, blocking};
use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::captured_log;
use crate::error_texts::error_texts;
use crate::fixtures::{HOUR, TARGET, promptly, refusing_address, target};
use crate::own_process::run_alone;

/// A part of every secret in these tests: of tokens, paths, queries, bodies and headers.
const SECRET: &str = "hush";

fn shows(value: &dyn Debug) -> bool {
    format!("{value:?} {value:#?}").contains(SECRET)
}

fn secret_token(text: &str) -> Token {
    Token::new(text)
        .unwrap()
        .with_header(HeaderName::from_static("x-tenant"), "hush tenant")
        .unwrap()
}

#[tokio::test]
async fn s1_no_printable_value_shows_a_secret() {
    let tokens = TokenCache::builder(keyfob::FixedToken::new(secret_token("hush")))
        .token(secret_token("hush"))
        .build()
        .unwrap();
    let builder = Session::builder(tokens.clone()).base_url("https://hush:hush@api.test/hush?hush");
    assert!(!shows(&builder));
    let session = builder.build().unwrap();
    assert!(!shows(&session));
    assert!(!shows(&tokens) && !shows(&session.status()));
    assert!(!shows(&tokens.ready().unwrap()));
    let request = session
        .post("https://hush:hush@api.test/hush?key=hush")
        .header("x-own", "hush")
        .query(&[("q", "hush")])
        .json(&["hush"]);
    assert!(!shows(&request));
    assert!(!shows(&BearerAuthSession::new("hush").unwrap()));
    let hook = keyfob::hook(|_| async { Ok::<_, IoError>("hush") });
    let jwt = ExternallyManagedJwt::new(hook).jwt(secret_token("hush"));
    assert!(!shows(&jwt));
    let session = ExternallyManagedJwtSession::new(jwt.handler().unwrap()).unwrap();
    assert!(!shows(&session));
}

#[test]
fn s1_a_blocking_session_shows_no_secret() {
    let builder = blocking::Session::builder(keyfob::FixedToken::new(secret_token("hush")))
        .base_url("https://hush:hush@api.test/hush?hush");
    assert!(!shows(&builder));
    let session = builder.build().unwrap();
    assert!(!shows(&session));
    assert!(!shows(
        &session.post("?hush").body("hush").header("x-own", "hush")
    ));
}

#[test]
fn s1_no_log_at_any_level_shows_a_secret_over_http1_and_http2() {
    let server = Server::start();
    let other = Server::start();
    server
        .expect(
            Expect::get("/moved-hush")
                .always(ScriptedResponse::redirect(302, &other.url_for("/hush"))),
        )
        .expect(Expect::get("/broken-hush").always(ScriptedResponse::reset()))
        .expect(
            Expect::any().respond_with(|received| match received.bearer() {
                Some("hush-1") => ScriptedResponse::unauthorized("Bearer error=\"invalid_token\""),
                _ if received.path == "/busy-hush" => ScriptedResponse::too_many_requests("0"),
                _ => ScriptedResponse::text("hush"),
            }),
        );
    other.expect(Expect::any().always(ScriptedResponse::text("hush")));
    run_alone("secrets::everything_is_logged", &[(TARGET, &server.url())]);
}

#[test]
#[ignore = "runs in a process of its own, which has a logger"]
fn everything_is_logged() {
    let Some(server) = target() else {
        return;
    };
    captured_log::capture();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for client in [
        reqwest::Client::builder(),
        reqwest::Client::builder().http2_prior_knowledge(),
    ] {
        let session = Session::builder(numbered_secrets())
            .base_url(&server)
            .client(client.connection_verbose(false))
            .retry(promptly())
            .build()
            .unwrap();
        runtime.block_on(use_in_every_way(&session));
    }
    let session = blocking::Session::builder(numbered_secrets())
        .base_url(&server)
        .retry(promptly())
        .build()
        .unwrap();
    let request = session.put("hush").query(&[("q", "hush")]).body("hush");
    assert_eq!(request.send().unwrap().status(), 200);
    let error = session.get("broken-hush").send().unwrap_err();
    assert!(!error_texts(&error).contains(SECRET), "{error:?}");

    let lines = captured_log::lines();
    for speaker in ["keyfob", "h2::", "reqwest::", "hyper_util::"] {
        assert!(
            lines.iter().any(|line| line.starts_with(speaker)),
            "{speaker} logged nothing"
        );
    }
    let leaked: Vec<_> = lines.iter().filter(|line| line.contains(SECRET)).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
}

/// A source whose first token the server rejects.
fn numbered_secrets() -> keyfob::source::Hook {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    keyfob::hook(move |_| {
        let number = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        async move {
            let token = secret_token(&format!("hush-{number}"));
            Ok::<_, IoError>(token.expires_in(HOUR))
        }
    })
}

async fn use_in_every_way(session: &Session) {
    let with_secrets = |path: &str| {
        session
            .put(path)
            .header("authorization", "Basic hush")
            .header("cookie", "hush")
            .query(&[("q", "hush")])
            .json(&["hush"])
    };
    assert_eq!(with_secrets("hush").send().await.unwrap().status(), 200);
    assert_eq!(
        with_secrets("busy-hush").send().await.unwrap().status(),
        429
    );
    let moved = session.get("moved-hush?hush").header("cookie", "hush");
    assert_eq!(moved.send().await.unwrap().status(), 200);
    let refused = format!("http://{}/hush?hush", refusing_address());
    for url in [
        &*refused,
        "broken-hush?hush",
        "http://hush:hush@hush host/",
        "ftp://x/hush",
    ] {
        let error = session.get(url).send().await.unwrap_err();
        let texts = error_texts(&error);
        assert!(
            !texts.contains("hush") || url.contains("hush host"),
            "{texts}"
        );
    }
}
