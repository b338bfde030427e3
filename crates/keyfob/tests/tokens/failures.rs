//! T1 and T2: one fetch for all callers, and a shared failure.

use keyfob::{Error, ErrorKind};

use crate::harness::{SECOND, World, down, poll, ready, token};

#[test]
fn t1_a_hundred_callers_cause_one_fetch() {
    let world = World::new();
    let mut callers: Vec<_> = (0..100)
        .map(|_| Box::pin(world.cache.lease(None)))
        .collect();
    for caller in &mut callers {
        assert!(poll(caller).is_pending());
    }
    world.respond(token("one", 100));
    for caller in &mut callers {
        assert_eq!(ready(poll(caller)).unwrap().generation(), 1);
    }
    assert_eq!(world.calls(), 1);
}

#[test]
fn t1_a_caller_that_comes_during_the_fetch_joins_it() {
    let world = World::new();
    let mut first = Box::pin(world.cache.lease(None));
    assert!(poll(&mut first).is_pending());
    let call = world.call();
    let mut second = Box::pin(world.cache.lease(None));
    assert!(poll(&mut second).is_pending());
    call.respond(token("one", 100));
    world.tasks.run();
    assert!(ready(poll(&mut second)).is_ok());
    assert_eq!(world.calls(), 1);
}

#[test]
fn t1_a_source_sees_the_reason_of_the_call_and_the_previous_token() {
    let world = World::with_token("one", 100);
    world.pass(80.0);
    assert!(world.cache.header().is_some());
    let call = world.call();
    assert_eq!(call.request().reason().name(), "due");
    assert_eq!(call.request().previous().unwrap().expose(), "one");
    call.respond(token("two", 100));
    world.tasks.run();
    assert_eq!(world.served().unwrap(), "two");
}

#[test]
fn t2_a_failure_is_shared_and_cooled_down() {
    let world = World::new();
    let mut callers: Vec<_> = (0..10).map(|_| Box::pin(world.cache.lease(None))).collect();
    for caller in &mut callers {
        assert!(poll(caller).is_pending());
    }
    world.respond(down());
    for caller in &mut callers {
        let error = ready(poll(caller)).unwrap_err();
        assert_eq!(error.to_string(), "the issuer is down");
    }
    world.pass(0.49);
    assert_eq!(world.lease().unwrap_err().to_string(), "the issuer is down");
    assert_eq!(world.calls(), 1);
    world.pass(0.51);
    world.fetch(token("one", 100)).unwrap();
    assert_eq!(world.calls(), 2);
}

#[test]
fn t2_the_cool_down_grows_up_to_a_minute() {
    let world = World::new();
    for ceiling in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        world.fetch(down()).unwrap_err();
        world.pass(ceiling * 0.499);
        assert!(
            world.lease().is_err(),
            "remembered after half of {ceiling} s"
        );
        world.pass(ceiling * 0.502);
    }
    world.fetch(token("one", 100)).unwrap();
    // A success resets the cool-down.
    world.pass(101.0);
    world.fetch(down()).unwrap_err();
    world.pass(1.0);
    world.fetch(token("two", 100)).unwrap();
}

#[test]
fn t2_retry_after_of_the_issuer_is_obeyed() {
    let world = World::new();
    let busy = Error::unavailable("busy").retry_after(SECOND * 90);
    world.fetch(Err(busy)).unwrap_err();
    world.pass(89.9);
    assert_eq!(world.lease().unwrap_err().to_string(), "busy");
    world.pass(0.1);
    world.fetch(token("one", 100)).unwrap();
}

#[test]
fn t2_retry_after_is_obeyed_for_an_hour_at_most() {
    let world = World::new();
    let busy = Error::unavailable("busy").retry_after(SECOND * 1_000_000);
    world.fetch(Err(busy)).unwrap_err();
    world.pass(3599.0);
    assert!(world.lease().is_err());
    world.pass(1.0);
    world.fetch(token("one", 100)).unwrap();
}

#[test]
fn t2_a_refusal_lasts_until_a_forced_renewal() {
    let world = World::new();
    world
        .fetch(Err(Error::refused("invalid_client")))
        .unwrap_err();
    world.pass(1e6);
    assert_eq!(world.lease().unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(world.calls(), 1);
    let mut forced = Box::pin(world.cache.renew());
    assert!(poll(&mut forced).is_pending());
    let call = world.call();
    assert_eq!(call.request().reason().name(), "forced");
    call.respond(token("one", 100));
    world.tasks.run();
    assert_eq!(ready(poll(&mut forced)).unwrap().expose(), "one");
    assert_eq!(world.served().unwrap(), "one");
}

#[test]
fn t2_a_forced_renewal_forgets_the_failure_for_all() {
    let world = World::new();
    world
        .fetch(Err(Error::refused("invalid_client")))
        .unwrap_err();
    let mut forced = Box::pin(world.cache.renew());
    assert!(poll(&mut forced).is_pending());
    let mut other = Box::pin(world.cache.lease(None));
    assert!(poll(&mut other).is_pending());
    world.respond(token("one", 100));
    assert!(ready(poll(&mut other)).is_ok());
    assert!(ready(poll(&mut forced)).is_ok());
}

#[test]
fn t2_a_refusal_lasts_until_a_token_is_set() {
    let world = World::new();
    world
        .fetch(Err(Error::refused("invalid_client")))
        .unwrap_err();
    world.cache.set_token(token("mine", 100).unwrap()).unwrap();
    assert_eq!(world.served().unwrap(), "mine");
    world.pass(50.0);
    assert_eq!(world.served().unwrap(), "mine");
    world.respond(token("next", 100));
}

#[test]
fn t2_a_refused_renewal_is_not_repeated_before_or_after_the_expiry() {
    let world = World::with_token("one", 100);
    world.pass(80.0);
    assert!(world.served().is_some());
    world.respond(Err(Error::refused("invalid_grant")));
    world.pass(19.0);
    assert_eq!(world.served().unwrap(), "one");
    world.pass(1.0);
    assert_eq!(world.lease().unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(world.calls(), 2);
}

#[test]
fn t2_the_status_shows_the_failure() {
    let world = World::new();
    assert_eq!(world.cache.status().last_error, None);
    world.fetch(down()).unwrap_err();
    let status = world.cache.status();
    assert_eq!(status.last_error, Some(ErrorKind::Unavailable));
    assert_eq!((status.failures, status.renewals), (1, 0));
    assert!(!status.renewing);
}
