//! R7: each attempt is authorized anew.

use keyfob::{Session, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server};

use crate::fixtures::{SECOND, bearers, meanwhile, promptly};

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
            .respond(ScriptedResponse::too_many_requests("70"))
            .respond(ScriptedResponse::status(200)),
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
async fn r7_each_attempt_carries_the_current_token() {
    let server = Server::start();
    let session = Session::builder(crate::fixtures::numbered().0)
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
