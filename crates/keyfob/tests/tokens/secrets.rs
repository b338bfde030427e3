//! S1: no secret is shown.

use std::sync::{Arc, Mutex};

use crate::harness::{Harness, token};

#[test]
fn s1_debug_output_of_types_that_hold_a_token_hides_it() {
    let shown: Arc<Mutex<String>> = Arc::default();
    let sink = Arc::clone(&shown);
    let harness = Harness::with(|builder| {
        builder.on_change(move |change| {
            sink.lock().unwrap().push_str(&format!("{change:?}"));
            async { Ok(()) }
        })
    });
    let lease = harness.fetch(token("s3cr3t-one", 100)).unwrap();
    harness.cache.reject(&lease, &Default::default());
    let call = harness.call();
    assert_eq!(call.request().previous().unwrap().expose(), "s3cr3t-one");
    let request = format!("{:?} {call:?}", call.request());
    call.respond(token("s3cr3t-two", 100));
    harness.tasks.run();
    let builder = keyfob::TokenCache::builder(harness.source.clone())
        .token(token("s3cr3t-three", 100).unwrap());
    let all = format!(
        "{request} {} {builder:?} {lease:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        shown.lock().unwrap(),
        lease.headers(),
        lease.token(),
        harness.cache,
        harness.cache.status(),
        harness.cache.request_headers(),
        harness.source,
    );
    assert!(!all.contains("s3cr3t"), "{all}");
}

#[test]
fn s1_the_message_of_a_panicking_source_is_not_repeated() {
    let cache = keyfob::TokenCache::new(keyfob::hook(|_| async {
        if true {
            panic!("s3cr3t");
        }
        Ok::<_, keyfob::Error>("t")
    }));
    let error = cache.get_valid_token_blocking().unwrap_err();
    assert!(!format!("{error} {error:?} {cache:?}").contains("s3cr3t"));
}

#[test]
fn s3_the_header_is_sensitive() {
    let harness = Harness::with_token("s3cr3t", 100);
    assert!(harness.cache.header().unwrap().is_sensitive());
    let headers = harness.cache.request_headers().unwrap();
    assert!(headers["authorization"].is_sensitive());
}
