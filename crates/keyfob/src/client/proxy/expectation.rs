//! `Expect: 100-continue` (RFC 9110 §10.1.1), from the client through to the upstream.
//!
//! A client that expects a 100 sends its body only when asked for it, and the server around the proxy asks when the body is
//! first read. So the body is not read until the upstream asks for it, or has been silent for a while.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::{Request, StatusCode};
use tokio::time::{Sleep, sleep};

/// What a body waits for before it is read.
pub(super) struct Expectation {
    asked: Arc<Asked>,
    patience: Option<Pin<Box<Sleep>>>,
}

#[derive(Default)]
struct Asked {
    by_server: AtomicBool,
    waker: AtomicWaker,
}

impl Expectation {
    /// An expectation that the upstream of this request meets by a 100.
    pub(super) fn of<B>(request: &mut Request<B>) -> Self {
        let asked = Arc::<Asked>::default();
        let seen = Arc::clone(&asked);
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                seen.by_server.store(true, Ordering::Release);
                seen.waker.wake();
            }
        });
        Self {
            asked,
            patience: None,
        }
    }

    /// Ready once the body may be read. The time begins with the first call, when there is a connection.
    pub(super) fn poll_met(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.asked.waker.register(context.waker());
        if self.asked.by_server.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        patience.as_mut().poll(context)
    }
}

/// How long an upstream may be silent. It may not know the expectation, and a client must not wait forever for it.
const PATIENCE: Duration = Duration::from_secs(1);
