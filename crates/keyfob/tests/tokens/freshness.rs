//! T3 to T6: how long a token is used.

use std::time::{Duration, SystemTime};

use keyfob::clock::Clock;
use keyfob::{Error, ErrorKind, Token};

use crate::harness::{SECOND, World, down, poll, ready, token};

#[test]
fn t3_a_due_token_is_served_while_one_renewal_runs() {
    let world = World::with_token("one", 100);
    world.pass(66.0);
    assert_eq!(world.served().unwrap(), "one");
    assert_eq!(world.calls(), 1, "asked before the token was due");
    world.pass(9.0);
    for _ in 0..50 {
        assert_eq!(world.served().unwrap(), "one");
        assert_eq!(world.lease().unwrap().generation(), 1);
    }
    assert!(world.cache.authenticated());
    assert_eq!(world.calls(), 2);
    world.respond(token("two", 100));
    assert_eq!(world.served().unwrap(), "two");
    assert_eq!(world.cache.status().delayed, 0);
}

#[test]
fn t3_a_failed_renewal_of_a_due_token_delays_no_caller_and_is_retried() {
    let world = World::with_token("one", 100);
    world.pass(76.0);
    assert!(world.served().is_some());
    world.respond(down());
    world.pass(0.4);
    assert_eq!(world.served().unwrap(), "one");
    assert_eq!(world.calls(), 2, "asked again in the cool-down");
    world.pass(0.6);
    assert_eq!(world.served().unwrap(), "one");
    world.respond(token("two", 100));
    assert_eq!(world.served().unwrap(), "two");
}

#[test]
fn t3_in_the_leeway_a_failed_renewal_serves_the_token() {
    let world = World::with_token("one", 100);
    world.pass(91.0);
    assert!(!world.cache.authenticated());
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    world.respond(down());
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "one");
    assert_eq!(world.served().unwrap(), "one");
    assert_eq!(world.cache.status().delayed, 1);
    world.pass(9.0);
    assert_eq!(world.served(), None);
    world.respond(token("two", 100));
}

#[test]
fn t3_in_the_leeway_callers_wait_for_the_renewed_token() {
    let world = World::with_token("one", 100);
    world.pass(91.0);
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    world.respond(token("two", 100));
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "two");
}

#[test]
fn t3_a_token_that_expires_during_its_failing_renewal_fails_the_caller() {
    let world = World::with_token("one", 100);
    world.pass(91.0);
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = world.call();
    world.pass(9.0);
    call.respond(down());
    world.tasks.run();
    assert_eq!(
        ready(poll(&mut caller)).unwrap_err().to_string(),
        "the issuer is down"
    );
}

#[test]
fn t3_a_caller_with_a_short_timeout_in_the_leeway_gets_the_token() {
    let world = World::with_token("one", 100);
    world.pass(91.0);
    let mut caller = Box::pin(world.cache.lease(Some(SECOND)));
    assert!(poll(&mut caller).is_pending());
    let call = world.call();
    world.pass(1.0);
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "one");
    call.respond(token("two", 100));
}

#[test]
fn t4_a_source_of_expired_tokens_is_called_three_times_1_and_2_seconds_apart() {
    let world = World::new();
    let stale = || Ok(Token::new("stale")?.expires_at(world.clock.wall() - SECOND * 10));
    let first_expiry = "2029-12-31T23:59:53Z";
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    world.respond(stale());
    assert_eq!(world.clock.next_wake_in(), Some(SECOND));
    world.pass(1.0);
    world.respond(stale());
    assert_eq!(world.clock.next_wake_in(), Some(SECOND * 2));
    world.pass(2.0);
    world.respond(stale());
    let error = ready(poll(&mut caller)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert!(error.is_authentication());
    assert!(error.to_string().contains(first_expiry), "{error}");
    assert_eq!(world.calls(), 3);
    assert!(world.lease().is_err());
    assert_eq!(world.calls(), 3, "the failure is cooled down");
}

#[test]
fn t4_an_expired_token_followed_by_a_valid_one_is_no_failure() {
    let world = World::new();
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    world.respond(token("stale", 0));
    world.pass(1.0);
    world.respond(token("good", 100));
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "good");
    assert_eq!(world.cache.status().failures, 0);
}

