//! The names of the API reference: general authentication classes for external service interactions.
//!
//! Thin names over the core, for users of the Python system that this module re-creates. New code can use [`TokenCache`] and
//! [`Session`] directly.
//!
//! | reference | here |
//! |---|---|
//! | `BearerAuthSession(bearer_token)` | [`BearerAuthSession::new`] |
//! | `BearerAuthSession.token` | [`BearerAuthSession::token`] |
//! | `JWT(jwt, expires)` | [`Jwt`], with [`Token::new`](crate::Token::new) and [`Token::expires_at`](crate::Token::expires_at) |
//! | `ExternallyManagedJWT(*, jwt, expires, get_token)` | [`ExternallyManagedJwt`] |
//! | `GenericExternallyManagedJWTHandler(jwt, expires, get_token)` | [`ExternallyManagedJwt::handler`], or [`TokenCache::builder`](crate::TokenCache::builder) |
//! | `handler.authenticated`, `authenticate()`, `request_headers`, `get_valid_token()` | methods of the same names on [`GenericExternallyManagedJwtHandler`] |
//! | `ExternallyManagedJWTSession(authentication_handler)` | [`ExternallyManagedJwtSession::new`] |
//! | `session.authenticated`, `authenticate()`, `request_headers`, `request(…)` | methods of the same names on [`Session`] |
//! | `AuthenticationError` | [`AuthenticationError`] |
//!
//! Some behaviour differs, because it was a defect there:
//!
//! * a POST is retried only if that is safe, and a 404 is not retried;
//! * a 401 renews the token, and the request is sent once more;
//! * the caller's headers are not changed;
//! * plain http is refused;
//! * a hook that returns an expired token is an error;
//! * no token is ever printed.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::cache::cache::TokenCache;
use crate::client::session::session::Session;
use crate::error::error::Error;
use crate::source::fixed::FixedToken;
use crate::source::source::TokenSource;
use crate::token::token::Token;

/// A token with its expiry.
///
/// | reference | here |
/// |---|---|
/// | `JWT(jwt, expires)` | `Jwt::new(jwt)?.expires_at(expires)` |
/// | `.jwt` | [`expose`](Token::expose) |
/// | `.expires` | [`expires`](Token::expires) |
/// | `repr` prints the token | `Debug` hides it |
pub type Jwt = Token;

/// Renews an externally managed JWT by calling a hook: the token cache.
///
/// | reference | here |
/// |---|---|
/// | `GenericExternallyManagedJWTHandler(jwt, expires, get_token)` | `GenericExternallyManagedJwtHandler::builder(get_token).token(jwt).build()?` |
/// | `authenticated` | [`authenticated`](TokenCache::authenticated) |
/// | `authenticate()` | [`authenticate`](TokenCache::authenticate), [`authenticate_blocking`](TokenCache::authenticate_blocking) |
/// | `authenticate(force=True)` | [`renew`](TokenCache::renew) |
/// | `request_headers` | [`request_headers`](TokenCache::request_headers) |
/// | `get_valid_token()` | [`get_valid_token`](TokenCache::get_valid_token), [`get_valid_token_blocking`](TokenCache::get_valid_token_blocking) |
/// | 50 concurrent callers make 50 calls of the hook | they make one call |
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use keyfob::authentication::{GenericExternallyManagedJwtHandler, Jwt};
///
/// let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
/// let handler = GenericExternallyManagedJwtHandler::builder(keyfob::hook_blocking(move |_| {
///     Ok::<_, std::io::Error>(("next", in_an_hour))
/// }))
/// .token(Jwt::new("first")?.expires_at(in_an_hour))
/// .build()?;
///
/// assert!(handler.authenticated());
/// assert_eq!(handler.get_valid_token_blocking()?.expose(), "first");
/// assert_eq!(handler.request_headers()?["authorization"], "Bearer first");
/// # Ok::<(), keyfob::Error>(())
/// ```
pub type GenericExternallyManagedJwtHandler = TokenCache;

/// The error if there is no valid token: it is missing, it has expired, or the hook failed.
///
/// | reference | here |
/// |---|---|
/// | `except AuthenticationError` | `Err(error) if error.is_authentication()` |
/// | the hook's own exception | [`source`](std::error::Error::source) |
pub type AuthenticationError = Error;

