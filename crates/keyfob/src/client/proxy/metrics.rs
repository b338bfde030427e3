//! What a proxy counts, and the text of it for Prometheus (P7).
//!
//! Labels are names of routes and listeners, classes of statuses and reasons of refusals. So their number is bounded, and no client
//! can make new ones.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use crate::cache::status::Status;
use crate::client::proxy::admission::refusal::Refusal;
use crate::client::proxy::proxy::Proxy;
use crate::client::proxy::report::Report;
use crate::pool::pool::PoolStatus;
use crate::runtime::lock::{Mutex, lock};

/// The counters of a proxy, which all its listeners share.
#[derive(Debug, Default)]
pub struct Metrics {
    routes: Mutex<BTreeMap<Arc<str>, Arc<RouteCounters>>>,
    listeners: Mutex<BTreeMap<Arc<str>, Arc<ListenerCounters>>>,
    refused: [AtomicU64; Refusal::ALL.len()],
    in_flight: AtomicU64,
}

/// The counters of one route.
#[derive(Debug, Default)]
pub(crate) struct RouteCounters {
    /// By the first digit of the status, from 1 to 5.
    by_class: [AtomicU64; 5],
    /// Requests whose client went away before there was a status.
    aborted: AtomicU64,
    retries: AtomicU64,
    renewals: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    /// In microseconds.
    time: AtomicU64,
}

#[derive(Debug, Default)]
struct ListenerCounters {
    open: AtomicU64,
    total: AtomicU64,
}

/// A connection that is counted as open.
pub(crate) struct OpenConnection(Arc<ListenerCounters>);

/// A request that is counted as in progress.
pub(crate) struct InProgress(Arc<Metrics>);

/// How a request ended.
pub(crate) struct Ended<'a> {
    pub(crate) status: Option<StatusCode>,
    pub(crate) report: &'a Report,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) took: Duration,
}

impl Metrics {
    pub(crate) fn open_connection(&self, listener: &Arc<str>) -> OpenConnection {
        let counters = Arc::clone(
            lock(&self.listeners)
                .entry(Arc::clone(listener))
                .or_default(),
        );
        counters.open.fetch_add(1, Ordering::Relaxed);
        counters.total.fetch_add(1, Ordering::Relaxed);
        OpenConnection(counters)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InProgress {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InProgress(Arc::clone(self))
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        let index = Refusal::ALL.iter().position(|other| *other == refusal);
        add(&self.refused[index.unwrap_or_default()], 1);
    }

    /// Counts a request of a route that exists.
    pub(crate) fn ended(&self, request: &Ended<'_>) {
        if let Some(name) = request.report.route() {
            let mut routes = lock(&self.routes);
            let counters = match routes.get(name) {
                Some(counters) => Arc::clone(counters),
                None => Arc::clone(routes.entry(name.into()).or_default()),
            };
            drop(routes);
            counters.count(request);
        }
    }

    /// All of it, and the tokens of the routes, in the text format of Prometheus.
    #[must_use]
    pub fn text(&self, proxy: &Proxy, lost_lines: u64) -> String {
        let mut text = Text::default();
        let routes = lock(&self.routes).clone();
        text.family(
            "keyfob_proxy_requests_total",
            "counter",
            "Requests, by the class of their status.",
        );
        for (name, counters) in &routes {
            for (class, count) in (1..).zip(&counters.by_class) {
                let class = format!("{class}xx");
                text.line(&[("route", name), ("status", &class)], read(count));
            }
            text.line(
                &[("route", name), ("status", "aborted")],
                read(&counters.aborted),
            );
        }
        let families: [Family<'_>; 4] = [
            (
                "keyfob_proxy_retries_total",
                "Requests that were sent again after a failure.",
                |route| &route.retries,
            ),
            (
                "keyfob_proxy_rejected_tokens_total",
                "Renewals because the upstream rejected a token.",
                |route| &route.renewals,
            ),
            (
                "keyfob_proxy_received_bytes_total",
                "Bytes of request bodies.",
                |route| &route.received,
            ),
            (
                "keyfob_proxy_sent_bytes_total",
                "Bytes of response bodies.",
                |route| &route.sent,
            ),
        ];
        for (family, help, counter) in families {
            text.family(family, "counter", help);
            for (name, counters) in &routes {
                text.line(&[("route", name)], read(counter(counters)));
            }
        }
        text.family(
            "keyfob_proxy_request_seconds_total",
            "counter",
            "The time of all requests, up to the end of their responses.",
        );
        for (name, counters) in &routes {
            text.line(&[("route", name)], read(&counters.time) / 1e6);
        }
        text.family(
            "keyfob_proxy_requests_in_flight",
            "gauge",
            "Requests in progress.",
        );
        text.line(&[], read(&self.in_flight));
        text.family(
            "keyfob_proxy_refused_total",
            "counter",
            "Requests that were not admitted.",
        );
        for (refusal, count) in Refusal::ALL.iter().zip(&self.refused) {
            text.line(&[("reason", refusal.name())], read(count));
        }
        let listeners = lock(&self.listeners).clone();
        text.family("keyfob_proxy_connections", "gauge", "Open connections.");
        for (name, counters) in &listeners {
            text.line(&[("listener", name)], read(&counters.open));
        }
        text.family(
            "keyfob_proxy_connections_total",
            "counter",
            "Connections that were accepted.",
        );
        for (name, counters) in &listeners {
            text.line(&[("listener", name)], read(&counters.total));
        }
        text.family(
            "keyfob_proxy_lost_log_lines_total",
            "counter",
            "Lines of the access log that were dropped.",
        );
        text.line(&[], lost_lines as f64);
        text.tokens(proxy);
        text.pools(proxy);
        text.0
    }
}

/// A name, a kind, a help text, and the value for the token or the pool of a route.
type StatusFamily<'a, S> = (&'a str, &'a str, &'a str, fn(&S) -> Option<f64>);

