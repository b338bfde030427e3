//! Where a profile's token is stored, as the file describes it.

use std::path::PathBuf;
use std::time::Duration;

use crate::profile::secret_ref::{SecretRef, absolute};
use crate::profile::table::{Table, Value};
use crate::source::persisted::OnStoreOutage;

/// The store of a profile, and how it is used.
#[derive(Debug, Default)]
pub(crate) struct StoreSettings {
    pub(crate) kind: StoreKind,
    pub(crate) on_store_outage: OnStoreOutage,
    pub(crate) issuer_grace: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) enum StoreKind {
    /// Files, unless the token's source keeps the token anyway.
    #[default]
    Default,
    /// None: the token is only in the memory of the process.
    Memory,
    Persistent(PersistentStore),
}

/// A store that outlives the process.
#[derive(Clone, Debug)]
pub(crate) enum PersistentStore {
    Files(FileSettings),
    /// The keyring of the system.
    Keyring,
    Redis(Box<RedisSettings>),
}

/// Files in this directory or in the default one; sealed if there are keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSettings {
    pub(crate) directory: Option<PathBuf>,
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

/// Reads `store = "memory"`, or the table `[profiles.name.store]`.
pub(super) fn read(value: Value<'_>) -> Option<StoreSettings> {
    if value.is_table() {
        let table = value.table()?;
        let settings = read_table(&table);
        table.finish(&KEYS);
        return settings;
    }
    let kind = match value.clone().one_of("store", &NAMES)? {
        Name::Memory => StoreKind::Memory,
        Name::File => StoreKind::Persistent(PersistentStore::Files(FileSettings::default())),
        Name::Keyring => StoreKind::Persistent(PersistentStore::Keyring),
        Name::Redis => {
            value.error("a store in Redis needs a table with `kind`, `url` and `keys`");
            return None;
        }
    };
    Some(StoreSettings {
        kind,
        ..StoreSettings::default()
    })
}

fn read_table(table: &Table<'_>) -> Option<StoreSettings> {
    let kind = table.require("kind", "the kind of store, such as \"file\"")?;
    let name = kind.one_of("store", &NAMES)?;
    if let Name::Memory = name {
        return Some(StoreSettings {
            kind: StoreKind::Memory,
            ..StoreSettings::default()
        });
    }
    let on_store_outage = table
        .get("on_store_outage")
        .map(|value| value.one_of("value", &ON_STORE_OUTAGE));
    let issuer_grace = table.get("issuer_grace").and_then(Value::seconds);
    let keys = match table.get("keys") {
        Some(value) => value.list("a reference to a secret, or a list of them", Value::secret),
        None => Some(Vec::new()),
    };
    let store = match name {
        Name::Redis => read_redis(table, keys),
        Name::Keyring => Some(PersistentStore::Keyring),
        Name::Memory | Name::File => read_files(table, keys),
    };
    Some(StoreSettings {
        kind: StoreKind::Persistent(store?),
        on_store_outage: on_store_outage.unwrap_or(Some(OnStoreOutage::default()))?,
        issuer_grace,
    })
}

fn read_files(table: &Table<'_>, keys: Option<Vec<SecretRef>>) -> Option<PersistentStore> {
    let directory = match table.get("directory") {
        Some(value) => Some(directory(value)?),
        None => None,
    };
    Some(PersistentStore::Files(FileSettings {
        directory,
        keys: keys?,
    }))
}

fn read_redis(table: &Table<'_>, keys: Option<Vec<SecretRef>>) -> Option<PersistentStore> {
    let url = table
        .require(
            "url",
            "a reference to the URL of the server, which holds a password",
        )
        .and_then(Value::secret);
    let prefix = table.get("prefix").and_then(Value::text).map(str::to_owned);
    let lease = table.get("lease").and_then(Value::seconds);
    let keys = keys?;
    if keys.is_empty() {
        table.error("`keys` is missing: tokens in Redis are sealed; make a key with `openssl rand -base64 32`");
        return None;
    }
    Some(PersistentStore::Redis(Box::new(RedisSettings {
        url: url?,
        keys,
        prefix,
        lease,
    })))
}

fn directory(value: Value<'_>) -> Option<PathBuf> {
    match absolute(value.clone().text()?) {
        Ok(path) => Some(path),
        Err(problem) => {
            value.error(format!("`directory` {problem}"));
            None
        }
    }
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
