//! Sessions, sources and waits that the tests share.

use std::error::Error as StdError;
use std::future::Future;
use std::io::Error as IoError;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keyfob::session::SessionBuilder;
use keyfob::source::Hook;
use keyfob::{FixedToken, RetryPolicy, Session, Token, TokenCache};
use keyfob_testkit::{ManualClock, Received, Server};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Long enough for a loaded machine. Only a failing test waits this long.
const SOON: Duration = Duration::from_secs(60);

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The default policy without pauses: retries come at once.
pub(crate) fn promptly() -> RetryPolicy {
    RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO)
}

/// A cache that always has this token.
pub(crate) fn fixed(token: Token, clock: &ManualClock) -> TokenCache {
    TokenCache::builder(FixedToken::new(token.clone()))
        .token(token)
        .clock(clock.clone())
        .build()
        .unwrap()
}

/// A session on a fixed bearer token that retries without pauses.
pub(crate) fn builder(clock: &ManualClock) -> SessionBuilder {
    Session::builder(fixed(Token::new("t0ken").unwrap(), clock)).retry(promptly())
}

/// The same for one server.
pub(crate) fn session(server: &Server, clock: &ManualClock) -> Session {
    builder(clock).base_url(server.url()).build().unwrap()
}

/// A hook that returns `token-1`, `token-2` and so on, each for an hour, and counts its calls.
pub(crate) fn numbered() -> (Hook, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let hook = keyfob::hook(move |_| {
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok::<_, IoError>((format!("token-{number}"), HOUR)) }
    });
    (hook, calls)
}

/// The tokens of all requests in order. A request without a token has an empty one.
pub(crate) fn bearers(server: &Server) -> Vec<String> {
    let bearer = |received: &Received| received.bearer().unwrap_or_default().to_owned();
    server.received().iter().map(bearer).collect()
}

/// The first cause of this type.
pub(crate) fn cause<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(wanted) = inner.downcast_ref() {
            return Some(wanted);
        }
        cause = inner.source();
    }
    None
}

/// A loopback address that refuses connections.
pub(crate) fn refusing_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Runs a request and other events at the same time. With a timeout, so that a failing test does not hang.
pub(crate) async fn meanwhile<A, B>(
    request: impl Future<Output = A>,
    events: impl Future<Output = B>,
) -> (A, B) {
    let both = async { tokio::join!(request, events) };
    tokio::time::timeout(SOON, both)
        .await
        .expect("both end before the timeout")
}

/// The same for a request without other events.
pub(crate) async fn soon<A>(request: impl Future<Output = A>) -> A {
    meanwhile(request, std::future::ready(())).await.0
}

/// Blocks this thread until something has happened.
pub(crate) fn until(happened: impl Fn() -> bool) {
    let since = Instant::now();
    while !happened() {
        assert!(since.elapsed() < SOON, "it happens before the timeout");
        thread::yield_now();
    }
}

/// The environment variable that names the server for a test in another process.
pub(crate) const TARGET: &str = "KEYFOB_TEST_TARGET";

/// The server for this test, if it runs in another process.
pub(crate) fn target() -> Option<String> {
    std::env::var(TARGET).ok()
}