/// The parts that a handler is made from: the hook, and an optional first token.
///
/// | reference | here |
/// |---|---|
/// | `ExternallyManagedJWT(get_token=hook)` | `ExternallyManagedJwt::new(hook)` |
/// | `ExternallyManagedJWT(jwt=…, expires=…, get_token=hook)` | `ExternallyManagedJwt::new(hook).jwt(Jwt::new(…)?.expires_at(…))` |
/// | each handler made from one object calls the hook | all handlers made from one object share the token |
///
/// ```
/// use std::time::Duration;
/// use keyfob::authentication::{ExternallyManagedJwt, ExternallyManagedJwtSession};
///
/// let jwt = ExternallyManagedJwt::new(keyfob::hook(|_| async {
///     Ok::<_, std::io::Error>(("t0ken", Duration::from_secs(300)))
/// }));
/// let session = ExternallyManagedJwtSession::new(jwt.handler()?)?;
/// assert!(!session.authenticated());
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExternallyManagedJwt {
    handler: Result<TokenCache, Error>,
    get_token: GetToken,
}

impl ExternallyManagedJwt {
    /// Takes the hook that fetches tokens. There is no first token yet.
    pub fn new(get_token: impl TokenSource) -> Self {
        let get_token = GetToken(Arc::new(get_token));
        Self {
            handler: TokenCache::builder(Arc::clone(&get_token.0)).build(),
            get_token,
        }
    }

    /// Sets the first token.
    #[must_use]
    pub fn jwt(self, jwt: Jwt) -> Self {
        Self {
            handler: TokenCache::builder(Arc::clone(&self.get_token.0))
                .token(jwt)
                .build(),
            ..self
        }
    }

    /// The handler, the same one at each call, so that the token is fetched once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the first token's expiry is not plausible.
    pub fn handler(&self) -> Result<GenericExternallyManagedJwtHandler, AuthenticationError> {
        self.handler.clone()
    }
}

#[derive(Clone)]
struct GetToken(Arc<dyn TokenSource>);

impl fmt::Debug for GetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GetToken")
    }
}

/// A session whose requests carry the valid token of a handler.
///
/// It has all methods of [`Session`], by deref. As in the reference it takes no URL: the token is sent to any https origin that
/// the caller names, and to no origin that only a redirect names. [`Session::builder`] binds a session to an origin.
///
/// | reference | here |
/// |---|---|
/// | `ExternallyManagedJWTSession(authentication_handler)` | [`new`](Self::new) |
/// | `authenticated`, `authenticate()`, `request_headers` | [`authenticated`](Session::authenticated), [`authenticate`](Session::authenticate), [`request_headers`](Session::request_headers) |
/// | `request(method, url, …)`, `get(url)`, … | [`request`](Session::request), [`get`](Session::get), … |
/// | `authentication_handler` | [`authentication_handler`](Self::authentication_handler) |
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::authentication::{ExternallyManagedJwtSession, GenericExternallyManagedJwtHandler};
///
/// let handler = GenericExternallyManagedJwtHandler::new(keyfob::EnvToken::new("API_TOKEN"));
/// let session = ExternallyManagedJwtSession::new(handler)?;
/// let reports = session.get("https://api.example.com/reports").send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ExternallyManagedJwtSession(Session);

impl ExternallyManagedJwtSession {
    /// Makes a session with this handler.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the HTTP client cannot be made.
    pub fn new(
        authentication_handler: GenericExternallyManagedJwtHandler,
    ) -> Result<Self, AuthenticationError> {
        Session::builder(authentication_handler)
            .any_https_origin()
            .build()
            .map(Self)
    }

    /// The handler that the session was made with.
    #[must_use]
    pub fn authentication_handler(&self) -> &GenericExternallyManagedJwtHandler {
        self.tokens()
    }
}

impl Deref for ExternallyManagedJwtSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

/// A session with a fixed bearer token and safe automatic retry.
///
/// It has no notion of expiry or renewal: the token is used as it is. It has all methods of [`Session`], by deref.
///
/// | reference | here |
/// |---|---|
/// | `BearerAuthSession(bearer_token)` | [`new`](Self::new) |
/// | `token` | [`token`](Self::token) |
/// | `request(method, url, …)`, `get(url)`, … | [`request`](Session::request), [`get`](Session::get), … |
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::authentication::BearerAuthSession;
///
/// let session = BearerAuthSession::new("mF_9.B5f-4.1JqM")?;
/// let reports = session.get("https://api.example.com/reports").send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BearerAuthSession {
    session: Session,
    token: Token,
}

impl BearerAuthSession {
    /// Makes a session that sends this token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the token is empty or has a character that is not allowed in a header.
    pub fn new(bearer_token: impl Into<String>) -> Result<Self, AuthenticationError> {
        let token = Token::new(bearer_token)?;
        let tokens = TokenCache::builder(FixedToken::new(token.clone()))
            .token(token.clone())
            .build()?;
        Ok(Self {
            session: Session::builder(tokens).any_https_origin().build()?,
            token,
        })
    }

    /// The token that the session was made with.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }
}

impl Deref for BearerAuthSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}
