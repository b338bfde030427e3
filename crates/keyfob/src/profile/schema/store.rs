//! Where a profile's token is stored, as the file describes it.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::error::Error;
use crate::profile::key::{Key, Kind, TableKeys, Variant, words};
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::profile::secret_ref::{SecretRef, absolute};
use crate::profile::table::{Read, Table, Value};
use crate::source::persisted::OnStoreOutage;
use crate::store::file::FileStore;
use crate::store::table_name::check_table_name;

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
    Redis(DatabaseSettings),
    Postgres(DatabaseSettings),
}

/// Files in this directory or in the default one; sealed if there are keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSettings {
    directory: Option<PathBuf>,
    pub(crate) keys: Vec<SecretRef>,
    /// How long an entry with a refresh token is kept that nothing saves again.
    pub(crate) idle_timeout: Option<Duration>,
}

/// A database that machines share. Its entries are always sealed.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseSettings {
    pub(crate) url: SecretRef,
    pub(crate) keys: Vec<SecretRef>,
    /// The prefix of all keys in Redis, or the table in PostgreSQL.
    pub(crate) place: Option<String>,
    pub(crate) lease: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    /// How many replicas must have a saved entry, in Redis.
    pub(crate) replicas: Option<u32>,
}

#[derive(Clone, Copy)]
enum Name {
    Keyring,
    Memory,
    File,
    Redis,
    Postgres,
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
    /// The store of a profile whose file does not name one: files, unless the token is kept elsewhere anyway, or is that of
    /// this run.
    ///
    /// `of_profile` says whether the token of another profile is that of this run.
    pub(super) fn default_for(token: &TokenSettings, of_profile: &dyn Fn(&str) -> bool) -> Self {
        match &token.from {
            _ if token.is_of_this_run(of_profile) => Self::new(None),
            TokenFrom::Grant(_) | TokenFrom::Http(_) | TokenFrom::Secret(SecretRef::Command(_)) => {
                Self::new(Some(PersistentStore::Files(FileSettings::default())))
            }
            // A JWT costs nothing to sign again, and another profile has a store of its own.
            TokenFrom::Secret(_)
            | TokenFrom::Basic(_)
            | TokenFrom::SignedJwt(_)
            | TokenFrom::Profile(_) => Self::new(None),
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
        Name::Redis | Name::Postgres => {
            let problem = "a store in a database needs a table with `kind`, `url` and `keys`";
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
    // The keyring seals what it holds, so keys for it are reported instead of ignored.
    let keys = match name {
        Name::Keyring => None,
        _ => table.get("keys"),
    };
    let keys = match keys {
        Some(value) => read_keys(&value),
        None => Ok(Vec::new()),
    };
    let place = match name {
        Name::Redis => PersistentStore::Redis(read_database(table, keys, "prefix")?),
        Name::Postgres => PersistentStore::Postgres(read_database(table, keys, "table")?),
        Name::Keyring => PersistentStore::Keyring,
        Name::Memory | Name::File => PersistentStore::Files(FileSettings {
            directory: table.optional("directory", read_directory),
            keys: keys?,
            idle_timeout: table.optional("idle_timeout", Value::seconds),
        }),
    };
    Ok(StoreSettings {
        place: Some(place),
        on_store_outage: on_store_outage.unwrap_or_default(),
        issuer_grace,
    })
}

fn read_keys(value: &Value<'_>) -> Read<Vec<SecretRef>> {
    let keys = value.list("a reference to a secret, or a list of them", Value::secret)?;
    match keys.is_empty() {
        true => Err(value.error("`keys` is empty; name a key, or leave `keys` out")),
        false => Ok(keys),
    }
}

fn read_database(
    table: &Table<'_>,
    keys: Read<Vec<SecretRef>>,
    place: &'static str,
) -> Read<DatabaseSettings> {
    let is_redis = place == "prefix";
    let purpose = "a reference to the URL of the server, which holds a password";
    let url = table.required("url", purpose, Value::secret);
    let place = table.optional(place, |value| match is_redis {
        true => value.text(),
        false => read_table_name(value),
    });
    let lease = table.optional("lease", Value::seconds);
    let idle_timeout = table.optional("idle_timeout", Value::seconds);
    let replicas = match is_redis {
        true => table.optional("replicas", |value| value.number(0..=MOST_REPLICAS)),
        false => None,
    };
    let keys = keys?;
    // Files belong to one user. A database often has more users, who could read the tokens.
    if keys.is_empty() {
        return Err(table.error(
            "`keys` is missing: tokens in a database are sealed; make a key with `openssl rand -base64 32`",
        ));
    }
    Ok(DatabaseSettings {
        url: url?,
        keys,
        place,
        lease,
        idle_timeout,
        replicas,
    })
}

fn read_table_name(value: &Value<'_>) -> Read<String> {
    let name = value.text()?;
    let checked = check_table_name(&name);
    checked.map_err(|problem| value.error(format!("`table` {problem}")))?;
    Ok(name)
}

fn read_directory(value: &Value<'_>) -> Read<PathBuf> {
    absolute(&value.text()?).map_err(|problem| value.error(format!("`directory` {problem}")))
}

const MOST_REPLICAS: u32 = 100;

const NAMES: [(&str, Name); 5] = [
    ("memory", Name::Memory),
    ("file", Name::File),
    ("keyring", Name::Keyring),
    ("redis", Name::Redis),
    ("postgres", Name::Postgres),
];

const ON_STORE_OUTAGE: [(&str, OnStoreOutage); 2] = [
    ("fetch_locally", OnStoreOutage::FetchLocally),
    ("fail", OnStoreOutage::Fail),
];

/// The kinds that need no other key.
pub(super) fn words_alone() -> Vec<&'static str> {
    let mut words = words(&NAMES);
    words.retain(|word| !DATABASES.contains(word));
    words
}

/// The table `[profiles.name.store]`.
pub(in crate::profile) static KEYS: TableKeys = TableKeys {
    required: &["kind"],
    variants: &[
        Variant::with_word("kind", "memory", &[]),
        Variant::with_word("kind", "file", &[]),
        Variant::with_word("kind", "keyring", &[]),
        Variant::with_word("kind", "redis", &["url", "keys"]),
        Variant::with_word("kind", "postgres", &["url", "keys"]),
    ],
    ..TableKeys::new(
        "store",
        "Where the token is stored for other processes",
        &[STORE_KEYS],
    )
};

const LASTING: &[&str] = &["file", "keyring", "redis", "postgres"];

const DATABASES: &[&str] = &["redis", "postgres"];

const STORE_KEYS: &[Key] = &[
    Key::new(
        "kind",
        Kind::Word(|| words(&NAMES)),
        "the kind of store; \"memory\" is of this process only",
    ),
    Key::new("directory", Kind::Path, "the directory of the files")
        .default("keyfob in $XDG_STATE_HOME")
        .only(&["file"]),
    Key::new(
        "url",
        Kind::Secret,
        "reference to the URL of Redis, Valkey or PostgreSQL, which holds its password",
    )
    .only(DATABASES),
    Key::new(
        "keys",
        Kind::Secrets,
        "reference to a key that seals the entries, or a list of references: the first key writes, all keys read",
    )
    .default("files are not sealed")
    .only(&["file", "redis", "postgres"]),
    Key::new("prefix", Kind::Text, "the start of all key names in Redis")
        .default("keyfob")
        .only(&["redis"]),
    Key::new(
        "replicas",
        Kind::Number(0, MOST_REPLICAS),
        "how many replicas of Redis must have a new token before it is used; with fewer, a warning is logged",
    )
    .default("0")
    .only(&["redis"]),
    Key::new("table", Kind::Text, "the table in PostgreSQL, if need be after its schema and a dot")
        .default("keyfob_tokens")
        .only(&["postgres"]),
    Key::new(
        "lease",
        Kind::Seconds,
        "after how many seconds without a sign of its holder a lease in a database expires",
    )
    .default("10")
    .only(DATABASES),
    Key::new(
        "idle_timeout",
        Kind::Seconds,
        "for how many seconds an entry with a refresh token is kept that is not renewed; entries without one go a day after their token expired",
    )
    .default("forever")
    .only(&["file", "redis", "postgres"]),
    Key::new(
        "on_store_outage",
        Kind::Word(|| words(&ON_STORE_OUTAGE)),
        "what happens while the store cannot be used: the source is called if that consumes no refresh token, or not at all",
    )
    .default("fetch_locally")
    .only(LASTING),
    Key::new(
        "issuer_grace",
        Kind::Seconds,
        "for how many seconds after its start an exchange without a known result is repeated once",
    )
    .default("30")
    .only(LASTING),
];
