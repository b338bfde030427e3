//! T1 and T3 in sessions: one fetch for all, and no renewal that delays a request.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use keyfob::{Session, Token, TokenCache};
use keyfob_testkit::{Expect, GatedSource, ManualClock, ScriptedResponse, Server};

use crate::fixtures::{SECOND, bearers, numbered};

#[tokio::test]
async fn t1_many_sessions_on_one_handler_cause_one_fetch() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::status(200))
            .times(64),
    );
    let (hook, calls) = numbered();
    let tokens = TokenCache::new(hook);
    let requests = (0..32).flat_map(|_| {
        let session = Session::new(server.url(), tokens.clone()).unwrap();
        let twin = session.clone();
        [session, twin].map(|session| async move { session.get("data").send().await.unwrap() })
    });
    join_all(requests).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(bearers(&server), ["token-1"; 64]);
}

#[tokio::test]
async fn t3_a_due_token_is_sent_while_its_renewal_runs_in_the_background() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(Expect::get("/data").always(ScriptedResponse::status(200)));
    let source = GatedSource::new();
    let tokens = TokenCache::builder(source.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = Session::new(server.url(), tokens).unwrap();
    let lasting = |text: &str| Ok(Token::new(text)?.expires_in(100 * SECOND));
    let first = async {
        source.next_call().await.respond(lasting("one"));
    };
    let (response, ()) = crate::fixtures::meanwhile(session.get("data").send(), first).await;
    response.unwrap();
    clock.advance(80 * SECOND);
    let requests = (0..50).map(|_| session.get("data").send());
    join_all(requests).await.into_iter().for_each(|response| {
        response.unwrap();
    });
    let call = source.next_call().await;
    assert_eq!(bearers(&server), ["one"; 51]);
    call.respond(lasting("two"));
    while session.tokens().get_valid_token().await.unwrap().expose() == "one" {
        tokio::task::yield_now().await;
    }
    session.get("data").send().await.unwrap();
    assert_eq!(bearers(&server)[51..], ["two"]);
}

#[tokio::test]
async fn t3_a_failed_renewal_of_a_valid_token_fails_no_request() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(Expect::get("/data").always(ScriptedResponse::status(200)));
    let source = GatedSource::new();
    let tokens = TokenCache::builder(source.clone())
        .token(
            Token::new("one")
                .unwrap()
                .expires_at(clock.wall() + 100 * SECOND),
        )
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = Session::new(server.url(), tokens).unwrap();
    clock.advance(90 * SECOND);
    let down = async {
        let error = keyfob::Error::unavailable("down");
        source.next_call().await.respond(Err(error));
    };
    let (response, ()) = crate::fixtures::meanwhile(session.get("data").send(), down).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(bearers(&server), ["one"]);
}
