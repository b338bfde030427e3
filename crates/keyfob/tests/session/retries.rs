//! R4 to R7: what is sent again, for how long, and what the caller gets when that ends.

use std::io::Error as IoError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use http::{Method, StatusCode};
use keyfob::{Error, ErrorKind, RetryPolicy, Session, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server};
use reqwest::Body;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::multipart::{Form, Part};

use crate::kit::{
    SECOND, bearers, builder, cause, everything_said, meanwhile, promptly, refusing_address,
    session, soon,
};

const IDEMPOTENT: [Method; 5] = [
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PUT,
    Method::DELETE,
];

/// Faults after which nobody knows whether the server did what it was asked for.
fn doubtful() -> Vec<ScriptedResponse> {
    let mut faults = vec![
        ScriptedResponse::reset(),
        ScriptedResponse::close(),
        ScriptedResponse::garbage(),
    ];
    let statuses = [408, 425, 429, 500, 502, 503, 504];
    faults.extend(statuses.map(|status| ScriptedResponse::status(status).body("no")));
    faults
}

#[tokio::test]
async fn r4_idempotent_methods_are_retried_on_every_transient_fault() {
    let server = Server::start();
    for method in IDEMPOTENT {
        let session = session(&server, &ManualClock::default());
        for fault in doubtful() {
            server.expect(
                Expect::method(method.clone(), "/data")
                    .answer(fault.clone())
                    .answer(ScriptedResponse::status(204)),
            );
            let response = session.request(method.clone(), "data").send().await;
            assert_eq!(response.unwrap().status(), 204, "{method} {fault:?}");
        }
    }
}

