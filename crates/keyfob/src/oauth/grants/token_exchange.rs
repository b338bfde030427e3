//! A token for a token of somebody else's (RFC 8693).

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// A token that is given in exchange for another (RFC 8693).
///
/// The other one comes from any source, which is asked each time.
///
/// ```
/// use keyfob::FileToken;
/// use keyfob::oauth::{Client, TokenExchange, TokenType};
///
/// let client = Client::builder("backend").issuer("https://login.example.com").build()?;
/// let workload = FileToken::new("/var/run/secrets/tokens/workload");
/// let source = TokenExchange::new(client, workload, TokenType::Jwt).audience("billing");
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct TokenExchange {
    pub(super) client: Client,
    subject: (Arc<dyn TokenSource>, TokenType),
    actor: Option<(Arc<dyn TokenSource>, TokenType)>,
    requested: Option<TokenType>,
    pub(super) options: GrantOptions,
}

/// What kind of token it is (RFC 8693 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// An access token of the same or another server.
    AccessToken,
    /// A JWT of whatever purpose.
    Jwt,
    /// An OpenID token that says who somebody is.
    IdToken,
    /// A SAML 2.0 assertion in base64url.
    Saml2,
    /// One that is not here, by its URI.
    Other(String),
}

impl TokenType {
    /// Its URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Saml2 => "urn:ietf:params:oauth:token-type:saml2",
            Self::Other(uri) => uri,
        }
    }
}

impl TokenExchange {
    /// Exchanges the token of this source, which says for whom the new one is.
    pub fn new(client: Client, subject: impl TokenSource, kind: TokenType) -> Self {
        Self {
            client,
            subject: (Arc::new(subject), kind),
            actor: None,
            requested: None,
            options: GrantOptions::default(),
        }
    }

    grant_setters!(options);

    /// Adds a token that says who acts for the subject.
    pub fn actor(mut self, actor: impl TokenSource, kind: TokenType) -> Self {
        self.actor = Some((Arc::new(actor), kind));
        self
    }

    /// Asks for a token of this kind.
    pub fn requested_token_type(mut self, kind: TokenType) -> Self {
        self.requested = Some(kind);
        self
    }
}

impl TokenSource for TokenExchange {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let request = request.on_behalf();
            let (subject, kind) = &self.subject;
            let mut form = Form::token_request(GRANT_TYPE)
                .with("subject_token", subject.fetch(&request).await?.expose())
                .with("subject_token_type", kind.uri())
                .with_optional(
                    "requested_token_type",
                    self.requested.as_ref().map(TokenType::uri),
                );
            if let Some((actor, kind)) = &self.actor {
                form = form
                    .with("actor_token", actor.fetch(&request).await?.expose())
                    .with("actor_token_type", kind.uri());
            }
            self.client.request_token(self.options.fill(form)?).await
        })
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("client", &self.client)
            .field("subject", &self.subject.1)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
