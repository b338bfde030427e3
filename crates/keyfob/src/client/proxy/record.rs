//! What is known about a request, which is logged and counted when its response has ended.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::client::proxy::access_log::{AccessLog, Entry, method_text, path_text, time_text};
use crate::client::proxy::admission::refusal::Refusal;
use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::metrics::{Ended, InProgress, Metrics};
use crate::client::proxy::report::Report;
use crate::client::proxy::route::Route;
use crate::client::proxy::server::connection::Connection;
use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::BoxError;

/// A request in progress. Dropping it logs and counts it, also if its client has gone away before there was a response.
pub(crate) struct Record {
    pub(crate) client: Option<Arc<str>>,
    /// Why the request was not admitted.
    pub(crate) refusal: Option<Refusal>,
    metrics: Arc<Metrics>,
    log: Option<Logged>,
    begun: Duration,
    received: Option<Arc<AtomicU64>>,
    status: Option<StatusCode>,
    report: Report,
    sent: u64,
    end: End,
    _in_progress: InProgress,
}

/// What only the log needs.
struct Logged {
    log: Arc<AccessLog>,
    listener: Arc<str>,
    method: Method,
    path: String,
}

/// How the response ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client went away.
    Aborted,
    /// It is complete.
    Complete,
    /// The upstream broke off.
    Broken,
}

impl Record {
    pub(crate) fn new(
        metrics: &Arc<Metrics>,
        log: Option<Arc<AccessLog>>,
        connection: &Connection,
        head: &Parts,
    ) -> Self {
        Self {
            client: None,
            refusal: None,
            metrics: Arc::clone(metrics),
            log: log.map(|log| Logged {
                log,
                listener: Arc::clone(connection.listener()),
                method: head.method.clone(),
                path: head.uri.path().to_owned(),
            }),
            begun: SystemClock.elapsed(),
            received: None,
            status: None,
            report: Report::default(),
            sent: 0,
            end: End::Aborted,
            _in_progress: metrics.begin(),
        }
    }

    /// Records the route before there is a response: the client may go away first.
    pub(crate) fn on(&mut self, route: &Route) {
        self.report.route = Some(Arc::clone(route.shared_name()));
    }

    /// The response, with a body at whose end the request is logged.
    pub(crate) fn of(mut self, response: Response<ProxyBody>) -> Response<RecordedBody> {
        self.status = Some(response.status());
        if let Some(report) = response.extensions().get::<Report>() {
            self.report = report.clone();
        }
        // The body of a response to HEAD is not sent, and so is not read.
        let is_head = self
            .log
            .as_ref()
            .is_some_and(|log| log.method == Method::HEAD);
        if is_head || response.body().is_end_stream() {
            self.end = End::Complete;
        }
        response.map(|body| RecordedBody { body, record: self })
    }

    fn error(&self) -> Option<&'static str> {
        match self.end {
            End::Aborted => Some("aborted"),
            End::Broken => Some("broken"),
            End::Complete => self.refusal.map(Refusal::name).or(self.report.error_name()),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = SystemClock.elapsed().saturating_sub(self.begun);
        let received = self.received.as_ref();
        let received = received.map_or(0, |bytes| bytes.load(Ordering::Relaxed));
        self.metrics.ended(&Ended {
            status: self.status,
            report: &self.report,
            received,
            sent: self.sent,
            took,
        });
        let Some(logged) = &self.log else {
            return;
        };
        logged.log.write(&Entry {
            time: time_text(SystemClock.coarse_time().wall_time()),
            client: self.client.clone(),
            listener: &logged.listener,
            route: self.report.route(),
            method: method_text(logged.method.as_str()),
            path: path_text(&logged.path),
            status: self.status.map(|status| status.as_u16()),
            retries: self.report.retries(),
            renewals: self.report.renewals(),
            bytes_in: received,
            bytes_out: self.sent,
            milliseconds: (took.as_secs_f64() * 1e6).round() / 1e3,
            error: self.error(),
        });
    }
}

/// A request body that counts its bytes.
pub(crate) struct CountedRequestBody {
    body: Incoming,
    received: Option<Arc<AtomicU64>>,
}

impl CountedRequestBody {
    pub(crate) fn new(body: Incoming, record: &mut Record) -> Self {
        // Most requests have no body, and need no counter.
        record.received = (!body.is_end_stream()).then(Arc::default);
        Self {
            body,
            received: record.received.clone(),
        }
    }
}

impl Body for CountedRequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let (Some(Ok(frame)), Some(received)) = (&frame, &self.received)
            && let Some(data) = frame.data_ref()
        {
            received.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body whose end is recorded.
pub(crate) struct RecordedBody {
    body: ProxyBody,
    record: Record,
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            None => self.record.end = End::Complete,
            Some(Err(_)) => self.record.end = End::Broken,
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.record.sent += length as u64;
                // A server stops reading a body whose length it knows.
                if self.body.is_end_stream() {
                    self.record.end = End::Complete;
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
