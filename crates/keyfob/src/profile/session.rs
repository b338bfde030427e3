//! The sessions of a profile, async and blocking.

use crate::client::session::builder::SessionBuilder;
use crate::client::session::session::Session;
use crate::error::error::Error;
use crate::origin::ca_file::TlsClient;
use crate::profile::profile::Profile;
use crate::profile::set_each::SetEach;

impl Profile {
    /// The async session of this profile. Nothing is sent yet.
    ///
    /// It reads the key for proofs of possession and the client certificate, if the profile has them.
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
        self.require_server()?;
        // Read now, because a client is built with its key. All other secrets wait for the first request.
        let prover = self.dpop_prover()?;
        let builder = self.configure(Session::builder(self.tokens()?));
        self.certify(builder.set_each(prover, SessionBuilder::dpop))
    }

    /// Checks the servers that the token may go to, as a session does, without a secret.
    pub(super) fn check_origins(&self) -> Result<(), Error> {
        self.require_server()?;
        let builder = Session::builder(self.tokens()?);
        self.configure(builder).build().map(drop)
    }

    /// The blocking session of this profile. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    #[cfg(feature = "blocking")]
    pub fn blocking_session(&self) -> Result<crate::client::blocking::Session, Error> {
        self.require_server()?;
        let prover = self.dpop_prover()?;
        let builder = self.configure(crate::client::blocking::Session::builder(self.tokens()?));
        self.certify(builder.set_each(prover, SessionBuilder::dpop))?
            .build()
    }

    /// Adds the client certificate, which is read now.
    fn certify<C: TlsClient>(
        &self,
        builder: SessionBuilder<C>,
    ) -> Result<SessionBuilder<C>, Error> {
        let certificate = self.client_certificate()?;
        Ok(builder.set_each(&certificate, SessionBuilder::client_certificate))
    }

    /// Fails for a profile whose token is only used to fetch others (`origins = []`).
    ///
    /// The sessions of the profile do this. A client of your own must do it too: bound to no server, the token would go to any that
    /// a caller names (R1).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the profile names no server.
    pub fn require_server(&self) -> Result<(), Error> {
        match self.origins().is_empty() {
            true => Err(Error::input(format!(
                "the profile {} names no server, so its token is only used to fetch those of other profiles; set `base_url` or \
                 `origins` to send it",
                self.name()
            ))),
            false => Ok(()),
        }
    }

    fn configure<C: TlsClient>(&self, builder: SessionBuilder<C>) -> SessionBuilder<C> {
        let definition = &self.definition;
        builder
            .set_each(&definition.base_url, SessionBuilder::base_url)
            .set_each(&definition.origins, |builder, origin| {
                builder.origin(origin.to_string())
            })
            .set_each(&definition.plain_http, |builder, origin| {
                builder.allow_plain_http(origin.to_string())
            })
            .set_each(&definition.ca_file, SessionBuilder::ca_file)
            .set_each(definition.timeout, SessionBuilder::timeout)
            .set_each(definition.redirects, SessionBuilder::redirects)
            .rejected_statuses(definition.rejected_statuses.iter().copied())
            .retry(definition.retry.clone())
    }
}
