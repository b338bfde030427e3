//! An answer that is waited for as long as the request's body moves, and then for so long more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use pin_project_lite::pin_project;

use crate::client::shared_timer::{Alarm, Watch};

/// Counts the pieces of a request's body that were taken to be sent.
pub(crate) type Moved = Arc<AtomicU64>;

pin_project! {
    /// Waits for an answer; `None` if nothing moves for too long.
    ///
    /// A future with few fields instead of an `async` block, which would hold the answer twice.
    pub(crate) struct UntilStalled<F> {
        #[pin]
        answer: F,
        moved: Option<Moved>,
        seen: u64,
        // There may be no limit, and there is none any more when the answer is there.
        watch: Option<Watch>,
    }
}

impl<F> UntilStalled<F> {
    pub(crate) fn new(answer: F, moved: Option<Moved>, limit: Option<&Alarm>) -> Self {
        Self {
            answer,
            moved,
            seen: 0,
            watch: limit.map(Alarm::watch),
        }
    }
}

impl<F: Future> Future for UntilStalled<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = self.project();
        if let Poll::Ready(answer) = this.answer.poll(context) {
            *this.watch = None;
            return Poll::Ready(Some(answer));
        }
        let Some(watch) = this.watch else {
            return Poll::Pending;
        };
        while watch.poll_unpin(context).is_ready() {
            let moved = this.moved.as_ref();
            let now = moved.map_or(*this.seen, |moved| moved.load(Ordering::Relaxed));
            if now == *this.seen {
                return Poll::Ready(None);
            }
            *this.seen = now;
            watch.restart();
        }
        Poll::Pending
    }
}
