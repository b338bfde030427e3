//! The middleware: a credential on every request of a `reqwest-middleware` client.
//!
//! For programs that already have such a client, with middlewares of their own. In other programs, prefer a session: it
//! also retries and follows redirects.

use std::borrow::Cow;
use std::fmt;
use std::io;
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
use crate::client::idle_timeout::Progress;
use crate::client::retry_loop;
use crate::client::retry_loop::Attempts;
use crate::client::session::http_client::{HttpRequest, count_parts, drop_userinfo};
use crate::client::session::response_body::limit_body;
use crate::client::settings::{ClientRules, ClientSettings, settings_setters};
use crate::error::error::Error;
use crate::exchange::outcome::{Failure, Idempotency, Outcome, Replay};
use crate::exchange::proof::RequestProof;
use crate::exchange::reqwest_failure::classify;
use crate::exchange::retry::RetryPolicy;
use crate::origin::origin::Origin;

/// Puts a fresh token on the requests of a `reqwest-middleware` client.
///
/// After a 401 the token is renewed and the request sent once more, if its body can be sent again. Nothing else is retried
/// unless [`retry`](AuthenticationMiddlewareBuilder::retry) is set. Add a middleware that retries before this one, so that
/// each of its attempts is authorized anew.
///
/// `reqwest` follows redirects below all middlewares, with the header fields of the request: a credential in a field other
/// than `Authorization` then goes to any host, and after the second redirect `Authorization` can too. So the client must
/// stop at a redirect to another origin, and [`build`](AuthenticationMiddlewareBuilder::build) makes both together. The
/// caller then gets the redirect.
///
/// If a request is refused or there is no token, the error is
/// [`Middleware`](reqwest_middleware::Error::Middleware) with an [`Error`] inside. All other errors are unchanged.
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
}

impl AuthenticationMiddleware {
    /// Makes a builder, for settings of your own.
    pub fn builder(tokens: impl Into<TokenCache>) -> AuthenticationMiddlewareBuilder {
        AuthenticationMiddlewareBuilder {
            settings: ClientSettings {
                retry: RetryPolicy::never(),
                ..ClientSettings::new(tokens.into())
            },
        }
    }

    /// A redirect policy that follows up to ten redirects to the origin of the request, and stops at any other.
    ///
    /// For a client that is built elsewhere; see [`AuthenticationMiddlewareBuilder::build_for_client`].
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
}

impl AuthenticationMiddlewareBuilder {
    /// The timeout of each attempt, unless [set](Self::timeout).
    pub const TIMEOUT: Duration = crate::exchange::outcome::DEFAULT_TIMEOUT;

    settings_setters!();

    /// Makes the client and the middleware for it.
    ///
    /// Its [`timeout`](Self::timeout) sees each part of a streamed request body and of a response body that moves. A request
    /// body in memory counts as one part.
    ///
    /// The client's redirect policy is replaced by [`AuthenticationMiddleware::redirect_policy`]. If possession is proved, it
    /// is replaced by [`Policy::none`], because a proof is valid for one URL only.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if an origin is not an absolute http(s) one or the client cannot be
    /// made, and [`ErrorKind::Origin`](crate::ErrorKind::Origin) if there is none, or for plain http to another host than
    /// this one.
    pub fn build(
        self,
        client: reqwest::ClientBuilder,
    ) -> Result<(reqwest::Client, AuthenticationMiddleware), Error> {
        // A proof is valid for one URL, and the middleware does not see what the client sends to the next.
        let redirects = match self.settings.proof {
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
    /// Build that client with [`AuthenticationMiddleware::redirect_policy`] or [`Policy::none`]. **With any other policy, the
    /// credential goes to every host that the server names.** A middleware cannot see the policy of its client: a response
    /// from another origin is refused with an error, but the credential may already have gone there.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_for_client(self) -> Result<AuthenticationMiddleware, Error> {
        Ok(AuthenticationMiddleware {
            rules: Arc::new(self.settings.into_rules()?),
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
        let authenticator = &rules.authenticator;
        let mut exchange = authenticator.begin(request.url(), &rules.policy, idempotency, body)?;
        let origin = Origin::from_url(request.url())?;
        let destination = format!("{} {origin}", request.method());
        // A body in memory stays one, for a middleware below that sends it again.
        let progress = match body {
            Replay::Possible => None,
            Replay::Impossible => count_parts(&mut request),
        };
        let mut attempts = MiddlewareAttempts {
            rules,
            request: Some(request),
            progress,
            origin,
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
                Err(Failure::Timeout.error(&destination).caused_by(cause))
            }
        }
    }
}

/// The attempts of one request over one client.
struct MiddlewareAttempts<'a> {
    rules: &'a ClientRules,
    /// The next attempt; `None` after a body that can be read only once was sent.
    request: Option<Request>,
    progress: Option<Progress>,
    origin: Origin,
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
        let mut attempt = self
            .request
            .take()
            .expect("only a request that can be replayed is sent again");
        self.request = attempt.try_clone();
        if let Some(lease) = lease {
            let url = || attempt.url().as_str();
            let authenticator = &self.rules.authenticator;
            let credential = authenticator.credential(lease, attempt.method(), url)?;
            credential.apply(attempt.headers_mut());
        }
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
        refuse_other_origin(&self.origin, response.url())?;
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
        self.origin.to_string().into()
    }
}

impl From<Error> for NoResponse {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Fails if the client below follows redirects to other origins, which it must not.
fn refuse_other_origin(origin: &Origin, from: &Url) -> Result<(), Error> {
    // The URL that `reqwest` gives to a response that another middleware made up.
    const MADE_UP: &str = "no.url.provided.local";
    if from.host_str() == Some(MADE_UP) || Origin::from_url(from).is_ok_and(|o| o == *origin) {
        return Ok(());
    }
    Err(Error::origin(format!(
        "the client followed a redirect away from {origin} and may have taken the credential along; \
         make it with `AuthenticationMiddleware::redirect_policy`"
    )))
}

impl fmt::Debug for AuthenticationMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationMiddleware")
            .field("rules", &self.rules)
            .finish()
    }
}
