//! Token revocation: making a token unusable (RFC 7009).

use huskarl_core::OAuthErrorCode;

use crate::error::error::Error;
use crate::oauth::client::{Client, no_headers};
use crate::oauth::error_response::error_code;
use crate::oauth::form::Form;
use crate::oauth::http_client::ServerResponse;
use crate::token::token::Token;

impl Client {
    /// Revokes a token at the server (RFC 7009).
    ///
    /// The refresh token, if there is one, is revoked first, and then the access token. A token that the server does not
    /// know counts as revoked. Some servers cannot revoke access tokens (`unsupported_token_type`). That is an error only
    /// if there was no refresh token to revoke. Needs a Tokio runtime.
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
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if no revocation endpoint is known; otherwise as a
    /// [`TokenSource`](crate::TokenSource) of this client.
    pub async fn revoke(&self, token: &Token) -> Result<(), Error> {
        let has_refresh_token = token.refresh_token().is_some();
        // First, because the server may then revoke the access tokens of the same grant as well (RFC 7009 §2.1).
        if let Some(refresh) = token.refresh_token() {
            self.revoke_text(refresh, "refresh_token", |_| false)
                .await?;
        }
        // Without its refresh token, an access token cannot be renewed and soon expires by itself.
        self.revoke_text(token.expose(), "access_token", |response| {
            let code = error_code(response).map(|error| error.code);
            has_refresh_token && code == Some(OAuthErrorCode::UnsupportedTokenType)
        })
        .await
    }

    async fn revoke_text(
        &self,
        text: &str,
        token_type_hint: &str,
        ignore: impl FnOnce(&ServerResponse) -> bool,
    ) -> Result<(), Error> {
        let metadata = self.metadata().await?;
        let endpoint = metadata.revocation.require()?;
        let form = Form::new()
            .with("token", text)
            .with("token_type_hint", token_type_hint);
        let response = self.send(endpoint, &metadata, no_headers, &form).await;
        if response.as_ref().is_ok_and(ignore) {
            return Ok(());
        }
        self.require_success(endpoint, response).await.map(drop)
    }
}
