//! The middleware: a credential on every request of a `reqwest-middleware` client.
//!
//! For programs that have such a client already, with middlewares of their own. Others are better served by a session,
//! which retries, follows redirects and limits stalled bodies by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use reqwest::redirect::Policy;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use url::Url;

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::client::authenticator::Authenticator;
use crate::client::builder_setters::origin_setters;
#[cfg(feature = "oauth")]
use crate::client::dpop_setter::dpop_setter;
use crate::client::response_timeout::{Moved, UntilStalled};
use crate::client::retry_loop::{Attempts, conclude};
use crate::client::session::attempts::drop_userinfo;
use crate::client::session::send::{count_pieces, replay};
use crate::client::shared_timer::Alarm;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::exchange::{Failure, Idempotency, Outcome, Replay};
#[cfg(not(feature = "oauth"))]
use crate::exchange::no_dpop::{DpopProver, dpop_setter};
use crate::exchange::reqwest_failure::{Fault, classify};
use crate::exchange::retry::RetryPolicy;
#[cfg(feature = "oauth")]
use crate::oauth::dpop::DpopProver;
use crate::origin::builder::OriginsBuilder;
use crate::origin::origin::Origin;

/// Puts a fresh token on the requests of a `reqwest-middleware` client.
///
/// A 401 renews the token and is replayed once, if the body can be sent again. Nothing else is retried unless
/// [`retry`](AuthenticationMiddlewareBuilder::retry) asks for it. A middleware that retries belongs before this one, so
/// that each of its attempts is authorized anew.
///
/// `reqwest` follows redirects beneath all middlewares, with the request's own header fields: a credential in another
/// field than `Authorization` goes along to any host, and from the second hop on another host `Authorization` does too.
/// So the client must stop at a redirect to another origin, and [`build`](AuthenticationMiddlewareBuilder::build) makes
/// both together. The redirect itself is then what the caller gets.
///
/// Errors are [`Middleware`](reqwest_middleware::Error::Middleware) around an [`Error`] for what is refused and for a
/// missing token, and all others as they were.
///
/// ```
/// use keyfob::EnvToken;
/// use keyfob::middleware::AuthenticationMiddleware;
/// use reqwest_middleware::ClientBuilder;
///
/// let (client, authentication) = AuthenticationMiddleware::builder(EnvToken::new("API_TOKEN"))
///     .origin("https://api.example.com")
///     .build(reqwest::Client::builder())?;
/// let client = ClientBuilder::new(client).with(authentication).build();
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct AuthenticationMiddleware {
    shared: Arc<Shared>,
}

struct Shared {
    authenticator: Authenticator,
    policy: Arc<RetryPolicy>,
    alarm: Alarm,
}

impl AuthenticationMiddleware {
    /// A middleware and its client, with settings of your own.
    pub fn builder(tokens: impl Into<TokenCache>) -> AuthenticationMiddlewareBuilder {
        AuthenticationMiddlewareBuilder {
            tokens: tokens.into(),
            binding: OriginsBuilder::default(),
            prover: None,
            retry: RetryPolicy::never(),
            timeout: AuthenticationMiddlewareBuilder::TIMEOUT,
        }
    }

    /// Follows up to ten redirects to the origin that the request was for, and stops at any other.
    ///
    /// For a client that is made elsewhere; see [`AuthenticationMiddlewareBuilder::build_for_client`].
    #[must_use]
    pub fn redirect_policy() -> Policy {
        Policy::custom(|attempt| {
            let origin = |url| Origin::from_url(url).ok();
            let next = origin(attempt.url());
            if next.is_none() || next != attempt.previous().first().and_then(origin) {
                return attempt.stop();
            }
            Policy::default().redirect(attempt)
        })
    }

    /// The token cache.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        self.shared.authenticator.tokens()
    }
}

#[async_trait]
impl Middleware for AuthenticationMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let shared = &*self.shared;
        let sent = shared.send(request, extensions, next).await;
        sent.map_err(reqwest_middleware::Error::middleware)?
    }
}

