//! A body that is read in pieces while it is sent.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{io, thread};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::commands::request::progress::Progress;

/// A body that is read in pieces while it is sent.
///
/// Its own thread reads it: a read of a pipe or a terminal may never return, and the program must be able to end without it.
pub(super) struct Streamed {
    pieces: Receiver<io::Result<Bytes>>,
    left: Option<u64>,
    progress: Progress,
}

impl Streamed {
    /// Streams a reader: `length` bytes if given, otherwise all.
    pub(super) fn new(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        match length {
            // A file that grows while it is sent must not exceed the announced length.
            Some(length) => thread::spawn(move || read(reader.take(length), &sender)),
            None => thread::spawn(move || read(reader, &sender)),
        };
        Self {
            pieces,
            left: length,
            progress: Progress::new(false),
        }
    }

    /// The same body; the progress shows how much of it was sent.
    pub(super) fn shown_by(self, progress: Progress) -> Self {
        progress.begin(0, self.left);
        Self { progress, ..self }
    }
}

fn read(mut reader: impl Read, sender: &Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(Bytes::copy_from_slice(&buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = piece.is_err();
        if sender.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        let Some(piece) = ready!(self.pieces.poll_recv(context)) else {
            let is_truncated = self.left.is_some();
            return Poll::Ready(is_truncated.then(|| Err(io::Error::other(TRUNCATED))));
        };
        if let Ok(piece) = &piece {
            self.progress.advance(piece.len());
        }
        if let (Some(left), Ok(piece)) = (&mut self.left, &piece) {
            *left -= piece.len() as u64;
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

const TRUNCATED: &str = "the file became shorter while it was sent";

const PIECE: usize = 64 * 1024;
const PIECES_AHEAD: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn polled(body: &mut Streamed) -> Option<io::Result<Bytes>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let next = std::future::poll_fn(|context| {
            http_body::Body::poll_frame(Pin::new(&mut *body), context)
        });
        let frame = runtime.block_on(next)?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[test]
    fn a_file_that_grows_is_sent_with_its_first_length() {
        let mut body = Streamed::new(&b"abcdef"[..], Some(3));
        assert_eq!(polled(&mut body).unwrap().unwrap(), "abc");
        assert!(polled(&mut body).is_none());
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let mut body = Streamed::new(&b"ab"[..], Some(3));
        assert_eq!(polled(&mut body).unwrap().unwrap(), "ab");
        assert!(polled(&mut body).unwrap().is_err());
    }
}
