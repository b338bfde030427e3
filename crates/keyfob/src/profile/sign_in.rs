//! How a person signs in to a profile, and out again.

use crate::error::error::Error;
use crate::oauth::authorization_code::AuthorizationCode;
use crate::oauth::client::Client;
use crate::oauth::device_code::DeviceCode;
use crate::profile::client::{Secrets, client};
use crate::profile::grant::asking;
use crate::profile::profile::Profile;
pub use crate::profile::schema::SignIn;
use crate::profile::schema::{Grant, Kind, SigningIn};
use crate::profile::secret_ref::unasked;

impl Profile {
    /// How a person signs in to it, if that is how its token comes about.
    #[must_use]
    pub fn sign_in(&self) -> Option<SignIn> {
        Some(self.signing_in()?.1.how)
    }

    /// Its client at the OAuth 2.0 server, with the secrets that are read for it now; `None` if the token is from elsewhere.
    ///
    /// # Errors
    ///
    /// Why a secret cannot be had, or the client not be made.
    pub async fn client(&self) -> Result<Option<Client>, Error> {
        match self.definition.token.grant() {
            Some(grant) => self.client_of(grant).await.map(Some),
            None => Ok(None),
        }
    }

    /// A sign-in with a code that is typed on another device, whichever way the profile says.
    ///
    /// What comes of it is kept where [`store`](Self::store) says, by [`TokenStore::replace`](crate::store::TokenStore::replace).
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client); [`ErrorKind::Input`](crate::ErrorKind::Input) if nobody has to sign in to it.
    pub async fn device_code(&self) -> Result<DeviceCode, Error> {
        let (grant, _) = self.signing_in().ok_or_else(|| self.needs_nobody())?;
        Ok(asking!(
            DeviceCode::new(self.client_of(grant).await?),
            grant
        ))
    }

    /// A sign-in in a browser on this machine, whichever way the profile says.
    ///
    /// What comes of it is kept as with [`device_code`](Self::device_code).
    ///
    /// # Errors
    ///
    /// As [`device_code`](Self::device_code).
    pub async fn authorization_code(&self) -> Result<AuthorizationCode, Error> {
        let (grant, sign_in) = self.signing_in().ok_or_else(|| self.needs_nobody())?;
        let flow = AuthorizationCode::new(self.client_of(grant).await?);
        let flow = asking!(flow, grant);
        match &sign_in.redirect_uri {
            Some(uri) => flow.redirect_uri(uri),
            None => Ok(flow),
        }
    }

    async fn client_of(&self, grant: &Grant) -> Result<Client, Error> {
        let secrets = Secrets::read(grant, &unasked()).await?;
        let prover = self.proof.prover(grant).await?;
        client(grant, &secrets, prover)
    }

    fn signing_in(&self) -> Option<(&Grant, &SigningIn)> {
        let grant = self.definition.token.grant()?;
        match &grant.kind {
            Kind::SignIn(sign_in) => Some((grant, sign_in)),
            _ => None,
        }
    }

    fn needs_nobody(&self) -> Error {
        Error::input(format!(
            "nobody signs in to {}: its token is from {}",
            self.name,
            self.token_from()
        ))
    }
}
