//! Telling a server that a token is not needed any more (RFC 7009).

use crate::error::Error;
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::token::Token;

impl Client {
    /// Revokes a token: the refresh token that came with it, if there is one, and the access token (RFC 7009).
    ///
    /// A token that is not known to the server counts as revoked. Needs a tokio runtime, as all of `reqwest` does.
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
        if let Some(refresh) = token.refresh_token() {
            self.revoke_text(refresh, "refresh_token").await?;
        }
        self.revoke_text(token.expose(), "access_token").await
    }

    async fn revoke_text(&self, text: &str, hint: &str) -> Result<(), Error> {
        let metadata = self.metadata().await?;
        let endpoint = metadata.revocation.as_ref().ok_or_else(|| {
            Error::input("the server names no revocation endpoint; give its URL to the client")
        })?;
        let form = Form::new()
            .with("token", text)
            .with("token_type_hint", hint);
        self.post(endpoint, &metadata, form).await.map(drop)
    }
}
