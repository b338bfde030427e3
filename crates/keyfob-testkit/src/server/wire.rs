//! The socket under one connection, and the ways to break it.
//!
//! While hyper serves the connection, it owns the socket. A service that has to break the connection requests a [`Fault`] through
//! the [`Link`]. The connection's task then drops hyper's future, gets the socket back, and executes the fault on it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use crate::lock::lock;

/// A way to break a connection.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Ends it with a TCP RST.
    Reset,
    /// Ends it in order, with a FIN.
    Close,
    /// Writes bytes that are not HTTP, then ends it with a FIN.
    Raw(Bytes),
    /// Writes these bytes, then nothing until the client ends it.
    Stall(Bytes),
}

impl Fault {
    /// Executes the fault on the socket that was handed back.
    pub(crate) async fn break_connection(self, mut stream: TcpStream) {
        match self {
            // Dropping a socket with zero linger discards unsent data and sends a RST.
            Self::Reset => drop(stream.set_zero_linger()),
            Self::Close => close(stream).await,
            Self::Raw(bytes) => {
                if stream.write_all(&bytes).await.is_ok() {
                    close(stream).await;
                }
            }
            Self::Stall(bytes) => {
                if stream.write_all(&bytes).await.is_ok() {
                    drain(&mut stream).await;
                }
            }
        }
    }
}

/// Sends a FIN, and reads what still arrives.
///
/// Closing a socket with unread data would send a RST, which may discard the response at the client.
pub(crate) async fn close(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let _ = tokio::time::timeout(LINGER, drain(&mut stream)).await;
}

/// Reads until the client ends the connection.
async fn drain(stream: &mut TcpStream) {
    let mut discarded = vec![0; 16 * 1024];
    while matches!(stream.read(&mut discarded).await, Ok(1..)) {}
}

/// Lets a service request that its connection breaks.
#[derive(Debug, Default)]
pub(crate) struct Link {
    requests: Mutex<FaultRequests>,
    requested: Notify,
}

#[derive(Debug, Default)]
struct FaultRequests {
    now: Option<Fault>,
    once_flushed: Option<Fault>,
}

impl Link {
    /// Requests the fault at once; what was not yet written is lost.
    pub(crate) fn request(&self, fault: Fault) {
        lock(&self.requests).now = Some(fault);
        self.requested.notify_one();
    }

    /// Requests the fault for the time when everything before it is written.
    pub(crate) fn request_once_flushed(&self, fault: Fault) {
        lock(&self.requests).once_flushed = Some(fault);
    }

    /// Waits until a fault is requested.
    pub(crate) async fn requested(&self) -> Fault {
        loop {
            self.requested.notified().await;
            if let Some(fault) = lock(&self.requests).now.take() {
                return fault;
            }
        }
    }

    fn flushed(&self) {
        let fault = lock(&self.requests).once_flushed.take();
        if let Some(fault) = fault {
            self.request(fault);
        }
    }
}

/// The socket while hyper has it. Dropping this hands the socket back to the connection's task.
#[derive(Debug)]
pub(crate) struct Wire {
    loan: Option<(TcpStream, oneshot::Sender<TcpStream>)>,
    link: Arc<Link>,
}

impl Wire {
    pub(crate) fn lend(stream: TcpStream, link: Arc<Link>) -> (Self, oneshot::Receiver<TcpStream>) {
        let (owner, back) = oneshot::channel();
        let loan = Some((stream, owner));
        (Self { loan, link }, back)
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        let (stream, _) = self.loan.as_mut().expect("only drop ends the loan");
        Pin::new(stream)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some((stream, owner)) = self.loan.take() {
            let _ = owner.send(stream);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper calls this when its own buffer is empty, so everything up to here is written: the time to break the connection.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.stream().poll_flush(cx);
        if polled.is_ready() {
            self.link.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// How long a closed connection is still read.
const LINGER: Duration = Duration::from_secs(1);
