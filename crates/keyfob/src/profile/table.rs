//! A table of the profile file while it is being read: it knows which keys were asked for, and where each stands.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;

use crate::origin::origin::Origin;
use crate::profile::errors::{Faults, suggestion};
use crate::profile::secret_ref::Reference;

/// A table, whose keys are read one by one. Whatever is left when it is [closed](Self::close) is a fault.
pub(super) struct Table<'t> {
    entries: &'t DeTable<'t>,
    span: Range<usize>,
    asked: RefCell<Vec<&'static str>>,
    faults: &'t Faults<'t>,
}

/// What stands behind a key.
#[derive(Clone)]
pub(super) struct Value<'t> {
    pub(super) key: &'t str,
    key_span: Range<usize>,
    value: &'t DeValue<'t>,
    span: Range<usize>,
    faults: &'t Faults<'t>,
}

impl<'t> Table<'t> {
    pub(super) fn new(
        entries: &'t DeTable<'t>,
        span: Range<usize>,
        faults: &'t Faults<'t>,
    ) -> Self {
        Self {
            entries,
            span,
            asked: RefCell::default(),
            faults,
        }
    }

    /// The value of a key that may be left out.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'t>> {
        self.asked.borrow_mut().push(key);
        self.each().find(|value| value.key == key)
    }

    /// The value of a key that must be there; `why` says what it is for.
    pub(super) fn need(&self, key: &'static str, why: &str) -> Option<Value<'t>> {
        let value = self.get(key);
        if value.is_none() {
            self.fault(format!("`{key}` is missing: {why}"));
        }
        value
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.each().any(|value| value.key == key)
    }

    /// Every key with its value, known or not.
    pub(super) fn each(&self) -> impl Iterator<Item = Value<'t>> + use<'t> {
        let faults = self.faults;
        self.entries.iter().map(move |(key, value)| Value {
            key: key.get_ref(),
            key_span: key.span(),
            value: value.get_ref(),
            span: value.span(),
            faults,
        })
    }

    /// Reports a fault of the table as a whole.
    pub(super) fn fault(&self, says: impl Into<String>) {
        self.faults.add(&self.span, says);
    }

    /// Reports the keys that nobody asked for. Those that are known `elsewhere` do not go with what the table says besides.
    pub(super) fn close(self, elsewhere: &[&str]) {
        let asked = self.asked.borrow();
        for value in self.each().filter(|value| !asked.contains(&value.key)) {
            let key = value.key;
            if elsewhere.contains(&key) {
                value.fault_of_key(format!(
                    "`{key}` does not go with what this table says; leave it out"
                ));
            } else {
                value.fault_of_key(format!(
                    "unknown key `{key}`{}",
                    suggestion(key, asked.iter().chain(elsewhere).copied())
                ));
            }
        }
    }
}

impl<'t> Value<'t> {
    /// Reports what is wrong with the value. Nothing of it may be quoted.
    pub(super) fn fault(&self, says: impl Into<String>) {
        self.faults.add(&self.span, says);
    }

    pub(super) fn fault_of_key(&self, says: impl Into<String>) {
        self.faults.add(&self.key_span, says);
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn text(self) -> Option<&'t str> {
        let text = self.as_kind("text in quotes", DeValue::as_str)?;
        if text.is_empty() {
            self.fault(format!("`{}` is empty", self.key));
            return None;
        }
        Some(text)
    }

    /// One text, or a list of them.
    pub(super) fn texts(self) -> Option<Vec<String>> {
        let texts = self.list("text in quotes, or a list of it", Value::text)?;
        Some(texts.into_iter().map(str::to_owned).collect())
    }

    pub(super) fn table(self) -> Option<Table<'t>> {
        let entries = self.as_kind("a table", DeValue::as_table)?;
        Some(Table::new(entries, self.key_span, self.faults))
    }

    /// A whole number in these bounds.
    pub(super) fn number(self, bounds: Range<u32>) -> Option<u32> {
        let integer = self.as_kind("a whole number", DeValue::as_integer)?;
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            self.fault(format!(
                "`{}` is out of bounds; give a number from {} to {}",
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
            .filter(|time| !time.is_zero() && *time <= LONGEST);
        if time.is_none() {
            self.fault(format!(
                "`{}` is a time in seconds; give a number above 0, such as 30 or 1.5",
                self.key
            ));
        }
        time
    }

    /// A secret, which only ever stands elsewhere.
    pub(super) fn secret(self) -> Option<Reference> {
        let Some(text) = self.value.as_str() else {
            self.fault(format!(
                "`{}` is a secret; say in quotes where it is kept: {}",
                self.key,
                Reference::FORMS
            ));
            return None;
        };
        match Reference::parse(text) {
            Ok(reference) => Some(reference),
            Err(says) => {
                self.fault(format!("`{}` {says}", self.key));
                None
            }
        }
    }

    /// An absolute http(s) URL without a password.
    pub(super) fn url(self) -> Option<Url> {
        let text = self.clone().text()?;
        let fault = |says: &str| {
            self.fault(format!(
                "`{}` {says}; give a URL such as https://api.example.com/",
                self.key
            ));
            None
        };
        let Ok(url) = Url::parse(text) else {
            return fault("is no URL in full");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return fault("has a user or password in it, which is not the place for a secret");
        }
        if Origin::from_url(&url).is_err() {
            return fault("is neither http nor https");
        }
        Some(url)
    }

    /// The same, letter by letter.
    pub(super) fn url_as_written(self) -> Option<String> {
        let text = self.clone().text()?;
        self.url().map(|_| text.to_owned())
    }

    /// Origins: one URL, or a list of them, without path.
    pub(super) fn origins(self) -> Option<Vec<Origin>> {
        let urls = self.list("a URL in quotes, or a list of them", |value| {
            let url = value.clone().url()?;
            if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                value.fault(format!(
                    "`{}` takes scheme, host and port only, such as https://api.example.com",
                    value.key
                ));
                return None;
            }
            Origin::from_url(&url).ok()
        })?;
        Some(urls)
    }

    /// One of these words, as what it stands for.
    pub(super) fn one_of<T: Copy>(self, what: &str, known: &[(&'static str, T)]) -> Option<T> {
        let word = self.clone().text()?;
        if let Some((_, meaning)) = known.iter().find(|(name, _)| *name == word) {
            return Some(*meaning);
        }
        let names = || known.iter().map(|(name, _)| *name);
        let all: Vec<_> = names().map(|name| format!("`{name}`")).collect();
        self.fault(format!(
            "unknown {what}{}; `{}` is one of {}",
            suggestion(word, names()),
            self.key,
            all.join(", ")
        ));
        None
    }

    /// One item, or a list of them; `None` if any has a fault.
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
                self.fault(format!("`{}` must be {wanted}", self.key));
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
            self.fault(format!("`{}` must be {wanted}", self.key));
        }
        value
    }
}

/// A year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
