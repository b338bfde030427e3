//! A profile that is written to a file, from answers to questions.

use std::collections::BTreeMap;
use std::fmt::Write;

use url::Url;

use crate::error::error::Error;
use crate::error::shown_name::shown_name;
use crate::profile::errors::suggestion;
use crate::profile::key::{Key, Kind, TableKeys, Variant};
use crate::profile::presets;
use crate::profile::schema::{PROFILE, token};
use crate::profile::secret_ref::SecretRef;

#[cfg(test)]
mod tests;

/// A profile that is to be written to a `keyfob.toml`, with what each key means as a comment.
///
/// ```
/// use keyfob::Profiles;
/// use keyfob::profile::NewProfile;
///
/// let mut reports = NewProfile::new("reports", "client_credentials")?;
/// reports.set("base_url", "https://api.example.com/")?;
/// reports.set("issuer", "https://login.example.com")?;
/// reports.set("client_id", "reports")?;
/// assert!(reports.set("client_secret", "hunter2").is_err());
/// reports.set("client_secret", "file:/run/secrets/reports")?;
/// assert!(reports.questions().is_empty());
/// assert!(Profiles::from_text(&reports.to_toml())?.get("reports").is_ok());
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NewProfile {
    name: String,
    /// The kind of its token.
    kind: &'static str,
    /// The keys of the token.
    token: &'static TableKeys,
    /// What the token's table is, if it may be several things.
    variant: Option<&'static Variant>,
    /// The key whose value is the kind.
    fixed: Option<&'static str>,
    /// The values, as TOML.
    values: BTreeMap<&'static str, String>,
}

/// A key that a [`NewProfile`] needs, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question {
    /// The key.
    pub key: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// The keys that may be given in its place.
    pub instead: Vec<&'static str>,
    /// The words that it may be; empty if it is any text.
    pub words: Vec<&'static str>,
    /// Whether it is a reference to a secret, and never the secret itself.
    pub is_secret: bool,
}

impl NewProfile {
    /// The kinds of tokens, each with its meaning: a place that has it, a user with a password, a grant, or a preset of a platform.
    #[must_use]
    pub fn kinds() -> Vec<(&'static str, &'static str)> {
        let presets = presets::ALL.iter();
        let presets = presets.map(|preset| (preset.table.name, preset.table.doc));
        MEANINGS.into_iter().chain(presets).collect()
    }

