//! Sources of tokens that a test controls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::{fmt, thread};

use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use keyfob::source::TokenRequest;
use keyfob::{Error, Token, TokenSource};

use crate::lock::lock;

/// A source whose fetches wait until the test gives the result.
///
/// Give a clone to the code under test. When the value from [`new`](Self::new) is dropped, it fails the test if the test did not
/// take a call, if a call got no result, or if two calls ran at the same time. If a call never comes,
/// [`next_call`](Self::next_call) waits.
///
/// ```
/// use keyfob::{Token, TokenCache};
/// use keyfob_testkit::GatedSource;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), keyfob::Error> {
/// let source = GatedSource::new();
/// let cache = TokenCache::new(source.clone());
/// assert!(cache.header().is_none());
///
/// let call = source.next_call().await;
/// assert!(call.request().previous().is_none());
/// call.respond(Token::new("t0ken"));
/// assert_eq!(cache.get_valid_token().await?.expose(), "t0ken");
/// assert_eq!(source.calls(), 1);
/// # Ok(())
/// # }
/// ```
pub struct GatedSource {
    state: Arc<Mutex<Calls>>,
    owner: Owner,
}

#[derive(Default)]
struct Calls {
    calls: usize,
    running: usize,
    pending: VecDeque<Call>,
    waiting_tests: VecDeque<oneshot::Sender<Call>>,
    faults: Vec<&'static str>,
}

/// Who has this value of a source. The value of the test verifies the calls when it is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Test,
    CodeUnderTest,
}

/// One call of a [`GatedSource`] that waits for its result.
#[derive(Debug)]
#[must_use = "the fetch waits until the call gets a result"]
pub struct Call {
    request: TokenRequest,
    result: oneshot::Sender<CallResult>,
}

#[derive(Debug)]
enum CallResult {
    Return(Result<Token, Error>),
    Panic,
}

impl GatedSource {
    /// Makes a source that has not been called yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            owner: Owner::Test,
        }
    }

    /// Waits for the next call that the test has not taken yet.
    pub async fn next_call(&self) -> Call {
        let taken = {
            let mut calls = lock(&self.state);
            if let Some(call) = calls.pending.pop_front() {
                return call;
            }
            let (sender, taken) = oneshot::channel();
            calls.waiting_tests.push_back(sender);
            taken
        };
        taken
            .await
            .expect("the sender stays in the queue until it is used")
    }

    /// How often the source was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        lock(&self.state).calls
    }

    /// Checks the calls so far; see [`GatedSource`].
    ///
    /// # Panics
    ///
    /// If a call was not taken or got no result, or if two calls ran at the same time.
    pub fn verify(&self) {
        let calls = lock(&self.state);
        let pending: Vec<_> = calls
            .pending
            .iter()
            .map(|call| call.request.reason().name())
            .collect();
        let faults = calls.faults.clone();
        drop(calls);
        assert!(
            pending.is_empty(),
            "the source was called unexpectedly: {pending:?}"
        );
        assert!(faults.is_empty(), "the source {}", faults.join(", and "));
    }
}

impl Clone for GatedSource {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            owner: Owner::CodeUnderTest,
        }
    }
}

impl Default for GatedSource {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenSource for GatedSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let _running = Running::new(&self.state);
            let (result, received) = oneshot::channel();
            let request = request.clone();
            hand_over(&self.state, Call { request, result });
            match received.await {
                Ok(CallResult::Return(result)) => result,
                Ok(CallResult::Panic) => panic!("the test made the source panic"),
                Err(oneshot::Canceled) => {
                    lock(&self.state).faults.push("got no result for a call");
                    Err(Error::unavailable(
                        "the test dropped the call without a result",
                    ))
                }
            }
        })
    }
}

impl Drop for GatedSource {
    fn drop(&mut self) {
        if self.owner == Owner::Test && !thread::panicking() {
            self.verify();
        }
    }
}

impl fmt::Debug for GatedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatedSource")
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

impl Call {
    /// The request that the source received.
    #[must_use]
    pub fn request(&self) -> &TokenRequest {
        &self.request
    }

    /// Ends the fetch with this result.
    pub fn respond(self, result: Result<Token, Error>) {
        // The receiver is gone if the fetch was dropped.
        let _ = self.result.send(CallResult::Return(result));
    }

    /// Makes the fetch panic.
    pub fn panic(self) {
        // The receiver is gone if the fetch was dropped.
        let _ = self.result.send(CallResult::Panic);
    }

    /// Whether the fetch was dropped before it got a result.
    #[must_use]
    pub fn was_dropped(&self) -> bool {
        self.result.is_canceled()
    }

    /// Waits until the fetch is dropped.
    pub async fn until_dropped(mut self) {
        self.result.cancellation().await;
    }
}

/// One fetch, from its start until it ends or is dropped.
struct Running<'a>(&'a Mutex<Calls>);

