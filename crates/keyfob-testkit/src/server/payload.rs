//! The body of a response as it is sent: whole, slowly, streamed, or truncated.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::server::http_response::{Content, Cut, Framing, HttpResponse, Pace};
use crate::server::wire::{Fault, Link};

/// How a cut reaches the client.
#[derive(Clone, Debug)]
pub(crate) enum Carrier {
    /// The connection carries one response at a time: the cut breaks the connection.
    Connection(Arc<Link>),
    /// The connection carries many streams: the cut resets one of them.
    Stream,
}

/// The body of a response as it is sent.
#[derive(Debug)]
pub(crate) struct Payload {
    content: Content,
    framing: Framing,
    pace: Option<Pace>,
    pause: Option<Pin<Box<Sleep>>>,
    cut: Option<Cut>,
    carrier: Carrier,
}

impl Payload {
    pub(crate) fn new(response: HttpResponse, carrier: Carrier) -> Self {
        Self {
            content: response.content,
            framing: response.framing,
            pace: response.pace,
            pause: None,
            cut: response.cut,
            carrier,
        }
    }

    /// How many bytes the next piece may have at most.
    fn room(&self) -> u64 {
        let piece = self.pace.map_or(PIECE.len(), |pace| pace.chunk) as u64;
        let until_cut = self.cut.as_ref().map_or(u64::MAX, |cut| cut.bytes);
        piece.min(until_cut)
    }

    fn break_off(
        &mut self,
        fault: Fault,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &self.carrier {
            Carrier::Connection(link) => {
                link.request_once_flushed(fault);
                Poll::Pending
            }
            Carrier::Stream => {
                // The reset of a stream discards what is queued for it, and hyper does not report when the queue is empty.
                let pause = || Box::pin(tokio::time::sleep(STREAM_PAUSE));
                let pause = self.pause.get_or_insert_with(pause);
                ready!(pause.as_mut().poll(cx));
                let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "cut as scripted");
                Poll::Ready(Some(Err(cut)))
            }
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(Cut { bytes: 0, fault }) = &self.cut {
            let fault = fault.clone();
            return self.break_off(fault, cx);
        }
        if self.content.length() == 0 {
            return Poll::Ready(None);
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let room = self.room();
        let piece = self.content.take(room);
        if let Some(cut) = &mut self.cut {
            cut.bytes -= piece.len() as u64;
        }
        if let Some(pace) = self.pace {
            self.pause = Some(Box::pin(tokio::time::sleep(pace.interval)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.length() == 0 && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length => SizeHint::with_exact(self.content.length()),
            Framing::Chunked => SizeHint::new(),
        }
    }
}

impl Content {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(left) => *left,
        }
    }

    fn take(&mut self, room: u64) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.split_to(shorter(bytes.len(), room)),
            Self::Zeros(left) => {
                let length = shorter(PIECE.len(), room.min(*left));
                *left -= length as u64;
                Bytes::from_static(&PIECE[..length])
            }
        }
    }
}

fn shorter(length: usize, room: u64) -> usize {
    usize::try_from(room).map_or(length, |room| length.min(room))
}

/// How long a truncated stream waits until its last bytes are sent.
const STREAM_PAUSE: Duration = Duration::from_millis(20);

/// The largest piece of a body. Bodies of zeros are slices of it.
static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];
