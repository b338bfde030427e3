//! A table of the profile file while it is read. It knows where each key is, and which keys have been read.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;

use crate::error::shown_name::shown_name;
use crate::origin::origin::Origin;
use crate::profile::errors::{FileErrors, suggestion};
use crate::profile::key::TableKeys;
use crate::profile::secret_ref::{SecretRef, absolute};

/// A value, or the proof that an error has been reported instead.
pub(super) type Read<T> = Result<T, Reported>;

/// An error that has been added to the [`FileErrors`]. So a value that is not read always leads to a message.
#[derive(Debug)]
pub(super) struct Reported;

/// A table whose keys are read one by one. A key that is left when it is [finished](Self::finish) is an error.
pub(super) struct Table<'t> {
    entries: &'t DeTable<'t>,
    span: Range<usize>,
    keys: &'static TableKeys,
    known: RefCell<Vec<&'static str>>,
    errors: &'t FileErrors<'t>,
}

/// A key and its value.
#[derive(Clone)]
pub(super) struct Value<'t> {
    pub(super) key: &'t str,
    key_span: Range<usize>,
    value: &'t DeValue<'t>,
    span: Range<usize>,
    errors: &'t FileErrors<'t>,
}

impl<'t> Table<'t> {
    pub(super) fn new(
        entries: &'t DeTable<'t>,
        span: Range<usize>,
        keys: &'static TableKeys,
        errors: &'t FileErrors<'t>,
    ) -> Self {
        Self {
            entries,
            span,
            keys,
            known: RefCell::default(),
            errors,
        }
    }

    /// The value of a key; `None` if the table does not have it.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'t>> {
        // A key that is not declared would be missing from the JSON Schema and from the messages about unknown keys.
        debug_assert!(
            self.keys.get(key).is_some(),
            "`{key}` is read, but not declared in the `TableKeys` of `{}`",
            self.keys.name
        );
        self.known.borrow_mut().push(key);
        self.entries().find(|value| value.key == key)
    }

    /// Reads an optional key.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'t>) -> Read<T>,
    ) -> Option<T> {
        // A reported error counts as absent: the file is refused at the end, and until then further errors can be found.
        read(&self.get(key)?).ok()
    }

    /// Reads a required key; `purpose` says what it is for.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        purpose: &str,
        read: impl FnOnce(&Value<'t>) -> Read<T>,
    ) -> Read<T> {
        match self.get(key) {
            Some(value) => read(&value),
            None => Err(self.error(format!("`{key}` is missing: {purpose}"))),
        }
    }

    /// The values of two keys that exclude each other.
    pub(super) fn at_most_one(
        &self,
        first: &'static str,
        second: &'static str,
    ) -> Read<(Option<Value<'t>>, Option<Value<'t>>)> {
        match (self.get(first), self.get(second)) {
            (Some(_), Some(value)) => Err(value.key_error(format!(
                "`{first}` and `{second}` exclude each other; leave one of them out"
            ))),
            values => Ok(values),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries().any(|value| value.key == key)
    }

    /// Reports an error in the table as a whole.
    pub(super) fn error(&self, message: impl Into<String>) -> Reported {
        self.errors.add(&self.span, message);
        Reported
    }

    fn entries(&self) -> impl Iterator<Item = Value<'t>> + use<'t> {
        entries(self.entries, self.errors)
    }

    /// Reports the keys that have not been read.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for value in self.entries().filter(|value| !known.contains(&value.key)) {
            let key = value.key;
            value.key_error(if self.keys.get(key).is_some() {
                format!("`{key}` does not go with the other keys of this table; remove it")
            } else if self.errors.is_full() {
                // A file that is no profile file may have very many keys, and comparing each takes long.
                "unknown key".to_owned()
            } else {
                let suggestion = suggestion(key, self.keys.iter().map(|key| key.name));
                format!("unknown key `{}`{suggestion}", shown_name(key))
            });
        }
    }
}

impl<'t> Value<'t> {
    /// Reports an error in the value. The message must not quote the value, which may be a secret.
    pub(super) fn error(&self, message: impl Into<String>) -> Reported {
        self.errors.add(&self.span, message);
        Reported
    }

    /// Reports an error in the key.
    pub(super) fn key_error(&self, message: impl Into<String>) -> Reported {
        self.errors.add(&self.key_span, message);
        Reported
    }

