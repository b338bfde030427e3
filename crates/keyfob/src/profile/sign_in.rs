//! What a sign-in needs to know of a profile whose token a person has to ask for.

use crate::error::Error;
use crate::oauth::client::Client;
use crate::profile::Profile;
use crate::profile::check::request;
use crate::profile::client::Secrets;
use crate::profile::client::client;
use crate::profile::schema::Grant;
use crate::profile::schema::Kind;
pub use crate::profile::schema::SignIn;

impl Profile {
    /// How a person signs in to it, if that is how its token comes about.
    #[must_use]
    pub fn sign_in(&self) -> Option<SignIn> {
        match self.grant()?.kind {
            Kind::SignIn(how) => Some(how),
            _ => None,
        }
    }

    /// Its client at the OAuth 2.0 server, with the secrets that are read for it now; `None` if the token is from elsewhere.
    ///
    /// # Errors
    ///
    /// Why a secret cannot be had, or the client not be made.
    pub async fn client(&self) -> Result<Option<Client>, Error> {
        let Some(grant) = self.grant() else {
            return Ok(None);
        };
        let secrets = Secrets::read(grant, &request()).await?;
        client(grant, &secrets).map(Some)
    }

    /// The scopes that are asked for.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        self.grant().map_or(&[], |grant| &grant.scopes)
    }

    /// The audiences that are asked for.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        self.grant().map_or(&[], |grant| &grant.audience)
    }

    /// The URLs of APIs that are asked for (RFC 8707).
    #[must_use]
    pub fn resources(&self) -> &[String] {
        self.grant().map_or(&[], |grant| &grant.resource)
    }

    /// Further parameters of the token request.
    #[must_use]
    pub fn parameters(&self) -> &[(String, String)] {
        self.grant().map_or(&[], |grant| &grant.parameters)
    }

    fn grant(&self) -> Option<&Grant> {
        self.definition.token.grant()
    }
}
