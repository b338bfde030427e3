//! A scripted token endpoint: the part of an OAuth 2.0 server that sends tokens to clients.
//!
//! Its responses follow [RFC 6749 section 5](https://www.rfc-editor.org/rfc/rfc6749#section-5). It accepts any grant type and
//! authenticates neither client nor user. For everything else that an authorization server does, script a [`Server`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Map, Value, json};

use crate::issuer::issuer::{Issued, Issuer};
use crate::issuer::token_response::{Kind, LossKind, TokenResponse};
use crate::lock::lock;
use crate::server::expect::Expect;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;
use crate::server::server::{Server, ServerBuilder};

/// A scripted token endpoint.
///
/// Each request gets a new token of its [`Issuer`], unless [`next`](Self::next) or [`always`](Self::always) sets another
/// response. The endpoint never fails a test by itself: check [`calls`](Self::calls), or script a [`Server`].
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::{ScriptedResponse, TokenResponse, TokenEndpoint};
///
/// let endpoint = TokenEndpoint::start();
/// endpoint.issuer().set_lifetime(Duration::from_secs(60));
/// endpoint.next(TokenResponse::other(ScriptedResponse::unavailable()));
/// endpoint.next(TokenResponse::error("invalid_grant"));
/// // … a client that posts to `endpoint.url()` gets a 503, an error response, then `token-1`, `token-2`, …
/// assert_eq!(endpoint.calls(), 0);
/// ```
#[derive(Debug)]
pub struct TokenEndpoint {
    server: Server,
    state: Arc<EndpointState>,
}

impl TokenEndpoint {
    /// Starts an endpoint with its own issuer.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on(Server::builder(), Issuer::new())
    }

    /// Starts an endpoint for this issuer, on a server with these settings.
    #[must_use]
    pub fn start_on(server: ServerBuilder, issuer: Issuer) -> Self {
        let state = Arc::new(EndpointState {
            issuer,
            plan: Mutex::default(),
        });
        let server = server.start();
        let responder = Arc::clone(&state);
        server.expect(Expect::path(PATH).respond_with(move |received| responder.respond(received)));
        server.expect(Expect::any().always(ScriptedResponse::status(404)));
        Self { server, state }
    }

    /// The URL of the token endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url_for(PATH)
    }

    /// The issuer of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.state.issuer
    }

    /// The underlying server, which has the received requests.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How many requests it has received.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.server.calls()
    }

    /// Responds to the next request with this, after the requests that have a response already.
    pub fn next(&self, response: TokenResponse) -> &Self {
        lock(&self.state.plan).next.push_back(response);
        self
    }

    /// Responds with this to every request that has no response from [`next`](Self::next).
    pub fn always(&self, response: TokenResponse) -> &Self {
        lock(&self.state.plan).always = response;
        self
    }

    /// Sets which refresh tokens come with the tokens.
    pub fn set_refresh_tokens(&self, refresh_tokens: RefreshTokens) -> &Self {
        lock(&self.state.plan).refresh_tokens = refresh_tokens;
        self
    }

    /// How often a used refresh token was used again after its grace period.
    #[must_use]
    pub fn reuses(&self) -> u64 {
        lock(&self.state.plan).reuses
    }

    /// How often a used refresh token was used again within its grace period.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        lock(&self.state.plan).repeats
    }

    /// How many responses with an issued token were lost, as [`lost_behind`](TokenResponse::lost_behind) and
    /// [`cut_after`](TokenResponse::cut_after) say.
    #[must_use]
    pub fn losses(&self) -> u64 {
        lock(&self.state.plan).losses
    }

    /// How often the refresh token was replaced.
    #[must_use]
    pub fn rotations(&self) -> u64 {
        lock(&self.state.plan).rotations
    }

    /// The refresh token that is valid now, if there are refresh tokens. The first one is valid before it was handed out.
    #[must_use]
    pub fn refresh_token(&self) -> Option<String> {
        lock(&self.state.plan).refresh_token()
    }
}

/// Which refresh tokens a [`TokenEndpoint`] hands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshTokens {
    /// The endpoint hands out none, and accepts any.
    #[default]
    None,
    /// The endpoint hands out `refresh-1` each time, and accepts no other.
    Fixed,
    /// The endpoint hands out a new one each time, which replaces the one before. `refresh-1` is valid at the start, and
    /// `refresh-2` is the first that is handed out. A replaced one is refused with `invalid_grant`.
    Rotating,
    /// Like [`Rotating`](Self::Rotating), with detection of reuse: after a replaced refresh token is used, none is valid
    /// any more (RFC 9700 §4.14.2). For a grace period after its replacement, the previous one is still accepted, and the
    /// response has the one that replaced it.
    DetectsReuse {
        /// How long the previous refresh token is still accepted.
        grace: Duration,
    },
}

