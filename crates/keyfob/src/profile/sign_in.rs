//! How a person signs in to a profile, and out again.

use crate::error::error::Error;
use crate::oauth::authorization_code::AuthorizationCode;
use crate::oauth::client::Client;
use crate::oauth::device_code::DeviceCode;
use crate::profile::client::client_now;
use crate::profile::grant::with_parameters;
use crate::profile::profile::Profile;
use crate::profile::schema::grant::{Grant, GrantKind};
use crate::profile::schema::sign_in::{SignIn, SignInSettings};
use crate::profile::set_each::SetEach;

impl Profile {
    /// How a person signs in; `None` if the token comes about without a sign-in.
    #[must_use]
    pub fn sign_in(&self) -> Option<SignIn> {
        let (_, settings) = self.sign_in_settings().ok()?;
        Some(settings.how)
    }

    /// The client at the OAuth 2.0 server; `None` if the token does not come from one.
    ///
    /// The client's secrets are read now.
    ///
    /// # Errors
    ///
    /// Why a secret cannot be read or the client cannot be made.
    pub async fn client(&self) -> Result<Option<Client>, Error> {
        match self.definition.token.grant() {
            Some(_) => self.client_of_grant().await.map(Some),
            None => Ok(None),
        }
    }

    /// A sign-in with a code that the person types on another device.
    ///
    /// The profile may name either kind of sign-in. To store the token, use [`store`](Self::store) and
    /// [`TokenStore::replace`](crate::store::TokenStore::replace).
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client); [`ErrorKind::Input`](crate::ErrorKind::Input) if the profile has no sign-in.
    pub async fn device_code(&self) -> Result<DeviceCode, Error> {
        let (grant, _) = self.sign_in_settings()?;
        let flow = DeviceCode::new(self.client_of_grant().await?);
        Ok(with_parameters!(flow, grant))
    }

    /// A sign-in in a browser on this machine.
    ///
    /// The profile may name either kind of sign-in. The token is stored as with [`device_code`](Self::device_code).
    ///
    /// # Errors
    ///
    /// As [`device_code`](Self::device_code).
    pub async fn authorization_code(&self) -> Result<AuthorizationCode, Error> {
        let (grant, settings) = self.sign_in_settings()?;
        let flow = AuthorizationCode::new(self.client_of_grant().await?);
        let flow = with_parameters!(flow, grant)
            .set_each(settings.pushed_requests, AuthorizationCode::pushed_requests);
        match &settings.redirect_uri {
            Some(uri) => flow.redirect_uri(uri),
            None => Ok(flow),
        }
    }

    async fn client_of_grant(&self) -> Result<Client, Error> {
        client_now(&self.definition, &self.link_sources()?).await
    }

    fn sign_in_settings(&self) -> Result<(&Grant, &SignInSettings), Error> {
        if let Some(grant) = self.definition.token.grant()
            && let GrantKind::SignIn(settings) = &grant.kind
        {
            return Ok((grant, settings));
        }
        Err(Error::input(format!(
            "the profile {} has no sign-in: its token comes from {}",
            self.name(),
            self.token_from()
        )))
    }
}
