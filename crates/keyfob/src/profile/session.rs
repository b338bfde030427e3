//! The async session of a profile.

use crate::client::session::builder::SessionBuilder;
use crate::client::session::session::Session;
use crate::error::error::Error;
use crate::profile::profile::Profile;
use crate::runtime::block_on::block_on;

impl Profile {
    /// The async session of this profile. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) or [`ErrorKind::Origin`](crate::ErrorKind::Origin) if what the profile
    /// says cannot be used; also why a key that its tokens are bound to cannot be read, which is done now.
    pub fn session(&self) -> Result<Session, Error> {
        self.session_builder()?.build()
    }

    /// The same before it is made, for settings that the file has no key for.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub fn session_builder(&self) -> Result<SessionBuilder, Error> {
        self.set_up(Session::builder(self.tokens()?))
    }

    /// What the file says, on a session's builder, async or blocking.
    pub(super) fn set_up<C>(
        &self,
        mut builder: SessionBuilder<C>,
    ) -> Result<SessionBuilder<C>, Error> {
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
            && let Some(prover) = block_on(self.proof.prover(grant))?
        {
            builder = builder.dpop(prover);
        }
        Ok(builder.retry(definition.retry.clone()))
    }
}
