//! A test of a program that uses keyfob, with the test kit: scripted responses, and a clock that the test moves.
//!
//! `cargo run -p keyfob --example testing` runs it. In your project the function `main` is a `#[tokio::test]`.

use std::time::Duration;

use keyfob::error::BoxError;
use keyfob::{RetryPolicy, Session, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server, json};

/// The program under test.
async fn count_reports(session: &Session) -> Result<u64, BoxError> {
    let response = session.get("reports").send().await?.error_for_status()?;
    let body: serde_json::Value = response.json().await?;
    Ok(body["count"].as_u64().ok_or("the response has no count")?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // The API: one request with the first token, then a busy response and a result for the second token.
    let server = Server::start();
    let reports = |token| Expect::get("/v1/reports").bearer(token);
    server
        .expect(reports("token-1").respond(ScriptedResponse::json(json!({"count": 41}))))
        .expect(
            reports("token-2")
                .respond(ScriptedResponse::too_many_requests("30"))
                .respond(ScriptedResponse::json(json!({"count": 42}))),
        );

    // The source: two tokens that live for an hour. The clock stands still until the test moves it.
    let hour = |text| Token::new(text).map(|token| token.expires_in(Duration::from_secs(3600)));
    let source = ScriptedSource::new([hour("token-1"), hour("token-2")]);
    let clock = ManualClock::default();
    let tokens = TokenCache::builder(source.clone())
        .clock(clock.clone())
        .build()?;
    let session = Session::builder(tokens)
        .base_url(server.url_for("/v1/"))
        // Without jitter, so that the test knows each pause.
        .retry(RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO))
        .build()?;

    assert_eq!(count_reports(&session).await?, 41);

    // The token expires. The next request fetches another one.
    clock.advance(Duration::from_secs(3601));
    let pause = Duration::from_secs(30);
    let time = async {
        // The session waits for 30 seconds, as the server asked. The test does not.
        clock.until_sleeping_for(pause).await;
        clock.advance(pause);
    };
    let (count, ()) = tokio::join!(count_reports(&session), time);
    assert_eq!(count?, 42);

    // Both fail the test if a request or a call is missing. Dropping them does the same.
    server.verify();
    source.verify();
    println!("the test passed");
    Ok(())
}
