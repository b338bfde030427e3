//! T3 to T6: how long a token is used.

use std::time::{Duration, SystemTime};

use keyfob::clock::Clock;
use keyfob::{Error, ErrorKind, Token, TokenCache};

use crate::harness::{Harness, SECOND, down, poll, ready, token};

#[test]
fn t3_a_due_token_is_served_while_one_renewal_runs() {
    let harness = Harness::with_token("one", 100);
    harness.pass(66.0);
    assert_eq!(harness.served().unwrap(), "one");
    assert_eq!(harness.calls(), 1, "asked before the token was due");
    harness.pass(9.0);
    for _ in 0..50 {
        assert_eq!(harness.served().unwrap(), "one");
        assert_eq!(harness.lease().unwrap().generation(), 1);
    }
    assert!(harness.cache.authenticated());
    assert_eq!(harness.calls(), 2);
    harness.respond(token("two", 100));
    assert_eq!(harness.served().unwrap(), "two");
    assert_eq!(harness.cache.status().delayed, 0);
}

#[test]
fn t3_a_failed_renewal_of_a_due_token_delays_no_caller_and_is_retried() {
    let harness = Harness::with_token("one", 100);
    harness.pass(76.0);
    assert!(harness.served().is_some());
    harness.respond(down());
    harness.pass(0.4);
    assert_eq!(harness.served().unwrap(), "one");
    assert_eq!(harness.calls(), 2, "asked again in the cool-down");
    harness.pass(0.6);
    assert_eq!(harness.served().unwrap(), "one");
    harness.respond(token("two", 100));
    assert_eq!(harness.served().unwrap(), "two");
}

#[test]
fn t3_in_the_leeway_a_failed_renewal_serves_the_token() {
    let harness = Harness::with_token("one", 100);
    harness.pass(91.0);
    assert!(!harness.cache.authenticated());
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    harness.respond(down());
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "one");
    assert_eq!(harness.served().unwrap(), "one");
    assert_eq!(harness.cache.status().delayed, 1);
    harness.pass(9.0);
    assert_eq!(harness.served(), None);
    harness.respond(token("two", 100));
}

#[test]
fn t3_in_the_leeway_callers_wait_for_the_renewed_token() {
    let harness = Harness::with_token("one", 100);
    harness.pass(91.0);
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    harness.respond(token("two", 100));
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "two");
}

#[test]
fn t3_a_token_that_expires_during_its_failing_renewal_fails_the_caller() {
    let harness = Harness::with_token("one", 100);
    harness.pass(91.0);
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = harness.call();
    harness.pass(9.0);
    call.respond(down());
    harness.tasks.run();
    assert_eq!(
        ready(poll(&mut caller)).unwrap_err().to_string(),
        "the issuer is down"
    );
}

#[test]
fn t3_a_caller_with_a_short_timeout_in_the_leeway_gets_the_token() {
    let harness = Harness::with_token("one", 100);
    harness.pass(91.0);
    let mut caller = Box::pin(harness.cache.lease(Some(SECOND)));
    assert!(poll(&mut caller).is_pending());
    let call = harness.call();
    harness.pass(1.0);
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "one");
    call.respond(token("two", 100));
}

#[test]
fn t3_in_the_leeway_a_source_that_hangs_delays_no_caller_until_the_token_expires() {
    let harness = Harness::with_token("one", 100);
    harness.pass(91.0);
    let mut patient = Box::pin(harness.cache.lease(None));
    let mut limited = Box::pin(harness.cache.lease(Some(SECOND * 90)));
    assert!(poll(&mut patient).is_pending() && poll(&mut limited).is_pending());
    harness.pass(4.4);
    assert!(poll(&mut patient).is_pending() && poll(&mut limited).is_pending());
    // Half of the nine seconds that the token had left.
    harness.pass(0.1);
    for caller in [&mut patient, &mut limited] {
        assert_eq!(ready(poll(caller)).unwrap().token().expose(), "one");
    }
    assert_eq!(harness.calls(), 2, "the renewal goes on");
    harness.respond(token("two", 100));
    assert_eq!(harness.served().unwrap(), "two");
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a blocking caller waits in real time"
)]
fn t3_a_blocking_caller_in_the_leeway_gets_the_token_although_the_source_hangs() {
    let source = keyfob::hook(|_| std::future::pending::<Result<String, Error>>());
    // Its leeway is the last 20 s, because its lifetime is not known.
    let token = Token::new("one").unwrap();
    let token = token.expires_at(SystemTime::now() + SECOND * 2);
    let cache = TokenCache::builder(source).token(token).build().unwrap();
    assert_eq!(cache.lease_blocking(None).unwrap().token().expose(), "one");
}

