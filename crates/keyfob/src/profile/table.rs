//! A table of the profile file while it is read. It knows where each key is, and which keys have been read.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;

use crate::origin::origin::Origin;
use crate::profile::errors::{FileErrors, suggestion};
use crate::profile::secret_ref::SecretRef;

/// A table whose keys are read one by one. A key that is left when it is [finished](Self::finish) is an error.
pub(super) struct Table<'t> {
    entries: &'t DeTable<'t>,
    span: Range<usize>,
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
        errors: &'t FileErrors<'t>,
    ) -> Self {
        Self {
            entries,
            span,
            known: RefCell::default(),
            errors,
        }
    }

    /// The value of an optional key.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'t>> {
        self.known.borrow_mut().push(key);
        self.each().find(|value| value.key == key)
    }

    /// The value of a required key; `purpose` says what it is for.
    pub(super) fn require(&self, key: &'static str, purpose: &str) -> Option<Value<'t>> {
        let value = self.get(key);
        if value.is_none() {
            self.error(format!("`{key}` is missing: {purpose}"));
        }
        value
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.each().any(|value| value.key == key)
    }

    /// Every key with its value, known or not.
    pub(super) fn each(&self) -> impl Iterator<Item = Value<'t>> + use<'t> {
        let errors = self.errors;
        self.entries.iter().map(move |(key, value)| Value {
            key: key.get_ref(),
            key_span: key.span(),
            value: value.get_ref(),
            span: value.span(),
            errors,
        })
    }

    /// Reports an error in the table as a whole.
    pub(super) fn error(&self, message: impl Into<String>) {
        self.errors.add(&self.span, message);
    }

    /// Reports the keys that have not been read. `elsewhere` has the keys that are valid in other tables of this kind.
    pub(super) fn finish(self, elsewhere: &[&str]) {
        let known = self.known.borrow();
        for value in self.each().filter(|value| !known.contains(&value.key)) {
            let key = value.key;
            if elsewhere.contains(&key) {
                value.key_error(format!(
                    "`{key}` does not go with the other keys of this table; remove it"
                ));
            } else {
                value.key_error(format!(
                    "unknown key `{key}`{}",
                    suggestion(key, known.iter().chain(elsewhere).copied())
                ));
            }
        }
    }
}

impl<'t> Value<'t> {
    /// Reports an error in the value. The message must not quote the value, which may be a secret.
    pub(super) fn error(&self, message: impl Into<String>) {
        self.errors.add(&self.span, message);
    }

    /// Reports an error in the key.
    pub(super) fn key_error(&self, message: impl Into<String>) {
        self.errors.add(&self.key_span, message);
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn text(self) -> Option<&'t str> {
        let text = self.as_kind("text in quotes", DeValue::as_str)?;
        if text.is_empty() {
            self.error(format!("`{}` is empty", self.key));
            return None;
        }
        Some(text)
    }

    /// A text or a list of texts.
    pub(super) fn texts(self) -> Option<Vec<String>> {
        let texts = self.list("text in quotes, or a list of texts", Value::text)?;
        Some(texts.into_iter().map(str::to_owned).collect())
    }

    pub(super) fn table(self) -> Option<Table<'t>> {
        let entries = self.as_kind("a table", DeValue::as_table)?;
        Some(Table::new(entries, self.key_span, self.errors))
    }

    /// A whole number within these bounds.
    pub(super) fn number(self, bounds: Range<u32>) -> Option<u32> {
        let integer = self.as_kind("a whole number", DeValue::as_integer)?;
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            self.error(format!(
                "`{}` is out of range; give a number from {} to {}",
                self.key,
                bounds.start,
                bounds.end - 1
            ));
        }
        number
    }

    /// A time in seconds, above zero and at most a year.
    pub(super) fn seconds(self) -> Option<Duration> {
        let number = match self.value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .map(|whole| whole as f64),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let time = number
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|time| !time.is_zero() && *time <= MAX_SECONDS);
        if time.is_none() {
            self.error(format!(
                "`{}` is a time in seconds; give a number above 0, such as 30 or 1.5",
                self.key
            ));
        }
        time
    }

    /// A reference to a secret. The secret itself must not be in the file.
    pub(super) fn secret(self) -> Option<SecretRef> {
        let Some(text) = self.value.as_str() else {
            self.error(format!(
                "`{}` is a secret; give in quotes the place where it is: {}",
                self.key,
                SecretRef::FORMS
            ));
            return None;
        };
        match SecretRef::parse(text) {
            Ok(secret) => Some(secret),
            Err(problem) => {
                self.error(format!("`{}` {problem}", self.key));
                None
            }
        }
    }

    /// An absolute http(s) URL without a password.
    pub(super) fn url(self) -> Option<Url> {
        let text = self.clone().text()?;
        let error = |problem: &str| {
            self.error(format!(
                "`{}` {problem}; give a URL such as https://api.example.com/",
                self.key
            ));
            None
        };
        let Ok(url) = Url::parse(text) else {
            return error("is not a complete URL");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return error("has a user or a password, and a secret must not be in this file");
        }
        if Origin::from_url(&url).is_err() {
            return error("is neither http nor https");
        }
        Some(url)
    }

    /// A URL exactly as the file spells it.
    pub(super) fn url_as_written(self) -> Option<String> {
        let text = self.clone().text()?;
        self.url().map(|_| text.to_owned())
    }

    /// A URL without a path, or a list of them, as origins.
    pub(super) fn origins(self) -> Option<Vec<Origin>> {
        let urls = self.list("a URL in quotes, or a list of them", |value| {
            let url = value.clone().url()?;
            if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                value.error(format!(
                    "`{}` takes scheme, host and port only, such as https://api.example.com",
                    value.key
                ));
                return None;
            }
            Origin::from_url(&url).ok()
        })?;
        Some(urls)
    }

    /// One of these words, as the value that it names.
    pub(super) fn one_of<T: Copy>(self, what: &str, known: &[(&'static str, T)]) -> Option<T> {
        let word = self.clone().text()?;
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == word) {
            return Some(*value);
        }
        let names = || known.iter().map(|(name, _)| *name);
        let all: Vec<_> = names().map(|name| format!("`{name}`")).collect();
        self.error(format!(
            "unknown {what}{}; `{}` is one of {}",
            suggestion(word, names()),
            self.key,
            all.join(", ")
        ));
        None
    }

    /// An item or a list of items; `None` if one of them has an error.
    pub(super) fn list<T>(
        self,
        wanted: &str,
        read: impl Fn(Value<'t>) -> Option<T>,
    ) -> Option<Vec<T>> {
        match self.value {
            DeValue::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| read(self.item(item))).collect();
                items.into_iter().collect()
            }
            DeValue::Table(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                self.error(format!("`{}` must be {wanted}", self.key));
                None
            }
            _ => Some(vec![read(self)?]),
        }
    }

    fn item(&self, item: &'t Spanned<DeValue<'t>>) -> Self {
        Self {
            value: item.get_ref(),
            span: item.span(),
            ..self.clone()
        }
    }

    fn as_kind<T>(
        &self,
        wanted: &str,
        read: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let value = read(self.value);
        if value.is_none() {
            self.error(format!("`{}` must be {wanted}", self.key));
        }
        value
    }
}

/// A year.
const MAX_SECONDS: Duration = Duration::from_secs(365 * 24 * 60 * 60);
