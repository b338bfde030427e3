//! How the tower layer sends a body again.
//!
//! The body of a service may be bytes in memory, or a stream that can be read only once. The user of the layer decides
//! which bodies can be sent again, with one of the three types here or with a closure. A body that cannot be sent again
//! is sent once, and never in part.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// How a body is sent again, if that is possible.
///
/// [`keep`](Self::keep) is called once for each request, before it is first sent. The trait is implemented for closures that
/// copy a body, or return `None` if that is impossible: `|body: &MyBody| body.try_clone()`.
pub trait ReplayBody<B> {
    /// What is kept of a body, from which it is made again.
    type Kept;

    /// Returns the body to send, and what is kept of it if it can be sent again in full.
    ///
    /// It may read the part of the body that is ready, and must not wait for more.
    fn keep(&self, body: B, context: &mut Context<'_>) -> (B, Option<Self::Kept>);

    /// Whether the body can still be made again in full; unless implemented, it always can.
    ///
    /// Called after each attempt. If it cannot, the request is not sent again, and the caller gets its response.
    fn is_possible(&self, kept: &Self::Kept) -> bool {
        let _ = kept;
        true
    }

    /// Makes the body again. Called once for each further attempt.
    ///
    /// `None` ends the request with an error.
    fn again(&self, kept: &Self::Kept) -> Option<B>;
}

impl<B, F> ReplayBody<B> for F
where
    F: Fn(&B) -> Option<B>,
{
    type Kept = B;

    fn keep(&self, body: B, _: &mut Context<'_>) -> (B, Option<B>) {
        let kept = self(&body);
        (body, kept)
    }

    fn again(&self, kept: &B) -> Option<B> {
        self(kept)
    }
}

/// Sends only requests without a body again. A layer does this unless set otherwise.
///
/// [`AuthenticationLayer`](crate::tower::AuthenticationLayer) has an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayEmpty;

impl<B: Body + Default> ReplayBody<B> for ReplayEmpty {
    type Kept = ();

    fn keep(&self, body: B, _: &mut Context<'_>) -> (B, Option<()>) {
        let empty = body.is_end_stream() && B::default().is_end_stream();
        (body, empty.then_some(()))
    }

    fn again(&self, (): &()) -> Option<B> {
        Some(B::default())
    }
}

/// Sends a clone of the body again, for types such as `Full<Bytes>`.
///
/// Not for a body whose clones share one stream: the second would lack the part that the first has read.
///
/// [`AuthenticationLayer`](crate::tower::AuthenticationLayer) has an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayCloned;

impl<B: Clone> ReplayBody<B> for ReplayCloned {
    type Kept = B;

    fn keep(&self, body: B, _: &mut Context<'_>) -> (B, Option<B>) {
        let kept = body.clone();
        (body, Some(kept))
    }

    fn again(&self, kept: &B) -> Option<B> {
        Some(kept.clone())
    }
}

/// Sends a boxed body again if it is small and complete at the start, such as that of a unary gRPC call.
///
/// It waits for nothing: a body that is still being written is sent once, beginning with the part that was already read.
/// `new` takes the function that turns a [`BufferedBody`] into the service's own type of body:
///
/// ```
/// # fn main() -> Result<(), keyfob::Error> {
/// use keyfob::EnvToken;
/// use keyfob::tower::{AuthenticationLayer, ReplayBuffered};
///
/// let layer = AuthenticationLayer::builder(EnvToken::new("API_TOKEN"))
///     .origin("https://grpc.example.com")
///     .replay(ReplayBuffered::new(tonic::body::Body::new))
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// The client's type is then `AuthenticationService<Channel, ReplayBuffered<tonic::body::Body>>`.
pub struct ReplayBuffered<B: Body> {
    rebuild: fn(BufferedBody<B>) -> B,
    limit: usize,
}

impl<B: Body> ReplayBuffered<B> {
    /// How many bytes of a body are kept at most, unless set: 64 KiB.
    pub const LIMIT: usize = 64 * 1024;

    /// Keeps bodies of up to [`LIMIT`](Self::LIMIT) bytes. `rebuild` makes the service's own type of body.
    pub fn new(rebuild: fn(BufferedBody<B>) -> B) -> Self {
        Self {
            rebuild,
            limit: Self::LIMIT,
        }
    }