#[test]
fn t4_a_source_of_expired_tokens_is_called_three_times_1_and_2_seconds_apart() {
    let harness = Harness::new();
    let stale = || Ok(Token::new("stale")?.expires_at(harness.clock.wall() - SECOND * 10));
    let first_expiry = "2029-12-31T23:59:53Z";
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    harness.respond(stale());
    assert_eq!(harness.clock.next_wake_in(), Some(SECOND));
    harness.pass(1.0);
    harness.respond(stale());
    assert_eq!(harness.clock.next_wake_in(), Some(SECOND * 2));
    harness.pass(2.0);
    harness.respond(stale());
    let error = ready(poll(&mut caller)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert!(error.is_authentication());
    assert!(error.to_string().contains(first_expiry), "{error}");
    assert_eq!(harness.calls(), 3);
    assert!(harness.lease().is_err());
    assert_eq!(harness.calls(), 3, "the failure is cooled down");
}

#[test]
fn t4_an_expired_token_followed_by_a_valid_one_is_no_failure() {
    let harness = Harness::new();
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    harness.respond(token("stale", 0));
    harness.pass(1.0);
    harness.respond(token("good", 100));
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "good");
    assert_eq!(harness.cache.status().failures, 0);
}

#[test]
fn t4_a_token_of_a_minute_is_used_for_most_of_it() {
    let harness = Harness::with_token("one", 60);
    harness.pass(39.0);
    assert_eq!(harness.served().unwrap(), "one");
    assert_eq!(harness.calls(), 1);
    harness.pass(14.0);
    assert_eq!(harness.served().unwrap(), "one");
    assert!(harness.cache.authenticated());
    harness.pass(1.0);
    assert!(!harness.cache.authenticated());
    harness.respond(token("two", 60));
}

#[test]
fn t4_the_lifetime_counts_from_the_call_of_the_source() {
    let harness = Harness::new();
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = harness.call();
    harness.pass(20.0);
    call.respond(token("one", 60));
    harness.tasks.run();
    assert_eq!(harness.cache.status().expires_in, Some(SECOND * 40));
    assert_eq!(harness.cache.status().age, Some(SECOND * 20));
}

#[test]
fn t4_a_token_set_with_only_an_expiry_has_the_full_leeway() {
    let harness = Harness::new();
    let mine = Token::new("mine").unwrap();
    let mine = mine.expires_at(harness.clock.wall() + SECOND * 100);
    harness.cache.set_token(mine).unwrap();
    harness.pass(79.0);
    assert!(harness.cache.authenticated());
    harness.pass(1.0);
    assert!(!harness.cache.authenticated());
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    harness.respond(token("one", 100));
}

#[test]
fn t4_a_token_that_is_due_when_fetched_is_served_and_renewed_once() {
    let harness = Harness::new();
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = harness.call();
    harness.pass(25.0);
    call.respond(token("slow", 30));
    harness.tasks.run();
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "slow");
    for _ in 0..10 {
        assert_eq!(harness.served().unwrap(), "slow");
    }
    assert_eq!(harness.calls(), 2);
    harness.respond(token("two", 100));
}

#[test]
fn t4_a_token_fetched_in_its_leeway_serves_the_waiting_callers() {
    let harness = Harness::new();
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = harness.call();
    harness.pass(28.0);
    call.respond(token("slow", 30));
    harness.tasks.run();
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "slow");
}

#[test]
fn t4_an_expired_token_cannot_be_set_and_counts_as_missing_at_the_start() {
    let harness = Harness::with(|builder| {
        builder.token(
            Token::new("old")
                .unwrap()
                .expires_at(SystemTime::UNIX_EPOCH),
        )
    });
    assert_eq!(harness.served(), None);
    harness.respond(token("one", 100));
    let old = Token::new("old").unwrap().expires_in(Duration::ZERO);
    let error = harness.cache.set_token(old).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert_eq!(harness.served().unwrap(), "one");
}