#[test]
fn t4_a_token_of_a_minute_is_used_for_most_of_it() {
    let world = World::with_token("one", 60);
    world.pass(39.0);
    assert_eq!(world.served().unwrap(), "one");
    assert_eq!(world.calls(), 1);
    world.pass(14.0);
    assert_eq!(world.served().unwrap(), "one");
    assert!(world.cache.authenticated());
    world.pass(1.0);
    assert!(!world.cache.authenticated());
    world.respond(token("two", 60));
}

#[test]
fn t4_the_lifetime_counts_from_the_call_of_the_source() {
    let world = World::new();
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = world.call();
    world.pass(20.0);
    call.respond(token("one", 60));
    world.tasks.run();
    assert_eq!(world.cache.status().expires_in, Some(SECOND * 40));
    assert_eq!(world.cache.status().age, Some(SECOND * 20));
}

#[test]
fn t4_a_token_set_with_only_an_expiry_has_the_full_leeway() {
    let world = World::new();
    let mine = Token::new("mine").unwrap();
    let mine = mine.expires_at(world.clock.wall() + SECOND * 100);
    world.cache.set_token(mine).unwrap();
    world.pass(79.0);
    assert!(world.cache.authenticated());
    world.pass(1.0);
    assert!(!world.cache.authenticated());
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    world.respond(token("one", 100));
}

#[test]
fn t4_a_token_that_is_due_when_fetched_is_served_and_renewed_once() {
    let world = World::new();
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = world.call();
    world.pass(25.0);
    call.respond(token("slow", 30));
    world.tasks.run();
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "slow");
    for _ in 0..10 {
        assert_eq!(world.served().unwrap(), "slow");
    }
    assert_eq!(world.calls(), 2);
    world.respond(token("two", 100));
}

