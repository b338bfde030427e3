//! User code that the cache calls: callbacks for a changed token, and log subscribers.

use std::sync::{Arc, Mutex, OnceLock};

use futures_channel::oneshot;
use keyfob::TokenCache;
use keyfob::cache::TokenChange;

use crate::captured_log::listening;
use crate::harness::{Harness, SECOND, down, ends, poll, ready, token};

#[test]
fn on_change_completes_before_the_token_is_used() {
    let (open, gate) = oneshot::channel::<()>();
    let gate = Mutex::new(Some(gate));
    let harness = Harness::with(|builder| {
        builder.on_change(move |_| {
            let gate = gate.lock().unwrap().take();
            async move {
                if let Some(gate) = gate {
                    gate.await?;
                }
                Ok(())
            }
        })
    });
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    harness.respond(token("one", 100));
    assert!(poll(&mut caller).is_pending());
    assert_eq!(harness.served(), None);
    open.send(()).unwrap();
    harness.tasks.run();
    assert!(ready(poll(&mut caller)).is_ok());
}

#[test]
fn on_change_is_called_only_for_changes_and_sees_them() {
    let changes: Arc<Mutex<Vec<TokenChange>>> = Arc::default();
    let seen = Arc::clone(&changes);
    let harness = Harness::with(|builder| {
        builder.on_change(move |change| {
            seen.lock().unwrap().push(change);
            async { Ok(()) }
        })
    });
    harness.fetch(token("one", 100)).unwrap();
    for next in ["one", "two"] {
        harness.pass(80.0);
        assert!(harness.served().is_some());
        harness.respond(token(next, 100));
    }
    harness
        .cache
        .set_token(token("mine", 100).unwrap())
        .unwrap();
    let changes = changes.lock().unwrap();
    let [first, second] = &changes[..] else {
        panic!("called {} times", changes.len())
    };
    assert!(first.previous().is_none());
    assert_eq!(first.reason().name(), "missing");
    assert_eq!(first.generation(), 1);
    assert_eq!(second.previous().unwrap().expose(), "one");
    assert_eq!(second.current().expose(), "two");
    assert_eq!(second.generation(), 2);
}

#[test]
fn on_change_that_fails_keeps_the_old_token() {
    let harness = Harness::with(|builder| {
        builder.on_change(|change| async move {
            match change.generation() {
                1 => Ok(()),
                _ => Err("the disk is full".into()),
            }
        })
    });
    harness.fetch(token("one", 100)).unwrap();
    harness.pass(80.0);
    assert!(harness.served().is_some());
    harness.respond(token("two", 100));
    assert_eq!(harness.served().unwrap(), "one");
    assert_eq!(harness.cache.status().failures, 1);
    assert_eq!(harness.calls(), 2, "cooled down");
}

#[test]
fn on_change_that_panics_is_a_failure() {
    let harness = Harness::with(|builder| {
        builder.on_change(|change| async move {
            assert!(change.generation() == 1, "the callback panics");
            Ok(())
        })
    });
    harness.fetch(token("one", 100)).unwrap();
    harness.pass(80.0);
    assert!(harness.served().is_some());
    harness.respond(token("two", 100));
    assert_eq!(harness.cache.status().failures, 1);
    for _ in 0..10 {
        assert_eq!(harness.served().unwrap(), "one");
    }
    assert_eq!(harness.calls(), 2, "cooled down");
}

#[test]
fn on_change_that_hangs_ends_after_the_fetch_timeout() {
    let harness = Harness::with(|builder| {
        builder
            .fetch_timeout(SECOND * 5)
            .on_change(|_| std::future::pending())
    });
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    harness.respond(token("one", 100));
    harness.pass(4.9);
    assert!(poll(&mut caller).is_pending());
    harness.pass(0.1);
    let error = ready(poll(&mut caller)).unwrap_err();
    assert!(error.to_string().contains("callback"), "{error}");
}

#[test]
fn on_change_that_uses_its_own_cache_gets_an_error_instead_of_a_deadlock() {
    let own: Arc<OnceLock<TokenCache>> = Arc::default();
    let inner = Arc::clone(&own);
    let harness = Harness::with(|builder| {
        builder.on_change(move |_| {
            let cache = inner.get().unwrap().clone();
            async move { Ok(cache.authenticate().await?) }
        })
    });
    own.set(harness.cache.clone()).unwrap();
    let error = harness.fetch(token("one", 100)).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("wait for itself"), "{error}: {cause}");
}

fn cause_three_lines(harness: &Harness) {
    harness.fetch(token("one", 1000)).unwrap();
    harness.clock.step_wall(86_400);
    assert!(harness.served().is_some());
    harness.respond(down());
    assert!(harness.served().is_some());
}

/// Like a log subscriber that sends its lines over an authenticated session.
#[test]
fn a_log_may_use_the_cache() {
    let lines = ends(|| {
        let harness = Harness::new();
        let (cache, lines) = (harness.cache.clone(), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&lines);
        let levels = move |_| {
            *counted.lock().unwrap() += 1;
            let _ = cache.status();
            let _ = cache.ready();
        };
        listening(levels, || cause_three_lines(&harness));
        *lines.lock().unwrap()
    });
    assert_eq!(lines, 3, "renewed, clock stepped, renewal failed");
}
