//! A token that is set while a fetch is running.

use std::sync::{Arc, Mutex};

use futures_channel::oneshot;
use keyfob::exchange::Challenges;

use crate::harness::{World, down, poll, ready, token};

#[test]
fn t2_a_token_set_during_a_renewal_wins() {
    let world = World::new();
    let mut waiting = Box::pin(world.cache.lease(None));
    let mut forcing = Box::pin(world.cache.renew());
    assert!(poll(&mut waiting).is_pending());
    assert!(poll(&mut forcing).is_pending());
    let call = world.call();
    world.cache.set_token(token("mine", 100).unwrap()).unwrap();
    call.respond(token("old", 100));
    world.tasks.run();
    assert_eq!(ready(poll(&mut waiting)).unwrap().token().expose(), "mine");
    assert_eq!(ready(poll(&mut forcing)).unwrap().expose(), "mine");
    assert_eq!(world.served().unwrap(), "mine");
    assert_eq!(world.calls(), 1);
    let status = world.cache.status();
    assert_eq!((status.generation, status.renewals), (1, 1));
    assert!(!status.renewing);
}

#[test]
fn t2_a_token_set_during_a_failing_renewal_ends_the_failure() {
    let world = World::new();
    let mut waiting = Box::pin(world.cache.lease(None));
    assert!(poll(&mut waiting).is_pending());
    let call = world.call();
    world.cache.set_token(token("mine", 100).unwrap()).unwrap();
    call.respond(down());
    world.tasks.run();
    assert_eq!(ready(poll(&mut waiting)).unwrap().token().expose(), "mine");
    let status = world.cache.status();
    assert_eq!((status.failures, status.last_error), (1, None));
}

#[test]
fn t8_a_token_set_and_rejected_during_a_renewal_causes_another() {
    let world = World::new();
    assert!(world.cache.ready().is_none());
    let call = world.call();
    world.cache.set_token(token("mine", 100).unwrap()).unwrap();
    let (mine, none) = (world.lease().unwrap(), Challenges::default());
    let mut replacing = Box::pin(world.cache.replace(&mine, &none, None));
    assert!(poll(&mut replacing).is_pending());
    call.respond(token("old", 100));
    world.tasks.run();
    assert!(poll(&mut replacing).is_pending());
    world.respond(token("new", 100));
    assert_eq!(ready(poll(&mut replacing)).unwrap().token().expose(), "new");
    assert_eq!(world.calls(), 2);
}

#[test]
fn a_generation_is_never_used_for_two_tokens() {
    let (open, gate) = oneshot::channel::<()>();
    let gate = Mutex::new(Some(gate));
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = Arc::clone(&told);
    let world = World::with(|builder| {
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
    assert!(world.cache.ready().is_none());
    world.respond(token("old", 100));
    world.cache.set_token(token("mine", 100).unwrap()).unwrap();
    open.send(()).unwrap();
    world.tasks.run();
    assert_eq!(world.served().unwrap(), "mine");
    assert_eq!(world.lease().unwrap().generation(), 2);
    let mut forcing = Box::pin(world.cache.renew());
    assert!(poll(&mut forcing).is_pending());
    world.respond(token("new", 100));
    assert_eq!(ready(poll(&mut forcing)).unwrap().expose(), "new");
    assert_eq!(world.lease().unwrap().generation(), 3);
    assert_eq!(*told.lock().unwrap(), [1, 3]);
}

#[test]
fn callbacks_do_not_see_a_token_that_is_not_used() {
    let told: Arc<Mutex<u32>> = Arc::default();
    let seen = Arc::clone(&told);
    let world = World::with(|builder| {
        builder.on_change(move |_| {
            *seen.lock().unwrap() += 1;
            async { Ok(()) }
        })
    });
    assert!(world.cache.ready().is_none());
    let call = world.call();
    world.cache.set_token(token("mine", 100).unwrap()).unwrap();
    call.respond(token("old", 100));
    world.tasks.run();
    assert_eq!(*told.lock().unwrap(), 0);
}
