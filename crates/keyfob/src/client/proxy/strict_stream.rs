//! Refuses what a lenient parser of HTTP/1.1 would accept.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::proxy::request_reader::RequestReader;

/// A client's connection whose requests are read more strictly than `hyper` reads them.
///
/// Wrap the stream of each accepted connection with it, after TLS, and serve it with `hyper`. A request that two servers could
/// read in different ways gets the response 400, and the connection is closed: two lengths, a `Transfer-Encoding` other than
/// `chunked`, lines that do not end with CR and LF, folded lines, a fragment. HTTP/2 and upgraded connections pass as they are.
#[derive(Debug)]
pub struct StrictStream<S> {
    stream: S,
    reader: RequestReader,
    /// What ends a head that is refused, and was not read yet.
    end: &'static [u8],
}

impl<S> StrictStream<S> {
    /// Wraps a connection on which nothing was read yet.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            reader: RequestReader::new(),
            end: b"\r\n\r\n",
        }
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StrictStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.reader.has_refused() {
            // `hyper` looks at a head only when it seems to have ended. After this end, the connection has ended.
            let length = this.end.len().min(buffer.remaining());
            let (now, later) = this.end.split_at(length);
            buffer.put_slice(now);
            this.end = later;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let passed = this.reader.read(&mut buffer.filled_mut()[before..]);
        buffer.set_filled(before + passed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StrictStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.reader.observe_response(data);
        Pin::new(&mut this.stream).poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let first = data.iter().find(|part| !part.is_empty());
        this.reader.observe_response(first.map_or(&[], |part| part));
        Pin::new(&mut this.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