/// A name, a help text, and which counter of a route it is.
type Family<'a> = (&'a str, &'a str, fn(&RouteCounters) -> &AtomicU64);

impl RouteCounters {
    fn count(&self, request: &Ended<'_>) {
        let class = request
            .status
            .map(|status| usize::from(status.as_u16() / 100));
        let counter = class.and_then(|class| self.by_class.get(class.checked_sub(1)?));
        add(counter.unwrap_or(&self.aborted), 1);
        add(&self.retries, request.report.retries().into());
        add(&self.renewals, request.report.renewals().into());
        add(&self.received, request.received);
        add(&self.sent, request.sent);
        add(
            &self.time,
            u64::try_from(request.took.as_micros()).unwrap_or_default(),
        );
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Text in the format of Prometheus.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A line of the last family.
    fn line(&mut self, labels: &[(&str, &str)], value: f64) {
        let (_, family) = self.0.rsplit_once("# TYPE ").unwrap_or_default();
        let name = family.split(' ').next().unwrap_or_default().to_owned();
        let labels: Vec<_> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn tokens(&mut self, proxy: &Proxy) {
        let routes = proxy.routes().filter(|route| route.pool().is_none());
        let statuses: Vec<_> = routes
            .map(|route| (route.name(), route.tokens().status()))
            .collect();
        self.families(
            &statuses,
            [
                (
                    "keyfob_proxy_token_valid",
                    "gauge",
                    "1 if there is a token that does not expire within its leeway.",
                    |status| Some(f64::from(u8::from(status.authenticated))),
                ),
                (
                    "keyfob_proxy_token_age_seconds",
                    "gauge",
                    "The time since the token was asked for.",
                    |status| status.age.map(|age| age.as_secs_f64()),
                ),
                (
                    "keyfob_proxy_token_expires_in_seconds",
                    "gauge",
                    "The time until the token expires.",
                    |status| status.expires_in.map(|left| left.as_secs_f64()),
                ),
                (
                    "keyfob_proxy_token_renewals_total",
                    "counter",
                    "Renewals that gave a token.",
                    |status| Some(status.renewals as f64),
                ),
                (
                    "keyfob_proxy_token_renewal_failures_total",
                    "counter",
                    "Renewals that failed.",
                    |status: &Status| Some(status.failures as f64),
                ),
            ],
        );
    }

    /// The pools of routes with a token for each of many, without a label for any of these.
    fn pools(&mut self, proxy: &Proxy) {
        let routes = proxy.routes();
        let statuses: Vec<_> = routes
            .filter_map(|route| Some((route.name(), route.pool()?.status())))
            .collect();
        if statuses.is_empty() {
            return;
        }
        self.families(
            &statuses,
            [
                (
                    "keyfob_proxy_pool_entries",
                    "gauge",
                    "The subjects whose tokens are in the pool of the route.",
                    |status| Some(status.entries as f64),
                ),
                (
                    "keyfob_proxy_pool_evictions_total",
                    "counter",
                    "Subjects that were evicted.",
                    |status| Some(status.evicted as f64),
                ),
                (
                    "keyfob_proxy_pool_fetches_in_flight",
                    "gauge",
                    "Fetches that run.",
                    |status| Some(status.fetching as f64),
                ),
                (
                    "keyfob_proxy_pool_queued_fetches",
                    "gauge",
                    "Fetches that wait for others.",
                    |status: &PoolStatus| Some(status.queued as f64),
                ),
            ],
        );
    }

    fn families<S, const N: usize>(
        &mut self,
        statuses: &[(&str, S)],
        families: [StatusFamily<'_, S>; N],
    ) {
        for (family, kind, help, value) in families {
            self.family(family, kind, help);
            for (route, status) in statuses {
                if let Some(value) = value(status) {
                    self.line(&[("route", route)], value);
                }
            }
        }
    }
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}