#[test]
fn t5_an_unknown_expiry_is_used_until_rejected() {
    let harness = Harness::new();
    let lease = harness.fetch(Token::new("for-ever")).unwrap();
    harness.pass(1e9);
    assert_eq!(harness.served().unwrap(), "for-ever");
    assert_eq!(harness.calls(), 1);
    harness.cache.reject(&lease, &Default::default());
    harness.respond(Token::new("next"));
    assert_eq!(harness.served().unwrap(), "next");
}

#[test]
fn t5_an_unknown_expiry_is_used_for_the_default_lifetime() {
    let harness = Harness::with(|builder| builder.default_lifetime(SECOND * 100));
    harness.fetch(Token::new("one")).unwrap();
    harness.pass(66.0);
    assert_eq!(harness.served().unwrap(), "one");
    assert_eq!(harness.calls(), 1);
    harness.pass(34.0);
    assert_eq!(harness.served(), None);
    harness.respond(Token::new("two"));
}

/// A JWT with this `exp` claim, written as JSON.
fn jwt(exp: impl std::fmt::Display) -> Result<Token, Error> {
    use base64::Engine;
    let claims = format!("{{\"exp\":{exp}}}");
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
    Ok(Token::new(format!("eyJhbGciOiJub25lIn0.{claims}.c2ln"))?.expiry_from_jwt())
}

#[test]
fn t5_a_token_whose_own_exp_has_passed_is_sent_and_fetched_once() {
    for odd in [
        "1",
        "0",
        "1893455999",
        "1000000000000000000",
        "[1]",
        "1.5",
        "\"soon\"",
        "\"1\"",
        "-5",
        "null",
        "1e300",
    ] {
        let harness = Harness::new();
        harness.fetch(jwt(odd)).unwrap();
        for _ in 0..3 {
            assert!(harness.lease().is_ok(), "{odd}");
            harness.pass(1000.0);
        }
        assert_eq!(harness.calls(), 1, "{odd}");
        assert!(harness.cache.set_token(jwt(odd).unwrap()).is_ok(), "{odd}");
    }
}

#[test]
fn t5_the_exp_of_a_jwt_decides_when_to_ask_and_not_whether_to_send() {
    let harness = Harness::new();
    // The wall clock shows 1893456000.
    let lease = harness.fetch(jwt(1_893_456_100)).unwrap();
    assert_eq!(
        lease.expires_at(),
        Some(harness.clock.wall() + SECOND * 100)
    );
    harness.pass(80.0);
    assert!(harness.served().is_some());
    harness.respond(down());
    harness.pass(1000.0);
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(
        poll(&mut caller).is_pending(),
        "callers wait for a newer one"
    );
    harness.respond(down());
    assert!(ready(poll(&mut caller)).is_ok(), "and get the old one");
    harness.pass(10.0);
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let _hangs = harness.call();
    harness.pass(10.0);
    assert!(
        ready(poll(&mut caller)).is_ok(),
        "also from a source that hangs"
    );
}

#[test]
fn t5_an_expiry_in_the_year_9999_means_never() {
    let harness = Harness::with(|builder| builder.default_lifetime(SECOND * 100));
    let never = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let lease = harness.fetch(Ok(Token::new("t").unwrap().expires_at(never)));
    assert_eq!(lease.unwrap().expires_at(), None);
    harness.pass(1e9);
    assert_eq!(harness.served().unwrap(), "t");
    let never = Token::new("u").unwrap().expires_in(Duration::MAX);
    harness.cache.set_token(never).unwrap();
    harness.pass(1e9);
    assert_eq!(harness.served().unwrap(), "u");
    assert_eq!(harness.calls(), 1);
}

#[test]
fn t6_a_machine_that_slept_and_was_set_back_by_as_much_sends_no_expired_token() {
    let harness = Harness::with_token("one", 100);
    harness.clock.suspend(SECOND * 100);
    harness.clock.step_wall(-100);
    assert_eq!(harness.served(), None);
    harness.respond(token("two", 100));
}

