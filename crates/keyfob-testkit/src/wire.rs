//! The socket under one connection, and the ways to break it.
//!
//! The HTTP machinery owns the socket while it works. A service that wants to break the connection orders a
//! [`Fault`] through the [`Link`]; the connection's task then drops the machinery, which hands the socket back, and
//! carries the fault out on the bare socket.

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
    /// Writes bytes that are no answer, then ends it with a FIN.
    Raw(Bytes),
}

impl Fault {
    /// Carries the fault out on the socket that was handed back.
    pub(crate) async fn break_connection(self, mut stream: TcpStream) {
        match self {
            // The socket is dropped with unsent data discarded: a RST.
            Self::Reset => drop(stream.set_zero_linger()),
            Self::Close => close(stream).await,
            Self::Raw(bytes) => {
                if stream.write_all(&bytes).await.is_ok() {
                    close(stream).await;
                }
            }
        }
    }
}

/// Sends a FIN, and reads what still comes.
///
/// Closing a socket with unread data would send a RST, which may overtake the answer.
pub(crate) async fn close(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut discarded = vec![0; 16 * 1024];
    let drained = async { while matches!(stream.read(&mut discarded).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(LINGER, drained).await;
}

/// Through which a service orders the connection's end.
#[derive(Debug, Default)]
pub(crate) struct Link {
    orders: Mutex<Orders>,
    ordered: Notify,
}

#[derive(Debug, Default)]
struct Orders {
    now: Option<Fault>,
    once_flushed: Option<Fault>,
}

impl Link {
    /// Orders the fault at once; what was not yet written is lost.
    pub(crate) fn order(&self, fault: Fault) {
        lock(&self.orders).now = Some(fault);
        self.ordered.notify_one();
    }

    /// Orders the fault for when everything before it was written.
    pub(crate) fn order_once_flushed(&self, fault: Fault) {
        lock(&self.orders).once_flushed = Some(fault);
    }

    /// Waits for an order.
    pub(crate) async fn ordered(&self) -> Fault {
        loop {
            self.ordered.notified().await;
            if let Some(fault) = lock(&self.orders).now.take() {
                return fault;
            }
        }
    }

    fn flushed(&self) {
        let fault = lock(&self.orders).once_flushed.take();
        if let Some(fault) = fault {
            self.order(fault);
        }
    }
}

/// A socket on loan; it goes back to its owner when this is dropped.
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

    /// Called by the HTTP machinery when its own buffer is empty: the moment to break what is complete up to here.
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

/// How long a closed connection is read on.
const LINGER: Duration = Duration::from_secs(1);
