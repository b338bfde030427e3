//! A small protected API: it requires a valid bearer token, and can fail as scripted.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::lock::lock;
use crate::server::expect::Expect;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;
use crate::server::server::{Server, ServerBuilder};

/// A small protected API.
///
/// The response to every path and method is 200 and a small JSON document, if `Authorization: Bearer` has a valid token of the
/// [`Issuer`]. Otherwise it is 401 with `WWW-Authenticate: Bearer`, and with `error="invalid_token"` if there was a token
/// ([RFC 6750 section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3)).
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::{ScriptedResponse, Api, TokenEndpoint};
///
/// let endpoint = TokenEndpoint::start();
/// let api = Api::start(endpoint.issuer().clone());
/// api.every(100, ScriptedResponse::unavailable());
/// endpoint.issuer().revoke_after(Duration::from_secs(5));
/// // … a client works with `api.url_for("/things")` and `endpoint.url()` …
/// assert_eq!(api.count(401), 0);
/// ```
#[derive(Debug)]
pub struct Api {
    server: Server,
    state: Arc<ApiState>,
}

impl Api {
    /// How many requests the underlying server keeps by default.
    pub const REQUEST_LIMIT: usize = 256;

    /// Starts an API that checks tokens with this issuer.
    #[must_use]
    pub fn start(issuer: Issuer) -> Self {
        Self::start_on(Server::builder().request_limit(Self::REQUEST_LIMIT), issuer)
    }

    /// Starts an API on a server with these settings.
    #[must_use]
    pub fn start_on(server: ServerBuilder, issuer: Issuer) -> Self {
        let state = Arc::new(ApiState {
            issuer,
            plan: Mutex::default(),
            tally: Mutex::default(),
        });
        let server = server.start();
        let responder = Arc::clone(&state);
        server.expect(Expect::any().respond_with(move |received| responder.respond(received)));
        Self { server, state }
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The URL of a path (and query) that starts with `/`.
    #[must_use]
    pub fn url_for(&self, path: &str) -> String {
        self.server.url_for(path)
    }

    /// The issuer that knows which tokens are valid.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.state.issuer
    }

    /// The underlying server, which has the received requests.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Responds to the next request with this, whatever its token is, after the requests that have a response already.
    pub fn next(&self, response: ScriptedResponse) -> &Self {
        lock(&self.state.plan).next.push_back(response);
        self
    }

    /// Responds to every `n`th request with this, whatever its token is. If several rules apply, the first one counts.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    pub fn every(&self, n: u64, response: ScriptedResponse) -> &Self {
        assert!(n > 0, "there is no 0th request");
        lock(&self.state.plan).every.push((n, response));
        self
    }

    /// Responds to requests that have a valid token with the result of this closure.
    pub fn respond_with(
        &self,
        respond: impl Fn(&Received) -> ScriptedResponse + Send + Sync + 'static,
    ) -> &Self {
        lock(&self.state.plan).respond = Some(Arc::new(respond));
        self
    }

    /// How many requests got a response or a fault so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        lock(&self.state.tally).requests
    }

    /// How many requests got a response with this status.
    #[must_use]
    pub fn count(&self, status: u16) -> u64 {
        let tally = lock(&self.state.tally);
        tally.by_status.get(&status).copied().unwrap_or(0)
    }

    /// How many requests got a response, by status.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<u16, u64> {
        lock(&self.state.tally).by_status.clone()
    }

    /// How many requests got a fault instead of a response.
    #[must_use]
    pub fn faults(&self) -> u64 {
        let tally = lock(&self.state.tally);
        tally.requests - tally.by_status.values().sum::<u64>()
    }
}

/// The issuer, the scripted responses, and the counts.
#[derive(Debug)]
struct ApiState {
    issuer: Issuer,
    plan: Mutex<Plan>,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Plan {
    requests: u64,
    next: VecDeque<ScriptedResponse>,
    every: Vec<(u64, ScriptedResponse)>,
    respond: Option<Respond>,
}

type Respond = Arc<dyn Fn(&Received) -> ScriptedResponse + Send + Sync>;

#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    by_status: BTreeMap<u16, u64>,
}

impl ApiState {
    fn respond(&self, received: &Received) -> ScriptedResponse {
        let response = self.decide(received);
        let mut tally = lock(&self.tally);
        tally.requests += 1;
        if let Some(status) = response.status_code() {
            *tally.by_status.entry(status).or_default() += 1;
        }
        response
    }

    fn decide(&self, received: &Received) -> ScriptedResponse {
        let (request, respond) = {
            let mut plan = lock(&self.plan);
            plan.requests += 1;
            if let Some(response) = plan.planned() {
                return response;
            }
            (plan.requests, plan.respond.clone())
        };
        let Some(token) = received.bearer() else {
            return ScriptedResponse::unauthorized("Bearer");
        };
        if !self.issuer.is_valid(token) {
            return ScriptedResponse::unauthorized("Bearer error=\"invalid_token\"");
        }
        match respond {
            Some(respond) => respond(received),
            None => ScriptedResponse::json(json!({"request": request, "path": received.path})),
        }
    }
}

impl Plan {
    /// The scripted response to this request, if there is one.
    fn planned(&mut self) -> Option<ScriptedResponse> {
        if let Some(response) = self.next.pop_front() {
            return Some(response);
        }
        let due = |(n, _): &&(u64, ScriptedResponse)| self.requests.is_multiple_of(*n);
        self.every
            .iter()
            .find(due)
            .map(|(_, response)| response.clone())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("requests", &self.requests)
            .field("next", &self.next)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}