    /// Where the value is in the file.
    pub(super) fn place(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where the key is in the file.
    pub(super) fn key_place(&self) -> Range<usize> {
        self.key_span.clone()
    }

    /// Calls a function for each text in the value, at any depth.
    pub(super) fn each_text(&self, mut see: impl FnMut(&'t str)) {
        each_text(self.value, &mut see);
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.as_str().is_some()
    }

    /// Whether this is this text.
    pub(super) fn is(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    /// The value of this key, if this is a table that has it.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let mut entries = entries(self.value.as_table()?, self.errors);
        entries.find(|value| value.key == key)
    }

    /// Whether this is a reference to a profile.
    pub(super) fn is_profile(&self) -> bool {
        self.value
            .as_str()
            .is_some_and(|text| text.starts_with(PROFILE))
    }

    /// The name in a reference to a profile, and its place in the file.
    pub(super) fn profile(&self) -> Read<(String, Range<usize>)> {
        let name = self.str()?.strip_prefix(PROFILE).unwrap_or_default();
        match name {
            "" => {
                Err(self
                    .error("`profile:` is followed by the name of a profile, as in `profile:ci`"))
            }
            name => Ok((name.to_owned(), self.span.clone())),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Read<bool> {
        self.as_kind("true or false", DeValue::as_bool)
    }

    /// Any value as JSON.
    pub(super) fn json(&self) -> Read<serde_json::Value> {
        json(self.value).ok_or_else(|| {
            self.error(format!(
                "`{}` cannot be written as JSON; write a date in quotes",
                self.key
            ))
        })
    }

    /// A status, or a list of them.
    pub(super) fn statuses(&self) -> Read<Vec<StatusCode>> {
        self.list("a status, or a list of them", |value| {
            let status = value.number(400..=599)? as u16;
            Ok(StatusCode::from_u16(status).expect("each number with three digits is a status"))
        })
    }

    /// Reads a table with these keys, and reports the keys that are left; see [`Table::finish`].
    pub(super) fn table<T>(
        &self,
        keys: &'static TableKeys,
        read: impl FnOnce(&Table<'t>) -> Read<T>,
    ) -> Read<T> {
        // An error in the table as a whole points at its key, because a table may go on for many lines.
        let table = Table::new(self.as_table()?, self.key_span.clone(), keys, self.errors);
        let outcome = read(&table);
        table.finish();
        outcome
    }

    /// The keys and values of a table in which every key is valid.
    pub(super) fn entries(&self) -> Read<impl Iterator<Item = Value<'t>> + use<'t>> {
        Ok(entries(self.as_table()?, self.errors))
    }

    pub(super) fn text(&self) -> Read<String> {
        self.str().map(str::to_owned)
    }

    /// A text, or a whole number as text.
    pub(super) fn id(&self) -> Read<String> {
        match self.value.as_integer() {
            Some(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            _ => self.text(),
        }
    }

    /// A text or a list of texts.
    pub(super) fn texts(&self) -> Read<Vec<String>> {
        self.list("text in quotes, or a list of texts", Value::text)
    }

    /// A whole number within these bounds.
    pub(super) fn number(&self, bounds: RangeInclusive<u32>) -> Read<u32> {
        let integer = self.as_kind("a whole number", DeValue::as_integer)?;
        match u32::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if bounds.contains(&number) => Ok(number),
            _ => Err(self.error(format!(
                "`{}` is out of range; give a number from {} to {}",
                self.key,
                bounds.start(),
                bounds.end()
            ))),
        }
    }

    /// A time in seconds, above zero and at most a year.
    pub(super) fn seconds(&self) -> Read<Duration> {
        let number = match self.value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .map(|whole| whole as f64),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => None,
        };
        number
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            // The bound keeps a time that is added to the present from an overflow.
            .filter(|time| !time.is_zero() && *time <= MAX_SECONDS)
            .ok_or_else(|| {
                self.error(format!(
                    "`{}` is a time in seconds; give a number above 0, such as 30 or 1.5",
                    self.key
                ))
            })
    }

    /// A reference to a secret. The secret itself must not be in the file.
    pub(super) fn secret(&self) -> Read<SecretRef> {
        // Not `as_kind`: its advice, to write the value in quotes, would put the secret into the file.
        let Some(text) = self.value.as_str() else {
            return Err(self.error(format!(
                "`{}` is a secret; give in quotes the place where it is: {}",
                self.key,
                SecretRef::FORMS
            )));
        };
        SecretRef::parse(text).map_err(|problem| self.error(format!("`{}` {problem}", self.key)))
    }

    /// The path of a file, absolute or beginning with `~/`.
    pub(super) fn path(&self) -> Read<PathBuf> {
        absolute(self.str()?).map_err(|problem| self.error(format!("`{}` {problem}", self.key)))
    }

    /// An absolute http(s) URL without a password.
    pub(super) fn url(&self) -> Read<Url> {
        let problem = match Url::parse(self.str()?) {
            Err(_) => "is not a complete URL",
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "has a user or a password, and a secret must not be in this file"
            }
            Ok(url) if Origin::from_url(&url).is_err() => "is neither http nor https",
            Ok(url) => return Ok(url),
        };
        let key = self.key;
        Err(self.error(format!(
            "`{key}` {problem}; give a URL such as https://api.example.com/"
        )))
    }

    /// A URL exactly as the file spells it.
    pub(super) fn url_as_written(&self) -> Read<String> {
        self.url().and_then(|_| self.text())
    }

    /// A URL without a path, or a list of them, as origins.
    pub(super) fn origins(&self) -> Read<Vec<Origin>> {
        self.list("a URL in quotes, or a list of them", Value::origin)
    }

    /// A URL without a path, as an origin.
    pub(super) fn origin(&self) -> Read<Origin> {
        let url = self.url()?;
        // An origin has no path. A person who writes one expects that the token goes nowhere else.
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let origin = Origin::from_url(&url).ok().filter(|_| is_bare);
        origin.ok_or_else(|| {
            self.error(format!(
                "`{}` takes scheme, host and port only, such as https://api.example.com",
                self.key
            ))
        })
    }

    /// One of these words, as the value that it names.
    pub(super) fn one_of<T: Copy>(&self, what: &str, known: &[(&'static str, T)]) -> Read<T> {
        let word = self.str()?;
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == word) {
            return Ok(*value);
        }
        let names = known.iter().map(|(name, _)| *name);
        let suggestion = suggestion(word, names.clone());
        let all: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        Err(self.error(format!(
            "unknown {what}{suggestion}; `{}` is one of {}",
            self.key,
            all.join(", ")
        )))
    }

    /// An item or a list of items.
    pub(super) fn list<T>(
        &self,
        wanted: &str,
        read: impl Fn(&Value<'t>) -> Read<T>,
    ) -> Read<Vec<T>> {
        match self.value {
            DeValue::Array(items) => {
                // All items are read before the first error ends the list, so that each wrong one is reported.
                let items: Vec<_> = items.iter().map(|item| read(&self.item(item))).collect();
                items.into_iter().collect()
            }
            DeValue::Table(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                Err(self.error(format!("`{}` must be {wanted}", self.key)))
            }
            _ => Ok(vec![read(self)?]),
        }
    }

    fn item(&self, item: &'t Spanned<DeValue<'t>>) -> Self {
        Self {
            value: item.get_ref(),
            span: item.span(),
            ..self.clone()
        }
    }

    fn str(&self) -> Read<&'t str> {
        match self.as_kind("text in quotes", DeValue::as_str)? {
            "" => Err(self.error(format!("`{}` is empty", self.key))),
            text => Ok(text),
        }
    }

    fn as_table(&self) -> Read<&'t DeTable<'t>> {
        self.as_kind("a table", DeValue::as_table)
    }

    fn as_kind<T>(&self, wanted: &str, read: impl FnOnce(&'t DeValue<'t>) -> Option<T>) -> Read<T> {
        read(self.value).ok_or_else(|| self.error(format!("`{}` must be {wanted}", self.key)))
    }
}

fn entries<'t>(
    table: &'t DeTable<'t>,
    errors: &'t FileErrors<'t>,
) -> impl Iterator<Item = Value<'t>> + use<'t> {
    table.iter().map(move |(key, value)| Value {
        key: key.get_ref(),
        key_span: key.span(),
        value: value.get_ref(),
        span: value.span(),
        errors,
    })
}

fn each_text<'t>(value: &'t DeValue<'t>, see: &mut impl FnMut(&'t str)) {
    match value {
        DeValue::String(text) => see(text),
        DeValue::Array(items) => items.iter().for_each(|item| each_text(item.get_ref(), see)),
        DeValue::Table(table) => table
            .iter()
            .for_each(|(_, value)| each_text(value.get_ref(), see)),
        _ => (),
    }
}

/// The value in another notation; `None` for a date, which JSON does not have.
fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()?
            .into(),
        DeValue::Float(float) => float.as_str().parse::<f64>().ok()?.into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(_) => return None,
        DeValue::Array(items) => items
            .iter()
            .map(|item| json(item.get_ref()))
            .collect::<Option<Vec<_>>>()?
            .into(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)))
            .collect::<Option<serde_json::Map<_, _>>>()?
            .into(),
    })
}

/// How a reference to a profile begins.
const PROFILE: &str = "profile:";

/// A year.
const MAX_SECONDS: Duration = Duration::from_secs(365 * 24 * 60 * 60);
