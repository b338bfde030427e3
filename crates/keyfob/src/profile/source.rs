//! The source of a profile's token, made as the file describes it.

use std::sync::Arc;

use crate::error::Error;
use crate::profile::Profile;
use crate::profile::field::InField;
use crate::profile::grant::Granted;
use crate::profile::place;
use crate::profile::schema::From;
use crate::source::TokenSource;

impl Profile {
    /// The source, with the store in front of it. Nothing is fetched yet.
    pub(super) fn source(&self) -> Result<Arc<dyn TokenSource>, Error> {
        let choice = &self.definition.token;
        let source = match &choice.from {
            From::Place(place) => place::source(place),
            From::Grant(_) => Arc::new(Granted::new(&self.name, &self.definition)),
        };
        Ok(match &choice.field {
            Some(field) => Arc::new(InField {
                source,
                field: field.clone(),
            }),
            None => source,
        })
    }
}
