//! The blocking client of `reqwest` as a session uses it. Each read of a response has the timeout (R8).

use std::io::Read;
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use reqwest::Body;
use reqwest::blocking::{Client, ClientBuilder, Request, Response};
use url::Url;

use crate::client::idle_timeout::IdleTimeout;
use crate::client::session::http_client::{HttpClient, HttpRequest, http_request};
use crate::client::session::response_body::with_url;
use crate::exchange::outcome::Replay;
use crate::exchange::redirect::{Redirect, RedirectBody};
use crate::exchange::reqwest_failure::Fault;
use crate::origin::loopback::PinNames;

http_request!(Request);

impl PinNames for ClientBuilder {
    fn resolve_to(self, name: &str, addresses: &[SocketAddr]) -> Self {
        self.resolve_to_addrs(name, addresses)
    }
}

impl HttpClient for Client {
    type Request = Request;
    type Response = Response;

    /// Blocks the calling thread. The client has the timeout, unless the request has one of its own.
    async fn execute(&self, attempt: Request, _: Option<&IdleTimeout>) -> Result<Response, Fault> {
        let response = self.execute(attempt).map_err(Fault::Client)?;
        Ok(limit_reads(response))
    }

    fn head(response: &Response) -> (StatusCode, &HeaderMap) {
        (response.status(), response.headers())
    }
}

/// The same response, each of whose reads has the timeout, but not `bytes`, `text` and `json` as a whole.
///
/// In `reqwest`, the timeout of a blocking response bounds each `read`, but also a call that reads the whole body.
/// So this response reads from that one, and has no timeout itself.
fn limit_reads(mut response: Response) -> Response {
    if response.content_length() == Some(0) {
        return response;
    }
    let mut limited = http::Response::new(());
    *limited.status_mut() = response.status();
    *limited.version_mut() = response.version();
    *limited.headers_mut() = mem::take(response.headers_mut());
    *limited.extensions_mut() = mem::take(response.extensions_mut());
    let url = response.url().clone();
    let left = response.content_length();
    let body = Body::wrap(Reading { response, left });
    Response::from(with_url(limited.map(|()| body), url))
}

/// A body that blocks while it reads.
struct Reading {
    response: Response,
    /// The length that is left, if the response declares one.
    left: Option<u64>,
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        // The end is also read where the length is known, so that an error there is reported.
        let length = self.left.map_or(PART, |left| left.clamp(1, PART));
        let mut part = BytesMut::zeroed(length as usize);
        Poll::Ready(match self.response.read(&mut part) {
            Ok(0) => None,
            Ok(length) => {
                part.truncate(length);
                self.left = self.left.map(|left| left.saturating_sub(length as u64));
                Some(Ok(Frame::data(part.freeze())))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

const PART: u64 = 16 * 1024;
