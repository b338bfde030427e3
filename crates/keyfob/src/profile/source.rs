//! The source of a profile's token, made as the file describes it.

use std::sync::Arc;

use crate::error::Error;
use crate::profile::Profile;
use crate::profile::field::InField;
use crate::profile::grant::Granted;
use crate::profile::lasting::OnlyLasting;
use crate::profile::place;
use crate::profile::schema::From;
use crate::source::TokenSource;
use crate::source::persisted::Persisted;
use crate::store::TokenStore;
use crate::store::key::StoreKey;

impl Profile {
    /// The source, with the store in front of it. Nothing is fetched yet.
    pub(super) fn source(&self) -> Result<Arc<dyn TokenSource>, Error> {
        let choice = &self.definition.token;
        let source = match &choice.from {
            From::Place(place) => place::source(place),
            From::Grant(_) => Arc::new(Granted::new(&self.name, &self.definition, &self.proof)),
        };
        let source: Arc<dyn TokenSource> = match self.store()? {
            None => source,
            Some((store, key)) if self.says_when_tokens_end() => {
                Arc::new(self.persisted(source, store, key))
            }
            Some((store, key)) => Arc::new(self.persisted(source, OnlyLasting(store), key)),
        };
        Ok(match &choice.field {
            Some(field) => Arc::new(InField {
                source,
                field: field.clone(),
            }),
            None => source,
        })
    }

    fn persisted(
        &self,
        source: Arc<dyn TokenSource>,
        store: impl TokenStore,
        key: StoreKey,
    ) -> Persisted {
        let choice = &self.definition.store;
        let persisted = Persisted::new(source, store, key).when_away(choice.when_away);
        match choice.issuer_grace {
            Some(grace) => persisted.issuer_grace(grace),
            None => persisted,
        }
    }

    /// Whether a token without an expiry may be kept: its server tells when it is over, or the file does.
    fn says_when_tokens_end(&self) -> bool {
        let choice = &self.definition.token;
        choice.grant().is_some() || choice.default_lifetime.is_some()
    }
}
