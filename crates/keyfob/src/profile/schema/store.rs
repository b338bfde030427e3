//! Where a profile's token is stored, as the file describes it.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::error::Error;
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::profile::secret_ref::{SecretRef, absolute};
use crate::profile::table::{Read, Table, Value};
use crate::source::persisted::OnStoreOutage;
use crate::store::file::FileStore;

/// The store of a profile, and how it is used.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreSettings {
    /// The store; `None` if the token is only in the memory of the process.
    pub(crate) place: Option<PersistentStore>,
    pub(crate) on_store_outage: OnStoreOutage,
    pub(crate) issuer_grace: Option<Duration>,
}

/// A store that outlives the process.
#[derive(Clone, Debug)]
pub(crate) enum PersistentStore {
    Files(FileSettings),
    /// The keyring of the system.
    Keyring,
    Redis(RedisSettings),
}

/// Files in this directory or in the default one; sealed if there are keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSettings {
    directory: Option<PathBuf>,
    pub(crate) keys: Vec<SecretRef>,
}

/// A Redis or Valkey server. Its entries are always sealed.
#[derive(Clone, Debug)]
pub(crate) struct RedisSettings {
    pub(crate) url: SecretRef,
    pub(crate) keys: Vec<SecretRef>,
    pub(crate) prefix: Option<String>,
    pub(crate) lease: Option<Duration>,
}

#[derive(Clone, Copy)]
enum Name {
    Keyring,
    Memory,
    File,
    Redis,
}

impl FileSettings {
    pub(crate) fn directory(&self) -> Result<PathBuf, Error> {
        match &self.directory {
            Some(directory) => Ok(directory.clone()),
            None => FileStore::default_directory(),
        }
    }
}

impl StoreSettings {
    /// The store of a profile whose file does not name one: files, unless the token is kept elsewhere anyway.
    pub(super) fn default_for(token: &TokenSettings) -> Self {
        match &token.from {
            TokenFrom::Grant(_) | TokenFrom::Secret(SecretRef::Command(_)) => {
                Self::new(Some(PersistentStore::Files(FileSettings::default())))
            }
            TokenFrom::Secret(_) | TokenFrom::Basic(_) => Self::new(None),
        }
    }

    fn new(place: Option<PersistentStore>) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }
}

/// Reads `store = "memory"`, or the table `[profiles.name.store]`.
pub(super) fn read(value: &Value<'_>) -> Read<StoreSettings> {
    if value.is_table() {
        return value.table(&KEYS, read_table);
    }
    Ok(StoreSettings::new(match value.one_of("store", &NAMES)? {
        Name::Memory => None,
        Name::File => Some(PersistentStore::Files(FileSettings::default())),
        Name::Keyring => Some(PersistentStore::Keyring),
        Name::Redis => {
            let problem = "a store in Redis needs a table with `kind`, `url` and `keys`";
            return Err(value.error(problem));
        }
    }))
}

fn read_table(table: &Table<'_>) -> Read<StoreSettings> {
    let purpose = "the kind of store, such as \"file\"";
    let name = table.required("kind", purpose, |value| value.one_of("store", &NAMES))?;
    // The other keys are settings of a store that outlives the process, so with `memory` they are reported.
    if let Name::Memory = name {
        return Ok(StoreSettings::default());
    }
    let on_store_outage = table.optional("on_store_outage", |value| {
        value.one_of("value", &ON_STORE_OUTAGE)
    });
    let issuer_grace = table.optional("issuer_grace", Value::seconds);
    let keys = match table.get("keys") {
        Some(value) => value.list("a reference to a secret, or a list of them", Value::secret),
        None => Ok(Vec::new()),
    };
    let place = match name {
        Name::Redis => PersistentStore::Redis(read_redis(table, keys)?),
        Name::Keyring => PersistentStore::Keyring,
        Name::Memory | Name::File => PersistentStore::Files(FileSettings {
            directory: table.optional("directory", read_directory),
            keys: keys?,
        }),
    };
    Ok(StoreSettings {
        place: Some(place),
        on_store_outage: on_store_outage.unwrap_or_default(),
        issuer_grace,
    })
}

fn read_redis(table: &Table<'_>, keys: Read<Vec<SecretRef>>) -> Read<RedisSettings> {
    let purpose = "a reference to the URL of the server, which holds a password";
    let url = table.required("url", purpose, Value::secret);
    let prefix = table.optional("prefix", Value::text);
    let lease = table.optional("lease", Value::seconds);
    let keys = keys?;
    // Files belong to one user. A Redis server often has more users, who could read the tokens.
    if keys.is_empty() {
        return Err(table.error(
            "`keys` is missing: tokens in Redis are sealed; make a key with `openssl rand -base64 32`",
        ));
    }
    Ok(RedisSettings {
        url: url?,
        keys,
        prefix,
        lease,
    })
}

fn read_directory(value: &Value<'_>) -> Read<PathBuf> {
    absolute(&value.text()?).map_err(|problem| value.error(format!("`directory` {problem}")))
}

const NAMES: [(&str, Name); 4] = [
    ("memory", Name::Memory),
    ("file", Name::File),
    ("keyring", Name::Keyring),
    ("redis", Name::Redis),
];

const ON_STORE_OUTAGE: [(&str, OnStoreOutage); 2] = [
    ("fetch_locally", OnStoreOutage::FetchLocally),
    ("fail", OnStoreOutage::Fail),
];

const KEYS: [&str; 7] = [
    "directory",
    "issuer_grace",
    "keys",
    "lease",
    "prefix",
    "url",
    "on_store_outage",
];
