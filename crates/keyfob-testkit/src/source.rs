//! Sources of tokens that a test holds in its hand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, thread};

use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use keyfob::source::TokenRequest;
use keyfob::{Error, Token, TokenSource};

/// A source each of whose fetches waits until the test answers it.
///
/// Give a clone to the code under test. The value that [`new`](Self::new) made fails the test when it is dropped, if the
/// source was called and the test did not take that call, if a call was left without an answer, or if two calls ran at
/// once. A call that does not come leaves [`next_call`](Self::next_call) waiting.
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
    state: Arc<Mutex<Gate>>,
    holder: Holder,
}

#[derive(Default)]
struct Gate {
    calls: usize,
    running: usize,
    untaken: VecDeque<Call>,
    takers: VecDeque<oneshot::Sender<Call>>,
    faults: Vec<&'static str>,
}

/// Whose value of a source this is: the test's own verifies when it is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Test,
    CodeUnderTest,
}

/// One call of a [`GatedSource`] that waits for its answer.
#[derive(Debug)]
#[must_use = "the fetch waits until the call is answered"]
pub struct Call {
    request: TokenRequest,
    reply: oneshot::Sender<Reply>,
}

#[derive(Debug)]
enum Reply {
    Answer(Result<Token, Error>),
    Panic,
}

impl GatedSource {
    /// A source that has not been called yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            holder: Holder::Test,
        }
    }

    /// The next call that the test has not taken yet; waits for it.
    pub async fn next_call(&self) -> Call {
        let taken = {
            let mut gate = lock(&self.state);
            if let Some(call) = gate.untaken.pop_front() {
                return call;
            }
            let (taker, taken) = oneshot::channel();
            gate.takers.push_back(taker);
            taken
        };
        taken
            .await
            .expect("a taker stays in line until it is served")
    }

    /// How often the source was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        lock(&self.state).calls
    }

    /// Fails the test if the source was called against its rules; see [`GatedSource`].
    ///
    /// # Panics
    ///
    /// If it was.
    pub fn verify(&self) {
        let gate = lock(&self.state);
        let untaken: Vec<_> = gate
            .untaken
            .iter()
            .map(|call| call.request.reason().name())
            .collect();
        let faults = gate.faults.clone();
        drop(gate);
        assert!(
            untaken.is_empty(),
            "the source was called unexpectedly: {untaken:?}"
        );
        assert!(faults.is_empty(), "the source {}", faults.join(", and "));
    }
}

impl Clone for GatedSource {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            holder: Holder::CodeUnderTest,
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
            let (reply, answer) = oneshot::channel();
            let request = request.clone();
            hand_over(&self.state, Call { request, reply });
            match answer.await {
                Ok(Reply::Answer(answer)) => answer,
                Ok(Reply::Panic) => panic!("the test lets the source panic"),
                Err(oneshot::Canceled) => {
                    lock(&self.state).faults.push("was left without an answer");
                    Err(Error::unavailable(
                        "the test left the call without an answer",
                    ))
                }
            }
        })
    }
}

impl Drop for GatedSource {
    fn drop(&mut self) {
        if self.holder == Holder::Test && !thread::panicking() {
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
    /// What the source was told.
    #[must_use]
    pub fn request(&self) -> &TokenRequest {
        &self.request
    }

    /// Ends the fetch with this answer.
    pub fn respond(self, answer: Result<Token, Error>) {
        // Nobody waits any more if the fetch was given up.
        let _ = self.reply.send(Reply::Answer(answer));
    }

    /// Lets the fetch panic.
    pub fn panic(self) {
        // As above.
        let _ = self.reply.send(Reply::Panic);
    }

    /// Whether the fetch was dropped before it was answered.
    #[must_use]
    pub fn was_given_up(&self) -> bool {
        self.reply.is_canceled()
    }

    /// Waits until the fetch is dropped.
    pub async fn until_given_up(mut self) {
        self.reply.cancellation().await;
    }
}

/// One fetch, from its start to its end or drop.
struct Running<'a>(&'a Mutex<Gate>);

impl<'a> Running<'a> {
    fn new(state: &'a Mutex<Gate>) -> Self {
        let mut gate = lock(state);
        gate.calls += 1;
        gate.running += 1;
        if gate.running > 1 {
            gate.faults.push("was called again during a call");
        }
        Self(state)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(self.0).running -= 1;
    }
}

/// Gives a call to the first taker that still waits, or keeps it.
fn hand_over(state: &Mutex<Gate>, mut call: Call) {
    loop {
        let taker = {
            let mut gate = lock(state);
            match gate.takers.pop_front() {
                Some(taker) => taker,
                None => {
                    gate.untaken.push_back(call);
                    return;
                }
            }
        };
        // Outside of the lock: this wakes the taker.
        match taker.send(call) {
            Ok(()) => return,
            Err(refused) => call = refused,
        }
    }
}

/// A source that gives prepared answers in their order, at once.
///
/// Give a clone to the code under test. The value that [`new`](Self::new) made fails the test when it is dropped, if the
/// source was called more often than there are answers, or less often.
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
    holder: Holder,
}

struct Script {
    calls: usize,
    beyond: usize,
    answers: VecDeque<Result<Token, Error>>,
}

impl ScriptedSource {
    /// A source with these answers.
    #[must_use]
    pub fn new(answers: impl IntoIterator<Item = Result<Token, Error>>) -> Self {
        let script = Script {
            calls: 0,
            beyond: 0,
            answers: answers.into_iter().collect(),
        };
        Self {
            state: Arc::new(Mutex::new(script)),
            holder: Holder::Test,
        }
    }

    /// How often the source was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        lock(&self.state).calls
    }

    /// Fails the test if the source was called more or less often than there are answers.
    ///
    /// # Panics
    ///
    /// If it was.
    pub fn verify(&self) {
        let script = lock(&self.state);
        let (beyond, left) = (script.beyond, script.answers.len());
        drop(script);
        assert_eq!(beyond, 0, "calls of the source that had no answer left");
        assert_eq!(left, 0, "answers of the source that nobody asked for");
    }
}

impl Clone for ScriptedSource {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            holder: Holder::CodeUnderTest,
        }
    }
}

impl TokenSource for ScriptedSource {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let mut script = lock(&self.state);
            script.calls += 1;
            let answer = script.answers.pop_front();
            if answer.is_none() {
                script.beyond += 1;
            }
            answer.unwrap_or_else(|| Err(Error::unavailable("the source's script is at its end")))
        })
    }
}

impl Drop for ScriptedSource {
    fn drop(&mut self) {
        if self.holder == Holder::Test && !thread::panicking() {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use keyfob::TokenCache;

    use super::*;

    /// What the drop of a source says that was used like this.
    fn complaint<S>(source: S) -> String {
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
        assert!(complaint(source).contains("unexpectedly: [\"missing\"]"));
    }

    #[tokio::test]
    async fn a_call_without_an_answer_fails_the_test() {
        let source = GatedSource::new();
        let cache = TokenCache::new(source.clone());
        assert!(cache.header().is_none());
        drop(source.next_call().await);
        assert!(cache.get_valid_token().await.is_err());
        assert!(complaint(source).contains("without an answer"));
    }

    #[tokio::test]
    async fn a_taker_that_went_away_takes_no_call_with_it() {
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
        assert!(complaint(source).contains("nobody asked for"));
    }

    #[test]
    fn a_call_beyond_the_script_fails_the_test() {
        let source = ScriptedSource::new([]);
        let cache = TokenCache::new(source.clone());
        assert!(cache.get_valid_token_blocking().is_err());
        assert!(complaint(source).contains("no answer left"));
    }
}
