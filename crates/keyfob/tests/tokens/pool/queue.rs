//! The fetches of a pool wait for each other.

use keyfob::ErrorKind;
use keyfob::pool::PoolStatus;

use crate::harness::{SECOND, poll, ready, token};
use crate::pool::{Pool, key};

fn load(status: &PoolStatus) -> (usize, usize) {
    (status.fetching, status.queued)
}

#[test]
fn t10_fetches_beyond_the_limit_wait_and_start_in_order() {
    let pool = Pool::with(|builder| builder.fetches_at_once(2));
    let subjects = ["a", "b", "c", "d"];
    let keys = subjects.map(key);
    let mut callers = keys
        .each_ref()
        .map(|key| Box::pin(pool.pool.lease(key, None)));
    assert!(callers.iter_mut().all(|caller| poll(caller).is_pending()));
    let calls = || subjects.map(|subject| pool.calls(subject));
    assert_eq!(calls(), [1, 1, 0, 0]);
    assert_eq!(load(&pool.pool.status()), (2, 2));
    pool.respond("b", token("b", 100));
    assert_eq!(calls(), [1, 1, 1, 0]);
    pool.respond("c", token("c", 100));
    assert_eq!(calls(), [1, 1, 1, 1]);
    pool.respond("a", token("a", 100));
    pool.respond("d", token("d", 100));
    assert!(callers.iter_mut().all(|caller| ready(poll(caller)).is_ok()));
    assert_eq!(load(&pool.pool.status()), (0, 0));
}

#[test]
fn t10_a_slow_key_delays_the_others_only_by_its_place() {
    let pool = Pool::with(|builder| builder.fetches_at_once(2));
    let slow = key("slow");
    let mut waits = Box::pin(pool.pool.lease(&slow, None));
    assert!(poll(&mut waits).is_pending());
    let call = pool.call("slow").unwrap();
    for number in 0..10 {
        pool.fetch(&number.to_string(), token("t", 100)).unwrap();
    }
    assert!(poll(&mut waits).is_pending());
    call.respond(token("s", 100));
    pool.tasks.run();
    assert!(ready(poll(&mut waits)).is_ok());
}

#[test]
fn t10_the_wait_for_a_place_is_not_part_of_the_fetch_timeout() {
    let pool = Pool::with(|builder| builder.fetches_at_once(1).fetch_timeout(SECOND * 30));
    let (first, second) = (key("first"), key("second"));
    let mut one = Box::pin(pool.pool.lease(&first, None));
    let mut two = Box::pin(pool.pool.lease(&second, None));
    assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
    let call = pool.call("first").unwrap();
    pool.clock.advance(SECOND * 29);
    call.respond(token("1", 100));
    pool.tasks.run();
    assert!(ready(poll(&mut one)).is_ok());
    // It has waited for 29 s, and its fetch begins now.
    let call = pool.call("second").unwrap();
    pool.clock.advance(SECOND * 29);
    pool.tasks.run();
    assert!(poll(&mut two).is_pending());
    call.respond(token("2", 100));
    pool.tasks.run();
    assert_eq!(ready(poll(&mut two)).unwrap().token().expose(), "2");
}

#[test]
fn t10_a_long_wait_for_a_place_starts_no_second_fetch() {
    let pool = Pool::with(|builder| builder.fetches_at_once(1).fetch_timeout(SECOND * 1000));
    let (first, second) = (key("first"), key("second"));
    let mut one = Box::pin(pool.pool.lease(&first, None));
    let mut two = Box::pin(pool.pool.lease(&second, None));
    assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
    for _ in 0..3 {
        pool.clock.advance(SECOND * 300);
        let mut later = Box::pin(pool.pool.lease(&second, None));
        assert!(poll(&mut two).is_pending() && poll(&mut later).is_pending());
    }
    assert_eq!(load(&pool.pool.status()), (1, 1));
    pool.respond("first", token("1", 100));
    pool.respond("second", token("2", 100));
    assert_eq!(pool.calls("second"), 1);
}

#[test]
fn t10_the_wait_for_a_place_counts_to_the_callers_wait() {
    let pool = Pool::with(|builder| builder.fetches_at_once(1));
    let (first, second) = (key("first"), key("second"));
    let mut one = Box::pin(pool.pool.lease(&first, None));
    let mut two = Box::pin(pool.pool.lease(&second, Some(SECOND * 5)));
    assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
    pool.clock.advance(SECOND * 5);
    assert_eq!(
        ready(poll(&mut two)).unwrap_err().kind(),
        ErrorKind::Deadline
    );
    // The fetch stays in the queue for the next caller (T7).
    pool.respond("first", token("1", 100));
    pool.respond("second", token("2", 100));
    assert_eq!(pool.lease("second").unwrap(), "2");
}

