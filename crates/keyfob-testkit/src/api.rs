//! A small protected API: it wants a valid bearer token, and can be made to misbehave.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::expect::Expect;
use crate::issuer::Issuer;
use crate::lock::lock;
use crate::received::Received;
use crate::response::ScriptedResponse;
use crate::server::{Server, ServerBuilder};

/// A small protected API.
///
/// Every path and method answers 200 with a little JSON, if `Authorization: Bearer` has a token that is valid to the
/// [`Issuer`]. Otherwise it answers 401 with `WWW-Authenticate: Bearer`, and `error="invalid_token"` if there was a
/// token (as [RFC 6750 section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3) has it).
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
    desk: Arc<Desk>,
}

impl Api {
    /// How many requests the server underneath keeps if nothing else is said.
    pub const KEPT: usize = 256;

    /// Starts an API that checks tokens with this issuer.
    #[must_use]
    pub fn start(issuer: Issuer) -> Self {
        Self::start_on(Server::builder().kept(Self::KEPT), issuer)
    }

    /// Starts an API on such a server.
    #[must_use]
    pub fn start_on(server: ServerBuilder, issuer: Issuer) -> Self {
        let desk = Arc::new(Desk {
            issuer,
            plan: Mutex::default(),
            tally: Mutex::default(),
        });
        let server = server.start();
        let behind = Arc::clone(&desk);
        server.expect(Expect::any().respond_with(move |received| behind.respond(received)));
        Self { server, desk }
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
        &self.desk.issuer
    }

    /// The server underneath, for what it received.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Answers the next request with this, token or not, after those that are answered already.
    pub fn next(&self, answer: ScriptedResponse) -> &Self {
        lock(&self.desk.plan).next.push_back(answer);
        self
    }

    /// Answers every `n`th request with this, token or not; of several rules, the first added that applies.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    pub fn every(&self, n: u64, answer: ScriptedResponse) -> &Self {
        assert!(n > 0, "there is no 0th request");
        lock(&self.desk.plan).every.push((n, answer));
        self
    }

    /// Answers requests that have a valid token with what this closure says.
    pub fn respond_with(
        &self,
        respond: impl Fn(&Received) -> ScriptedResponse + Send + Sync + 'static,
    ) -> &Self {
        lock(&self.desk.plan).respond = Some(Arc::new(respond));
        self
    }

    /// How many requests were answered so far, faults included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        lock(&self.desk.tally).requests
    }

    /// How many requests were answered with this status.
    #[must_use]
    pub fn count(&self, status: u16) -> u64 {
        let tally = lock(&self.desk.tally);
        tally.by_status.get(&status).copied().unwrap_or(0)
    }

    /// How many requests were answered with which status.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<u16, u64> {
        lock(&self.desk.tally).by_status.clone()
    }

    /// How many requests ended in a fault instead of an answer.
    #[must_use]
    pub fn faults(&self) -> u64 {
        let tally = lock(&self.desk.tally);
        tally.requests - tally.by_status.values().sum::<u64>()
    }
}

/// Where the requests are answered.
#[derive(Debug)]
struct Desk {
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

impl Desk {
    fn respond(&self, received: &Received) -> ScriptedResponse {
        let answer = self.decide(received);
        let mut tally = lock(&self.tally);
        tally.requests += 1;
        if let Some(status) = answer.status_code() {
            *tally.by_status.entry(status).or_default() += 1;
        }
        answer
    }

    fn decide(&self, received: &Received) -> ScriptedResponse {
        let (request, respond) = {
            let mut plan = lock(&self.plan);
            plan.requests += 1;
            if let Some(answer) = plan.planned() {
                return answer;
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
    /// What is answered to this request whatever it says.
    fn planned(&mut self) -> Option<ScriptedResponse> {
        if let Some(answer) = self.next.pop_front() {
            return Some(answer);
        }
        let due = |(n, _): &&(u64, ScriptedResponse)| self.requests.is_multiple_of(*n);
        self.every
            .iter()
            .find(due)
            .map(|(_, answer)| answer.clone())
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
