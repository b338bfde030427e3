//! The middleware: a credential on every request of a `reqwest-middleware` client.
//!
//! For programs that already have such a client, with middlewares of their own. In other programs, prefer a session: it
//! sends plain http to this machine past every proxy.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Extensions, HeaderName, HeaderValue, Method};
use reqwest::redirect::Policy;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use url::Url;

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::client::idle_timeout::Progress;
use crate::client::retry_loop;
use crate::client::retry_loop::Attempts;
use crate::client::session::http_client::{HttpRequest, Resendable, count_parts, drop_userinfo};
use crate::client::session::response_body::limit_body;
use crate::client::settings::{ClientRules, ClientSettings, settings_setters};
use crate::error::error::Error;
use crate::exchange::exchange::Exchange;
use crate::exchange::outcome::{Failure, Idempotency, Outcome, Replay};
use crate::exchange::proof::RequestProof;
use crate::exchange::redirect::{OnRedirect, Redirect};
use crate::exchange::reqwest_failure::classify;
use crate::exchange::retry::RetryPolicy;
use crate::origin::ca_file::client_not_made;
use crate::origin::loopback::{EnvironmentProxies, PinNames};
use crate::origin::origin::{LocalNames, Origin};

/// Puts a fresh token on the requests of a `reqwest-middleware` client.
///
/// It does what a session does: it renews the token after a 401, retries what is safe to retry, and follows redirects,
/// without the credential to another origin. Middlewares that are added after this one see each attempt. If another
/// middleware retries, add it before this one and set [`RetryPolicy::never`] here.
///
/// The client must not follow redirects itself: `reqwest` does so below all middlewares, with the header fields of the
/// request, and a credential in a field other than `Authorization` then goes to any host.
/// [`build`](AuthenticationMiddlewareBuilder::build) makes both together.
///
/// A middleware cannot choose another client for one request. So plain http to this machine is refused if a proxy of the
/// environment would get it, and the credential with it; see
/// [`client_uses_no_proxy`](AuthenticationMiddlewareBuilder::client_uses_no_proxy).
///
/// If a request is refused or there is no token, the error is
/// [`Middleware`](reqwest_middleware::Error::Middleware) with an [`Error`] inside, which [`Error::find`] finds. All other
/// errors are unchanged.
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
    rules: Arc<ClientRules>,
    redirects: u32,
}

impl AuthenticationMiddleware {
    /// Makes a builder, for settings of your own.
    pub fn builder(tokens: impl Into<TokenCache>) -> AuthenticationMiddlewareBuilder {
        AuthenticationMiddlewareBuilder::new(ClientSettings::new(tokens.into()))
    }

    /// Makes a builder of a middleware whose requests each carry the token of one key of a pool.
    ///
    /// The key is the [`PoolKey`](crate::pool::PoolKey) that the request was given `with_extension`. A request without one is
    /// not sent, and is an error (R2).
    #[cfg(feature = "pool")]
    pub fn of_pool(pool: &crate::pool::pool::TokenPool) -> AuthenticationMiddlewareBuilder {
        AuthenticationMiddlewareBuilder::new(
            ClientSettings::new(pool.without_key()).with_pool(pool),
        )
    }

    /// The token cache.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        self.rules.authenticator.tokens()
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
        let sent = self.send(request, extensions, next).await;
        sent.map_err(reqwest_middleware::Error::middleware)?
    }
}

/// Builds an [`AuthenticationMiddleware`] and its client with settings of your own.
#[must_use]
#[derive(Debug)]
pub struct AuthenticationMiddlewareBuilder {
    settings: ClientSettings,
    redirects: u32,
    uses_no_proxy: bool,
}

impl AuthenticationMiddlewareBuilder {
    /// The timeout of each attempt, unless [set](Self::timeout).
    pub const TIMEOUT: Duration = crate::exchange::outcome::DEFAULT_TIMEOUT;

