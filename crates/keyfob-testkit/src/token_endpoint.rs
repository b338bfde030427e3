//! A scripted token endpoint: the part of an OAuth 2.0 server that a client asks for tokens.
//!
//! It answers in the words of [RFC 6749 section 5](https://www.rfc-editor.org/rfc/rfc6749#section-5) and takes any
//! grant type: it checks no client and no user. For anything else that an authorization server does, script a
//! [`Server`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Map, Value, json};

use crate::expect::Expect;
use crate::issuer::{Issued, Issuer};
use crate::lock::lock;
use crate::received::Received;
use crate::response::ScriptedResponse;
use crate::server::{Server, ServerBuilder};
use crate::token_response::{Kind, TokenResponse};

/// A scripted token endpoint.
///
/// Each request gets a new token of its [`Issuer`], unless something else was said with [`next`](Self::next) or
/// [`always`](Self::always). It behaves like a server, and fails no test by itself: look at [`calls`](Self::calls),
/// or script a [`Server`].
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
/// // … a client that asks `endpoint.url()` gets a 503, a refusal, then `token-1`, `token-2`, …
/// assert_eq!(endpoint.calls(), 0);
/// ```
#[derive(Debug)]
pub struct TokenEndpoint {
    server: Server,
    desk: Arc<Desk>,
}

impl TokenEndpoint {
    /// Starts an endpoint with an issuer of its own.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on(Server::builder(), Issuer::new())
    }

    /// Starts an endpoint on such a server, for this issuer.
    #[must_use]
    pub fn start_on(server: ServerBuilder, issuer: Issuer) -> Self {
        let desk = Arc::new(Desk {
            issuer,
            plan: Mutex::default(),
        });
        let server = server.start();
        let behind = Arc::clone(&desk);
        server.expect(Expect::path(PATH).respond_with(move |received| behind.respond(received)));
        server.expect(Expect::any().always(ScriptedResponse::status(404)));
        Self { server, desk }
    }

    /// The URL to ask for tokens.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url_for(PATH)
    }

    /// The issuer of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.desk.issuer
    }

    /// The server underneath, for what it received.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How many requests it has received, whatever the answers.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.server.calls()
    }

    /// Answers the next request with this, after those that are answered already.
    pub fn next(&self, answer: TokenResponse) -> &Self {
        lock(&self.desk.plan).next.push_back(answer);
        self
    }

    /// Answers every request with this that has no answer from [`next`](Self::next).
    pub fn always(&self, answer: TokenResponse) -> &Self {
        lock(&self.desk.plan).always = answer;
        self
    }

    /// Says which refresh tokens come with the tokens.
    pub fn set_refresh_tokens(&self, refresh_tokens: RefreshTokens) -> &Self {
        lock(&self.desk.plan).refresh_tokens = refresh_tokens;
        self
    }

    /// How often a refresh token was used that had been used up, beyond all grace.
    #[must_use]
    pub fn reuses(&self) -> u64 {
        lock(&self.desk.plan).reuses
    }

    /// How often a refresh token was used again within the grace.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        lock(&self.desk.plan).repeats
    }

    /// How often the refresh token was replaced.
    #[must_use]
    pub fn rotations(&self) -> u64 {
        lock(&self.desk.plan).rotations
    }

    /// The refresh token that is good now, if there are any; the first is good before it was handed out.
    #[must_use]
    pub fn refresh_token(&self) -> Option<String> {
        lock(&self.desk.plan).refresh_token()
    }
}

/// Which refresh tokens a [`TokenEndpoint`] hands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshTokens {
    /// It hands none out, and accepts any.
    #[default]
    None,
    /// It hands out `refresh-1` each time, and accepts no other.
    Kept,
    /// It hands out a new one each time, `refresh-2` first; that uses up the one before. `refresh-1` is good at the
    /// start. A used one is refused with `invalid_grant`.
    Rotated,
    /// As [`Rotated`](Self::Rotated), and whoever uses a used one is taken for a thief: no refresh token is good
    /// any more (RFC 9700 §4.14.2). So long after it was replaced, the last one is accepted again, and gives the one that
    /// replaced it once more.
    Guarded {
        /// How long the last one is accepted again.
        grace: Duration,
    },
}

/// Where the requests are answered.
#[derive(Debug)]
struct Desk {
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
}

impl Desk {
    fn respond(&self, received: &Received) -> ScriptedResponse {
        if received.method != Method::POST {
            return ScriptedResponse::status(405).header("allow", "POST");
        }
        let mut plan = lock(&self.plan);
        let next = plan.next.pop_front().unwrap_or_else(|| plan.always.clone());
        let mut answer = match next.kind {
            Kind::Other(answer) => *answer,
            Kind::Token | Kind::SameToken | Kind::Lost => {
                let refused = plan.refusal(received);
                refused.unwrap_or_else(|| self.token(&mut plan, received, &next))
            }
        };
        answer.delay += next.delay;
        answer.gate = next.gate.or(answer.gate);
        answer
    }

    fn token(
        &self,
        plan: &mut Plan,
        received: &Received,
        next: &TokenResponse,
    ) -> ScriptedResponse {
        let kind = &next.kind;
        let current = match kind {
            Kind::SameToken => self.issuer.current(),
            _ => None,
        };
        let issued = current.unwrap_or_else(|| self.issuer.issue());
        if plan.rotates() && !plan.is_repeat(received) {
            plan.rotations += 1;
            plan.rotated = Some(Instant::now());
        }
        if matches!(kind, Kind::Lost) {
            return ScriptedResponse::reset();
        }
        token_response(issued, plan.refresh_token(), next.fields.clone())
    }
}

impl Plan {
    fn refresh_token(&self) -> Option<String> {
        match self.refresh_tokens {
            RefreshTokens::None => None,
            RefreshTokens::Kept | RefreshTokens::Rotated | RefreshTokens::Guarded { .. } => {
                Some(format!("refresh-{}", self.rotations + 1))
            }
        }
    }

    fn rotates(&self) -> bool {
        matches!(
            self.refresh_tokens,
            RefreshTokens::Rotated | RefreshTokens::Guarded { .. }
        )
    }

    /// Whether the request uses the last refresh token again, as long as it may.
    fn is_repeat(&self, received: &Received) -> bool {
        let RefreshTokens::Guarded { grace } = self.refresh_tokens else {
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
        let good = self.refresh_token();
        if grant_type != "refresh_token" || good.is_none() {
            return None;
        }
        if self.reuses > 0 {
            return refuse("invalid_grant");
        }
        if received.form_value("refresh_token") == good {
            return None;
        }
        if self.is_repeat(received) {
            self.repeats += 1;
            return None;
        }
        if matches!(self.refresh_tokens, RefreshTokens::Guarded { .. }) {
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
