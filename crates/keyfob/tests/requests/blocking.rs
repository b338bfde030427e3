//! The blocking session keeps the same promises outside of a runtime.

use std::io::{Cursor, Error as IoError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use keyfob::blocking::Session;
use keyfob::{Error, ErrorKind, Session as AsyncSession, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server};
use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{Body, Client};

use crate::error_texts::error_texts;
use crate::fixtures::{HOUR, SECOND, bearers, cause, fixed, numbered, promptly, soon, until};

fn session(server: &Server, tokens: impl Into<TokenCache>) -> Session {
    Session::builder(tokens)
        .base_url(server.url())
        .retry(promptly())
        .build()
        .unwrap()
}

/// Moves the clock when a pause of this length begins.
fn pass(clock: &ManualClock, pause: Duration) -> thread::JoinHandle<()> {
    let clock = clock.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async { soon(clock.until_sleeping_for(pause)).await });
        clock.advance(pause);
    })
}

#[test]
fn r1_blocking_a_redirect_to_another_origin_loses_the_credential_for_good() {
    let (a, b) = (Server::start(), Server::start());
    a.expect(Expect::get("/start").respond(ScriptedResponse::redirect(307, &b.url_for("/there"))))
        .expect(Expect::get("/back").respond(ScriptedResponse::text("fine")));
    b.expect(Expect::get("/there").respond(ScriptedResponse::redirect(302, &a.url_for("/back"))));
    let token = Token::new("t0ken")
        .unwrap()
        .with_header(HeaderName::from_static("x-tenant"), "s3cret")
        .unwrap();
    let session = session(&a, fixed(token, &ManualClock::default()));
    let response = session.get("start").header("cookie", "c=1").send().unwrap();
    assert_eq!(response.url().as_str(), a.url_for("/back"));
    assert_eq!(response.text().unwrap(), "fine");
    assert_eq!(bearers(&a), ["t0ken", ""]);
    for bare in [&b.received()[0], &a.received()[1]] {
        for name in ["authorization", "x-tenant", "cookie", "referer"] {
            assert!(!bare.headers.contains_key(name), "{name}");
        }
    }
}

#[test]
fn r1_blocking_other_origins_are_refused() {
    let server = Server::start();
    let session = session(&server, numbered().0);
    for url in [
        "http://api.example.com/",
        "https://api.example.com/",
        "//localhost/x",
    ] {
        let error = session.get(url).send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin, "{url}");
    }
    let error = session.get("ftp://127.0.0.1/").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(!session.authenticated());
}

#[test]
fn r3_blocking_a_401_renews_the_token_and_replays_the_full_body() {
    let server = Server::start();
    server.expect(
        Expect::post("/orders")
            .respond(ScriptedResponse::unauthorized("Bearer"))
            .respond(ScriptedResponse::status(201)),
    );
    let session = session(&server, numbered().0);
    let response = session.post("orders").body(vec![b'x'; 100_000]).send();
    assert_eq!(response.unwrap().status(), 201);
    assert_eq!(bearers(&server), ["token-1", "token-2"]);
    assert!(
        server
            .received()
            .iter()
            .all(|got| got.body_length == 100_000)
    );
}

#[test]
fn r3_blocking_a_body_from_a_reader_is_sent_once_and_the_token_renewed() {
    let server = Server::start();
    server
        .expect(Expect::put("/upload").respond(ScriptedResponse::status(401)))
        .expect(
            Expect::get("/data")
                .bearer("token-2")
                .respond(ScriptedResponse::status(200)),
        );
    let (hook, calls) = numbered();
    let session = session(&server, hook);
    let read = Body::new(Cursor::new(vec![b'x'; 100_000]));
    assert_eq!(
        session.put("upload").body(read).send().unwrap().status(),
        401
    );
    until(|| {
        let renewed = calls.load(Ordering::SeqCst) == 2;
        renewed
            && session
                .tokens()
                .get_valid_token_blocking()
                .unwrap()
                .expose()
                == "token-2"
    });
    assert_eq!(session.get("data").send().unwrap().status(), 200);
    assert_eq!(server.received()[0].body_length, 100_000);
}

#[test]
fn r3_blocking_an_unchanged_token_returns_the_401() {
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::status(401).body("no")));
    let session = session(
        &server,
        fixed(Token::new("same").unwrap(), &ManualClock::default()),
    );
    let response = session.get("data").send().unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.text().unwrap(), "no");
}

