//! Token exchange: a token in return for another token (RFC 8693).

use std::fmt;
use std::sync::Arc;

use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::oauth::inner_tokens::{InnerSources, InnerTokens};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// Exchanges another token for a token of this server (RFC 8693).
///
/// The subject token says in whose name the new token acts. It comes from any [`TokenSource`], which is asked for each
/// exchange. If the server refuses its token, the source is asked for another one, and the exchange is done once more.
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
    tokens: InnerSources,
    subject_type: TokenType,
    /// The index of the actor token, and its type.
    actor: Option<(usize, TokenType)>,
    requested: Option<TokenType>,
    pub(super) options: GrantOptions,
}

/// The type of a token in a token exchange (RFC 8693 §3).
///
/// ```
/// use keyfob::oauth::TokenType;
///
/// assert_eq!(TokenType::Jwt.uri(), "urn:ietf:params:oauth:token-type:jwt");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// An OAuth 2.0 access token of this or another server.
    AccessToken,
    /// A JWT of any purpose.
    Jwt,
    /// An OpenID Connect ID token.
    IdToken,
    /// A SAML 2.0 assertion, encoded as base64url.
    Saml2,
    /// Any other type, by its URI.
    Other(String),
}

impl TokenType {
    /// The URI that identifies the type.
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
    /// Exchanges the tokens of this source, which have this type.
    pub fn new(client: Client, subject: impl TokenSource, token_type: TokenType) -> Self {
        Self {
            tokens: InnerSources::one("the subject token", subject),
            subject_type: token_type,
            actor: None,
            requested: None,
            options: GrantOptions::new(client),
        }
    }

    grant_setters!(options);

    /// Adds an actor token, which says who acts for the subject.
    pub fn actor(mut self, actor: impl TokenSource, token_type: TokenType) -> Self {
        let index = self.tokens.add("the actor token", Arc::new(actor));
        self.actor = Some((index, token_type));
        self
    }

    /// Requests a token of this type (`requested_token_type`).
    pub fn requested_token_type(mut self, token_type: TokenType) -> Self {
        self.requested = Some(token_type);
        self
    }

    fn form(&self, tokens: &InnerTokens<'_>) -> Form {
        let mut form = Form::token_request(GRANT_TYPE)
            .with("subject_token", tokens.text(0))
            .with("subject_token_type", self.subject_type.uri());
        if let Some(requested) = &self.requested {
            form = form.with("requested_token_type", requested.uri());
        }
        if let Some((actor, token_type)) = &self.actor {
            form = form
                .with("actor_token", tokens.text(*actor))
                .with("actor_token_type", token_type.uri());
        }
        form
    }
}

impl TokenSource for TokenExchange {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let mut tokens = self.tokens.tokens(request).await?;
            loop {
                match self.options.request_any_token(self.form(&tokens)).await {
                    Err(error) if tokens.replaced_after(&error).await => {}
                    outcome => return tokens.end(outcome),
                }
            }
        })
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("subject", &self.subject_type)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