    fn new(settings: ClientSettings) -> Self {
        Self {
            settings,
            redirects: Exchange::REDIRECTS,
            uses_no_proxy: false,
        }
    }

    settings_setters!();

    /// Sets how many redirects are followed; [`Session::REDIRECTS`](crate::Session::REDIRECTS) unless set.
    ///
    /// With zero, redirects are returned to the caller. A redirect to another origin carries no credential, and neither do
    /// those that follow it.
    pub fn redirects(mut self, redirects: u32) -> Self {
        self.redirects = redirects;
        self
    }

    /// Records that the client is built with `no_proxy`, so that it ignores the proxies of the environment.
    ///
    /// Without it, plain http to this machine is refused if a proxy of the environment would get it. A proxy that is set on
    /// the client cannot be seen: do not send plain http through one.
    pub fn client_uses_no_proxy(mut self) -> Self {
        self.uses_no_proxy = true;
        self
    }

    /// Makes the client and the middleware for it.
    ///
    /// Its [`timeout`](Self::timeout) sees each part of a streamed request body and of a response body that moves. A request
    /// body in memory counts as one part.
    ///
    /// The client's redirect policy is replaced by [`Policy::none`], because the middleware follows redirects. The names of
    /// this machine that the credential is bound to, and `localhost`, are resolved to loopback addresses.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if an origin is not an absolute http(s) one or the client cannot be
    /// made, and [`ErrorKind::Origin`](crate::ErrorKind::Origin) if there is none, or for plain http to another host than
    /// this one.
    pub fn build(
        mut self,
        client: reqwest::ClientBuilder,
    ) -> Result<(reqwest::Client, AuthenticationMiddleware), Error> {
        self.settings.origins.set_local_names(LocalNames::Bound);
        let middleware = self.build_for_client()?;
        let client = client
            .pin_names(middleware.rules.authenticator.origins())
            .redirect(Policy::none());
        let client = client.build().map_err(client_not_made)?;
        Ok((client, middleware))
    }

    /// Makes the middleware alone, for a client that follows no redirect.
    ///
    /// Build that client with [`Policy::none`]. **With any other policy, the credential may go to every host that the server
    /// names.** A middleware cannot see the policy of its client: a response from another origin is refused with an error,
    /// but the credential may already have gone there.
    ///
    /// Use the address 127.0.0.1 in place of `localhost`: it is not known to which address this client resolves that name,
    /// so plain http to it is refused.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_for_client(self) -> Result<AuthenticationMiddleware, Error> {
        let mut rules = self.settings.into_rules()?;
        if !self.uses_no_proxy && rules.authenticator.origins().allows_loopback_http() {
            rules.proxies = Some(EnvironmentProxies::read());
        }
        Ok(AuthenticationMiddleware {
            rules: Arc::new(rules),
            redirects: self.redirects,
        })
    }
}

impl AuthenticationMiddleware {
    async fn send(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<reqwest_middleware::Result<Response>, Error> {
        drop_userinfo(request.url_mut())?;
        let (rules, body) = (&*self.rules, request.replay());
        let idempotency = Idempotency::of(request.method(), request.headers());
        let exchange =
            rules
                .authenticator
                .begin(request.url(), &rules.policy, idempotency, body)?;
        let of_request = rules.authenticator_of(extensions)?;
        let authenticator = of_request.as_deref().unwrap_or(&rules.authenticator);
        let mut exchange = exchange.redirects(self.redirects);
        // A body in memory stays one, for a middleware below that sends it again.
        let progress = match body {
            Replay::Possible => None,
            Replay::Impossible => count_parts(&mut request),
        };
        let mut attempts = MiddlewareAttempts {
            rules,
            request: Resendable::new(Box::new(request), None),
            progress,
            was_redirected_below: false,
            extensions,
            next,
        };
        let result = retry_loop::run(authenticator, &mut exchange, None, &mut attempts).await;
        match result {
            Ok(response) => Ok(Ok(response)),
            Err(NoResponse::Error(error)) => Ok(Err(error)),
            Err(NoResponse::Refused(error)) => Err(error),
            Err(NoResponse::Stalled) => {
                let cause = io::Error::from(io::ErrorKind::TimedOut);
                let destination = attempts.request.destination();
                Err(Failure::Timeout.error(&destination).caused_by(cause))
            }
        }
    }
}

/// The attempts of one request over one client.
struct MiddlewareAttempts<'a> {
    rules: &'a ClientRules,
    request: Resendable<Request>,
    progress: Option<Progress>,
    was_redirected_below: bool,
    extensions: &'a mut Extensions,
    next: Next<'a>,
}

