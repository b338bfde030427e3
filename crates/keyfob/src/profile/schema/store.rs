//! Where a profile's token outlives the process.

use std::path::PathBuf;
use std::time::Duration;

use crate::profile::secret_ref::{Reference, anchored};
use crate::profile::table::{Table, Value};
use crate::source::persisted::OnStoreOutage;

/// The store of a profile, and how it is used.
#[derive(Debug, Default)]
pub(crate) struct StoreChoice {
    pub(crate) kind: StoreKind,
    pub(crate) on_store_outage: OnStoreOutage,
    pub(crate) issuer_grace: Option<Duration>,
}

/// Which store it is.
#[derive(Debug, Default)]
pub(crate) enum StoreKind {
    /// As is usual for the source: none for a place that keeps the token anyway, else files.
    #[default]
    Usual,
    /// The process alone.
    Memory,
    File(Files),
    /// The keyring of the system.
    Keyring,
    Redis(Box<Redis>),
}

/// Files in this directory, or in the usual one; sealed, if there are keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) keys: Vec<Reference>,
}

/// A Redis or Valkey server; what is there is always sealed.
#[derive(Clone, Debug)]
pub(crate) struct Redis {
    pub(crate) url: Reference,
    pub(crate) keys: Vec<Reference>,
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
pub(super) fn read(value: Value<'_>) -> Option<StoreChoice> {
    if !value.is_table() {
        let kind = match value.clone().one_of("store", &NAMES)? {
            Name::Memory => StoreKind::Memory,
            Name::File => StoreKind::File(Files::default()),
            Name::Keyring => StoreKind::Keyring,
            Name::Redis => {
                value.fault("a store in Redis needs a table with `kind`, `url` and `keys`");
                return None;
            }
        };
        return Some(StoreChoice {
            kind,
            ..StoreChoice::default()
        });
    }
    let table = value.table()?;
    let choice = read_table(&table);
    table.close(&KEYS);
    choice
}

fn read_table(table: &Table<'_>) -> Option<StoreChoice> {
    let kind = table.need("kind", "which store it is, such as \"file\"")?;
    let name = kind.one_of("store", &NAMES)?;
    if let Name::Memory = name {
        return Some(StoreChoice {
            kind: StoreKind::Memory,
            ..StoreChoice::default()
        });
    }
    let on_store_outage = table
        .get("on_store_outage")
        .map(|value| value.one_of("way", &WAYS));
    let issuer_grace = table.get("issuer_grace").and_then(Value::seconds);
    let keys = match table.get("keys") {
        Some(value) => value.list("a reference, or a list of them", Value::secret),
        None => Some(Vec::new()),
    };
    let kind = match name {
        Name::Redis => read_redis(table, keys),
        Name::Keyring => Some(StoreKind::Keyring),
        Name::Memory | Name::File => read_files(table, keys),
    };
    Some(StoreChoice {
        kind: kind?,
        on_store_outage: on_store_outage.unwrap_or(Some(OnStoreOutage::default()))?,
        issuer_grace,
    })
}

fn read_files(table: &Table<'_>, keys: Option<Vec<Reference>>) -> Option<StoreKind> {
    let directory = match table.get("directory") {
        Some(value) => Some(directory(value)?),
        None => None,
    };
    Some(StoreKind::File(Files {
        directory,
        keys: keys?,
    }))
}

fn read_redis(table: &Table<'_>, keys: Option<Vec<Reference>>) -> Option<StoreKind> {
    let url = table
        .need(
            "url",
            "where the server is; a reference, since it holds a password",
        )
        .and_then(Value::secret);
    let prefix = table.get("prefix").and_then(Value::text).map(str::to_owned);
    let lease = table.get("lease").and_then(Value::seconds);
    let keys = keys?;
    if keys.is_empty() {
        table.fault("`keys` is missing: tokens in Redis are sealed; make one with `openssl rand -base64 32`");
        return None;
    }
    Some(StoreKind::Redis(Box::new(Redis {
        url: url?,
        keys,
        prefix,
        lease,
    })))
}

fn directory(value: Value<'_>) -> Option<PathBuf> {
    match anchored(value.clone().text()?) {
        Ok(path) => Some(path),
        Err(says) => {
            value.fault(format!("`directory` {says}"));
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

const WAYS: [(&str, OnStoreOutage); 2] = [
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
