//! The tokens in the stores of this machine's profiles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keyfob::error::printable;
use keyfob::pool::PoolKey;
use keyfob::store::{Entry, EntrySummary, FileStore, StoreError, StoreKey, StoreLease, TokenStore};
use keyfob::{Error, Profile, Profiles, Token};

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_stderr, print_stdout};

/// An entry of a store.
pub(crate) struct StoredToken {
    pub(crate) store: Arc<dyn TokenStore>,
    /// Where the store is, in words.
    pub(crate) location: String,
    pub(crate) entry: EntrySummary,
    /// The profile that it belongs to, with the place of the link if it is one; `None` if that profile is gone.
    pub(crate) profile: Option<String>,
}

/// The entries of all stores that can be read, and whether there are others.
pub(crate) struct AllStored {
    pub(crate) tokens: Vec<StoredToken>,
    /// Whether a store could not be read, which is reported already.
    pub(crate) is_incomplete: bool,
}

impl AllStored {
    /// How a command ends that has done its work for the stores that can be read.
    pub(crate) fn outcome(&self) -> Result<ExitCode, CliError> {
        match self.is_incomplete {
            true => Err(CliError::silent(ExitCode::Failed)),
            false => Ok(ExitCode::Done),
        }
    }
}

/// Every entry of the default store and of the stores that profiles name.
///
/// A store that cannot be read is reported, and the others are read all the same.
pub(crate) async fn all(profiles: &Profiles) -> AllStored {
    let mut stores: Vec<(String, Arc<dyn TokenStore>)> = Vec::new();
    // A process without a home has no default store, and may have others.
    if let Ok(directory) = FileStore::default_directory() {
        let location = directory.display().to_string();
        stores.push((location, Arc::new(FileStore::new(directory))));
    }
    let mut owners = BTreeMap::new();
    for profile in profiles.iter() {
        if let (Ok(Some(location)), Ok(Some((store, _)))) =
            (profile.store_location(), profile.store())
        {
            owners.extend(ids_of(profile));
            stores.push((location, store));
        }
    }
    let mut found: BTreeMap<(String, String), StoredToken> = BTreeMap::new();
    let mut faults = BTreeSet::new();
    for (location, store) in stores {
        let entries = store.list().await.unwrap_or_else(|fault| {
            // Profiles that share a store share its error, unless their sealing keys differ.
            faults.insert(report(&location, fault));
            Vec::new()
        });
        for entry in entries {
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
                location: location.trim_end().to_owned(),
                entry,
                profile,
            };
            found.insert(place, token);
        }
    }
    for fault in &faults {
        print_stderr(fault);
    }
    AllStored {
        tokens: found.into_values().collect(),
        is_incomplete: !faults.is_empty(),
    }
}

/// The ids of a profile's tokens, each with its name: that of the profile, and the place of the link if it is one.
pub(crate) fn ids_of(profile: &Profile) -> Vec<(String, String)> {
    let Ok(Some((_, key))) = profile.store() else {
        return Vec::new();
    };
    let name = profile.name();
    let links = profile.link_keys().into_iter();
    let links = links.map(|(link, key)| (key.id().to_owned(), format!("{name}.{link}")));
    let own = (key.id().to_owned(), name.to_owned());
    std::iter::once(own).chain(links).collect()
}

/// A line about what failed in a store.
fn report(what: &str, fault: StoreError) -> String {
    let error = CliError::from(Error::from(fault));
    let message = error.message().unwrap_or_default();
    format!(
        "keyfob: {}: {}\n",
        printable(what.trim_end()),
        printable(message)
    )
}

/// What was done with the entries of stores.
#[derive(Default)]
pub(crate) struct Counts {
    done: u32,
    failed: u32,
    /// To which stores earlier runs of `keyfob store migrate` have moved tokens, and how many.
    moved_before: BTreeMap<String, u32>,
}

impl Counts {
    /// Notes what became of an entry. A failure is reported, and the others go on. The marker of a token in another store is none.
    pub(crate) fn add(&mut self, entry: &EntrySummary, result: Result<bool, StoreError>) {
        match result {
            Ok(done) => self.done += u32::from(done),
            Err(fault) => match fault.moved_to() {
                Some(place) => *self.moved_before.entry(place.to_owned()).or_default() += 1,
                None => {
                    self.failed += 1;
                    print_stderr(report(entry.key.label(), fault));
                }
            },
        }
    }

    pub(crate) fn report(&self, done: &str) -> Result<ExitCode, CliError> {
        let text = match self.done {
            1 => format!("1 token is {done}\n"),
            many => format!("{many} tokens are {done}\n"),
        };
        print_stdout(text)?;
        for (place, count) in &self.moved_before {
            let place = printable(place);
            print_stdout(match count {
                1 => format!("1 token was moved before, to {place}\n"),
                many => format!("{many} tokens were moved before, to {place}\n"),
            })?;
        }
        match self.failed {
            0 => Ok(ExitCode::Done),
            _ => Err(CliError::silent(ExitCode::Failed)),
        }
    }
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
                // A profile without a directory for its store has no entry, and hides none of others.
                let stored = profile.store().ok().flatten();
                let id = stored.map(|(_, key)| key.id().to_owned());
                names.extend(id.map(|id| (id, profile.name().to_owned())));
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
    let mut outcome = Ok(false);
    for (_, key) in profile.link_keys() {
        let forgotten = store.forget(&key, LOCK_TIMEOUT).await;
        // Each is tried, and the first failure is the result.
        outcome = match (outcome, forgotten) {
            (Ok(before), Ok(now)) => Ok(before || now),
            (Ok(_), Err(fault)) => Err(Error::from(fault)),
            (Err(first), _) => Err(first),
        };
    }
    Ok(outcome?)
}

/// Writes, reads and removes an entry of its own.
pub(crate) async fn round_trip(store: &dyn TokenStore) -> Result<(), StoreError> {
    try_out(store.lease(&own_key(), LOCK_TIMEOUT).await?).await
}

/// A key that no other run has, on no machine, so that two runs do not disturb each other.
pub(crate) fn own_key() -> StoreKey {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let (process, now) = (std::process::id(), now.unwrap_or_default().as_nanos());
    let key = StoreKey::builder("keyfob store check").name(format!("{process} {now}"));
    key.build()
}

/// Writes, reads and removes an entry, and ends the lease. Nothing stays.
pub(crate) async fn try_out(mut lease: Box<dyn StoreLease>) -> Result<(), StoreError> {
    let passed = write_and_read(&mut *lease).await;
    let removed = lease.remove().await;
    lease.release().await;
    passed.and(removed.map(drop))
}

async fn write_and_read(lease: &mut dyn StoreLease) -> Result<(), StoreError> {
    let token = Token::new("check").map_err(StoreError::unavailable)?;
    let token = token.expires_in(Duration::from_secs(60));
    lease.load().await?;
    lease.save(&Entry::new(token, SystemTime::now())).await?;
    match lease.load().await? {
        Some(_) => Ok(()),
        None => Err(StoreError::unavailable(Error::unavailable(
            "what was written is not there",
        ))),
    }
}

/// How long to wait for the lock on an entry, which another process holds while it renews the token.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
