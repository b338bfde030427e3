//! Where a profile's token is kept when the process ends, and under which key.

use std::sync::Arc;

use crate::error::error::Error;
use crate::profile::lazy_store::{Closed, Opening};
use crate::profile::profile::Profile;
use crate::profile::schema::{Files, From, Grant, StoreKind};
use crate::profile::secret_ref::Reference;
use crate::store::file::FileStore;
use crate::store::key::StoreKey;
use crate::store::store::TokenStore;

type StoreAndKey = (Arc<dyn TokenStore>, StoreKey);

impl Profile {
    /// The store that keeps the token, and the key there; `None` if only the process has it.
    ///
    /// A store keeps tokens of grants unless the file says otherwise, and of commands those that end. A token that is kept somewhere
    /// as it is, is not copied. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if there is no directory for it.
    pub fn store(&self) -> Result<Option<StoreAndKey>, Error> {
        let closed = match &self.definition.store.kind {
            StoreKind::Memory => return Ok(None),
            StoreKind::Usual if !self.is_worth_keeping() => return Ok(None),
            StoreKind::Usual => Closed::Files(Files::default()),
            StoreKind::File(files) => Closed::Files(files.clone()),
            StoreKind::Keyring => Closed::Keyring,
            StoreKind::Redis(server) => Closed::Redis(server.clone()),
        };
        let needs_usual = match &closed {
            Closed::Files(files) => files.directory.is_none(),
            Closed::Keyring => true,
            Closed::Redis(_) => false,
        };
        if needs_usual {
            FileStore::default_directory()?;
        }
        Ok(Some((Arc::new(Opening::new(closed)), self.store_key())))
    }

    /// Where that store is, in words; the same for profiles that share one.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store).
    pub fn store_place(&self) -> Result<Option<String>, Error> {
        let directory = match &self.definition.store.kind {
            StoreKind::Memory => return Ok(None),
            StoreKind::Usual if !self.is_worth_keeping() => return Ok(None),
            StoreKind::Keyring => return Ok(Some("the keyring".to_owned())),
            StoreKind::Redis(server) => {
                let prefix = server.prefix.as_deref().unwrap_or_default();
                return Ok(Some(format!("Redis at the URL in {} {prefix}", server.url)));
            }
            StoreKind::Usual => None,
            StoreKind::File(files) => files.directory.clone(),
        };
        let directory = directory.map_or_else(FileStore::default_directory, Ok)?;
        Ok(Some(directory.display().to_string()))
    }

    fn is_worth_keeping(&self) -> bool {
        matches!(
            &self.definition.token.from,
            From::Grant(_) | From::Place(Reference::Command(_))
        )
    }

    /// All that makes its token another than that of other profiles, or of the same one before it was changed.
    ///
    /// Not the key of the grant's own source, which exists only when its secrets have been read.
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
                let key = match grant.audience.is_empty() {
                    true => key,
                    false => key.audience(grant.audience.join(" ")),
                };
                match grant.dpop_key {
                    Some(_) => key.token_type("DPoP"),
                    None => key,
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