#[test]
fn r4_blocking_retries_the_same_methods_and_faults() {
    let server = Server::start();
    let session = session(&server, numbered().0);
    for (method, sent) in [(Method::GET, 2), (Method::PUT, 2), (Method::POST, 1)] {
        for fault in [
            ScriptedResponse::reset(),
            ScriptedResponse::close(),
            ScriptedResponse::unavailable(),
        ] {
            let calls = server.calls();
            server.expect(Expect::method(method.clone(), "/data").respond(fault));
            if sent == 2 {
                server.expect(
                    Expect::method(method.clone(), "/data").respond(ScriptedResponse::status(200)),
                );
            }
            let _ = session.request(method.clone(), "data").body("whole").send();
            assert_eq!(server.calls() - calls, sent, "{method}");
        }
    }
    assert!(server.received().iter().all(|got| got.body == "whole"));
    let fault = ScriptedResponse::unavailable();
    server.expect(Expect::put("/read").respond(fault.clone()).respond(fault));
    let read = || Cursor::new(b"whole");
    session.put("read").body(Body::new(read())).send().unwrap();
    let form = Form::new().part("file", Part::reader(read()));
    session.put("read").multipart(form).send().unwrap();
}

#[test]
fn r5_blocking_retry_after_is_obeyed_and_r7_the_token_is_current() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(
        Expect::post("/orders")
            .respond(ScriptedResponse::too_many_requests("70"))
            .respond(ScriptedResponse::status(201)),
    );
    let lasting = |text: &str, lifetime| Ok(Token::new(text)?.expires_in(lifetime));
    let source = ScriptedSource::new([lasting("one", 60 * SECOND), lasting("two", HOUR)]);
    let tokens = TokenCache::builder(source.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = session(&server, tokens);
    let time = pass(&clock, 70 * SECOND);
    assert_eq!(
        session.post("orders").body("x").send().unwrap().status(),
        201
    );
    time.join().unwrap();
    assert_eq!(bearers(&server), ["one", "two"]);
}

#[test]
fn r6_blocking_without_a_token_for_a_retry_the_last_response_is_returned() {
    let clock = ManualClock::default();
    let server = Server::start();
    let minute = Token::new("one").map(|token| token.expires_in(60 * SECOND));
    let source = ScriptedSource::new([minute, Err(Error::refused("revoked for good"))]);
    let tokens = TokenCache::builder(source.clone()).clock(clock.clone());
    let session = session(&server, tokens.build().unwrap());
    server.expect(
        Expect::get("/data").respond(ScriptedResponse::too_many_requests("70").body("later")),
    );
    let time = pass(&clock, 70 * SECOND);
    let response = session.get("data").send().unwrap();
    time.join().unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.text().unwrap(), "later");
    assert_eq!(bearers(&server), ["one"]);
}

#[test]
fn r6_blocking_the_last_response_or_error_is_returned() {
    let server = Server::start();
    server
        .expect(
            Expect::get("/response")
                .respond(ScriptedResponse::unavailable())
                .times(3)
                .respond(ScriptedResponse::status(504).body("last")),
        )
        .expect(
            Expect::get("/error")
                .respond(ScriptedResponse::reset())
                .times(4),
        );
    let session = session(&server, numbered().0);
    assert_eq!(
        session.get("response").send().unwrap().text().unwrap(),
        "last"
    );
    let error = session.get("error?q=PATIENT").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(cause::<reqwest::Error>(&error).is_some());
    let texts = error_texts(&error);
    assert!(
        !texts.contains("PATIENT") && !texts.contains("/error"),
        "{texts}"
    );
}

#[test]
fn r8_blocking_a_late_head_or_body_is_a_timeout() {
    let server = Server::start();
    let stalls = ScriptedResponse::text("half and half").slow_body(4, HOUR);
    server
        .expect(
            Expect::post("/head")
                .respond(ScriptedResponse::hang())
                .at_least(1),
        )
        .expect(Expect::get("/body").respond(stalls));
    let limit = Duration::from_secs(2);
    let impatient = Session::builder(numbered().0)
        .base_url(server.url())
        .timeout(limit)
        .build()
        .unwrap();
    let error = impatient.post("head").send().unwrap_err();
    assert!(cause::<reqwest::Error>(&error).unwrap().is_timeout());
    let error = impatient.get("body").send().unwrap().text().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let patient = session(&server, numbered().0);
    let error = patient.post("head").timeout(limit).send().unwrap_err();
    assert!(cause::<reqwest::Error>(&error).unwrap().is_timeout());
}

