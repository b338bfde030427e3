//! The parts of a token, for who keeps it somewhere and makes it anew.

use http::HeaderName;

use crate::error::error::Error;
use crate::token::secret::Secret;
use crate::token::token::{Carrier, Token};

impl Token {
    /// A token whose text becomes a header in this way.
    pub(crate) fn carried_by(text: String, carrier: Carrier) -> Result<Self, Error> {
        Ok(match carrier {
            Carrier::Scheme(scheme) => Self::new(text)?.scheme(&scheme)?,
            other => Self::carried(Secret::new_field(text)?, other),
        })
    }

    pub(crate) fn carrier(&self) -> &Carrier {
        &self.carrier
    }

    /// The fields that go beside the token's own, each with its secret value.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.others
            .iter()
            .map(|(name, secret)| (name, secret.expose()))
    }

    /// Takes [`recheck_after`](Self::recheck_after) back.
    pub(crate) fn never_recheck(mut self) -> Self {
        self.recheck = None;
        self
    }
}
