//! Each key is by itself.

use std::time::Duration;

use keyfob::pool::PoolKey;
use keyfob::{ErrorKind, FixedToken, Token, TokenPool};

use crate::harness::{SECOND, down, poll, ready, token};
use crate::pool::{Pool, key};

#[test]
fn t10_each_key_has_a_token_of_its_own_that_is_fetched_once() {
    let pool = Pool::new();
    let (alice, bob) = (key("alice"), key("bob"));
    let mut callers: Vec<_> = [&alice, &bob, &alice, &bob, &alice]
        .map(|key| Box::pin(pool.pool.lease(key, None)))
        .into();
    assert!(callers.iter_mut().all(|caller| poll(caller).is_pending()));
    pool.respond("alice", token("a", 100));
    pool.respond("bob", token("b", 100));
    let tokens: Vec<_> = callers
        .iter_mut()
        .map(|caller| ready(poll(caller)).unwrap().token().expose().to_owned())
        .collect();
    assert_eq!(tokens, ["a", "b", "a", "b", "a"]);
    assert_eq!((pool.calls("alice"), pool.calls("bob")), (1, 1));
}

#[test]
fn t10_a_key_that_fails_is_remembered_alone() {
    let pool = Pool::new();
    pool.fetch("alice", down()).unwrap_err();
    pool.fetch("bob", token("b", 100)).unwrap();
    assert_eq!(
        pool.lease("alice").unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(pool.lease("bob").unwrap(), "b");
    assert_eq!(pool.calls("alice"), 1);
    let (alice, bob) = (
        pool.pool.status_of(&key("alice")),
        pool.pool.status_of(&key("bob")),
    );
    assert_eq!(alice.unwrap().last_error, Some(ErrorKind::Unavailable));
    assert_eq!(bob.unwrap().last_error, None);
}

#[test]
fn t10_a_token_of_a_pool_is_renewed_before_it_expires() {
    let pool = Pool::new();
    pool.fetch("alice", token("old", 100)).unwrap();
    pool.clock.advance(SECOND * 80);
    assert_eq!(pool.lease("alice").unwrap(), "old");
    pool.respond("alice", token("new", 100));
    assert_eq!(pool.lease("alice").unwrap(), "new");
}

#[test]
fn keys_that_differ_in_scope_only_have_different_tokens() {
    let pool = TokenPool::new(|key: &PoolKey| {
        let scopes: Vec<_> = key.scopes().collect();
        Ok(FixedToken::new(Token::new(scopes.join("-"))?))
    });
    for scopes in [vec!["read"], vec!["read", "write"]] {
        let key = PoolKey::builder("alice")
            .scopes(scopes.clone())
            .build()
            .unwrap();
        let lease = pool.lease_blocking(&key, None).unwrap();
        assert_eq!(lease.token().expose(), scopes.join("-"));
    }
    assert_eq!(pool.keys().len(), 2);
}

#[test]
fn the_error_of_the_function_is_not_remembered() {
    let allowed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = allowed.clone();
    let pool = TokenPool::new(move |_: &PoolKey| {
        if !seen.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(keyfob::Error::refused("no such user"));
        }
        Ok(FixedToken::new(Token::new("t0ken")?))
    });
    let key = key("alice");
    let error = pool.lease_blocking(&key, None).unwrap_err();
    assert_eq!(error.to_string(), "no such user");
    assert!(pool.status_of(&key).is_none());
    allowed.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(pool.lease_blocking(&key, None).is_ok());
}

#[test]
fn a_removed_key_is_fetched_again() {
    let pool = Pool::new();
    pool.fetch("alice", token("a", 100)).unwrap();
    assert!(pool.pool.remove(&key("alice")));
    assert!(!pool.pool.remove(&key("alice")));
    assert_eq!(pool.pool.status().entries, 0);
    pool.fetch("alice", token("b", 100)).unwrap();
    assert_eq!(pool.lease("alice").unwrap(), "b");
}

#[test]
fn t10_a_removed_key_does_not_come_back_with_its_running_fetch() {
    let pool = Pool::new();
    let alice = key("alice");
    let mut before = Box::pin(pool.pool.lease(&alice, None));
    assert!(poll(&mut before).is_pending());
    let call = pool.call("alice").unwrap();
    pool.pool.remove(&alice);
    call.respond(token("signed-out", 100));
    pool.tasks.run();
    assert_eq!(
        ready(poll(&mut before)).unwrap().token().expose(),
        "signed-out"
    );
    pool.fetch("alice", token("signed-in", 100)).unwrap();
}

#[test]
fn s1_a_pool_and_its_status_show_no_key() {
    let pool = Pool::new();
    pool.fetch("alice", token("t0ken", 100)).unwrap();
    let text = format!("{:?} {:?}", pool.pool, pool.pool.status());
    assert!(!text.contains("alice") && !text.contains("t0ken"), "{text}");
}

#[test]
fn a_pool_with_a_limit_of_zero_is_refused() {
    let builder = || TokenPool::builder(|_: &PoolKey| Ok(keyfob::EnvToken::new("API_TOKEN")));
    for pool in [
        builder().max_entries(0).build(),
        builder().fetches_at_once(0).build(),
        builder().idle_timeout(Duration::ZERO).build(),
        // A part of it is the time between two looks at all keys.
        builder().idle_timeout(Duration::from_nanos(1)).build(),
    ] {
        let error = pool.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains("of the pool is 0"), "{error}");
    }
}

#[test]
fn a_forked_pool_has_the_settings_and_no_token() {
    let pool = TokenPool::builder(|key: &PoolKey| Ok(FixedToken::new(Token::new(key.subject())?)))
        .idle_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    pool.lease_blocking(&key("alice"), None).unwrap();
    let forked = pool.forked();
    assert_eq!((pool.status().entries, forked.status().entries), (1, 0));
    assert!(forked.lease_blocking(&key("alice"), None).is_ok());
}
