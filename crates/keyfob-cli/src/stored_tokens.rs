//! The tokens in the stores of this machine's profiles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyfob::pool::PoolKey;
use keyfob::store::{EntrySummary, FileStore, StoreKey, TokenStore};
use keyfob::{Error, Profile, Profiles};

use crate::output::error::CliError;

/// An entry of a store.
pub(crate) struct StoredToken {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) entry: EntrySummary,
    /// The profile that it belongs to, with the place of the link if it is one; `None` if that profile is gone.
    pub(crate) profile: Option<String>,
}

/// Every entry of the default store and of the stores that profiles name.
pub(crate) async fn all(profiles: &Profiles) -> Result<Vec<StoredToken>, CliError> {
    let mut stores: Vec<(String, Arc<dyn TokenStore>)> = Vec::new();
    // A process without a home has no default store, and may have others.
    if let Ok(directory) = FileStore::default_directory() {
        let location = directory.display().to_string();
        stores.push((location, Arc::new(FileStore::new(directory))));
    }
    let mut owners = BTreeMap::new();
    for profile in profiles.iter() {
        if let (Ok(Some(location)), Ok(Some((store, key)))) =
            (profile.store_location(), profile.store())
        {
            let name = profile.name();
            owners.insert(key.id().to_owned(), name.to_owned());
            let links = profile.link_keys().into_iter();
            owners.extend(links.map(|(link, key)| (key.id().to_owned(), format!("{name}.{link}"))));
            stores.push((location, store));
        }
    }
    let mut found: BTreeMap<(String, String), StoredToken> = BTreeMap::new();
    for (location, store) in stores {
        for entry in store.list().await.map_err(Error::from)? {
            let id = entry.key.id().to_owned();
            let profile = owners.get(&id).cloned();
            let place = (location.clone(), id);
            // Profiles that share a store may have different sealing keys. The summary of a profile that can read the entry wins.
            let known = found.get(&place).map(|known| &known.entry);
            if known.is_some_and(|known| known.unreadable.is_none()) {
                continue;
            }
            let store = Arc::clone(&store);
            let token = StoredToken {
                store,
                entry,
                profile,
            };
            found.insert(place, token);
        }
    }
    Ok(found.into_values().collect())
}

/// The tokens that profiles have for this user. An error if none of the profiles has a token for each user.
pub(crate) fn of_subject(
    all: Vec<StoredToken>,
    profiles: &Profiles,
    key: &PoolKey,
) -> Result<Vec<StoredToken>, CliError> {
    let mut names = BTreeMap::new();
    let mut refusal = None;
    for profile in profiles.iter() {
        match profile.for_key(key) {
            Ok(profile) => {
                let stored = profile.store()?.map(|(_, key)| key.id().to_owned());
                names.extend(stored.map(|id| (id, profile.name().to_owned())));
            }
            Err(error) => refusal = Some(error),
        }
    }
    if let (true, Some(refusal)) = (names.is_empty(), refusal) {
        return Err(refusal.into());
    }
    let mut found = Vec::new();
    for mut stored in all {
        if let Some(name) = names.get(stored.entry.key.id()) {
            stored.profile = Some(name.clone());
            found.push(stored);
        }
    }
    Ok(found)
}

/// The store of a profile, and the key of its token there.
///
/// A profile without a store is an error, because a sign-in would be lost when the program ends.
pub(crate) fn store_of(profile: &Profile) -> Result<(Arc<dyn TokenStore>, StoreKey), CliError> {
    // A missing directory is not a store in memory, and its error says what to do.
    profile.store_location()?;
    profile.store()?.ok_or_else(|| {
        CliError::usage(format!(
            "the profile {} keeps its token in memory only, so a sign-in would be lost; remove `store = \"memory\"` from it",
            profile.name()
        ))
    })
}

/// Forgets the tokens with which the profile's token is fetched. Returns whether any was stored.
pub(crate) async fn forget_links(
    profile: &Profile,
    store: &dyn TokenStore,
) -> Result<bool, CliError> {
    let mut was_stored = false;
    for (_, key) in profile.link_keys() {
        was_stored |= store
            .forget(&key, LOCK_TIMEOUT)
            .await
            .map_err(Error::from)?;
    }
    Ok(was_stored)
}

/// How long to wait for the lock on an entry, which another process holds while it renews the token.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
