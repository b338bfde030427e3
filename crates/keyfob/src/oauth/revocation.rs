//! Telling a server that a token is not needed any more (RFC 7009).

use http::HeaderMap;
use huskarl_core::OAuthErrorCode;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::error_response::error_code;
use crate::oauth::form::Form;
use crate::oauth::metadata::Metadata;
use crate::token::token::Token;

impl Client {
    /// Revokes a token: the refresh token that came with it, if there is one, and the access token (RFC 7009).
    ///
    /// A token that is not known to the server counts as revoked; so does an access token whose refresh token is revoked and that
    /// is of a kind that cannot be (`unsupported_token_type`). Needs a tokio runtime, as all of `reqwest` does.
    ///
    /// ```no_run
    /// # async fn example(session: keyfob::Session, client: keyfob::oauth::Client) -> Result<(), keyfob::Error> {
    /// client.revoke(&session.tokens().get_valid_token().await?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the server names no revocation endpoint and none was given; else as
    /// a [`TokenSource`](crate::TokenSource) of this client.
    pub async fn revoke(&self, token: &Token) -> Result<(), Error> {
        let Some(refresh) = token.refresh_token() else {
            return self.revoke_text(token.expose(), "access_token").await;
        };
        self.revoke_text(refresh, "refresh_token").await?;
        self.revoke_or_leave(token.expose()).await
    }

    async fn revoke_text(&self, text: &str, hint: &str) -> Result<(), Error> {
        let metadata = self.metadata().await?;
        let endpoint = endpoint(&metadata)?;
        self.post(endpoint, &metadata, form(text, hint))
            .await
            .map(drop)
    }

    /// Revokes an access token, unless it is of a kind that cannot be: it ends by itself, and no other follows it.
    async fn revoke_or_leave(&self, access: &str) -> Result<(), Error> {
        let metadata = self.metadata().await?;
        let endpoint = endpoint(&metadata)?;
        let form = form(access, "access_token");
        let response = self
            .send(endpoint, &metadata, HeaderMap::new(), form)
            .await?;
        if error_code(&response) == Some(OAuthErrorCode::UnsupportedTokenType) {
            return Ok(());
        }
        self.require_success(endpoint, response).map(drop)
    }
}

fn endpoint(metadata: &Metadata) -> Result<&Endpoint, Error> {
    metadata.revocation.as_ref().ok_or_else(|| {
        Error::input("the server names no revocation endpoint; give its URL to the client")
    })
}

fn form(text: &str, hint: &str) -> Form {
    Form::new()
        .with("token", text)
        .with("token_type_hint", hint)
}