/// The issuer, and the scripted responses.
#[derive(Debug)]
struct EndpointState {
    issuer: Issuer,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    next: VecDeque<TokenResponse>,
    always: TokenResponse,
    refresh_tokens: RefreshTokens,
    rotations: u64,
    rotated: Option<Instant>,
    reuses: u64,
    repeats: u64,
    losses: u64,
}

impl EndpointState {
    fn respond(&self, received: &Received) -> ScriptedResponse {
        if received.method != Method::POST {
            return ScriptedResponse::status(405).header("allow", "POST");
        }
        let mut plan = lock(&self.plan);
        let next = plan.next.pop_front().unwrap_or_else(|| plan.always.clone());
        let mut response = match next.kind {
            Kind::Other(response) => *response,
            Kind::Token | Kind::SameToken => {
                let refusal = plan.refusal(received);
                refusal.unwrap_or_else(|| self.token(&mut plan, received, &next))
            }
        };
        response.delay += next.delay;
        response.gate = next.gate.or(response.gate);
        response
    }

    fn token(
        &self,
        plan: &mut Plan,
        received: &Received,
        next: &TokenResponse,
    ) -> ScriptedResponse {
        let current = match next.kind {
            Kind::SameToken => self.issuer.current(),
            _ => None,
        };
        let issued = current.unwrap_or_else(|| self.issuer.issue());
        let is_repeat = plan.is_repeat(received);
        if plan.rotates() && !is_repeat {
            plan.rotations += 1;
            plan.rotated = Some(Instant::now());
        }
        let response = token_response(issued, plan.refresh_token(), next.fields.clone());
        let loss = next.loss.as_ref();
        match loss.filter(|loss| loss.also_if_repeated || !is_repeat) {
            Some(loss) => {
                plan.losses += 1;
                match &loss.how {
                    LossKind::Replaced(other) => (**other).clone(),
                    LossKind::CutAfter(bytes) => response.cut_after(*bytes),
                }
            }
            None => response,
        }
    }
}

impl Plan {
    fn refresh_token(&self) -> Option<String> {
        match self.refresh_tokens {
            RefreshTokens::None => None,
            RefreshTokens::Fixed | RefreshTokens::Rotating | RefreshTokens::DetectsReuse { .. } => {
                Some(format!("refresh-{}", self.rotations + 1))
            }
        }
    }

    fn rotates(&self) -> bool {
        matches!(
            self.refresh_tokens,
            RefreshTokens::Rotating | RefreshTokens::DetectsReuse { .. }
        )
    }

    /// Whether the request uses the previous refresh token within its grace period.
    fn is_repeat(&self, received: &Received) -> bool {
        let RefreshTokens::DetectsReuse { grace } = self.refresh_tokens else {
            return false;
        };
        let last = format!("refresh-{}", self.rotations);
        received.form_value("refresh_token") == Some(last)
            && self
                .rotated
                .is_some_and(|rotated| rotated.elapsed() < grace)
    }

    fn refusal(&mut self, received: &Received) -> Option<ScriptedResponse> {
        let refuse = |error| Some(ScriptedResponse::json(json!({"error": error})).with_status(400));
        let Some(grant_type) = received.form_value("grant_type") else {
            return refuse("invalid_request");
        };
        let valid = self.refresh_token();
        if grant_type != "refresh_token" || valid.is_none() {
            return None;
        }
        if self.reuses > 0 {
            return refuse("invalid_grant");
        }
        if received.form_value("refresh_token") == valid {
            return None;
        }
        if self.is_repeat(received) {
            self.repeats += 1;
            return None;
        }
        if matches!(self.refresh_tokens, RefreshTokens::DetectsReuse { .. }) {
            self.reuses += 1;
        }
        refuse("invalid_grant")
    }
}

/// The response of [RFC 6749 section 5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1).
fn token_response(
    issued: Issued,
    refresh: Option<String>,
    fields: Map<String, Value>,
) -> ScriptedResponse {
    let mut response = Map::new();
    response.insert("access_token".to_owned(), json!(issued.token));
    response.insert("token_type".to_owned(), json!("Bearer"));
    let seconds = issued.expires_in.map(|lifetime| lifetime.as_secs());
    response.insert("expires_in".to_owned(), json!(seconds));
    response.insert("refresh_token".to_owned(), json!(refresh));
    response.extend(fields);
    response.retain(|_, value| !value.is_null());
    ScriptedResponse::json(Value::Object(response))
        .header("cache-control", "no-store")
        .header("pragma", "no-cache")
}

const PATH: &str = "/token";
