//! A token that is set while a fetch is running.

use std::sync::{Arc, Mutex};

use futures_channel::oneshot;
use keyfob::exchange::Challenges;

use crate::harness::{Harness, down, poll, ready, token};

#[test]
fn t2_a_token_set_during_a_renewal_wins() {
    let harness = Harness::new();
    let mut waiting = Box::pin(harness.cache.lease(None));
    let mut forcing = Box::pin(harness.cache.renew());
    assert!(poll(&mut waiting).is_pending());
    assert!(poll(&mut forcing).is_pending());
    let call = harness.call();
    harness
        .cache
        .set_token(token("mine", 100).unwrap())
        .unwrap();
    call.respond(token("old", 100));
    harness.tasks.run();
    assert_eq!(ready(poll(&mut waiting)).unwrap().token().expose(), "mine");
    assert_eq!(ready(poll(&mut forcing)).unwrap().expose(), "mine");
    assert_eq!(harness.served().unwrap(), "mine");
    assert_eq!(harness.calls(), 1);
    let status = harness.cache.status();
    assert_eq!((status.generation, status.renewals), (1, 1));
    assert!(!status.renewing);
}

#[test]
fn t2_a_token_set_during_a_failing_renewal_ends_the_failure() {
    let harness = Harness::new();
    let mut waiting = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut waiting).is_pending());
    let call = harness.call();
    harness
        .cache
        .set_token(token("mine", 100).unwrap())
        .unwrap();
    call.respond(down());
    harness.tasks.run();
    assert_eq!(ready(poll(&mut waiting)).unwrap().token().expose(), "mine");
    let status = harness.cache.status();
    assert_eq!((status.failures, status.last_error), (1, None));
}

#[test]
fn t8_a_token_set_and_rejected_during_a_renewal_causes_another() {
    let harness = Harness::new();
    assert!(harness.cache.ready().is_none());
    let call = harness.call();
    harness
        .cache
        .set_token(token("mine", 100).unwrap())
        .unwrap();
    let (mine, none) = (harness.lease().unwrap(), Challenges::default());
    let mut replacing = Box::pin(harness.cache.replace(&mine, &none, None));
    assert!(poll(&mut replacing).is_pending());
    call.respond(token("old", 100));
    harness.tasks.run();
    assert!(poll(&mut replacing).is_pending());
    harness.respond(token("new", 100));
    assert_eq!(ready(poll(&mut replacing)).unwrap().token().expose(), "new");
    assert_eq!(harness.calls(), 2);
}

#[test]
fn a_generation_is_never_used_for_two_tokens() {
    let (open, gate) = oneshot::channel::<()>();
    let gate = Mutex::new(Some(gate));
    let reported: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = Arc::clone(&reported);
    let harness = Harness::with(|builder| {
        builder.on_change(move |change| {
            seen.lock().unwrap().push(change.generation());
            let gate = gate.lock().unwrap().take();
            async move {
                if let Some(gate) = gate {
                    gate.await?;
                }
                Ok(())
            }
        })
    });
    assert!(harness.cache.ready().is_none());
    harness.respond(token("old", 100));
    harness
        .cache
        .set_token(token("mine", 100).unwrap())
        .unwrap();
    open.send(()).unwrap();
    harness.tasks.run();
    assert_eq!(harness.served().unwrap(), "mine");
    assert_eq!(harness.lease().unwrap().generation(), 2);
    let mut forcing = Box::pin(harness.cache.renew());
    assert!(poll(&mut forcing).is_pending());
    harness.respond(token("new", 100));
    assert_eq!(ready(poll(&mut forcing)).unwrap().expose(), "new");
    assert_eq!(harness.lease().unwrap().generation(), 3);
    assert_eq!(*reported.lock().unwrap(), [1, 3]);
}

#[test]
fn callbacks_do_not_see_a_token_that_is_not_used() {
    let reported: Arc<Mutex<u32>> = Arc::default();
    let seen = Arc::clone(&reported);
    let harness = Harness::with(|builder| {
        builder.on_change(move |_| {
            *seen.lock().unwrap() += 1;
            async { Ok(()) }
        })
    });
    assert!(harness.cache.ready().is_none());
    let call = harness.call();
    harness
        .cache
        .set_token(token("mine", 100).unwrap())
        .unwrap();
    call.respond(token("old", 100));
    harness.tasks.run();
    assert_eq!(*reported.lock().unwrap(), 0);
}