#[tokio::test]
async fn r4_post_and_patch_are_sent_once() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for method in [Method::POST, Method::PATCH] {
        for (n, fault) in doubtful().into_iter().enumerate() {
            let path = format!("/{method}/{n}");
            server.expect(Expect::method(method.clone(), &path).answer(fault.clone()));
            let request = session.request(method.clone(), &path).body("order");
            match (request.send().await, fault.status_code()) {
                (Ok(response), Some(status)) => assert_eq!(response.status(), status),
                (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Transport),
                (other, _) => panic!("{path}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn r4_a_post_with_an_idempotency_key_or_the_callers_word_is_retried() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for fault in doubtful() {
        server.expect(
            Expect::post("/orders")
                .header("idempotency-key", "k1")
                .json(keyfob_testkit::json!({ "item": 42 }))
                .answer(fault.clone())
                .answer(ScriptedResponse::status(201)),
        );
        server.expect(
            Expect::patch("/orders")
                .answer(fault)
                .answer(ScriptedResponse::status(200)),
        );
        let response = session
            .post("orders")
            .header("Idempotency-Key", "k1")
            .json(&keyfob_testkit::json!({ "item": 42 }))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 201);
        let response = session.patch("orders").body("x").idempotent().send().await;
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn r4_a_hang_is_retried_for_a_get_and_an_error_for_a_post() {
    let clock = ManualClock::default();
    let server = Server::start();
    let session = session(&server, &clock);
    server
        .expect(
            Expect::get("/data")
                .answer(ScriptedResponse::hang())
                .answer(ScriptedResponse::text("late")),
        )
        .expect(Expect::post("/data").answer(ScriptedResponse::hang()));
    let time_passes = |calls| {
        let (clock, server) = (&clock, &server);
        async move {
            server.reached(calls).await;
            clock.until_sleeping(1).await;
            clock.advance(20 * SECOND);
        }
    };
    let (response, ()) = meanwhile(session.get("data").send(), time_passes(1)).await;
    assert_eq!(response.unwrap().text().await.unwrap(), "late");
    let (response, ()) = meanwhile(session.post("data").body("x").send(), time_passes(3)).await;
    let error = response.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    let timed_out = cause::<IoError>(&error).unwrap();
    assert_eq!(timed_out.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn r4_a_refused_connection_is_retried_for_any_method() {
    for method in [Method::GET, Method::POST] {
        let server = Server::start();
        server.expect(Expect::path("/data").answer(ScriptedResponse::status(200)));
        let late = LateServer::new(server.address(), 3);
        let session = late.session();
        let request = session.request(method.clone(), "data").body("order");
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(late.lookups(), 4, "{method}");
        assert_eq!(server.received()[0].body_length, 5);
    }
}

#[tokio::test]
async fn r6_the_last_error_is_returned_with_its_cause_and_without_the_url() {
    let server = Server::start();
    let late = LateServer::new(server.address(), 100);
    let request = late.session().post("data?name=PATIENT").body("s3cret");
    let error = request.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(late.lookups(), 4);
    let connect = cause::<reqwest::Error>(&error).unwrap();
    assert!(connect.is_connect() && connect.url().is_none());
    let io = cause::<IoError>(&error).unwrap();
    assert_eq!(io.kind(), std::io::ErrorKind::ConnectionRefused);
    let said = everything_said(&error);
    assert!(error.to_string().starts_with("POST http://api.localhost "));
    assert!(
        !said.contains("PATIENT") && !said.contains("/data"),
        "{said}"
    );
}

#[tokio::test]
async fn r6_a_broken_answer_is_an_error_without_the_url() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for fault in [
        ScriptedResponse::reset(),
        ScriptedResponse::close(),
        ScriptedResponse::garbage(),
    ] {
        server.expect(Expect::get("/patients").answer(fault).times(4));
        let error = session
            .get("patients?name=PATIENT")
            .send()
            .await
            .unwrap_err();
        assert!(cause::<reqwest::Error>(&error).is_some());
        let said = everything_said(&error);
        assert!(
            !said.contains("atient") && !said.contains("PATIENT"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn r6_the_last_response_is_returned_with_its_body() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    server.expect(
        Expect::get("/data")
            .answer(ScriptedResponse::unavailable().body("first"))
            .answer(ScriptedResponse::status(500).body("second"))
            .answer(ScriptedResponse::status(502).body("third"))
            .answer(
                ScriptedResponse::status(504)
                    .body("last")
                    .header("x-last", "yes"),
            ),
    );
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.status(), 504);
    assert_eq!(response.headers()["x-last"], "yes");
    assert_eq!(response.text().await.unwrap(), "last");
}

#[tokio::test]
async fn r6_an_answer_that_follows_an_error_or_an_error_that_follows_an_answer_is_the_last() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    server
        .expect(
            Expect::get("/answer")
                .answer(ScriptedResponse::reset())
                .answer(ScriptedResponse::unavailable())
                .answer(ScriptedResponse::close())
                .answer(ScriptedResponse::unavailable().body("last")),
        )
        .expect(
            Expect::get("/error")
                .answer(ScriptedResponse::unavailable())
                .times(3)
                .answer(ScriptedResponse::reset()),
        );
    let response = session.get("answer").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "last");
    let error = session.get("error").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn r4_any_method_is_retried_on_429_or_503_with_retry_after() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for method in [Method::POST, Method::PATCH, Method::GET] {
        for status in [429, 503] {
            let busy = ScriptedResponse::status(status).header("retry-after", "0");
            let path = format!("/{method}/{status}");
            server.expect(
                Expect::method(method.clone(), &path)
                    .answer(busy)
                    .answer(ScriptedResponse::status(200)),
            );
            let response = session.request(method.clone(), &path).body("whole").send();
            assert_eq!(response.await.unwrap().status(), 200);
        }
        let path = format!("/{method}/500");
        let broken = ScriptedResponse::status(500).header("retry-after", "0");
        server.expect(Expect::method(method.clone(), &path).always(broken));
        let calls = server.calls();
        session.request(method.clone(), &path).send().await.unwrap();
        let sent = server.calls() - calls;
        assert_eq!(sent, if method == Method::GET { 4 } else { 1 });
    }
    assert!(
        server
            .received()
            .iter()
            .filter(|got| got.method != Method::GET)
            .all(|got| { got.body_length == 5 || got.path.ends_with("500") })
    );
}

#[tokio::test]
async fn r4_a_post_is_not_retried_on_a_retry_after_that_is_nonsense() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for nonsense in ["soon", "-1", "1.5", "1s", "Thu, 32 Jan 2030 00:00:00 GMT"] {
        server
            .expect(Expect::post("/orders").answer(ScriptedResponse::too_many_requests(nonsense)));
        let response = session.post("orders").body("x").send().await.unwrap();
        assert_eq!(response.status(), 429, "{nonsense}");
    }
}

#[tokio::test]
async fn r4_a_404_is_retried_only_where_the_caller_wants_it() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    server
        .expect(Expect::get("/plain").answer(ScriptedResponse::status(404)))
        .expect(
            Expect::get("/wanted")
                .answer(ScriptedResponse::status(404))
                .answer(ScriptedResponse::status(200)),
        )
        .expect(
            Expect::get("/unwanted")
                .answer(ScriptedResponse::unavailable().header("retry-after", "0")),
        );
    assert_eq!(session.get("plain").send().await.unwrap().status(), 404);
    let wanted = session
        .get("wanted")
        .retry(|policy| policy.retry(StatusCode::NOT_FOUND));
    assert_eq!(wanted.send().await.unwrap().status(), 200);
    let unwanted = session
        .get("unwanted")
        .retry(|policy| policy.do_not_retry(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(unwanted.send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn r4_a_streamed_body_is_never_sent_again_and_never_empty() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for (n, fault) in doubtful().into_iter().enumerate() {
        let path = format!("/{n}");
        server.expect(Expect::put(&path).answer(fault.clone()).answer(fault));
        let pieces = stream::iter([vec![b'x'; 500], vec![b'y'; 500]].map(Ok::<_, IoError>));
        let streamed = session.put(&path).body(Body::wrap_stream(pieces));
        let _ = soon(streamed.send()).await;
        let part = Part::stream(Body::wrap_stream(stream::iter([Ok::<_, IoError>("file")])));
        let form = Form::new().text("name", "value").part("file", part);
        let _ = session.put(&path).multipart(form).send().await;
        let lengths: Vec<_> = server.received()[2 * n..]
            .iter()
            .map(|got| got.body_length)
            .collect();
        assert_eq!(lengths.len(), 2, "{path}");
        assert_eq!(lengths[0], 1000);
        assert!(lengths[1] > 100);
    }
}

#[tokio::test]
async fn r4_a_streamed_body_is_not_sent_again_even_if_the_caller_calls_it_idempotent() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    let busy = ScriptedResponse::too_many_requests("0");
    server.expect(Expect::post("/upload").answer(busy));
    let pieces = stream::iter([Ok::<_, IoError>("all of it")]);
    let streamed = session.post("upload").body(Body::wrap_stream(pieces));
    let response = streamed.idempotent().send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(server.received()[0].body_length, 9);
}

#[tokio::test]
async fn r4_a_reset_in_the_middle_of_an_upload_replays_the_whole_body() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    let body = vec![b'x'; 2_000_000];
    server.expect(
        Expect::put("/upload")
            .answer(ScriptedResponse::reset_in_upload())
            .answer(ScriptedResponse::status(200)),
    );
    let response = session.put("upload").body(body.clone()).send().await;
    assert_eq!(response.unwrap().status(), 200);
    let last = server.received().pop().unwrap();
    assert_eq!(last.body_length, 2_000_000);
    assert_eq!(last.checksum, keyfob_testkit::checksum([body.as_slice()]));
}

#[tokio::test]
async fn r5_retry_after_in_seconds_or_as_a_date_is_honoured() {
    let clock = ManualClock::default();
    let server = Server::start();
    let session = session(&server, &clock);
    let date = httpdate::fmt_http_date(clock.wall() + 3 * SECOND);
    for wish in ["3", &date] {
        server.expect(
            Expect::post("/orders")
                .answer(ScriptedResponse::too_many_requests(wish))
                .answer(ScriptedResponse::status(201)),
        );
        let calls = server.calls();
        let time_passes = async {
            clock.until_sleeping_for(3 * SECOND).await;
            clock.advance(2 * SECOND);
            assert_eq!(server.calls(), calls + 1);
            clock.advance(SECOND);
        };
        let (response, ()) = meanwhile(session.post("orders").body("x").send(), time_passes).await;
        assert_eq!(response.unwrap().status(), 201);
        // The date is as far ahead in the second round as it was in the first.
        clock.step_wall(-3);
    }
}

#[tokio::test]
async fn r5_a_retry_after_beyond_the_deadline_returns_the_answer_now() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for wish in [
        "90",
        "100000000000000000000",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let busy = ScriptedResponse::unavailable().header("retry-after", wish);
        server.expect(Expect::get("/data").answer(busy.body("busy")));
        let response = soon(session.get("data").send()).await.unwrap();
        assert_eq!(response.headers()["retry-after"], wish);
        assert_eq!(response.text().await.unwrap(), "busy");
    }
}

#[tokio::test]
async fn r5_no_attempt_begins_after_the_total_time() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .answer(ScriptedResponse::too_many_requests("4"))
            .times(2),
    );
    let session = session(&server, &clock);
    let time_passes = async {
        clock.until_sleeping_for(4 * SECOND).await;
        clock.advance(4 * SECOND);
    };
    let request = session.get("data").retry(|policy| policy.total(8 * SECOND));
    let (response, ()) = meanwhile(request.send(), time_passes).await;
    assert_eq!(response.unwrap().status(), 429);
}