    /// Sets how many bytes of a body are kept at most.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

impl<B: Body<Data = Bytes> + Unpin> ReplayBody<B> for ReplayBuffered<B> {
    type Kept = Kept;

    fn keep(&self, mut body: B, context: &mut Context<'_>) -> (B, Option<Kept>) {
        let hint = body.size_hint();
        let mut pieces = VecDeque::new();
        let mut room = self.limit;
        if hint.lower() > room as u64 {
            return (body, None);
        }
        loop {
            let piece = match Pin::new(&mut body).poll_frame(context) {
                Poll::Ready(None) => break,
                Poll::Ready(Some(frame)) => frame.map(Piece::from_frame),
                Poll::Pending if pieces.is_empty() => return (body, None),
                Poll::Pending => return (self.resume(pieces, body, hint), None),
            };
            let left = match &piece {
                Ok(piece) => room.checked_sub(piece.len()),
                Err(_) => None,
            };
            pieces.push_back(piece);
            match left {
                Some(left) => room = left,
                None => return (self.resume(pieces, body, hint), None),
            }
        }
        let kept = Kept {
            pieces: pieces.into_iter().flatten().collect(),
            hint,
        };
        (self.rebuild(&kept), Some(kept))
    }

    fn again(&self, kept: &Kept) -> Option<B> {
        Some(self.rebuild(kept))
    }
}

impl<B: Body> ReplayBuffered<B> {
    fn rebuild(&self, kept: &Kept) -> B {
        (self.rebuild)(BufferedBody {
            pieces: kept.pieces.iter().cloned().map(Ok).collect(),
            rest: None,
            promised: kept.hint.exact(),
        })
    }

    fn resume(&self, pieces: VecDeque<Result<Piece, B::Error>>, rest: B, hint: SizeHint) -> B {
        (self.rebuild)(BufferedBody {
            pieces,
            rest: Some(rest),
            promised: hint.exact(),
        })
    }
}

/// A body of which the first part, or all of it, is in memory.
///
/// It is the body of [`ReplayBuffered`](crate::tower::ReplayBuffered).
pub struct BufferedBody<B: Body> {
    pieces: VecDeque<Result<Piece, B::Error>>,
    rest: Option<B>,
    /// The length that is left, if the body declared one.
    promised: Option<u64>,
}

/// A whole body that was small enough.
pub struct Kept {
    pieces: Vec<Piece>,
    hint: SizeHint,
}

#[derive(Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Piece {
    fn from_frame(frame: Frame<Bytes>) -> Self {
        match frame.into_data() {
            Ok(data) => Self::Data(data),
            Err(other) => Self::Trailers(other.into_trailers().unwrap_or_default()),
        }
    }

    fn into_frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data),
            Self::Trailers(trailers) => Frame::trailers(trailers),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

/// Only the rest is ever pinned, and it is `Unpin` wherever this type is a body.
impl<B: Body + Unpin> Unpin for BufferedBody<B> {}

impl<B: Body<Data = Bytes> + Unpin> Body for BufferedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let Some(piece) = this.pieces.pop_front() else {
            return match &mut this.rest {
                Some(rest) => Pin::new(rest).poll_frame(context),
                None => Poll::Ready(None),
            };
        };
        if let (Some(promised), Ok(piece)) = (&mut this.promised, &piece) {
            *promised = promised.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(piece.map(Piece::into_frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.rest, self.promised) {
            (Some(rest), _) if self.pieces.is_empty() => rest.size_hint(),
            (_, Some(promised)) => SizeHint::with_exact(promised),
            // No length if the body declared none: with one, other header fields would be sent.
            (_, None) => SizeHint::default(),
        }
    }
}

impl<B: Body> Clone for ReplayBuffered<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Body> Copy for ReplayBuffered<B> {}

impl<B: Body> fmt::Debug for ReplayBuffered<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBuffered")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<B: Body> fmt::Debug for BufferedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedBody")
            .field("pieces", &self.pieces.len())
            .field("ends", &self.rest.is_none())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("pieces", &self.pieces.len())
            .finish_non_exhaustive()
    }
}
