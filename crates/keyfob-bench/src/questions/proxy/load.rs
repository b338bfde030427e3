//! Requests to a proxy: as fast as it responds, or at a fixed rate.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant as TokioInstant, sleep_until};

/// A client of a proxy: where it connects to, and the secret that it shows.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub path: &'static str,
    pub authorization: Option<HeaderValue>,
}

impl Client {
    pub fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::get(self.path)
            .version(Version::HTTP_11)
            .header(HOST, self.address.to_string())
            .body(Empty::new())
            .expect("a request");
        if let Some(authorization) = &self.authorization {
            request
                .headers_mut()
                .insert(AUTHORIZATION, authorization.clone());
        }
        request
    }

    pub async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.expect("a server");
        stream.set_nodelay(true).expect("an open connection");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        Connection(sender)
    }

    /// Sends this many requests, with this many in flight, each on a connection of its own.
    pub async fn send(&self, requests: usize, in_flight: usize) {
        let workers = (0..in_flight).map(|_| async {
            let mut connection = self.connect().await;
            for _ in 0..requests / in_flight {
                let status = connection.send(self.request()).await;
                assert_eq!(status, StatusCode::OK);
            }
        });
        join_all(workers).await;
    }

    /// Sends requests at this rate for this time. Returns how long each took. A request that a slow response before it held up
    /// counts from the moment at which it was due.
    pub async fn send_at(&self, per_second: u32, time: Duration) -> Vec<Duration> {
        let begin = TokioInstant::now() + Duration::from_millis(20);
        let workers = (0..CONNECTIONS).map(|worker| async move {
            let mut connection = self.connect().await;
            let mut times = Vec::new();
            for turn in 0.. {
                let place = turn * CONNECTIONS + worker;
                let due = begin + Duration::from_secs(1) * place / per_second;
                if due - begin > time {
                    return times;
                }
                // The timer is late by up to a millisecond, which is not the proxy's fault.
                let start = if TokioInstant::now() < due {
                    sleep_until(due).await;
                    TokioInstant::now()
                } else {
                    due
                };
                let status = connection.send(self.request()).await;
                assert_eq!(status, StatusCode::OK);
                times.push(start.elapsed());
            }
            times
        });
        join_all(workers).await.concat()
    }
}

/// An open connection.
pub struct Connection(SendRequest<Empty<Bytes>>);

impl Connection {
    /// Sends a request, and reads its response to the end.
    pub async fn send(&mut self, request: Request<Empty<Bytes>>) -> StatusCode {
        self.try_send(request).await.expect("a whole response")
    }

    /// As [`send`](Self::send); `None` if the connection breaks.
    pub async fn try_send(&mut self, request: Request<Empty<Bytes>>) -> Option<StatusCode> {
        self.0.ready().await.ok()?;
        let response = self.0.send_request(request).await.ok()?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.ok()?;
        }
        Some(status)
    }
}

/// The connections of a load at a fixed rate.
const CONNECTIONS: u32 = 32;