    /// Begins a profile of this name, with a token of this kind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the name has other characters than letters, digits, `-`, `_` and `.`, or if
    /// there is no such kind.
    pub fn new(name: &str, kind: &str) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(Error::input(
                "the name of a profile may have only letters, digits, `-`, `_` and `.`",
            ));
        }
        let mut presets = presets::ALL.iter();
        if let Some(preset) = presets.find(|preset| preset.table.name == kind) {
            let kind = preset.table.name;
            return Ok(Self {
                name: name.to_owned(),
                kind,
                token: &preset.table,
                variant: None,
                fixed: Some("preset"),
                values: [("preset", quoted(kind))].into(),
            });
        }
        let mut variants = token::KEYS.variants.iter();
        let Some(variant) = variants.find(|variant| variant.name == kind) else {
            let names: Vec<_> = Self::kinds().into_iter().map(|(name, _)| name).collect();
            let suggestion = suggestion(kind, names.iter().copied());
            return Err(Error::input(format!(
                "there is no kind of token `{}`{suggestion}; it is one of {}",
                shown_name(kind),
                names.join(", ")
            )));
        };
        let word = variant.word.map(|word| (variant.key, quoted(word)));
        Ok(Self {
            name: name.to_owned(),
            kind: variant.name,
            token: &token::KEYS,
            variant: Some(variant),
            fixed: variant.word.map(|_| variant.key),
            values: word.into_iter().collect(),
        })
    }

    /// Sets a key of the profile or of its token.
    ///
    /// A list is separated by commas. A table is given as in TOML, such as `{ tenant = "north" }`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if such a profile has no such key, or if the value does not fit. The error does
    /// not quote the value, which may be a secret.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let Some(key) = self.key(key) else {
            let known: Vec<_> = self.keys().map(|key| key.name).collect();
            let suggestion = suggestion(key, known.iter().copied());
            return Err(Error::input(format!(
                "a profile with a token of the kind {} has no key `{}`{suggestion}; it has {}",
                self.kind,
                shown_name(key),
                known.join(", ")
            )));
        };
        let value = toml_value(key, value.trim())
            .map_err(|problem| Error::input(format!("`{}` {problem}", key.name)))?;
        self.values.insert(key.name, value);
        Ok(())
    }

    /// The required keys that are not set yet.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        let is_set = |name: &&str| self.values.contains_key(name);
        let variant = self.variant.into_iter();
        let required = variant.clone().flat_map(|variant| variant.required);
        let own_key = variant.clone().map(|variant| &variant.key);
        let single = own_key.chain(required).chain(self.token.required);
        let groups = variant.flat_map(|variant| variant.one_of);
        let groups = PROFILE.one_of.iter().chain(groups).copied();
        groups
            .chain(single.map(std::slice::from_ref))
            .filter(|group| !group.iter().any(is_set))
            .filter_map(|group| {
                let mut question = self.question(group[0])?;
                question.instead = group[1..].to_vec();
                Some(question)
            })
            .collect()
    }

    /// Keys that many such profiles have, and that are not set.
    #[must_use]
    pub fn optional_questions(&self) -> Vec<Question> {
        let usual = ["client_secret", "scopes", "password"].into_iter();
        let unset = usual.filter(|name| !self.values.contains_key(name));
        // A client that signs with a key has no secret.
        let unset = unset
            .filter(|name| *name != "client_secret" || !self.values.contains_key("private_key"));
        unset.filter_map(|name| self.question(name)).collect()
    }

    /// The text of the profile, with a comment above each key.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let name = match self.name.contains('.') {
            true => quoted(&self.name),
            false => self.name.clone(),
        };
        let mut text = format!("[profiles.{name}]\n");
        self.write_keys(&mut text, &PROFILE);
        let _ = write!(text, "\n[profiles.{name}.token]\n");
        self.write_keys(&mut text, self.token);
        text
    }

    fn write_keys(&self, text: &mut String, table: &TableKeys) {
        for key in table.iter() {
            if let Some(value) = self.values.get(key.name) {
                // Writing to a string cannot fail.
                let _ = write!(text, "# {}\n{} = {value}\n", key.doc, key.name);
            }
        }
    }

    fn question(&self, name: &str) -> Option<Question> {
        let key = self.key(name)?;
        Some(Question {
            key: key.name,
            meaning: key.doc,
            instead: Vec::new(),
            words: match key.kind {
                Kind::Word(words) => words(),
                _ => Vec::new(),
            },
            is_secret: matches!(
                key.kind,
                Kind::Secret
                    | Kind::Secrets
                    | Kind::SecretOrName(_)
                    | Kind::Source(_)
                    | Kind::Token
            ),
        })
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    /// The keys of the profile and of its kind of token. Those that are tables have many keys of their own, which a person writes.
    fn keys(&self) -> impl Iterator<Item = &'static Key> {
        let (variant, fixed) = (self.variant, self.fixed);
        let of_token = self.token.iter();
        let of_token = of_token.filter(move |key| {
            variant.is_none_or(|variant| key.is_of(variant.name)) && Some(key.name) != fixed
        });
        let all = PROFILE.iter().chain(of_token);
        all.filter(|key| key.name != "token" && !matches!(key.kind, Kind::Table(_)))
    }
}

