//! Request bodies, which are kept while they are sent, so that a request can be sent again (R3, R4).
//!
//! A part goes upstream as soon as it arrives, and a copy of it is kept up to a limit. A further attempt begins with the
//! copy and goes on with what the client still sends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{fmt, io, mem};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use crate::client::idle_timeout::Progress;
use crate::client::proxy::body::trailers_of;
use crate::client::proxy::expectation::Expectation;
use crate::client::proxy::hop_by_hop;
use crate::client::tower::replay::ReplayBody;
use crate::error::error::BoxError;
use crate::runtime::lock::{Mutex, lock};

/// The body of an attempt.
pub(super) struct RequestBody(Option<Attempt>);

struct Attempt {
    recording: Arc<Recording>,
    /// The number of the attempt.
    number: u32,
    /// What earlier attempts have read of the body.
    before: Bytes,
    trailers_before: Option<HeaderMap>,
    expectation: Option<Expectation>,
}

/// What the attempts of a request share.
pub(super) struct Recording {
    progress: Progress,
    state: Mutex<State>,
}

struct State {
    /// The part that the client still sends.
    rest: Option<UnsyncBoxBody<Bytes, BoxError>>,
    copy: Copied,
    /// The attempt that may read.
    reader: u32,
    /// Whether the client said how long the body is.
    has_length: bool,
}

enum Copied {
    /// All that was read.
    Kept {
        data: BytesMut,
        trailers: Option<HeaderMap>,
        room: usize,
    },
    /// Not kept: it was larger than the limit, the client broke off, or the request is done.
    Dropped,
}

/// Makes the body again from what was kept. Ends the recording when it is dropped.
pub(super) struct KeptBody(Option<Arc<Recording>>);

/// How the layer of a route sends a body again.
#[derive(Clone, Copy)]
pub(super) struct ReplayRecorded;

impl RequestBody {
    /// A body of which at most `limit` bytes are kept.
    pub(super) fn new<B>(body: B, limit: usize, expectation: Option<Expectation>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self(None);
        }
        let hint = body.size_hint();
        let copy = match hint.lower() > limit as u64 {
            true => Copied::Dropped,
            false => Copied::Kept {
                data: BytesMut::new(),
                trailers: None,
                room: limit,
            },
        };
        let state = State {
            rest: Some(body.map_err(Into::into).boxed_unsync()),
            copy,
            reader: 0,
            has_length: hint.exact().is_some(),
        };
        let recording = Recording {
            progress: Progress::default(),
            state: Mutex::new(state),
        };
        Self(Some(Attempt {
            recording: Arc::new(recording),
            number: 0,
            before: Bytes::new(),
            trailers_before: None,
            expectation,
        }))
    }

    /// Counts the parts of the body that were taken to be sent.
    pub(super) fn progress(&self) -> Option<&Progress> {
        self.0.as_ref().map(|attempt| &attempt.recording.progress)
    }
}

impl ReplayBody<RequestBody> for ReplayRecorded {
    type Kept = KeptBody;

    fn keep(&self, body: RequestBody, _: &mut Context<'_>) -> (RequestBody, Option<KeptBody>) {
        let recording = body.0.as_ref().map(|attempt| &attempt.recording);
        let can_be_kept = recording.is_none_or(|recording| recording.is_kept());
        let kept = can_be_kept.then(|| KeptBody(recording.cloned()));
        (body, kept)
    }

    fn is_possible(&self, kept: &KeptBody) -> bool {
        kept.0.as_ref().is_none_or(|recording| recording.is_kept())
    }

    fn again(&self, kept: &KeptBody) -> Option<RequestBody> {
        let Some(recording) = &kept.0 else {
            return Some(RequestBody(None));
        };
        let mut state = lock(&recording.state);
        let Copied::Kept { data, trailers, .. } = &state.copy else {
            return None;
        };
        let (before, trailers_before) = (Bytes::copy_from_slice(data), trailers.clone());
        // From now on the attempt before, whose connection may still want to read, gets nothing.
        state.reader += 1;
        Some(RequestBody(Some(Attempt {
            recording: Arc::clone(recording),
            number: state.reader,
            before,
            trailers_before,
            // The server of the first attempt has asked for the body, or has had its time.
            expectation: None,
        })))
    }
}

impl Recording {
    fn is_kept(&self) -> bool {
        matches!(lock(&self.state).copy, Copied::Kept { .. })
    }
}

impl State {
    fn poll_rest(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let mut frame = ready!(Pin::new(rest).poll_frame(context));
        if let Some(trailers) = trailers_of(&mut frame) {
            hop_by_hop::remove_from_trailers(trailers);
        }
        match &frame {
            Some(Ok(frame)) => self.copy.add(frame),
            Some(Err(_)) => self.copy = Copied::Dropped,
            None => self.rest = None,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|cause| BrokenOff(cause).into())))
    }
}

impl Copied {
    /// Copies a part. A part that shared the memory of the read buffer would keep all of it.
    fn add(&mut self, frame: &Frame<Bytes>) {
        let Self::Kept {
            data,
            trailers,
            room,
        } = self
        else {
            return;
        };
        if let Some(fields) = frame.trailers_ref() {
            *trailers = Some(fields.clone());
        }
        let part = frame.data_ref().map_or(&[][..], |part| part);
        match room.checked_sub(part.len()) {
            Some(left) => {
                *room = left;
                data.extend_from_slice(part);
            }
            None => *self = Self::Dropped,
        }
    }
}

impl Drop for KeptBody {
    fn drop(&mut self) {
        if let Some(recording) = &self.0 {
            let dropped = mem::replace(&mut lock(&recording.state).copy, Copied::Dropped);
            drop(dropped);
        }
    }
}

impl Attempt {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(expectation) = &mut self.expectation {
            ready!(expectation.poll_met(context));
            self.expectation = None;
        }
        self.recording.progress.count();
        if !self.before.is_empty() {
            let before = mem::take(&mut self.before);
            return Poll::Ready(Some(Ok(Frame::data(before))));
        }
        if let Some(trailers) = self.trailers_before.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let mut state = lock(&self.recording.state);
        if state.reader != self.number {
            // The request is sent again on another connection.
            let superseded = io::Error::from(io::ErrorKind::ConnectionAborted);
            return Poll::Ready(Some(Err(superseded.into())));
        }
        state.poll_rest(context)
    }

    fn is_end_stream(&self) -> bool {
        let rest_has_ended = || {
            let state = lock(&self.recording.state);
            state.rest.as_ref().is_none_or(Body::is_end_stream)
        };
        self.before.is_empty() && self.trailers_before.is_none() && rest_has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.recording.state);
        // Without a length in the request of the client there is none in that of the proxy.
        if !state.has_length {
            return SizeHint::default();
        }
        let rest = state
            .rest
            .as_ref()
            .map(Body::size_hint)
            .unwrap_or_else(|| SizeHint::with_exact(0));
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(rest + self.before.len() as u64),
            None => SizeHint::default(),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Some(attempt) => attempt.poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Attempt::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(attempt) => attempt.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// The client broke its body off, or the body cannot be read.
#[derive(Debug)]
pub(super) struct BrokenOff(BoxError);

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of the request broke off or cannot be read")
    }
}

impl std::error::Error for BrokenOff {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}
