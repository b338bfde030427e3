//! Token revocation: making a token unusable (RFC 7009).

use std::time::Duration;

use http::StatusCode;
use huskarl_core::OAuthErrorCode;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::client::{Client, no_headers};
use crate::oauth::error_code::error_code;
use crate::oauth::form::Form;
use crate::oauth::http_client::ServerResponse;
use crate::token::token::Token;

impl Client {
    /// Revokes a token at the server (RFC 7009).
    ///
    /// The refresh token, if there is one, is revoked first, and then the access token, even if the first cannot be revoked. A
    /// token that the server does not know counts as revoked. Some servers cannot revoke access tokens
    /// (`unsupported_token_type`). That is an error only if there was no refresh token to revoke. A failure that may pass is
    /// tried once more, after 1 s or the `Retry-After` of the response if that is at most 5 s. Needs a Tokio runtime.
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
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if no revocation endpoint is known, and
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) if it must not get the secrets of the client; nothing was sent then.
    /// Otherwise as a [`TokenSource`](crate::TokenSource) of this client; the text says which of the tokens could not be revoked.
    pub async fn revoke(&self, token: &Token) -> Result<(), Error> {
        self.metadata().await?.revocation.require()?;
        // First, because the server may then revoke the access tokens of the same grant as well (RFC 7009 §2.1).
        let refresh = match token.refresh_token() {
            Some(refresh) => Some(self.revoke_text(refresh, "refresh_token", |_| false).await),
            None => None,
        };
        // Without its refresh token, an access token cannot be renewed and soon expires by itself.
        let has_refresh_token = refresh.is_some();
        let access = self.revoke_text(token.expose(), "access_token", |code| {
            has_refresh_token && *code == OAuthErrorCode::UnsupportedTokenType
        });
        let access = access.await;
        match (refresh, access) {
            (None | Some(Ok(())), Ok(())) => Ok(()),
            // Nothing was sent, for a reason that the caller can correct.
            (Some(Err(error)), _) | (None, Err(error))
                if matches!(error.kind(), ErrorKind::Input | ErrorKind::Origin) =>
            {
                Err(error)
            }
            (Some(Err(error)), _) => Err(error
                .explained("the refresh token could not be revoked, and may stay valid for long")),
            (Some(Ok(())), Err(error)) => Err(error.explained(
                "the refresh token is revoked, but the access token may stay valid until it expires",
            )),
            (None, Err(error)) => Err(error.explained(
                "the access token could not be revoked, and may stay valid until it expires",
            )),
        }
    }

    /// Revokes one of the tokens.
    ///
    /// RFC 7009 §2.2.1: after a 503, the client "must assume the token still exists and may retry after a reasonable delay".
    async fn revoke_text(
        &self,
        text: &str,
        token_type_hint: &str,
        ignore: impl Fn(&OAuthErrorCode) -> bool,
    ) -> Result<(), Error> {
        let form = Form::new()
            .with("token", text)
            .with("token_type_hint", token_type_hint);
        let Err(error) = self.send_revocation(&form, &ignore).await else {
            return Ok(());
        };
        let pause = error.pause().unwrap_or(RETRY_PAUSE);
        if error.kind() != ErrorKind::Unavailable || error.is_timeout() || pause > LONGEST_PAUSE {
            return Err(error);
        }
        self.clock().sleep(pause).await;
        self.send_revocation(&form, &ignore).await
    }

    async fn send_revocation(
        &self,
        form: &Form,
        ignore: impl Fn(&OAuthErrorCode) -> bool,
    ) -> Result<(), Error> {
        let metadata = self.metadata().await?;
        let endpoint = metadata.revocation.require()?;
        let response = self.send(endpoint, &metadata, no_headers, form).await;
        if let Ok(response) = &response
            && let Some(error) = error_code(response)
            && (is_unknown_token(response, &error.code) || ignore(&error.code))
        {
            return Ok(());
        }
        self.require_success(endpoint, response).await.map(drop)
    }
}

/// Whether the server does not know the token, so that there is nothing to revoke.
///
/// RFC 7009 §2.2: "invalid tokens do not cause an error response". Google sends this code with 400 and Keycloak with 200, for an
/// access token that ended with its refresh token. With 401, it may be of a gateway that wants a bearer token (RFC 6750 §3.1).
fn is_unknown_token(response: &ServerResponse, code: &OAuthErrorCode) -> bool {
    let status = response.status;
    code.as_str() == "invalid_token" && (status.is_success() || status == StatusCode::BAD_REQUEST)
}

/// The pause before a revocation is tried again, unless the server names one.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause of a server that is waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
