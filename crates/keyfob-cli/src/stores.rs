//! The stores of a machine's profiles.

use keyfob::FileStore;
use keyfob::Profile;
use keyfob::Profiles;

use crate::fault::Fault;

/// The usual store, and those that profiles name, each once.
pub(crate) fn all(profiles: &Profiles) -> Result<Vec<FileStore>, Fault> {
    let mut stores = vec![FileStore::new(FileStore::usual_directory()?)];
    for profile in profiles.iter() {
        if let Some((store, _)) = profile.store()?
            && stores.iter().all(|known| known.path() != store.path())
        {
            stores.push(store);
        }
    }
    Ok(stores)
}

/// The profile that keeps its token under this name.
pub(crate) fn owner<'p>(profiles: &'p Profiles, id: &str) -> Result<Option<&'p Profile>, Fault> {
    for profile in profiles.iter() {
        if profile.store()?.is_some_and(|(_, key)| key.id() == id) {
            return Ok(Some(profile));
        }
    }
    Ok(None)
}
