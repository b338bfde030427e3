//! Where a profile's token is kept when the process ends, and under which key.

use crate::error::Error;
use crate::profile::Profile;
use crate::profile::reference::Reference;
use crate::profile::schema::From;
use crate::profile::schema::Grant;
use crate::profile::schema::StoreChoice;
use crate::store::file::FileStore;
use crate::store::key::StoreKey;

impl Profile {
    /// The store that keeps the token, and the key there; `None` if only the process has it.
    ///
    /// A store keeps tokens of grants unless the file says otherwise, and of commands those that end. A token that is kept somewhere
    /// as it is, is not copied.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if there is no directory for it.
    pub fn store(&self) -> Result<Option<(FileStore, StoreKey)>, Error> {
        let directory = match &self.definition.store {
            StoreChoice::Memory => return Ok(None),
            StoreChoice::Usual if !self.is_worth_keeping() => return Ok(None),
            StoreChoice::File(Some(directory)) => directory.clone(),
            StoreChoice::Usual | StoreChoice::File(None) => FileStore::usual_directory()?,
        };
        Ok(Some((FileStore::new(directory), self.store_key())))
    }

    fn is_worth_keeping(&self) -> bool {
        matches!(
            &self.definition.token.from,
            From::Grant(_) | From::Place(Reference::Command(_))
        )
    }

    /// All that makes its token another than that of other profiles, or of the same one before it was changed.
    fn store_key(&self) -> StoreKey {
        let key = match &self.definition.token.from {
            From::Place(place) => {
                StoreKey::builder(place.to_string()).subject(digest(&place.identity()))
            }
            From::Grant(grant) => {
                let key = StoreKey::builder(grant.server.url())
                    .client(&grant.client.id)
                    .scopes(&grant.scopes)
                    .resources(&grant.resource)
                    .subject(digest(&details(grant)))
                    .grant(grant.name);
                match grant.audience.is_empty() {
                    true => key,
                    false => key.audience(grant.audience.join(" ")),
                }
            }
        };
        key.name(&self.name).build()
    }
}

/// What a grant says besides, in one text.
fn details(grant: &Grant) -> String {
    let secrets = grant.secrets().into_iter();
    let secrets = secrets.map(|(key, reference)| format!("{key}={}", reference.identity()));
    let parameters = grant.parameters.iter();
    let parameters = parameters.map(|(name, value)| format!("{name:?}={value:?}"));
    let parts: Vec<_> = secrets.chain(parameters).collect();
    format!("{} {:?} {:?}", parts.join(" "), grant.kind, grant.audience)
}

/// A short hash: what it is of may be long, and is nothing to show.
fn digest(text: &str) -> String {
    let mut digest = StoreKey::builder(text).build().id().to_owned();
    digest.truncate(16);
    digest
}
