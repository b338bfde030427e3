//! What a preset is: its keys as data, and the settings that it makes of their values.

use std::collections::BTreeMap;

use url::Url;

use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind, TableKeys};
use crate::profile::schema::client::KeySettings;
use crate::profile::schema::place::{LinkReader, TokenPlace};
use crate::profile::schema::placement::PLACEMENT_KEYS;
use crate::profile::schema::token::{ReadPreset, TIME_KEYS, TokenSettings};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};

/// A platform's token, and the keys that describe it.
pub(crate) struct Preset {
    /// Its name is the value of the key `preset`.
    pub(crate) table: TableKeys,
    settings: fn(&Values) -> Result<TokenSettings, String>,
}

/// The values of the keys of one table.
pub(crate) struct Values {
    table: &'static TableKeys,
    values: BTreeMap<&'static str, PresetValue>,
    base_url: Option<Url>,
}

pub(super) enum PresetValue {
    Texts(Vec<String>),
    Secret(SecretRef),
    Token(TokenPlace),
}

impl Preset {
    /// A preset with this name, one sentence for people, its own keys, and the required ones.
    pub(super) const fn new(
        name: &'static str,
        doc: &'static str,
        keys: &'static [Key],
        required: &'static [&'static str],
        settings: fn(&Values) -> Result<TokenSettings, String>,
    ) -> Self {
        let table = TableKeys::new(name, doc, COMMON_KEYS);
        let table = TableKeys {
            own: keys,
            required,
            exclusive: &[["header", "scheme"]],
            ..table
        };
        Self { table, settings }
    }
}

impl ReadPreset for Preset {
    fn table(&'static self) -> &'static TableKeys {
        &self.table
    }

    fn read(
        &'static self,
        table: &Table<'_>,
        links: &LinkReader<'_>,
        base_url: Option<&Url>,
    ) -> Read<TokenSettings> {
        let mut values = BTreeMap::new();
        let mut outcome = Ok(());
        // All keys are read before an error ends this, so that each mistake is reported.
        for key in self.table.iter().filter(|key| !is_common(key)) {
            match table.get(key.name).map(|value| read(key, &value, links)) {
                Some(Ok(value)) => _ = values.insert(key.name, value),
                Some(Err(reported)) => outcome = Err(reported),
                None if self.table.required.contains(&key.name) => {
                    outcome = Err(table.error(format!("`{}` is missing: {}", key.name, key.doc)));
                }
                None => {}
            }
        }
        let _ = table.get("preset");
        outcome?;
        let table_keys = &self.table;
        let settings = (self.settings)(&Values {
            table: table_keys,
            values,
            base_url: base_url.cloned(),
        });
        settings.map_err(|problem| table.error(problem))
    }
}

/// Whether the key is read for every token.
pub(super) fn is_common(key: &Key) -> bool {
    let mut common = COMMON_KEYS.iter().copied().flatten();
    common.any(|other| other.name == key.name)
}

fn read(key: &Key, value: &Value<'_>, links: &LinkReader<'_>) -> Read<PresetValue> {
    let text = |text| PresetValue::Texts(vec![text]);
    match key.kind {
        Kind::Id => value.id().map(text),
        Kind::Texts => value.texts().map(PresetValue::Texts),
        Kind::Url => value.url_as_written().map(text),
        Kind::Secret => value.secret().map(PresetValue::Secret),
        Kind::Token => links.place(key.name, value).map(PresetValue::Token),
        Kind::Word(words) => {
            let known: Vec<_> = words().into_iter().map(|word| (word, word)).collect();
            let word = value.one_of("value", &known)?;
            Ok(text(word.to_owned()))
        }
        // A preset declares only the kinds above and plain text.
        _ => value.text().map(text),
    }
}

/// The values by name. What the file leaves out has the default that its key declares.
impl Values {
    /// A text, a URL, an id or a word that is required or has a default.
    pub(super) fn text(&self, name: &str) -> &str {
        self.given_text(name).unwrap_or_else(|| self.default(name))
    }

    /// A text that the file gives.
    pub(super) fn given_text(&self, name: &str) -> Option<&str> {
        self.texts(name).first().map(String::as_str)
    }

    /// All texts that the file gives.
    pub(super) fn texts(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(PresetValue::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// A secret that is required or has a default.
    pub(super) fn secret(&self, name: &str) -> SecretRef {
        let default = || SecretRef::parse(self.default(name)).expect("a default is a reference");
        self.given_secret(name).unwrap_or_else(default)
    }

    pub(super) fn given_secret(&self, name: &str) -> Option<SecretRef> {
        match self.values.get(name)? {
            PresetValue::Secret(secret) => Some(secret.clone()),
            _ => None,
        }
    }

    /// A token that is required or has a default. One that is a link has the key's name as its key.
    pub(super) fn token(&self, name: &str) -> TokenPlace {
        let default = || TokenPlace::Secret(self.secret(name));
        self.given_token(name).unwrap_or_else(default)
    }

    pub(super) fn given_token(&self, name: &str) -> Option<TokenPlace> {
        match self.values.get(name)? {
            PresetValue::Token(place) => Some(place.clone()),
            _ => None,
        }
    }

    /// The profile's base URL, or an error that names the key which replaces it.
    pub(super) fn base_url(&self, key: &str) -> Result<&Url, String> {
        let url = self.base_url.as_ref();
        url.ok_or_else(|| {
            format!("`{key}` is missing, and the profile has no `base_url` that it follows from")
        })
    }

    /// The URL of this key, or this path at the server of the profile's base URL.
    pub(super) fn url_or_path(&self, key: &str, path: &str) -> Result<String, String> {
        match self.given_text(key) {
            Some(url) => Ok(url.to_owned()),
            None => {
                let server = self.base_url(key)?.origin().ascii_serialization();
                Ok(format!("{server}{path}"))
            }
        }
    }

    /// The private key of this key, which signs with this algorithm.
    pub(super) fn signing_key(&self, name: &str, algorithm: Algorithm) -> KeySettings {
        KeySettings {
            pem: self.secret(name),
            passphrase: None,
            id: None,
            algorithm: Some(algorithm),
            has_certificate: false,
        }
    }

    fn default(&self, name: &str) -> &'static str {
        let key = self.table.get(name).expect("the preset declares the key");
        // In the documentation, a default stands in backquotes.
        key.default.trim_matches('`')
    }
}

/// The keys of every preset.
const COMMON_KEYS: &[&[Key]] = &[
    &[Key::new(
        "preset",
        Kind::Text,
        "the platform whose token it is",
    )],
    PLACEMENT_KEYS,
    TIME_KEYS,
];
