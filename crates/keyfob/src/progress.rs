//! A time limit that counts only while nothing moves.
//!
//! A limit on the whole attempt would cut off a large upload or download that is doing well; a limit on the head alone
//! would let a stalled body hang for ever. So the limit starts again with each piece of a body that moves.

use std::future::Future;
use std::future::poll_fn;
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
    moved: Option<Moved>,
    alarm: &Alarm,
) -> Option<T> {
    let (mut answer, mut watch) = (pin!(answer), alarm.watch());
    let mut seen = 0;
    loop {
        match select(answer.as_mut(), &mut watch).await {
            Either::Left((answer, _)) => return Some(answer),
            Either::Right(((), _)) => {}
        }
        let now = moved
            .as_ref()
            .map_or(seen, |moved| moved.load(Ordering::Relaxed));
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
        longer(self.body.size_hint(), self.rest.len() as u64)
    }
}

pin_project! {
    /// An answer's body that fails when its next piece does not come in time.
    pub(crate) struct Limited<B: Body> {
        #[pin]
        body: B,
        // What was there at once.
        first: Option<Result<Frame<Bytes>, B::Error>>,
        watch: Watch,
    }
}

impl<B: Body<Data = Bytes> + Unpin> Limited<B> {
    /// Limits the body, unless all of it is there at once, as a short one is that came with its head.
    pub(crate) fn new(mut body: B, alarm: &Alarm) -> Either<Bytes, Self> {
        let mut first = None;
        if let Some(length) = body.size_hint().exact() {
            first = poll_fn(|context| Pin::new(&mut body).poll_frame(context))
                .now_or_never()
                .flatten();
            // A body of known length may have trailers all the same.
            if length_of(&first) == Some(length) && body.is_end_stream() {
                let data = first.and_then(|frame| frame.ok()?.into_data().ok());
                return Either::Left(data.unwrap_or_default());
            }
        }
        Either::Right(Self {
            body,
            first,
            watch: alarm.watch(),
        })
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
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(first.map_err(Into::into)));
        }
        if let Poll::Ready(frame) = this.body.poll_frame(context) {
            this.watch.restart();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        // The limit begins when a piece is first waited for: most short bodies are there with the head.
        ready!(this.watch.poll_unpin(context));
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        longer(
            self.body.size_hint(),
            length_of(&self.first).unwrap_or_default(),
        )
    }
}

/// How many bytes have come; `None` if it is something else that has.
fn length_of<E>(first: &Option<Result<Frame<Bytes>, E>>) -> Option<u64> {
    match first {
        Some(Ok(frame)) => frame.data_ref().map(|data| data.len() as u64),
        Some(Err(_)) => None,
        None => Some(0),
    }
}

/// The hint of a body together with so many bytes before it.
fn longer(hint: SizeHint, length: u64) -> SizeHint {
    let mut whole = SizeHint::new();
    whole.set_lower(hint.lower() + length);
    if let Some(upper) = hint.upper() {
        whole.set_upper(upper + length);
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::clock::SystemClock;
    use crate::runtime::Ambient;
    use crate::runtime::Runtime;
    use crate::runtime::park::block_on;

    /// A body that has promised so many bytes, of which some pieces are there.
    struct Promised(u64, VecDeque<Result<Frame<Bytes>, io::ErrorKind>>);

    impl Promised {
        fn new<const N: usize>(bytes: u64, pieces: [&'static str; N]) -> Self {
            let data = |piece: &'static str| Ok(Frame::data(Bytes::from_static(piece.as_bytes())));
            Self(bytes, pieces.into_iter().map(data).collect())
        }
    }

    impl Body for Promised {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            let frame = self.1.pop_front();
            if let Some(Ok(frame)) = &frame {
                self.0 -= frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            match frame {
                None if self.0 > 0 => Poll::Pending,
                frame => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            }
        }

        fn is_end_stream(&self) -> bool {
            self.0 == 0 && self.1.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0)
        }
    }

    /// The body with a limit, or all of it.
    fn limited(body: Promised) -> Result<Limited<Promised>, Bytes> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let runtime: Arc<dyn Runtime> = Arc::new(Ambient);
        let alarm = Alarm::new(Duration::MAX, &clock, &runtime);
        match Limited::new(body, &alarm) {
            Either::Left(whole) => Err(whole),
            Either::Right(limited) => Ok(limited),
        }
    }

    fn next(limited: &mut Limited<Promised>) -> Option<Result<Frame<Bytes>, BoxError>> {
        block_on(poll_fn(|context| {
            Pin::new(&mut *limited).poll_frame(context)
        }))
    }

    #[test]
    fn a_body_that_is_there_at_once_needs_no_limit() {
        for (length, pieces) in [(5, ["whole"]), (0, [""])] {
            let body = limited(Promised::new(length, pieces));
            assert_eq!(body.err().unwrap(), pieces[0]);
        }
    }

    #[test]
    fn r6_what_came_of_a_limited_body_is_neither_lost_nor_told_twice() {
        let mut body = Promised::new(8, ["half", "rest"]);
        body.1
            .push_back(Ok(Frame::trailers(http::HeaderMap::new())));
        let mut body = limited(body).ok().unwrap();
        assert_eq!(body.size_hint().exact(), Some(8));
        assert!(!body.is_end_stream());
        for piece in ["half", "rest"] {
            let frame = next(&mut body).unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), piece);
        }
        assert!(next(&mut body).unwrap().unwrap().is_trailers());
        assert!(body.is_end_stream());
        assert!(next(&mut body).is_none());
    }

    #[test]
    fn r6_trailers_and_errors_after_all_of_a_body_are_kept() {
        let mut trailed = Promised::new(5, ["whole"]);
        trailed
            .1
            .push_back(Ok(Frame::trailers(http::HeaderMap::new())));
        assert!(limited(trailed).is_ok());
        let mut broken = Promised::new(0, []);
        broken.1.push_back(Err(io::ErrorKind::ConnectionReset));
        let mut broken = limited(broken).ok().unwrap();
        assert!(next(&mut broken).unwrap().is_err());
    }
}
