//! The bodies that pass through the proxy.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::client::proxy::hop_by_hop;
use crate::error::error::BoxError;

/// The body of a response: that of the upstream as it comes, or that of a problem.
///
/// It fails if the upstream's body breaks off. The server must then abort the connection, as `hyper` does.
pub struct ProxyBody(Content);

enum Content {
    Upstream(Incoming),
    Own(Full<Bytes>),
}

impl ProxyBody {
    pub(crate) fn own(text: impl Into<Bytes>) -> Self {
        Self(Content::Own(Full::new(text.into())))
    }

    pub(super) fn upstream(body: Incoming) -> Self {
        Self(Content::Upstream(body))
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Content::Upstream(body) => {
                let mut frame = ready!(Pin::new(body).poll_frame(context));
                if let Some(trailers) = trailers_of(&mut frame) {
                    hop_by_hop::remove_from_trailers(trailers);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Content::Own(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Upstream(body) => body.is_end_stream(),
            Content::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Upstream(body) => body.size_hint(),
            Content::Own(body) => body.size_hint(),
        }
    }
}

/// The trailers, if this part of a body is that.
pub(super) fn trailers_of<E>(
    frame: &mut Option<Result<Frame<Bytes>, E>>,
) -> Option<&mut HeaderMap> {
    match frame {
        Some(Ok(frame)) => frame.trailers_mut(),
        _ => None,
    }
}

impl fmt::Debug for ProxyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyBody").finish_non_exhaustive()
    }
}