impl<'a> Running<'a> {
    fn new(state: &'a Mutex<Calls>) -> Self {
        let mut calls = lock(state);
        calls.calls += 1;
        calls.running += 1;
        if calls.running > 1 {
            calls.faults.push("was called again during a call");
        }
        Self(state)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(self.0).running -= 1;
    }
}

/// Gives a call to the first test that still waits for one, or keeps it.
fn hand_over(state: &Mutex<Calls>, mut call: Call) {
    loop {
        let sender = {
            let mut calls = lock(state);
            match calls.waiting_tests.pop_front() {
                Some(sender) => sender,
                None => {
                    calls.pending.push_back(call);
                    return;
                }
            }
        };
        // Without the lock, because this wakes the test.
        match sender.send(call) {
            Ok(()) => return,
            Err(unsent) => call = unsent,
        }
    }
}

/// A source that returns prepared results in their order, at once.
///
/// Give a clone to the code under test. When the value from [`new`](Self::new) is dropped, it fails the test if the source was
/// called more often or less often than there are results.
///
/// ```
/// use keyfob::{Error, Token, TokenCache};
/// use keyfob_testkit::ScriptedSource;
///
/// let source = ScriptedSource::new([Err(Error::unavailable("down")), Token::new("t0ken")]);
/// let cache = TokenCache::new(source.clone());
/// assert!(cache.get_valid_token_blocking().is_err());
/// assert_eq!(cache.renew_blocking()?.expose(), "t0ken");
/// # Ok::<(), Error>(())
/// ```
pub struct ScriptedSource {
    state: Arc<Mutex<Script>>,
    owner: Owner,
}

struct Script {
    calls: usize,
    beyond: usize,
    results: VecDeque<Result<Token, Error>>,
}

impl ScriptedSource {
    /// Makes a source with these results.
    #[must_use]
    pub fn new(results: impl IntoIterator<Item = Result<Token, Error>>) -> Self {
        let script = Script {
            calls: 0,
            beyond: 0,
            results: results.into_iter().collect(),
        };
        Self {
            state: Arc::new(Mutex::new(script)),
            owner: Owner::Test,
        }
    }

    /// How often the source was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        lock(&self.state).calls
    }

    /// Checks that the source was called once for each result.
    ///
    /// # Panics
    ///
    /// If it was called more often or less often.
    pub fn verify(&self) {
        let script = lock(&self.state);
        let (beyond, left) = (script.beyond, script.results.len());
        drop(script);
        assert_eq!(beyond, 0, "the source was called after its last result");
        assert_eq!(left, 0, "the source has results that no call used");
    }
}

impl Clone for ScriptedSource {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            owner: Owner::CodeUnderTest,
        }
    }
}

impl TokenSource for ScriptedSource {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let mut script = lock(&self.state);
            script.calls += 1;
            let result = script.results.pop_front();
            if result.is_none() {
                script.beyond += 1;
            }
            result.unwrap_or_else(|| {
                Err(Error::unavailable("the scripted source has no result left"))
            })
        })
    }
}

impl Drop for ScriptedSource {
    fn drop(&mut self) {
        if self.owner == Owner::Test && !thread::panicking() {
            self.verify();
        }
    }
}

impl fmt::Debug for ScriptedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedSource")
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use keyfob::TokenCache;

    use super::*;

    /// The message with which the drop of this source fails the test.
    fn failure_of<S>(source: S) -> String {
        let panic = catch_unwind(std::panic::AssertUnwindSafe(|| drop(source))).unwrap_err();
        match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(other) => (*other.downcast::<&str>().unwrap()).to_owned(),
        }
    }

    #[tokio::test]
    async fn an_unexpected_call_fails_the_test() {
        let source = GatedSource::new();
        let cache = TokenCache::new(source.clone());
        assert!(cache.header().is_none());
        while source.calls() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(failure_of(source).contains("unexpectedly: [\"missing\"]"));
    }

    #[tokio::test]
    async fn a_call_without_a_result_fails_the_test() {
        let source = GatedSource::new();
        let cache = TokenCache::new(source.clone());
        assert!(cache.header().is_none());
        drop(source.next_call().await);
        assert!(cache.get_valid_token().await.is_err());
        assert!(failure_of(source).contains("got no result"));
    }

    #[tokio::test]
    async fn a_dropped_wait_for_a_call_takes_no_call() {
        use futures_util::FutureExt;

        let source = GatedSource::new();
        assert!(source.next_call().now_or_never().is_none());
        let cache = TokenCache::new(source.clone());
        assert!(cache.header().is_none());
        source.next_call().await.panic();
        assert!(cache.get_valid_token().await.is_err());
    }

    #[test]
    fn a_missing_call_fails_the_test() {
        let source = ScriptedSource::new([Token::new("t")]);
        assert!(failure_of(source).contains("no call used"));
    }

    #[test]
    fn a_call_after_the_last_result_fails_the_test() {
        let source = ScriptedSource::new([]);
        let cache = TokenCache::new(source.clone());
        assert!(cache.get_valid_token_blocking().is_err());
        assert!(failure_of(source).contains("after its last result"));
    }
}
