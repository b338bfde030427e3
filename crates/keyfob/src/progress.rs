//! A time limit that counts only while nothing moves.
//!
//! A limit on the whole attempt would cut off a large upload or download that is doing well; a limit on the head alone
//! would let a stalled body hang for ever. So the limit starts again with each piece of a body that moves.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Either;
use futures_util::future::select;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use pin_project_lite::pin_project;

use crate::alarm::Alarm;
use crate::alarm::Watch;
use crate::error::BoxError;

/// A body in memory that is no longer than this is sent as it is; what is longer goes out in pieces of this length.
pub(crate) const PIECE: usize = 64 * 1024;

/// Counts the pieces of a request's body that were taken to be sent.
pub(crate) type Moved = Arc<AtomicU64>;

/// Waits for an answer for as long as the request's body moves, and then for so long more; `None` if that passes.
pub(crate) async fn until_stalled<T>(
    answer: impl Future<Output = T>,
    moved: Option<&Moved>,
    alarm: &Alarm,
) -> Option<T> {
    let (mut answer, mut watch) = (pin!(answer), alarm.watch());
    let mut seen = 0;
    loop {
        match select(answer.as_mut(), &mut watch).await {
            Either::Left((answer, _)) => return Some(answer),
            Either::Right(((), _)) => {}
        }
        let now = moved.map_or(seen, |moved| moved.load(Ordering::Relaxed));
        if now == seen {
            return None;
        }
        seen = now;
        watch.restart();
    }
}

pin_project! {
    /// A request's body that is cut in pieces, and counts them as they are sent.
    pub(crate) struct Counted<B> {
        #[pin]
        body: B,
        // What is left of the data that the body gave last.
        rest: Bytes,
        moved: Moved,
    }
}

impl<B> Counted<B> {
    pub(crate) fn new(body: B, moved: Moved) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            moved,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if this.rest.is_empty() {
            match ready!(this.body.poll_frame(context)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *this.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        this.moved.fetch_add(1, Ordering::Relaxed);
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let hint = self.body.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

pin_project! {
    /// An answer's body that fails when its next piece does not come in time.
    pub(crate) struct Limited<B> {
        #[pin]
        body: B,
        watch: Watch,
    }
}

impl<B> Limited<B> {
    pub(crate) fn new(body: B, alarm: &Alarm) -> Self {
        Self {
            body,
            watch: alarm.watch(),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Limited<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(context) {
            this.watch.restart();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        // The limit begins when a piece is first waited for: most short bodies are there with the head.
        ready!(this.watch.poll_unpin(context));
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
