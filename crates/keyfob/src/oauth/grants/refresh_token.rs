//! Refresh token: a token in return for a refresh token, which the server may replace (RFC 6749 §6).

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::lock::Mutex;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::new_refresh_token::NewRefreshToken;
use crate::token::secret::Secret;
use crate::token::token::Token;

/// Gets tokens with a refresh token (RFC 6749 §6).
///
/// Set [`scopes`](Self::scopes) only to ask for fewer scopes than the sign-in was granted: a server refuses a request for
/// more. Scopes that the [previous token](TokenRequest::previous) is known to lack are left out.
///
/// A server may replace the refresh token with each response (*rotation*), and treat any further use of the old one as
/// theft. So this source, together with its clones, sends one request at a time and never uses a replaced refresh token
/// again. The newest refresh token must outlive the program: use a store ([`Persisted`](crate::source::Persisted)), or save
/// it yourself in [`on_change`](crate::cache::TokenCacheBuilder::on_change), which is awaited before the token is used.
///
/// ```
/// use keyfob::TokenCache;
/// use keyfob::oauth::{Client, RefreshToken};
///
/// # async fn save(refresh_token: &str) -> Result<(), std::io::Error> { Ok(()) }
/// let client = Client::builder("desktop").issuer("https://login.example.com").build()?;
/// let tokens = TokenCache::builder(RefreshToken::new(client, "tGzv3JOkF0XG5Qx2TlKWIA")?)
///     .on_change(|change| async move {
///         if let Some(refresh_token) = change.current().refresh_token() {
///             save(refresh_token).await?;
///         }
///         Ok(())
///     })
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RefreshToken {
    pub(super) options: GrantOptions,
    rotation: Arc<Mutex<Rotation>>,
}

/// The refresh tokens of one sign-in.
#[derive(Debug)]
struct Rotation {
    newest: Secret,
    /// Replaced refresh tokens, newest first. They must not be used again.
    replaced: VecDeque<Secret>,
}

impl RefreshToken {
    /// Starts with this refresh token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if it is empty, or contains anything but visible ASCII
    /// characters and spaces.
    pub fn new(client: Client, refresh_token: impl Into<String>) -> Result<Self, Error> {
        Ok(Self {
            options: GrantOptions::new(client),
            rotation: Arc::new(Mutex::new(Rotation {
                newest: Secret::new_field(refresh_token.into())?,
                replaced: VecDeque::new(),
            })),
        })
    }

    grant_setters!(options);

    async fn exchange(&self, previous: Option<&Token>) -> Result<Token, Error> {
        // Locked until the response is read, so that no other exchange sends a refresh token that this one replaces.
        let mut rotation = self.rotation.lock().await;
        let used = rotation.choose(previous);
        let granted = previous.and_then(Token::scope);
        let form = Form::token_request("refresh_token").with("refresh_token", used.expose());
        let response = self.options_for(granted).request_token(form).await;
        let token = response.inspect_err(|error| {
            // The rest of the response cannot be used, and the server has replaced the refresh token all the same.
            if let Some(newest) = NewRefreshToken::in_error(error) {
                rotation.record(used.clone(), newest);
            }
        })?;
        // RFC 6749 §6: the server "MAY issue a new refresh token"; without one, the old one stays valid. A scope that is left
        // out is "treated as equal to the scope originally granted".
        let token = token.or_refresh_token(Some(&used)).or_scope(granted);
        if let Some(newest) = token.refresh_secret() {
            rotation.record(used, newest);
        }
        Ok(token)
    }

    /// The options, with what was granted in place of the scopes if the server did not grant one of them.
    ///
    /// RFC 6749 §6: the scope "MUST NOT include any scope not originally granted", and the server refuses the request. Some
    /// servers grant a scope under another name, so those that are missing are not left out one by one.
    fn options_for(&self, granted: Option<&str>) -> GrantOptions {
        let mut options = self.options.clone();
        if let Some(granted) = granted {
            let granted: Vec<_> = granted.split(' ').collect();
            // It asks for the next refresh token, and no server names it among what the access token may do.
            let is_granted = |scope: &String| scope == OFFLINE || granted.contains(&scope.as_str());
            if !options.scopes.iter().all(is_granted) {
                let has_offline = options.scopes.iter().any(|scope| scope == OFFLINE);
                let offline = has_offline.then_some(OFFLINE);
                let named = granted.iter().copied().filter(|scope| *scope != OFFLINE);
                options.scopes = named.chain(offline).map(str::to_owned).collect();
            }
        }
        options
    }
}

impl Rotation {
    /// The refresh token to send: that of the previous access token, unless it has been replaced.
    ///
    /// The previous token may be newer than this source: a store may have read it from another process.
    fn choose(&self, previous: Option<&Token>) -> Secret {
        let is_replaced =
            |token: &Secret| self.replaced.iter().any(|replaced| replaced.same_as(token));
        previous
            .and_then(Token::refresh_secret)
            .filter(|previous| !is_replaced(previous))
            .unwrap_or(&self.newest)
            .clone()
    }

    fn record(&mut self, used: Secret, newest: &Secret) {
        if !used.same_as(newest) {
            // To the server, a replaced refresh token is a stolen one (RFC 9700 §4.14.2).
            self.replaced.push_front(used);
            self.replaced.truncate(MAX_REPLACED);
        }
        self.newest = newest.clone();
    }
}

impl TokenSource for RefreshToken {
    /// A request that has been sent runs to its end even if the caller drops the future, because the response may contain the
    /// only valid refresh token.
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        let (source, previous) = (self.clone(), request.previous().cloned());
        request.run_to_completion(async move { source.exchange(previous.as_ref()).await })
    }

    fn consumes_refresh_token(&self) -> bool {
        true
    }
}

/// OpenID Connect Core §11.
const OFFLINE: &str = "offline_access";

/// How many replaced refresh tokens are remembered: more than there are caches that share a source.
const MAX_REPLACED: usize = 64;
