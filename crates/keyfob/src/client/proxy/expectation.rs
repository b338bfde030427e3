//! `Expect: 100-continue` (RFC 9110 §10.1.1), from the client through to the upstream.
//!
//! A client that expects a 100 sends its body only when asked for it, and the server around the proxy asks when the body is
//! first read. So the body is not read until the upstream asks for it, or has been silent for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::task::AtomicWaker;
use http::{Request, StatusCode};

use crate::client::idle_timeout::IdleTimeout;
use crate::client::shared_timer::Timeout;

/// What a body waits for before it is read.
pub(super) struct Expectation {
    asked: Arc<Asked>,
    patience: Timeout,
}

#[derive(Default)]
struct Asked {
    by_server: AtomicBool,
    waker: AtomicWaker,
}

impl Expectation {
    /// An expectation that the upstream of this request meets by a 100, or by silence.
    pub(super) fn of<B>(request: &mut Request<B>, patience: &IdleTimeout) -> Self {
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
            patience: patience.start(),
        }
    }

    /// Ready once the body may be read. The time begins with the first call, when there is a connection.
    pub(super) fn poll_met(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.asked.waker.register(context.waker());
        if self.asked.by_server.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.patience.poll_unpin(context)
    }
}

/// How long an upstream may be silent. It may not know the expectation, and a client must not wait forever for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
