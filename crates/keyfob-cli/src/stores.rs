//! What is kept in the stores of a machine's profiles.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfob::store::{EntrySummary, FileStore, TokenStore};
use keyfob::{Error, Profiles};

use crate::fault::Fault;

/// An entry, and the store that it was found in.
pub(crate) struct Found {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) entry: EntrySummary,
    /// The profile that it belongs to, if that is still there.
    pub(crate) profile: Option<String>,
}

/// Every entry of the usual store and of those that profiles name.
pub(crate) async fn entries(profiles: &Profiles) -> Result<Vec<Found>, Fault> {
    let usual = FileStore::usual_directory()?;
    let place = usual.display().to_string();
    let mut stores: Vec<(String, Arc<dyn TokenStore>)> =
        vec![(place, Arc::new(FileStore::new(usual)))];
    let mut owners = BTreeMap::new();
    for profile in profiles.iter() {
        if let (Some(place), Some((store, key))) = (profile.store_place()?, profile.store()?) {
            owners.insert(key.id().to_owned(), profile.name().to_owned());
            stores.push((place, store));
        }
    }
    let mut found: BTreeMap<(String, String), Found> = BTreeMap::new();
    for (place, store) in stores {
        for entry in store.list().await.map_err(Error::from)? {
            let id = entry.key.id().to_owned();
            let profile = owners.get(&id).cloned();
            let place = (place.clone(), id);
            // Several profiles may share a store, and only the one that has its key can read an entry.
            let known = found.get(&place).map(|known| &known.entry);
            if known.is_some_and(|known| known.trouble.is_none()) {
                continue;
            }
            let store = Arc::clone(&store);
            found.insert(
                place,
                Found {
                    store,
                    entry,
                    profile,
                },
            );
        }
    }
    Ok(found.into_values().collect())
}