#[tokio::test]
async fn r5_an_outage_empties_the_budget_of_the_session() {
    let server = Server::start();
    server.expect(Expect::get("/data").always(ScriptedResponse::unavailable()));
    let clock = ManualClock::default();
    let session = session(&server, &clock);
    for _ in 0..200 {
        // A rule of its own for one request draws on the session's budget all the same.
        let request = session.get("data").retry(|policy| policy.attempts(10));
        assert_eq!(request.send().await.unwrap().status(), 503);
    }
    assert_eq!(server.calls(), 200 + 100);
    let other = crate::kit::session(&server, &clock);
    other.get("data").send().await.unwrap();
    assert_eq!(server.calls(), 300 + 4);
}

#[tokio::test]
async fn r5_one_policy_in_two_sessions_is_two_budgets() {
    let server = Server::start();
    server.expect(Expect::get("/data").always(ScriptedResponse::unavailable()));
    let policy = promptly().attempts(1000);
    for calls in [101, 202] {
        let session = builder(&ManualClock::default())
            .base_url(server.url())
            .retry(policy.clone())
            .build()
            .unwrap();
        session.get("data").send().await.unwrap();
        assert_eq!(server.calls(), calls);
    }
}

#[tokio::test]
async fn r5_never_means_one_attempt_and_a_401_is_healed_all_the_same() {
    let server = Server::start();
    let session = Session::builder(crate::kit::numbered().0)
        .base_url(server.url())
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    server
        .expect(Expect::get("/data").answer(ScriptedResponse::unavailable()))
        .expect(
            Expect::get("/healed")
                .answer(ScriptedResponse::status(401))
                .answer(ScriptedResponse::status(200)),
        );
    assert_eq!(session.get("data").send().await.unwrap().status(), 503);
    assert_eq!(session.get("healed").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn r5_redirects_do_not_use_up_the_attempts() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for n in 0..6 {
        let next = format!("/{}", n + 1);
        server.expect(Expect::get(&format!("/{n}")).answer(ScriptedResponse::redirect(302, &next)));
    }
    server.expect(
        Expect::get("/6")
            .answer(ScriptedResponse::unavailable())
            .times(3)
            .answer(ScriptedResponse::status(200)),
    );
    assert_eq!(session.get("0").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn r7_a_token_that_expired_during_a_pause_is_not_sent() {
    let clock = ManualClock::default();
    let server = Server::start();
    let lasting = |text: &str, seconds| Ok(Token::new(text)?.expires_in(seconds * SECOND));
    let source = ScriptedSource::new([lasting("one", 60), lasting("two", 3600)]);
    let tokens = TokenCache::builder(source.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = Session::builder(tokens)
        .base_url(server.url())
        .retry(promptly())
        .build()
        .unwrap();
    server.expect(
        Expect::get("/data")
            .answer(ScriptedResponse::too_many_requests("70"))
            .answer(ScriptedResponse::status(200)),
    );
    let time_passes = async {
        clock.until_sleeping_for(70 * SECOND).await;
        clock.advance(70 * SECOND);
    };
    let (response, ()) = meanwhile(session.get("data").send(), time_passes).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(bearers(&server), ["one", "two"]);
}

#[tokio::test]
async fn r6_without_a_token_for_another_attempt_the_answer_in_hand_is_the_last() {
    let clock = ManualClock::default();
    let server = Server::start();
    let minute = Token::new("one").map(|token| token.expires_in(60 * SECOND));
    let source = ScriptedSource::new([minute, Err(Error::refused("revoked for good"))]);
    let tokens = TokenCache::builder(source.clone()).clock(clock.clone());
    let session = Session::builder(tokens.build().unwrap())
        .base_url(server.url())
        .build()
        .unwrap();
    server.expect(
        Expect::get("/data").answer(ScriptedResponse::too_many_requests("70").body("later")),
    );
    let time_passes = async {
        clock.until_sleeping(2).await;
        clock.advance(80 * SECOND);
    };
    let (response, ()) = meanwhile(session.get("data").send(), time_passes).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.text().await.unwrap(), "later");
    assert_eq!(bearers(&server), ["one"]);
}

#[tokio::test]
async fn r7_each_attempt_carries_the_token_of_its_moment() {
    let server = Server::start();
    let session = Session::builder(crate::kit::numbered().0)
        .base_url(server.url())
        .retry(promptly())
        .build()
        .unwrap();
    let tokens = session.tokens().clone();
    server.expect(Expect::get("/data").respond_with(move |received| {
        let replaced = Token::new(format!("{}-then", received.bearer().unwrap())).unwrap();
        tokens.set_token(replaced).unwrap();
        ScriptedResponse::unavailable()
    }));
    session.get("data").send().await.unwrap();
    let sent = ["token-1", "token-1-then", "token-1-then-then"];
    assert_eq!(bearers(&server)[..3], sent);
}

/// A server whose name leads nowhere at first.
struct LateServer(Arc<Lookups>);

struct Lookups {
    so_far: AtomicUsize,
    refused: usize,
    nowhere: SocketAddr,
    server: SocketAddr,
}

impl LateServer {
    /// The first lookups are answered with an address where nobody listens.
    fn new(server: SocketAddr, refused: usize) -> Self {
        Self(Arc::new(Lookups {
            so_far: AtomicUsize::new(0),
            refused,
            nowhere: refusing_address(),
            server,
        }))
    }

    fn session(&self) -> Session {
        let client = reqwest::Client::builder().dns_resolver(Arc::clone(&self.0));
        builder(&ManualClock::default())
            .client(client)
            .base_url("http://api.localhost/")
            .build()
            .unwrap()
    }

    fn lookups(&self) -> usize {
        self.0.so_far.load(Ordering::SeqCst)
    }
}

impl Resolve for Lookups {
    fn resolve(&self, _: Name) -> Resolving {
        let number = self.so_far.fetch_add(1, Ordering::SeqCst);
        let address = if number < self.refused {
            self.nowhere
        } else {
            self.server
        };
        let addresses: Addrs = Box::new(std::iter::once(address));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}
