//! JSON whose strings are wiped from memory when they are dropped.

use std::{fmt, iter};

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::error::error::Error;

/// One JSON value.
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A number. Above 2^53 it loses its last digits, which no expiry needs.
    Number(f64),
    Text(Zeroizing<String>),
    List(Vec<Json>),
    Object(Object),
}

/// The fields of an object in their order. No name occurs twice.
#[derive(Default)]
pub(super) struct Object(Vec<(String, Json)>);

impl Json {
    /// Reads all values in the text, which follow each other.
    pub(super) fn all(text: &str) -> Result<Vec<Self>, Error> {
        let values = serde_json::Deserializer::from_str(text).into_iter();
        // The error of serde_json is not passed on, because it may quote the input.
        values.collect::<Result<_, _>>().map_err(|fault| {
            let what = if fault.is_data() {
                "it is JSON in which a field occurs twice; each must occur once"
            } else if fault.is_eof() {
                "it is JSON that ends too early"
            } else {
                "it starts like JSON and is not valid"
            };
            Error::malformed(what)
        })
    }
}

impl Object {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields().map(|(name, _)| name)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn into_fields(self) -> Vec<(String, Json)> {
        self.0
    }

    /// The value of a field; `null` counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        (!matches!(value, Json::Null)).then_some(value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn has_object(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Json::Object(_)))
    }

    /// Whether the field is this string.
    pub(super) fn is(&self, name: &str, text: &str) -> bool {
        matches!(self.get(name), Some(Json::Text(value)) if value.as_str() == text)
    }

    /// Removes a field and returns its value; `null` counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        let (_, value) = self.0.swap_remove(at);
        (!matches!(value, Json::Null)).then_some(value)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let items = iter::from_fn(|| items.next_element().transpose());
        items.collect::<Result<_, _>>().map(Json::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let fields = iter::from_fn(|| fields.next_entry().transpose());
        let object: Vec<(String, Json)> = fields.collect::<Result<_, _>>()?;
        // Sorted, because comparing each name with each would take long for an object with many fields.
        let mut names: Vec<&str> = object.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(A::Error::custom("a field occurs twice"));
        }
        Ok(Json::Object(Object(object)))
    }
}
