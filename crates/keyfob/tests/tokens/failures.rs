//! T1 and T2: one fetch for all callers, and a shared failure.

use keyfob::{Error, ErrorKind};

use crate::harness::{Harness, SECOND, down, poll, ready, token};

#[test]
fn t1_a_hundred_callers_cause_one_fetch() {
    let harness = Harness::new();
    let mut callers: Vec<_> = (0..100)
        .map(|_| Box::pin(harness.cache.lease(None)))
        .collect();
    for caller in &mut callers {
        assert!(poll(caller).is_pending());
    }
    harness.respond(token("one", 100));
    for caller in &mut callers {
        assert_eq!(ready(poll(caller)).unwrap().generation(), 1);
    }
    assert_eq!(harness.calls(), 1);
}

#[test]
fn t1_a_caller_that_comes_during_the_fetch_joins_it() {
    let harness = Harness::new();
    let mut first = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut first).is_pending());
    let call = harness.call();
    let mut second = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut second).is_pending());
    call.respond(token("one", 100));
    harness.tasks.run();
    assert!(ready(poll(&mut second)).is_ok());
    assert_eq!(harness.calls(), 1);
}

#[test]
fn t1_a_source_sees_the_reason_of_the_call_and_the_previous_token() {
    let harness = Harness::with_token("one", 100);
    harness.pass(80.0);
    assert!(harness.cache.header().is_some());
    let call = harness.call();
    assert_eq!(call.request().reason().name(), "due");
    assert_eq!(call.request().previous().unwrap().expose(), "one");
    call.respond(token("two", 100));
    harness.tasks.run();
    assert_eq!(harness.served().unwrap(), "two");
}

#[test]
fn t2_a_failure_is_shared_and_cooled_down() {
    let harness = Harness::new();
    let mut callers: Vec<_> = (0..10)
        .map(|_| Box::pin(harness.cache.lease(None)))
        .collect();
    for caller in &mut callers {
        assert!(poll(caller).is_pending());
    }
    harness.respond(down());
    for caller in &mut callers {
        let error = ready(poll(caller)).unwrap_err();
        assert_eq!(error.to_string(), "the issuer is down");
    }
    harness.pass(0.49);
    assert_eq!(
        harness.lease().unwrap_err().to_string(),
        "the issuer is down"
    );
    assert_eq!(harness.calls(), 1);
    harness.pass(0.51);
    harness.fetch(token("one", 100)).unwrap();
    assert_eq!(harness.calls(), 2);
}

#[test]
fn t2_the_cool_down_grows_up_to_a_minute() {
    let harness = Harness::new();
    for ceiling in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        harness.fetch(down()).unwrap_err();
        harness.pass(ceiling * 0.499);
        assert!(
            harness.lease().is_err(),
            "remembered after half of {ceiling} s"
        );
        harness.pass(ceiling * 0.502);
    }
    harness.fetch(token("one", 100)).unwrap();
    // A success resets the cool-down.
    harness.pass(101.0);
    harness.fetch(down()).unwrap_err();
    harness.pass(1.0);
    harness.fetch(token("two", 100)).unwrap();
}

#[test]
fn t2_retry_after_of_the_issuer_is_obeyed() {
    let harness = Harness::new();
    let busy = Error::unavailable("busy").retry_after(SECOND * 90);
    harness.fetch(Err(busy)).unwrap_err();
    harness.pass(89.9);
    assert_eq!(harness.lease().unwrap_err().to_string(), "busy");
    harness.pass(0.1);
    harness.fetch(token("one", 100)).unwrap();
}

#[test]
fn t2_retry_after_is_obeyed_for_an_hour_at_most() {
    let harness = Harness::new();
    let busy = Error::unavailable("busy").retry_after(SECOND * 1_000_000);
    harness.fetch(Err(busy)).unwrap_err();
    harness.pass(3599.0);
    assert!(harness.lease().is_err());
    harness.pass(1.0);
    harness.fetch(token("one", 100)).unwrap();
}

#[test]
fn t2_a_refusal_lasts_until_a_forced_renewal() {
    let harness = Harness::new();
    harness
        .fetch(Err(Error::refused("invalid_client")))
        .unwrap_err();
    harness.pass(1e6);
    assert_eq!(harness.lease().unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(harness.calls(), 1);
    let mut forced = Box::pin(harness.cache.renew());
    assert!(poll(&mut forced).is_pending());
    let call = harness.call();
    assert_eq!(call.request().reason().name(), "forced");
    call.respond(token("one", 100));
    harness.tasks.run();
    assert_eq!(ready(poll(&mut forced)).unwrap().expose(), "one");
    assert_eq!(harness.served().unwrap(), "one");
}

#[test]
fn t2_a_forced_renewal_forgets_the_failure_for_all() {
    let harness = Harness::new();
    harness
        .fetch(Err(Error::refused("invalid_client")))
        .unwrap_err();
    let mut forced = Box::pin(harness.cache.renew());
    assert!(poll(&mut forced).is_pending());
    let mut other = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut other).is_pending());
    harness.respond(token("one", 100));
    assert!(ready(poll(&mut other)).is_ok());
    assert!(ready(poll(&mut forced)).is_ok());
}

#[test]
fn t2_a_refusal_lasts_until_a_token_is_set() {
    let harness = Harness::new();
    harness
        .fetch(Err(Error::refused("invalid_client")))
        .unwrap_err();
    harness
        .cache
        .set_token(token("mine", 100).unwrap())
        .unwrap();
    assert_eq!(harness.served().unwrap(), "mine");
    harness.pass(50.0);
    assert_eq!(harness.served().unwrap(), "mine");
    harness.respond(token("next", 100));
}

#[test]
fn t2_a_refused_renewal_is_not_repeated_before_or_after_the_expiry() {
    let harness = Harness::with_token("one", 100);
    harness.pass(80.0);
    assert!(harness.served().is_some());
    harness.respond(Err(Error::refused("invalid_grant")));
    harness.pass(19.0);
    assert_eq!(harness.served().unwrap(), "one");
    harness.pass(1.0);
    assert_eq!(harness.lease().unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(harness.calls(), 2);
}

#[test]
fn t2_the_status_shows_the_failure() {
    let harness = Harness::new();
    assert_eq!(harness.cache.status().last_error, None);
    harness.fetch(down()).unwrap_err();
    let status = harness.cache.status();
    assert_eq!(status.last_error, Some(ErrorKind::Unavailable));
    assert_eq!((status.failures, status.renewals), (1, 0));
    assert!(!status.renewing);
}
