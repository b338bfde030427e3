//! Bodies that report or require progress, for the timeout of an attempt (R8).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::client::idle_timeout::{IdleTimeout, Progress};
use crate::client::shared_timer::Timeout;
use crate::error::error::BoxError;

/// The length of the parts in which a body from memory is sent; one that is not longer is sent as it is.
pub(crate) const PART: usize = 64 * 1024;

pin_project! {
    /// A request body that is cut into parts and counts them as they are sent.
    pub(crate) struct Counted<B> {
        #[pin]
        body: B,
        // The rest of the data that the body returned last.
        rest: Bytes,
        progress: Progress,
    }
}

impl<B> Counted<B> {
    pub(crate) fn new(body: B, progress: Progress) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            progress,
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
        this.progress.count();
        let part = this.rest.split_to(this.rest.len().min(PART));
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        longer(self.body.size_hint(), self.rest.len())
    }
}

pin_project! {
    /// A response body that fails if its next part does not come within the limit.
    pub(crate) struct Limited<B: Body> {
        #[pin]
        body: B,
        // What was already read of the body.
        first: Option<Result<Bytes, B::Error>>,
        timeout: IdleTimeout,
        // Set while a part is awaited.
        waiting: Option<Timeout>,
    }
}

impl<B: Body> Limited<B> {
    /// Limits a body, of which `first` was already read.
    pub(crate) fn new(
        body: B,
        first: Option<Result<Bytes, B::Error>>,
        timeout: IdleTimeout,
    ) -> Self {
        Self {
            body,
            first,
            timeout,
            waiting: None,
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
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(first.map(Frame::data).map_err(Into::into)));
        }
        if let Poll::Ready(frame) = this.body.poll_frame(context) {
            *this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        // The time counts from here: a slow reader is not cut off, and a short body needs no timer.
        let waiting = this.waiting.get_or_insert_with(|| this.timeout.start());
        ready!(waiting.poll_unpin(context));
        *this.waiting = None;
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(|first| first.as_ref().ok());
        longer(self.body.size_hint(), first.map_or(0, Bytes::len))
    }
}

/// The hint of a body with this many bytes before it.
fn longer(hint: SizeHint, length: usize) -> SizeHint {
    let mut whole = SizeHint::new();
    whole.set_lower(hint.lower() + length as u64);
    if let Some(upper) = hint.upper() {
        whole.set_upper(upper + length as u64);
    }
    whole
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::clock::Clock;
    use crate::clock::system::SystemClock;
    use crate::runtime::block_on::block_on;
    use crate::runtime::runtime::{Runtime, TokioOrThreads};

    /// A body that declares a length, and of which some pieces are there.
    pub(crate) struct Promised(
        pub(crate) u64,
        VecDeque<Result<Frame<Bytes>, io::ErrorKind>>,
    );

    impl Promised {
        pub(crate) fn new<const N: usize>(bytes: u64, pieces: [&'static str; N]) -> Self {
            let data = |piece: &'static str| Ok(Frame::data(Bytes::from_static(piece.as_bytes())));
            Self(bytes, pieces.into_iter().map(data).collect())
        }

        pub(crate) fn then_trailers(mut self) -> Self {
            self.1
                .push_back(Ok(Frame::trailers(http::HeaderMap::new())));
            self
        }

        pub(crate) fn then_a_reset(mut self) -> Self {
            self.1.push_back(Err(io::ErrorKind::ConnectionReset));
            self
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

    /// A limit that does not pass in a test.
    pub(crate) fn hour() -> IdleTimeout {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let runtime: Arc<dyn Runtime> = Arc::new(TokioOrThreads);
        IdleTimeout::new(Duration::from_secs(3600), &clock, &runtime)
    }

    fn next(limited: &mut Limited<Promised>) -> Option<Result<Frame<Bytes>, BoxError>> {
        block_on(poll_fn(|context| {
            Pin::new(&mut *limited).poll_frame(context)
        }))
    }

    #[test]
    fn r6_a_limited_body_has_the_same_frames_and_length() {
        let rest = Promised::new(4, ["rest"]).then_trailers();
        let mut body = Limited::new(rest, Some(Ok("half".into())), hour());
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
    fn r6_an_error_of_a_limited_body_is_returned() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let mut body = Limited::new(Promised::new(4, []), Some(Err(reset)), hour());
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        assert!(next(&mut body).unwrap().is_err());
    }
}
