//! JSON whose strings are wiped from memory when they are dropped, and that tells lists from objects.

use std::marker::PhantomData;
use std::{fmt, iter};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::error::error::Error;

/// One JSON value.
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i128),
    /// A number with a fraction or an exponent, or one that is too large.
    Fraction(f64),
    Text(Zeroizing<String>),
    List(Vec<Json>),
    Object(Object),
}

/// The fields of an object in their order. If a name occurs twice, its first value counts.
#[derive(Default)]
pub(crate) struct Object(Vec<(String, Json)>);

impl Json {
    /// Reads all values in the text, which follow each other. No field may occur twice.
    pub(crate) fn all(text: &str) -> Result<Vec<Self>, Error> {
        let values = serde_json::Deserializer::from_str(text).into_iter();
        // The error of serde_json is not passed on, because it may quote the input.
        let values: Vec<Self> = values.collect::<Result<_, _>>().map_err(|fault| {
            Error::malformed(match fault.is_eof() {
                true => "it is JSON that ends too early",
                false => "it starts like JSON and is not valid",
            })
        })?;
        match values.iter().any(Self::repeats_a_field) {
            true => Err(Error::malformed(
                "it is JSON in which a field occurs twice; each must occur once",
            )),
            false => Ok(values),
        }
    }

    fn repeats_a_field(&self) -> bool {
        match self {
            Self::List(items) => items.iter().any(Self::repeats_a_field),
            Self::Object(object) => {
                // Sorted, because comparing each name with each would take long for an object with many fields.
                let mut names: Vec<&str> = object.names().collect();
                names.sort_unstable();
                names.windows(2).any(|pair| pair[0] == pair[1])
                    || object.0.iter().any(|(_, value)| value.repeats_a_field())
            }
            _ => false,
        }
    }
}

impl Object {
    /// Makes an object of the fields of a form.
    pub(crate) fn of_texts(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        let fields = fields.into_iter();
        Self(
            fields
                .map(|(name, value)| (name, Json::Text(Zeroizing::new(value))))
                .collect(),
        )
    }

    /// The value of a field, if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Json::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields().map(|(name, _)| name)
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn into_fields(self) -> Vec<(String, Json)> {
        self.0
    }

    /// The value of a field; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        (!matches!(value, Json::Null)).then_some(value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn has_object(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Json::Object(_)))
    }

    /// Whether the field is this string.
    pub(crate) fn is(&self, name: &str, text: &str) -> bool {
        matches!(self.get(name), Some(Json::Text(value)) if value.as_str() == text)
    }

    /// Removes a field and returns its value; `null` counts as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json> {
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
        Ok(Json::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Fraction(value))
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
        let object = fields.collect::<Result<_, _>>()?;
        Ok(Json::Object(Object(object)))
    }
}

/// Reads a value from a JSON object only.
///
/// The code that `serde` derives also reads a struct from a list of its fields, which no format here means.
pub(crate) struct FromObject<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FromObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = FromObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(FromObject)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// For `#[serde(deserialize_with = …)]`: an optional struct, read from an object only.
pub(crate) fn optional_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let found: Option<FromObject<T>> = Deserialize::deserialize(deserializer)?;
    Ok(found.map(|FromObject(value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_not_read_as_an_object() {
        #[derive(Deserialize)]
        struct Point {
            x: u8,
        }

        let FromObject(point) = serde_json::from_str::<FromObject<Point>>("{\"x\": 1}").unwrap();
        assert_eq!(point.x, 1);
        assert!(
            serde_json::from_str::<Point>("[1]").is_ok(),
            "what serde does by itself"
        );
        assert!(serde_json::from_str::<FromObject<Point>>("[1]").is_err());
    }
}