/// Makes an [`AuthenticationMiddleware`] and its client with settings of your own.
#[must_use]
pub struct AuthenticationMiddlewareBuilder {
    tokens: TokenCache,
    binding: OriginsBuilder,
    prover: Option<DpopProver>,
    retry: RetryPolicy,
    timeout: Duration,
}

impl AuthenticationMiddlewareBuilder {
    /// How long an attempt may wait for the head of its answer while nothing moves, unless set.
    pub const TIMEOUT: Duration = Duration::from_secs(20);

    origin_setters!();
    dpop_setter!();

    /// Lets the credential go to any https origin that a request names; not together with [`origin`](Self::origin).
    ///
    /// Never to one that a redirect names.
    pub fn any_https_origin(mut self) -> Self {
        self.binding.allow_any_https();
        self
    }

    /// Retries failures as this policy says; unless set, only a 401 is sent again.
    ///
    /// Not together with another middleware that retries: their attempts would multiply.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long an attempt may wait for the head of its answer; [`TIMEOUT`](Self::TIMEOUT) unless set.
    ///
    /// It starts anew with each piece of a streamed body that is sent. A request's own `timeout` takes its place. How long
    /// the body of the answer may take is for the client's `read_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the client and the middleware for it.
    ///
    /// The client's redirect policy is replaced by [`AuthenticationMiddleware::redirect_policy`]; where possession is proved,
    /// by [`Policy::none`], because a proof is for one URL alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if an origin is not an absolute http(s) one or the client cannot be made, and
    /// [`ErrorKind::Origin`] if there is none, or for plain http to another host than this one.
    pub fn build(
        self,
        client: reqwest::ClientBuilder,
    ) -> Result<(reqwest::Client, AuthenticationMiddleware), Error> {
        // A proof is for one URL, and what the client sends to the next is not seen here.
        let redirects = match self.prover {
            Some(_) => Policy::none(),
            None => AuthenticationMiddleware::redirect_policy(),
        };
        let middleware = self.build_for_client()?;
        let client = client.redirect(redirects).build().map_err(|cause| {
            Error::input("the HTTP client cannot be made as it was set").caused_by(cause)
        })?;
        Ok((client, middleware))
    }

    /// Makes the middleware alone, for a client that follows no redirect to another origin.
    ///
    /// That is, one made with [`AuthenticationMiddleware::redirect_policy`] or [`Policy::none`]; **any other gives the
    /// credential to whomever the server names**. A middleware cannot see the policy of its client: an answer that came
    /// from another origin is refused with an error, but by then the credential may have gone there.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_for_client(self) -> Result<AuthenticationMiddleware, Error> {
        let origins = self.binding.into_origins()?;
        let alarm = Alarm::new(self.timeout, self.tokens.clock(), self.tokens.runtime());
        Ok(AuthenticationMiddleware {
            shared: Arc::new(Shared {
                authenticator: Authenticator::with_prover(self.tokens, origins, self.prover),
                // Middlewares made with one policy do not draw on one budget.
                policy: Arc::new(self.retry.with_own_budget()),
                alarm,
            }),
        })
    }
}

