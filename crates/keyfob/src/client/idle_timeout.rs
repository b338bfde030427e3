//! The timeout of an attempt, which counts only while nothing moves (R8).
//!
//! A limit on the whole attempt would cut off a large transfer that makes progress. A limit on the head of the response
//! alone would let a stalled body wait forever. So the time starts again with each part of a body that moves.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;

use crate::client::shared_timer::SharedTimer;
use crate::client::shared_timer::Timeout;
use crate::clock::clock::Clock;
use crate::runtime::runtime::Runtime;

/// The timeout of each attempt of a client.
#[derive(Clone)]
pub(crate) struct IdleTimeout(Arc<SharedTimer>);

/// Counts the parts of a request body that were taken to be sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl IdleTimeout {
    pub(crate) fn new(limit: Duration, clock: &Arc<dyn Clock>, runtime: &Arc<dyn Runtime>) -> Self {
        Self(Arc::new(SharedTimer::new(limit, clock, runtime)))
    }

    /// Whether there is a limit.
    pub(crate) fn is_limited(&self) -> bool {
        self.0.limit() < Duration::MAX
    }

    /// Begins to wait for one part.
    pub(crate) fn start(&self) -> Timeout {
        self.0.start()
    }

    /// Waits for a response; `None` if in the time of the limit there is neither a response nor progress.
    pub(crate) async fn wait<F: Future>(
        &self,
        response: F,
        progress: Option<&Progress>,
    ) -> Option<F::Output> {
        let mut response = pin!(response);
        let mut timeout = self.is_limited().then(|| self.0.start());
        let sent = || progress.map_or(0, |progress| progress.0.load(Ordering::Relaxed));
        let mut before = sent();
        poll_fn(|context| {
            if let Poll::Ready(response) = response.as_mut().poll(context) {
                return Poll::Ready(Some(response));
            }
            while let Some(passed) = &mut timeout {
                ready!(passed.poll_unpin(context));
                let now = sent();
                if now == before {
                    return Poll::Ready(None);
                }
                before = now;
                timeout = Some(self.0.start());
            }
            Poll::Pending
        })
        .await
    }
}

impl Progress {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for IdleTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.limit().fmt(f)
    }
}
