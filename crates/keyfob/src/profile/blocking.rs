//! The blocking session of a profile.

use crate::client::blocking::Session;
use crate::error::error::Error;
use crate::profile::profile::Profile;

impl Profile {
    /// The blocking session of this profile. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub fn blocking_session(&self) -> Result<Session, Error> {
        self.set_up(Session::builder(self.tokens()?))?.build()
    }
}
