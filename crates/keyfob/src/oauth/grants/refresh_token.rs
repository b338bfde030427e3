//! A token for a refresh token, which may be used up by that (RFC 6749 §6).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::lock::Mutex;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::secret::Secret;
use crate::token::token::Token;

/// A token that is got with a refresh token (RFC 6749 §6), each with the one that came before.
///
/// A server may give another refresh token with each answer, and take the use of an old one for theft. So one is used at a
/// time, also by clones, and none that was replaced is used again. Where the program ends and starts again, the newest has
/// to be kept: by a store, or by yourself in [`on_change`](crate::cache::TokenCacheBuilder::on_change), which is awaited before the
/// token is used.
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
#[derive(Clone)]
#[must_use]
pub struct RefreshToken {
    pub(super) client: Client,
    pub(super) options: GrantOptions,
    chain: Arc<Mutex<Chain>>,
}

/// The refresh tokens that follow each other.
struct Chain {
    newest: Secret,
    /// Those that were replaced, the last first; not to be used again.
    spent: VecDeque<Secret>,
}

impl RefreshToken {
    /// Begins with this refresh token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if it is empty or not of visible characters and spaces.
    pub fn new(client: Client, refresh_token: impl Into<String>) -> Result<Self, Error> {
        Ok(Self {
            client,
            options: GrantOptions::default(),
            chain: Arc::new(Mutex::new(Chain {
                newest: Secret::new_field(refresh_token.into())?,
                spent: VecDeque::new(),
            })),
        })
    }

    grant_setters!(options);
}

impl Chain {
    /// The one to use: that of the token to be replaced, unless it is known to be used up.
    fn choose(&self, previous: Option<&Token>) -> Secret {
        previous
            .and_then(Token::refresh_secret)
            .filter(|previous| !self.spent.iter().any(|spent| spent.same_as(previous)))
            .unwrap_or(&self.newest)
            .clone()
    }

    fn advance(&mut self, used: Secret, newest: &Secret) {
        if !used.same_as(newest) {
            self.spent.push_front(used);
            self.spent.truncate(REMEMBERED);
        }
        self.newest = newest.clone();
    }
}

impl RefreshToken {
    async fn exchange(&self, previous: Option<&Token>) -> Result<Token, Error> {
        let mut chain = self.chain.lock().await;
        let used = chain.choose(previous);
        let form = Form::token_request("refresh_token").with("refresh_token", used.expose());
        let token = self.client.request_token(self.options.fill(form)?).await?;
        let token = token.or_refresh_token(Some(&used));
        if let Some(newest) = token.refresh_secret() {
            chain.advance(used, newest);
        }
        Ok(token)
    }
}

impl TokenSource for RefreshToken {
    /// The exchange runs to its end even if the caller goes away: its response may hold the only valid refresh token.
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        let (source, previous) = (self.clone(), request.previous().cloned());
        request.run_to_completion(async move { source.exchange(previous.as_ref()).await })
    }

    fn consumes_refresh_token(&self) -> bool {
        true
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("client", &self.client)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// So many replaced ones are remembered: more than there are caches that share a source.
const REMEMBERED: usize = 64;