impl Shared {
    async fn send(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<reqwest_middleware::Result<Response>, Error> {
        drop_userinfo(request.url_mut())?;
        let origin = Origin::from_url(request.url())?;
        self.authenticator.origins().check(&origin)?;
        let destination = format!("{} {origin}", request.method());
        let body = replay(&request);
        // A body in memory stays one, for whoever sends it again beneath.
        let moved = match body {
            Replay::Possible => None,
            Replay::Impossible => count_pieces(&mut request),
        };
        let now = self.authenticator.clock().elapsed();
        let mut exchange = self.authenticator.exchange(
            Arc::clone(&self.policy),
            Idempotency::of(request.method(), request.headers()),
            body,
            now,
        );
        let mut attempts = Sends {
            shared: self,
            // A limit that the caller set is `reqwest`'s to keep, over the whole attempt.
            limit: request.timeout().is_none().then_some(&self.alarm),
            request: Some(request),
            moved,
            origin,
            extensions,
            next,
        };
        let max_wait = exchange.max_wait(now);
        let lease = self.authenticator.lease(max_wait).await?;
        let result = attempts.send(&lease).await;
        match conclude(&mut exchange, lease, &mut attempts, result).await {
            Ok(response) => Ok(Ok(response)),
            Err(NoAnswer::Error(error)) => Ok(Err(error)),
            Err(NoAnswer::Refused(error)) => Err(error),
            Err(NoAnswer::Stalled) => Err(Fault::Stalled.report(&destination)),
        }
    }
}

/// One request over one client.
struct Sends<'a> {
    shared: &'a Shared,
    /// What is sent next; `None` once a body that cannot be replayed has gone.
    request: Option<Request>,
    moved: Option<Moved>,
    limit: Option<&'a Alarm>,
    origin: Origin,
    extensions: &'a mut Extensions,
    next: Next<'a>,
}

/// Why an attempt brought nothing that the caller may have.
enum NoAnswer {
    Error(reqwest_middleware::Error),
    /// The client went to another origin, or there is no credential that may be sent.
    Refused(Error),
    Stalled,
}

impl Attempts for Sends<'_> {
    type Answer = Response;
    type Failure = NoAnswer;

    fn authenticator(&self) -> &Authenticator {
        &self.shared.authenticator
    }

    fn url(&self) -> String {
        self.origin.to_string()
    }

    async fn send(&mut self, lease: &Lease) -> Result<Response, NoAnswer> {
        let mut attempt = self
            .request
            .take()
            .expect("only what can be replayed is sent again");
        self.request = attempt.try_clone();
        let url = || attempt.url().as_str();
        let authenticator = &self.shared.authenticator;
        let credential = authenticator.credential(lease, attempt.method(), url);
        credential
            .map_err(NoAnswer::Refused)?
            .apply(attempt.headers_mut());
        let answer = self.next.clone().run(attempt, self.extensions);
        let answer = UntilStalled::new(answer, self.moved.clone(), self.limit).await;
        let response = answer.ok_or(NoAnswer::Stalled)?.map_err(NoAnswer::Error)?;
        refuse_stray(&self.origin, response.url())?;
        Ok(response)
    }

    fn outcome<'a>(&self, result: &'a Result<Response, NoAnswer>) -> Outcome<'a> {
        match result {
            Ok(response) => Outcome::Response(response.status(), response.headers()),
            Err(NoAnswer::Stalled) => Outcome::Failure(Failure::Timeout),
            Err(NoAnswer::Error(reqwest_middleware::Error::Reqwest(error))) => {
                Outcome::Failure(classify(error))
            }
            Err(_) => Outcome::Failure(Failure::Final),
        }
    }
}

/// Tells at the first redirect that the middleware is over a client that must not have it.
fn refuse_stray(origin: &Origin, answered: &Url) -> Result<(), NoAnswer> {
    // What `reqwest` says of an answer that another middleware made up.
    const MADE_UP: &str = "no.url.provided.local";
    if answered.host_str() == Some(MADE_UP)
        || Origin::from_url(answered).is_ok_and(|o| o == *origin)
    {
        return Ok(());
    }
    Err(NoAnswer::Refused(Error::new(
        ErrorKind::Origin,
        format!(
            "the client followed a redirect away from {origin} and may have taken the credential along; \
             make it with `AuthenticationMiddleware::redirect_policy`"
        ),
    )))
}

impl fmt::Debug for AuthenticationMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationMiddleware")
            .field("authenticator", &self.shared.authenticator)
            .field("policy", &self.shared.policy)
            .field("timeout", &self.shared.alarm.limit())
            .finish()
    }
}

impl fmt::Debug for AuthenticationMiddlewareBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationMiddlewareBuilder")
            .field("tokens", &self.tokens)
            .field("binding", &self.binding)
            .field("prover", &self.prover)
            .field("retry", &self.retry)
            .field("timeout", &self.timeout)
            .finish()
    }
}
