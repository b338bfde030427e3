//! T8: a rejected token is compared, renewed once, and kept if that fails.

use keyfob::ErrorKind;
use keyfob::cache::Lease;
use keyfob::exchange::Challenges;

use crate::harness::{SECOND, World, down, poll, ready, token};

fn reject(world: &World, lease: &Lease) {
    world.cache.reject(lease, &Challenges::default());
}

#[test]
fn t8_a_hundred_late_rejections_cause_one_renewal() {
    let world = World::new();
    let one = world.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut early: Vec<_> = (0..50)
        .map(|_| Box::pin(world.cache.replace(&one, &none, None)))
        .collect();
    for caller in &mut early {
        assert!(poll(caller).is_pending());
    }
    let call = world.call();
    assert_eq!(call.request().reason().name(), "rejected");
    call.respond(token("two", 100));
    world.tasks.run();
    for caller in &mut early {
        assert_eq!(ready(poll(caller)).unwrap().token().expose(), "two");
    }
    for _ in 0..50 {
        let mut late = Box::pin(world.cache.replace(&one, &none, None));
        assert_eq!(ready(poll(&mut late)).unwrap().token().expose(), "two");
    }
    assert_eq!(world.calls(), 2);
}

#[test]
fn t8_a_rejection_of_a_replaced_token_causes_no_renewal() {
    let world = World::new();
    let one = world.fetch(token("one", 100)).unwrap();
    world.cache.set_token(token("two", 100).unwrap()).unwrap();
    reject(&world, &one);
    assert_eq!(world.calls(), 1);
    assert_eq!(world.served().unwrap(), "two");
}

#[test]
fn t8_a_failed_renewal_keeps_the_token_for_other_callers() {
    let world = World::new();
    let one = world.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(world.cache.replace(&one, &none, None));
    assert!(poll(&mut rejecting).is_pending());
    assert_eq!(world.served().unwrap(), "one", "served to others meanwhile");
    world.respond(down());
    assert_eq!(
        ready(poll(&mut rejecting)).unwrap_err().to_string(),
        "the issuer is down"
    );
    assert_eq!(world.served().unwrap(), "one");
    assert!(world.cache.authenticated());
    // Later rejections get the remembered failure.
    let mut again = Box::pin(world.cache.replace(&one, &none, None));
    assert_eq!(
        ready(poll(&mut again)).unwrap_err().to_string(),
        "the issuer is down"
    );
    assert_eq!(world.calls(), 2);
}

#[test]
fn t8_an_unchanged_token_keeps_its_generation_and_is_no_replacement() {
    let world = World::new();
    let one = world.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(world.cache.replace(&one, &none, None));
    assert!(poll(&mut rejecting).is_pending());
    world.respond(token("one", 100));
    let error = ready(poll(&mut rejecting)).unwrap_err();
    assert!(error.to_string().contains("same token"), "{error}");
    assert_eq!(world.lease().unwrap().generation(), 1);
    assert_eq!(world.served().unwrap(), "one");
}

#[test]
fn t8_late_rejections_of_the_same_token_again_cause_no_renewal_for_a_while() {
    let world = World::new();
    let one = world.fetch(token("one", 1000)).unwrap();
    reject(&world, &one);
    world.respond(token("one", 1000));
    let none = Challenges::default();
    for _ in 0..100 {
        let mut late = Box::pin(world.cache.replace(&one, &none, None));
        let error = ready(poll(&mut late)).unwrap_err();
        assert!(error.to_string().contains("same token"), "{error}");
    }
    assert_eq!(world.calls(), 2);
    assert_eq!(world.served().unwrap(), "one");
    world.pass(1.0);
    reject(&world, &one);
    world.respond(token("two", 1000));
    assert_eq!(world.served().unwrap(), "two");
}

#[test]
fn t8_a_token_that_comes_back_does_not_replace_itself() {
    let world = World::new();
    let one = world.fetch(token("one", 100)).unwrap();
    world.cache.set_token(token("two", 100).unwrap()).unwrap();
    world.cache.set_token(token("one", 100).unwrap()).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(world.cache.replace(&one, &none, None));
    assert!(poll(&mut rejecting).is_pending());
    world.respond(token("three", 100));
    assert_eq!(
        ready(poll(&mut rejecting)).unwrap().token().expose(),
        "three"
    );
}

#[test]
fn t8_tokens_rejected_as_fast_as_they_are_fetched_are_renewed_at_intervals() {
    let world = World::new();
    let mut lease = world.fetch(token("t", 10_000)).unwrap();
    let none = Challenges::default();
    for number in 0..3 {
        reject(&world, &lease);
        world.respond(token(&format!("t{number}"), 10_000));
        lease = world.lease().unwrap();
    }
    let mut rejecting = Box::pin(world.cache.replace(&lease, &none, None));
    let error = ready(poll(&mut rejecting)).unwrap_err();
    assert!(
        error.to_string().contains("3 renewed tokens in a row"),
        "{error}"
    );
    assert_eq!(world.served().unwrap(), "t2", "others use it on");
    world.pass(1.0);
    reject(&world, &lease);
    world.respond(token("late", 10_000));
    assert_eq!(world.served().unwrap(), "late");
}

#[test]
fn t8_a_rejection_joins_the_renewal_of_a_due_token() {
    let world = World::new();
    let one = world.fetch(token("one", 100)).unwrap();
    world.pass(80.0);
    assert!(world.served().is_some());
    reject(&world, &one);
    assert_eq!(world.calls(), 2);
    world.respond(token("two", 100));
}

#[test]
fn t8_a_token_set_during_a_renewal_is_served_at_once_and_stays() {
    let world = World::new();
    let one = world.fetch(token("one", 100)).unwrap();
    reject(&world, &one);
    let call = world.call();
    world.cache.set_token(token("mine", 100).unwrap()).unwrap();
    assert_eq!(world.served().unwrap(), "mine");
    let handed_in = world.lease().unwrap().generation();
    call.respond(token("two", 100));
    world.tasks.run();
    assert_eq!(world.served().unwrap(), "mine");
    assert_eq!(world.lease().unwrap().generation(), handed_in);
}

#[test]
fn t7_the_deadline_of_a_rejection_is_reported_as_a_deadline() {
    let world = World::new();
    let one = world.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(world.cache.replace(&one, &none, Some(SECOND)));
    assert!(poll(&mut rejecting).is_pending());
    let call = world.call();
    world.pass(1.0);
    let error = ready(poll(&mut rejecting)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    call.respond(token("two", 100));
    world.tasks.run();
    assert_eq!(world.served().unwrap(), "two");
}