#[test]
fn r9_blocking_each_request_has_one_authorization() {
    let server = Server::start();
    server.expect(Expect::any().always(ScriptedResponse::status(200)));
    let mut defaults = HeaderMap::new();
    defaults.insert("authorization", "Bearer default".parse().unwrap());
    defaults.insert("user-agent", "caller/1.0".parse().unwrap());
    let session = Session::builder(numbered().0)
        .base_url(server.url())
        .client(Client::builder().default_headers(defaults).no_proxy())
        .build()
        .unwrap();
    let url = format!("http://user:pass@{}/data", server.address());
    session.get(&url).send().unwrap();
    session
        .get("data")
        .header("authorization", "Basic x")
        .send()
        .unwrap();
    for received in server.received() {
        assert_eq!(received.bearer(), Some("token-1"));
        assert_eq!(received.header("user-agent"), Some("caller/1.0"));
    }
}

#[test]
fn blocking_a_303_is_followed_with_a_get_even_after_a_streamed_body() {
    let server = Server::start();
    server
        .expect(Expect::post("/orders").respond(ScriptedResponse::redirect(303, "/orders/7")))
        .expect(Expect::get("/orders/7").respond(ScriptedResponse::text("done")));
    let session = session(&server, numbered().0);
    let read = Body::new(Cursor::new(b"order"));
    let response = session.post("orders").body(read).send().unwrap();
    assert_eq!(response.text().unwrap(), "done");
    assert_eq!(server.received()[1].header("content-type"), None);
}

#[test]
fn t1_blocking_two_hundred_threads_cause_one_call_of_the_hook() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::status(200))
            .times(200),
    );
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let started = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&started);
    let tokens = TokenCache::new(keyfob::hook_blocking(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        while asked.load(Ordering::SeqCst) < 200 {
            thread::yield_now();
        }
        Ok::<_, IoError>(("t0ken", HOUR))
    }));
    let sessions = [session(&server, tokens.clone()), session(&server, tokens)];
    thread::scope(|scope| {
        for n in 0..200 {
            let (session, started) = (&sessions[n % 2], &started);
            scope.spawn(move || {
                let request = session.get("data");
                started.fetch_add(1, Ordering::SeqCst);
                assert_eq!(request.send().unwrap().status(), 200);
            });
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn blocking_an_async_hook_with_timers_and_sockets_needs_no_runtime() {
    let server = Server::start();
    server
        .expect(Expect::get("/token").respond(ScriptedResponse::text("t0ken")))
        .expect(
            Expect::get("/data")
                .bearer("t0ken")
                .respond(ScriptedResponse::status(200)),
        );
    let url = server.url_for("/token");
    let hook = keyfob::hook(move |_| {
        let url = url.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let client = reqwest::Client::builder().no_proxy().build()?;
            client.get(url).send().await?.text().await
        }
    });
    let session = session(&server, hook);
    assert_eq!(session.get("data").send().unwrap().status(), 200);
    session.authenticate().unwrap();
    assert!(
        session
            .request_headers()
            .unwrap()
            .contains_key("authorization")
    );
}

#[tokio::test]
async fn a_blocking_hook_does_not_block_an_async_session() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .bearer("t0ken")
            .respond(ScriptedResponse::status(200)),
    );
    let (done, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let hook = keyfob::hook_blocking(move |_| {
        wait.lock().unwrap().recv().unwrap();
        Ok::<_, IoError>("t0ken")
    });
    let session = AsyncSession::new(server.url(), hook).unwrap();
    // The runtime has one thread, so this task runs only if the hook does not block it.
    let other_task = async {
        tokio::task::yield_now().await;
        done.send(()).unwrap();
    };
    let (response, ()) = crate::fixtures::meanwhile(session.get("data").send(), other_task).await;
    assert_eq!(response.unwrap().status(), 200);
}

#[test]
fn a_hook_that_uses_its_own_session_gets_an_error_instead_of_a_deadlock() {
    let server = Server::start();
    let slot: Arc<std::sync::OnceLock<Session>> = Arc::default();
    let own = Arc::clone(&slot);
    let hook = keyfob::hook_blocking(move |_| {
        let response = own.get().unwrap().get("token").send()?;
        Ok::<_, keyfob::Error>(response.text().unwrap())
    });
    let session = slot.get_or_init(|| session(&server, hook));
    let error = session.get("data").send().unwrap_err();
    assert!(error.is_authentication(), "{error}");
    assert_eq!(server.connections(), 0);
}
