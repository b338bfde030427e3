//! T8: a rejected token is compared, renewed once, and kept if that fails.

use keyfob::ErrorKind;
use keyfob::cache::Lease;
use keyfob::exchange::Challenges;

use crate::harness::{Harness, SECOND, down, poll, ready, token};

fn reject(harness: &Harness, lease: &Lease) {
    harness.cache.reject(lease, &Challenges::default());
}

#[test]
fn t8_a_hundred_late_rejections_cause_one_renewal() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut early: Vec<_> = (0..50)
        .map(|_| Box::pin(harness.cache.replace(&one, &none, None)))
        .collect();
    for caller in &mut early {
        assert!(poll(caller).is_pending());
    }
    let call = harness.call();
    assert_eq!(call.request().reason().name(), "rejected");
    call.respond(token("two", 100));
    harness.tasks.run();
    for caller in &mut early {
        assert_eq!(ready(poll(caller)).unwrap().token().expose(), "two");
    }
    for _ in 0..50 {
        let mut late = Box::pin(harness.cache.replace(&one, &none, None));
        assert_eq!(ready(poll(&mut late)).unwrap().token().expose(), "two");
    }
    assert_eq!(harness.calls(), 2);
}

#[test]
fn t8_a_rejection_of_a_replaced_token_causes_no_renewal() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    harness.cache.set_token(token("two", 100).unwrap()).unwrap();
    reject(&harness, &one);
    assert_eq!(harness.calls(), 1);
    assert_eq!(harness.served().unwrap(), "two");
}

#[test]
fn t8_a_failed_renewal_keeps_the_token_for_other_callers() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(harness.cache.replace(&one, &none, None));
    assert!(poll(&mut rejecting).is_pending());
    assert_eq!(
        harness.served().unwrap(),
        "one",
        "served to others meanwhile"
    );
    harness.respond(down());
    assert_eq!(
        ready(poll(&mut rejecting)).unwrap_err().to_string(),
        "the issuer is down"
    );
    assert_eq!(harness.served().unwrap(), "one");
    assert!(harness.cache.authenticated());
    // Later rejections get the remembered failure.
    let mut again = Box::pin(harness.cache.replace(&one, &none, None));
    assert_eq!(
        ready(poll(&mut again)).unwrap_err().to_string(),
        "the issuer is down"
    );
    assert_eq!(harness.calls(), 2);
}

#[test]
fn t8_an_unchanged_token_keeps_its_generation_and_is_no_replacement() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(harness.cache.replace(&one, &none, None));
    assert!(poll(&mut rejecting).is_pending());
    harness.respond(token("one", 100));
    let error = ready(poll(&mut rejecting)).unwrap_err();
    assert!(error.to_string().contains("same token"), "{error}");
    assert_eq!(harness.lease().unwrap().generation(), 1);
    assert_eq!(harness.served().unwrap(), "one");
}

#[test]
fn t8_late_rejections_of_the_same_token_again_cause_no_renewal_for_a_while() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 1000)).unwrap();
    reject(&harness, &one);
    harness.respond(token("one", 1000));
    let none = Challenges::default();
    for _ in 0..100 {
        let mut late = Box::pin(harness.cache.replace(&one, &none, None));
        let error = ready(poll(&mut late)).unwrap_err();
        assert!(error.to_string().contains("same token"), "{error}");
    }
    assert_eq!(harness.calls(), 2);
    assert_eq!(harness.served().unwrap(), "one");
    harness.pass(1.0);
    reject(&harness, &one);
    harness.respond(token("two", 1000));
    assert_eq!(harness.served().unwrap(), "two");
}

#[test]
fn t8_a_token_that_comes_back_does_not_replace_itself() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    harness.cache.set_token(token("two", 100).unwrap()).unwrap();
    harness.cache.set_token(token("one", 100).unwrap()).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(harness.cache.replace(&one, &none, None));
    assert!(poll(&mut rejecting).is_pending());
    harness.respond(token("three", 100));
    assert_eq!(
        ready(poll(&mut rejecting)).unwrap().token().expose(),
        "three"
    );
}

#[test]
fn t8_tokens_rejected_as_fast_as_they_are_fetched_are_renewed_at_intervals() {
    let harness = Harness::new();
    let mut lease = harness.fetch(token("t", 10_000)).unwrap();
    let none = Challenges::default();
    for number in 0..3 {
        reject(&harness, &lease);
        harness.respond(token(&format!("t{number}"), 10_000));
        lease = harness.lease().unwrap();
    }
    let mut rejecting = Box::pin(harness.cache.replace(&lease, &none, None));
    let error = ready(poll(&mut rejecting)).unwrap_err();
    assert!(
        error.to_string().contains("3 renewed tokens in a row"),
        "{error}"
    );
    assert_eq!(harness.served().unwrap(), "t2", "others use it on");
    harness.pass(1.0);
    reject(&harness, &lease);
    harness.respond(token("late", 10_000));
    assert_eq!(harness.served().unwrap(), "late");
}

#[test]
fn t8_a_rejection_joins_the_renewal_of_a_due_token() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    harness.pass(80.0);
    assert!(harness.served().is_some());
    reject(&harness, &one);
    assert_eq!(harness.calls(), 2);
    harness.respond(token("two", 100));
}

#[test]
fn t8_a_token_set_during_a_renewal_is_served_at_once_and_stays() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    reject(&harness, &one);
    let call = harness.call();
    harness
        .cache
        .set_token(token("mine", 100).unwrap())
        .unwrap();
    assert_eq!(harness.served().unwrap(), "mine");
    let handed_in = harness.lease().unwrap().generation();
    call.respond(token("two", 100));
    harness.tasks.run();
    assert_eq!(harness.served().unwrap(), "mine");
    assert_eq!(harness.lease().unwrap().generation(), handed_in);
}

#[test]
fn t7_the_deadline_of_a_rejection_is_reported_as_a_deadline() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(harness.cache.replace(&one, &none, Some(SECOND)));
    assert!(poll(&mut rejecting).is_pending());
    let call = harness.call();
    harness.pass(1.0);
    let error = ready(poll(&mut rejecting)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    call.respond(token("two", 100));
    harness.tasks.run();
    assert_eq!(harness.served().unwrap(), "two");
}
