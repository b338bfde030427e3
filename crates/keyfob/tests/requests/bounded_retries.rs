//! R5: attempts, pauses, a total time and a shared budget bound the retries.

use keyfob::{RetryPolicy, Session};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};

use crate::fixtures::{SECOND, builder, meanwhile, promptly, session, soon};

#[tokio::test]
async fn r5_retry_after_in_seconds_or_as_a_date_is_honoured() {
    let clock = ManualClock::default();
    let server = Server::start();
    let session = session(&server, &clock);
    let date = httpdate::fmt_http_date(clock.wall() + 3 * SECOND);
    for wish in ["3", &date] {
        server.expect(
            Expect::post("/orders")
                .respond(ScriptedResponse::too_many_requests(wish))
                .respond(ScriptedResponse::status(201)),
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
async fn r5_a_retry_after_beyond_the_deadline_returns_the_response_now() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for wish in [
        "90",
        "100000000000000000000",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let busy = ScriptedResponse::unavailable().header("retry-after", wish);
        server.expect(Expect::get("/data").respond(busy.body("busy")));
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
            .respond(ScriptedResponse::too_many_requests("4"))
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
        // A policy of one request uses the budget of the session too.
        let request = session.get("data").retry(|policy| policy.attempts(10));
        assert_eq!(request.send().await.unwrap().status(), 503);
    }
    assert_eq!(server.calls(), 200 + 100);
    let other = crate::fixtures::session(&server, &clock);
    other.get("data").send().await.unwrap();
    assert_eq!(server.calls(), 300 + 4);
}

#[tokio::test]
async fn r5_one_policy_in_two_sessions_has_two_budgets() {
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
async fn r5_without_retries_a_401_is_still_replayed_once() {
    let server = Server::start();
    let session = Session::builder(crate::fixtures::numbered().0)
        .base_url(server.url())
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    server
        .expect(Expect::get("/data").respond(ScriptedResponse::unavailable()))
        .expect(
            Expect::get("/healed")
                .respond(ScriptedResponse::status(401))
                .respond(ScriptedResponse::status(200)),
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
        server
            .expect(Expect::get(&format!("/{n}")).respond(ScriptedResponse::redirect(302, &next)));
    }
    server.expect(
        Expect::get("/6")
            .respond(ScriptedResponse::unavailable())
            .times(3)
            .respond(ScriptedResponse::status(200)),
    );
    assert_eq!(session.get("0").send().await.unwrap().status(), 200);
}