/// The meaning of each kind of token.
const MEANINGS: [(&str, &str); 12] = [
    (
        "source",
        "a place that has it: a command, a file, a variable or the keyring",
    ),
    ("user", "a user and a password, sent as Basic"),
    ("http", "an HTTP request whose response has it"),
    ("signed_jwt", "a JWT that is signed on this machine"),
    (
        "client_credentials",
        "an OAuth 2.0 server, from the client's own credentials",
    ),
    (
        "authorization_code",
        "an OAuth 2.0 server, after you sign in with a browser",
    ),
    (
        "device_code",
        "an OAuth 2.0 server, after you sign in on another device",
    ),
    (
        "refresh_token",
        "an OAuth 2.0 server, from a refresh token that you have",
    ),
    ("jwt_bearer", "an OAuth 2.0 server, from a JWT (RFC 7523)"),
    (
        "token_exchange",
        "an OAuth 2.0 server, from another token (RFC 8693)",
    ),
    (
        "smart_backend_services",
        "the server of a FHIR API (SMART App Launch)",
    ),
    ("custom", "an OAuth 2.0 server, by a grant type of its own"),
];

/// A value as TOML, if it is of the key's kind. The problem follows the name of the key.
fn toml_value(key: &Key, value: &str) -> Result<String, String> {
    if value.is_empty() {
        return Err("is empty".to_owned());
    }
    let is_reference = matches!(
        key.kind,
        Kind::Secret | Kind::Secrets | Kind::Source(_) | Kind::Token
    );
    if !is_reference && looks_like_a_secret(value) {
        return Err(format!(
            "looks like a secret, which must not be in the file; it is {}",
            key.doc
        ));
    }
    match key.kind {
        Kind::Source(_) | Kind::Token if value.starts_with("profile:") => Ok(quoted(value)),
        Kind::Secret | Kind::Source(_) | Kind::Token => {
            SecretRef::parse(value).map(|_| quoted(value))
        }
        Kind::Secrets => list(value, |item| SecretRef::parse(item).map(|_| quoted(item))),
        Kind::SecretOrName(_) if value.contains(':') => {
            SecretRef::parse(value).map(|_| quoted(value))
        }
        Kind::Word(words) if !words().contains(&value) => {
            Err(format!("is one of {}", words().join(", ")))
        }
        Kind::Url | Kind::LoopbackUrl if Url::parse(value).is_err() => {
            Err("is not a complete URL; give a URL such as https://api.example.com/".to_owned())
        }
        Kind::Seconds => match value.parse::<f64>() {
            Ok(seconds) if seconds > 0.0 && seconds.is_finite() => Ok(value.to_owned()),
            _ => Err("is a time in seconds; give a number above 0, such as 30 or 1.5".to_owned()),
        },
        Kind::Number(least, most) => match value.parse::<u32>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
            _ => Err(format!(
                "is out of range; give a number from {least} to {most}"
            )),
        },
        Kind::Statuses => list(value, |item| match item.parse::<u16>() {
            Ok(status) => Ok(status.to_string()),
            Err(_) => Err("is a status such as 403, or a list of them".to_owned()),
        }),
        Kind::Texts | Kind::Plains(_) | Kind::Origins => list(value, |item| Ok(quoted(item))),
        // The reader of the file checks what is in a table.
        Kind::TextsByName | Kind::SecretsByName if value.starts_with('{') => Ok(value.to_owned()),
        Kind::TextsByName | Kind::SecretsByName => {
            Err("is a table; write it as in TOML, such as { name = \"value\" }".to_owned())
        }
        _ => Ok(quoted(value)),
    }
}

/// One item, or several that are separated by commas.
fn list(value: &str, item: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    if !value.contains(',') {
        return item(value);
    }
    let items = value
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let items: Result<Vec<_>, _> = items.map(item).collect();
    Ok(format!("[{}]", items?.join(", ")))
}

/// Whether a text has the form of a private key, a JWT, or a token of a well-known service.
fn looks_like_a_secret(text: &str) -> bool {
    let is_jwt = text.starts_with("eyJ") && text.matches('.').count() >= 2;
    is_jwt || text.contains("-----BEGIN") || PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

const PREFIXES: [&str; 8] = [
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "sk-",
    "xoxb-",
];

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            _ if char.is_control() => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(char));
            }
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
