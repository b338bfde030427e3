//! A refusal that its source remembers by itself.

use std::sync::Arc;

use crate::error::Error;

impl Error {
    /// Says that the source knows by itself for how long it is a refusal: asking it again costs no call to the issuer.
    pub(crate) fn remembered_by_source(mut self) -> Self {
        Arc::make_mut(&mut self.0).is_remembered_by_source = true;
        self
    }
}