#[test]
fn t10_a_full_queue_refuses_a_missing_token_at_once_and_forgets_it() {
    let pool = Pool::with(|builder| builder.fetches_at_once(1).max_queued(1));
    pool.fetch("known", token("k", 100)).unwrap();
    let keys = ["a", "b"].map(key);
    let mut callers = keys
        .each_ref()
        .map(|key| Box::pin(pool.pool.lease(key, None)));
    assert!(callers.iter_mut().all(|caller| poll(caller).is_pending()));
    let error = pool.lease("c").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .contains("1 fetches of the pool run and 1 wait"),
        "{error}"
    );
    // T3: a token that is due is used, although its renewal may not even wait.
    pool.clock.advance(SECOND * 80);
    assert_eq!(pool.lease("known").unwrap(), "k");
    pool.respond("a", token("a", 100));
    pool.respond("b", token("b", 100));
    pool.fetch("c", token("c", 100)).unwrap();
    // Long before its leeway, and once there is a place again.
    assert_eq!(pool.calls("known"), 1);
    pool.clock.advance(SECOND * 2);
    assert_eq!(pool.lease("known").unwrap(), "k");
    pool.respond("known", token("k2", 100));
    assert_eq!(pool.lease("known").unwrap(), "k2");
}

#[test]
fn t7_a_renewal_whose_runtime_is_not_driven_holds_up_no_other_key() {
    let pool = Pool::with(|builder| builder.fetches_at_once(1).fetch_timeout(SECOND * 5));
    let (alice, bob) = (key("alice"), key("bob"));
    assert!(poll(&mut Box::pin(pool.pool.lease(&alice, None))).is_pending());
    // Another runtime has the task of the first key, and nothing drives it.
    let abandoned = pool.tasks.hand_over();
    let mut one = Box::pin(pool.pool.lease(&alice, None));
    let mut two = Box::pin(pool.pool.lease(&bob, None));
    assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
    assert_eq!((load(&pool.pool.status()), pool.calls("bob")), ((1, 1), 0));
    pool.clock.advance(SECOND * 6);
    assert!(poll(&mut two).is_pending());
    pool.respond("bob", token("b", 100));
    assert_eq!(ready(poll(&mut two)).unwrap().token().expose(), "b");
    // A caller for the first key takes its renewal over, which has a place as well.
    for _ in 0..2 {
        assert!(poll(&mut one).is_pending());
        pool.clock.advance(SECOND);
    }
    assert!(poll(&mut one).is_pending());
    pool.respond("alice", token("a", 100));
    assert_eq!(ready(poll(&mut one)).unwrap().token().expose(), "a");
    // If it is driven again, it does nothing, and its place is not given back twice.
    abandoned.run();
    assert_eq!(load(&pool.pool.status()), (0, 0));
    pool.fetch("carol", token("c", 100)).unwrap();
}

#[test]
fn t7_a_runtime_that_stops_loses_no_place_of_a_pool() {
    let pool = Pool::with(|builder| builder.fetches_at_once(1));
    let (first, second) = (key("first"), key("second"));
    let mut one = Box::pin(pool.pool.lease(&first, None));
    let mut two = Box::pin(pool.pool.lease(&second, None));
    assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
    // Each stop drops the task that runs, and the next one starts.
    pool.tasks.stop();
    pool.tasks.stop();
    assert_eq!(load(&pool.pool.status()), (0, 0));
    assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
    pool.respond("first", token("1", 100));
    pool.respond("second", token("2", 100));
    assert!(ready(poll(&mut one)).is_ok() && ready(poll(&mut two)).is_ok());
}

#[test]
fn t7_a_source_that_panics_loses_no_place_of_a_pool() {
    let pool = Pool::with(|builder| builder.fetches_at_once(1));
    let key = key("alice");
    let mut caller = Box::pin(pool.pool.lease(&key, None));
    assert!(poll(&mut caller).is_pending());
    pool.call("alice").unwrap().panic();
    pool.tasks.run();
    assert!(ready(poll(&mut caller)).is_err());
    pool.fetch("bob", token("b", 100)).unwrap();
}