#[test]
fn t4_a_token_fetched_in_its_leeway_serves_the_waiting_callers() {
    let world = World::new();
    let mut caller = Box::pin(world.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = world.call();
    world.pass(28.0);
    call.respond(token("slow", 30));
    world.tasks.run();
    assert_eq!(ready(poll(&mut caller)).unwrap().token().expose(), "slow");
}

#[test]
fn t4_an_expired_token_cannot_be_set_and_counts_as_missing_at_the_start() {
    let world = World::with(|builder| {
        builder.token(
            Token::new("old")
                .unwrap()
                .expires_at(SystemTime::UNIX_EPOCH),
        )
    });
    assert_eq!(world.served(), None);
    world.respond(token("one", 100));
    let old = Token::new("old").unwrap().expires_in(Duration::ZERO);
    let error = world.cache.set_token(old).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert_eq!(world.served().unwrap(), "one");
}

#[test]
fn t5_an_unknown_expiry_is_used_until_rejected() {
    let world = World::new();
    let lease = world.fetch(Token::new("for-ever")).unwrap();
    world.pass(1e9);
    assert_eq!(world.served().unwrap(), "for-ever");
    assert_eq!(world.calls(), 1);
    world.cache.reject(&lease, &Default::default());
    world.respond(Token::new("next"));
    assert_eq!(world.served().unwrap(), "next");
}

#[test]
fn t5_an_unknown_expiry_is_used_for_the_default_lifetime() {
    let world = World::with(|builder| builder.default_lifetime(SECOND * 100));
    world.fetch(Token::new("one")).unwrap();
    world.pass(66.0);
    assert_eq!(world.served().unwrap(), "one");
    assert_eq!(world.calls(), 1);
    world.pass(34.0);
    assert_eq!(world.served(), None);
    world.respond(Token::new("two"));
}

#[test]
fn t6_a_step_back_of_the_wall_clock_does_not_revive_an_expired_token() {
    let world = World::new();
    let end = world.clock.wall() + SECOND * 100;
    world
        .fetch(Ok(Token::new("one").unwrap().expires_at(end)))
        .unwrap();
    world.clock.step_wall(-86_400);
    world.pass(66.0);
    assert_eq!(world.served().unwrap(), "one");
    assert_eq!(world.calls(), 1);
    world.pass(34.0);
    assert_eq!(world.served(), None);
    world.respond(token("two", 100));
}

#[test]
fn t6_a_step_forward_of_the_wall_clock_costs_one_check() {
    let world = World::with_token("one", 1000);
    world.clock.step_wall(86_400);
    for _ in 0..10 {
        assert_eq!(world.served().unwrap(), "one");
    }
    assert_eq!(world.calls(), 2);
    world.respond(token("one", 1000));
    for _ in 0..10 {
        assert_eq!(world.served().unwrap(), "one");
    }
    assert_eq!(world.calls(), 2);
}

#[test]
fn t6_a_check_that_fails_after_a_step_forward_is_not_repeated() {
    let world = World::with_token("one", 1000);
    world.clock.step_wall(86_400);
    assert_eq!(world.served().unwrap(), "one");
    world.respond(down());
    for _ in 0..100 {
        assert_eq!(world.served().unwrap(), "one");
        world.pass(1.0);
    }
    assert_eq!(world.calls(), 2);
}

#[test]
fn t6_a_small_step_forward_costs_nothing() {
    let world = World::with_token("one", 1000);
    let due = world.cache.status().next_renewal_in.unwrap();
    world.clock.advance(due - SECOND * 2);
    world.clock.step_wall(4);
    assert_eq!(world.served().unwrap(), "one");
    assert_eq!(world.calls(), 1);
    world.pass(2.0);
    assert_eq!(world.served().unwrap(), "one");
    world.respond(token("two", 1000));
}

#[test]
fn t6_a_suspended_machine_does_not_stop_the_lifetime() {
    let world = World::with_token("one", 100);
    world.clock.suspend(SECOND * 100);
    assert_eq!(world.served(), None);
    assert!(!world.cache.authenticated());
    world.respond(token("two", 100));
    assert_eq!(world.served().unwrap(), "two");
}

#[test]
fn t6_a_token_that_became_due_during_a_suspend_is_renewed_in_the_background() {
    let world = World::with_token("one", 100);
    world.clock.suspend(SECOND * 80);
    assert_eq!(world.served().unwrap(), "one");
    world.respond(token("two", 100));
    assert_eq!(world.served().unwrap(), "two");
}

#[test]
fn t6_a_step_back_of_the_wall_clock_does_not_prolong_a_cool_down() {
    let world = World::with_token("one", 100);
    world.pass(80.0);
    assert!(world.served().is_some());
    world.respond(Err(Error::unavailable("down")));
    world.clock.step_wall(-86_400);
    world.pass(1.0);
    assert_eq!(world.served().unwrap(), "one");
    world.respond(token("two", 100));
}

#[test]
fn a_lease_has_the_wall_clock_expiry_of_its_token() {
    let world = World::new();
    let wall = || SystemTime::UNIX_EPOCH + Duration::from_nanos(world.clock.coarse_time().wall);
    let end = wall() + SECOND * 100;
    let lease = world.fetch(token("one", 100)).unwrap();
    assert_eq!(lease.expires_at(), Some(end));
    world.pass(80.0);
    assert_eq!(world.lease().unwrap().expires_at(), Some(end));
    world.clock.step_wall(3600);
    assert_eq!(
        world.lease().unwrap().expires_at(),
        Some(end + SECOND * 3600),
        "counted on"
    );
    let forever = Token::new("forever").unwrap();
    world.cache.set_token(forever).unwrap();
    assert_eq!(world.lease().unwrap().expires_at(), None);
}
