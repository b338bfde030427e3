//! T3 to T6: how long a token is used.

use std::time::{Duration, SystemTime};

use keyfob::clock::Clock;
use keyfob::{Error, ErrorKind, Token};

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