#[test]
fn t6_a_step_back_of_the_wall_clock_does_not_revive_an_expired_token() {
    let harness = Harness::new();
    let end = harness.clock.wall() + SECOND * 100;
    harness
        .fetch(Ok(Token::new("one").unwrap().expires_at(end)))
        .unwrap();
    harness.clock.step_wall(-86_400);
    harness.pass(66.0);
    assert_eq!(harness.served().unwrap(), "one");
    assert_eq!(harness.calls(), 1);
    harness.pass(34.0);
    assert_eq!(harness.served(), None);
    harness.respond(token("two", 100));
}

#[test]
fn t6_a_step_forward_of_the_wall_clock_costs_one_check() {
    let harness = Harness::with_token("one", 1000);
    harness.clock.step_wall(86_400);
    for _ in 0..10 {
        assert_eq!(harness.served().unwrap(), "one");
    }
    assert_eq!(harness.calls(), 2);
    harness.respond(token("one", 1000));
    for _ in 0..10 {
        assert_eq!(harness.served().unwrap(), "one");
    }
    assert_eq!(harness.calls(), 2);
}

#[test]
fn t6_a_check_that_fails_after_a_step_forward_is_not_repeated() {
    let harness = Harness::with_token("one", 1000);
    harness.clock.step_wall(86_400);
    assert_eq!(harness.served().unwrap(), "one");
    harness.respond(down());
    for _ in 0..100 {
        assert_eq!(harness.served().unwrap(), "one");
        harness.pass(1.0);
    }
    assert_eq!(harness.calls(), 2);
}

#[test]
fn t6_a_small_step_forward_costs_nothing() {
    let harness = Harness::with_token("one", 1000);
    let due = harness.cache.status().next_renewal_in.unwrap();
    harness.clock.advance(due - SECOND * 2);
    harness.clock.step_wall(4);
    assert_eq!(harness.served().unwrap(), "one");
    assert_eq!(harness.calls(), 1);
    harness.pass(2.0);
    assert_eq!(harness.served().unwrap(), "one");
    harness.respond(token("two", 1000));
}

#[test]
fn t6_a_suspended_machine_does_not_stop_the_lifetime() {
    let harness = Harness::with_token("one", 100);
    harness.clock.suspend(SECOND * 100);
    assert_eq!(harness.served(), None);
    assert!(!harness.cache.authenticated());
    harness.respond(token("two", 100));
    assert_eq!(harness.served().unwrap(), "two");
}

#[test]
fn t6_a_token_that_became_due_during_a_suspend_is_renewed_in_the_background() {
    let harness = Harness::with_token("one", 100);
    harness.clock.suspend(SECOND * 80);
    assert_eq!(harness.served().unwrap(), "one");
    harness.respond(token("two", 100));
    assert_eq!(harness.served().unwrap(), "two");
}

#[test]
fn t6_a_step_back_of_the_wall_clock_does_not_prolong_a_cool_down() {
    let harness = Harness::with_token("one", 100);
    harness.pass(80.0);
    assert!(harness.served().is_some());
    harness.respond(Err(Error::unavailable("down")));
    harness.clock.step_wall(-86_400);
    harness.pass(1.0);
    assert_eq!(harness.served().unwrap(), "one");
    harness.respond(token("two", 100));
}

#[test]
fn a_lease_has_the_wall_clock_expiry_of_its_token() {
    let harness = Harness::new();
    let wall = || SystemTime::UNIX_EPOCH + Duration::from_nanos(harness.clock.coarse_time().wall);
    let end = wall() + SECOND * 100;
    let lease = harness.fetch(token("one", 100)).unwrap();
    assert_eq!(lease.expires_at(), Some(end));
    harness.pass(80.0);
    assert_eq!(harness.lease().unwrap().expires_at(), Some(end));
    harness.clock.step_wall(3600);
    assert_eq!(
        harness.lease().unwrap().expires_at(),
        Some(end + SECOND * 3600),
        "counted on"
    );
    let forever = Token::new("forever").unwrap();
    harness.cache.set_token(forever).unwrap();
    assert_eq!(harness.lease().unwrap().expires_at(), None);
}
