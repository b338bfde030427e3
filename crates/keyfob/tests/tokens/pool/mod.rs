//! A pool whose clock, sources and fetches the test controls.

mod bounds;
mod keys;
mod queue;
#[cfg(feature = "tokio")]
mod runtimes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use keyfob::cache::Lease;
use keyfob::pool::{PoolKey, TokenPoolBuilder};
use keyfob::source::{TokenFuture, TokenRequest};
use keyfob::{Error, Token, TokenPool, TokenSource};
use keyfob_testkit::{Call, GatedSource, ManualClock};

use crate::harness::Tasks;

pub(crate) struct Pool {
    pub(crate) clock: ManualClock,
    pub(crate) tasks: Tasks,
    sources: Sources,
    pub(crate) pool: TokenPool,
}

/// The source of each key, which outlives the key's cache.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<HashMap<String, Arc<GatedSource>>>>);

impl Sources {
    fn of(&self, key: &PoolKey) -> Arc<GatedSource> {
        let mut sources = self.0.lock().unwrap();
        Arc::clone(sources.entry(key.subject().to_owned()).or_default())
    }
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(TokenPoolBuilder) -> TokenPoolBuilder) -> Self {
        Self::over(|source| source, settings)
    }

    /// A pool over what a test makes of each key's source.
    pub(crate) fn over<S: TokenSource>(
        wrap: impl Fn(GatedSource) -> S + Send + Sync + 'static,
        settings: impl FnOnce(TokenPoolBuilder) -> TokenPoolBuilder,
    ) -> Self {
        let (clock, tasks, sources) =
            (ManualClock::default(), Tasks::default(), Sources::default());
        let of_pool = sources.clone();
        let builder = TokenPool::builder(move |key| Ok(wrap((*of_pool.of(key)).clone())))
            .clock(clock.clone())
            .runtime(tasks.clone());
        Self {
            pool: settings(builder).build().unwrap(),
            clock,
            tasks,
            sources,
        }
    }

    /// A caller needs the token of a key, and its source responds with this one.
    pub(crate) fn fetch(
        &self,
        subject: &str,
        response: Result<Token, Error>,
    ) -> Result<Lease, Error> {
        let key = key(subject);
        let mut caller = Box::pin(self.pool.lease(&key, None));
        assert!(
            crate::harness::poll(&mut caller).is_pending(),
            "there was a token"
        );
        self.respond(subject, response);
        crate::harness::ready(crate::harness::poll(&mut caller))
    }

    pub(crate) fn respond(&self, subject: &str, response: Result<Token, Error>) {
        let call = self.call(subject);
        call.expect("the source was not asked").respond(response);
        self.tasks.run();
    }

    /// The call that the source of a key has received.
    pub(crate) fn call(&self, subject: &str) -> Option<Call> {
        self.tasks.run();
        self.sources.of(&key(subject)).next_call().now_or_never()
    }

    /// How often the source of a key was asked.
    pub(crate) fn calls(&self, subject: &str) -> usize {
        self.tasks.run();
        self.sources.of(&key(subject)).calls()
    }

    /// The result for a caller that does not need to wait.
    pub(crate) fn lease(&self, subject: &str) -> Result<String, Error> {
        let response = self.pool.lease(&key(subject), None).now_or_never();
        let lease = response.expect("the caller has to wait")?;
        Ok(lease.token().expose().to_owned())
    }
}

pub(crate) fn key(subject: &str) -> PoolKey {
    PoolKey::new(subject).unwrap()
}

/// A source whose fetches use up a refresh token.
pub(crate) struct Rotating(pub(crate) GatedSource);

impl TokenSource for Rotating {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        self.0.fetch(request)
    }

    fn consumes_refresh_token(&self) -> bool {
        true
    }
}