/// Why an attempt brought no response that the caller may have.
enum NoResponse {
    Error(reqwest_middleware::Error),
    /// The attempt was not sent (R2), or the client went to another origin.
    Refused(Error),
    Stalled,
}

impl Attempts for MiddlewareAttempts<'_> {
    type Response = Response;
    type Failure = NoResponse;

    async fn send(&mut self, lease: Option<&Lease>) -> Result<Response, NoResponse> {
        let attempt = self.request.authorized(self.rules, lease)?;
        // A timeout of the request itself bounds the whole attempt, and `reqwest` keeps it.
        let own_timeout = attempt.timeout().is_some();
        let response = self.next.clone().run(attempt, self.extensions);
        let response = match own_timeout {
            true => Some(response.await),
            false => {
                self.rules
                    .timeout
                    .wait(response, self.progress.as_ref())
                    .await
            }
        };
        let response = response
            .ok_or(NoResponse::Stalled)?
            .map_err(NoResponse::Error)?;
        self.was_redirected_below = self.is_redirected(response.url())?;
        Ok(match own_timeout {
            true => response,
            false => limit_body(response, &self.rules.timeout),
        })
    }

    fn outcome<'a>(&self, result: &'a Result<Response, NoResponse>) -> Outcome<'a> {
        match result {
            Ok(response) => Outcome::Response(response.status(), response.headers()),
            Err(NoResponse::Stalled) => Outcome::Failure(Failure::Timeout),
            Err(NoResponse::Error(reqwest_middleware::Error::Reqwest(error))) => {
                Outcome::Failure(classify(error))
            }
            Err(_) => Outcome::Failure(Failure::Final),
        }
    }

    fn url(&self) -> Cow<'_, str> {
        self.request.template().url().as_str().into()
    }

    fn on_redirect(&self) -> OnRedirect<'_> {
        self.request.on_redirect()
    }

    fn is_spent(&self) -> bool {
        self.was_redirected_below
    }

    fn redirect(&mut self, redirect: &Redirect, credential: &[(HeaderName, HeaderValue)]) {
        self.request.redirect(redirect, credential);
    }
}

impl MiddlewareAttempts<'_> {
    /// Whether the client below followed a redirect that may have changed the method.
    ///
    /// Fails if it followed one to another origin, which it must not.
    fn is_redirected(&self, from: &Url) -> Result<bool, Error> {
        // The URL that `reqwest` gives to a response that another middleware made up.
        const MADE_UP: &str = "no.url.provided.local";
        let (url, method) = (
            self.request.template().url(),
            self.request.template().method(),
        );
        if from.host_str() == Some(MADE_UP) || from == url {
            return Ok(false);
        }
        let origin = Origin::from_url(url)?;
        if Origin::from_url(from).is_ok_and(|other| other == origin) {
            // RFC 9110 §15.4: no redirect changes GET or HEAD.
            return Ok(!matches!(*method, Method::GET | Method::HEAD));
        }
        Err(Error::origin(format!(
            "the client followed a redirect away from {origin} and may have taken the credential along; \
             make it with `redirect::Policy::none`"
        )))
    }
}

impl From<Error> for NoResponse {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl fmt::Debug for AuthenticationMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationMiddleware")
            .field("rules", &self.rules)
            .finish()
    }
}
