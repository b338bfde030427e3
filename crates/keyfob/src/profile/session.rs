//! The sessions of a profile, async and blocking.

use crate::client::session::builder::SessionBuilder;
use crate::client::session::session::Session;
use crate::error::error::Error;
use crate::profile::profile::Profile;
use crate::runtime::block_on::block_on;

impl Profile {
    /// The async session of this profile. Nothing is sent yet.
    ///
    /// It reads the key for proofs of possession, if the profile has one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) or [`ErrorKind::Origin`](crate::ErrorKind::Origin) if a setting of the profile
    /// cannot be used; and any error of reading the key.
    pub fn session(&self) -> Result<Session, Error> {
        self.session_builder()?.build()
    }

    /// A builder with the profile's settings, for settings that the file has no key for.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub fn session_builder(&self) -> Result<SessionBuilder, Error> {
        self.configure(Session::builder(self.tokens()?))
    }

    /// The blocking session of this profile. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    #[cfg(feature = "blocking")]
    pub fn blocking_session(&self) -> Result<crate::client::blocking::Session, Error> {
        self.configure(crate::client::blocking::Session::builder(self.tokens()?))?
            .build()
    }

    fn configure<C>(&self, mut builder: SessionBuilder<C>) -> Result<SessionBuilder<C>, Error> {
        let definition = &*self.definition;
        if let Some(url) = &definition.base_url {
            builder = builder.base_url(url);
        }
        for origin in &definition.origins {
            builder = builder.origin(origin.to_string());
        }
        for origin in &definition.plain_http {
            builder = builder.allow_plain_http(origin.to_string());
        }
        if let Some(timeout) = definition.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(redirects) = definition.redirects {
            builder = builder.redirects(redirects);
        }
        if let Some(grant) = definition.token.grant()
            && let Some(prover) = block_on(self.prover.get(grant))?
        {
            builder = builder.dpop(prover);
        }
        Ok(builder.retry(definition.retry.clone()))
    }
}
