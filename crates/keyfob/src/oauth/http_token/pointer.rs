//! A JSON pointer (RFC 6901), and what an error says if it finds nothing.

use std::fmt;

use crate::error::error::Error;
use crate::error::shown_name::is_word;
use crate::oauth::endpoint::Endpoint;
use crate::token::json::{Json, Object};

/// A pointer to one value of a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    text: String,
    steps: Vec<String>,
}

impl Pointer {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let steps = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescaped).collect::<Option<_>>(),
            None if text.is_empty() => Some(Vec::new()),
            None => None,
        };
        let steps = steps.ok_or_else(|| {
            Error::input(
                "a JSON pointer begins with `/`, as in `/data/token`; `~` in a name is written `~0` and `/` is written `~1` (RFC 6901)",
            )
        })?;
        let text = text.to_owned();
        Ok(Self { text, steps })
    }

    pub(crate) fn steps(&self) -> &[String] {
        &self.steps
    }

    /// The value that it points to. The error names the pointer and what is there, and no value.
    pub(crate) fn find<'j>(
        &self,
        endpoint: &Endpoint,
        what: &str,
        json: &'j Json,
    ) -> Result<&'j Json, Error> {
        let mut place = json;
        let mut path = String::new();
        for step in &self.steps {
            place = child(place, step).ok_or_else(|| {
                let at = match path.as_str() {
                    "" => "it is",
                    path => &format!("at `{path}` is"),
                };
                Error::malformed(format!(
                    "{endpoint} sent a response without {what} at `{self}`: {at} {}",
                    described(place)
                ))
            })?;
            path.push('/');
            path.push_str(step);
        }
        Ok(place)
    }

    /// The value that it points to, if there is one.
    pub(crate) fn look_up<'j>(&self, json: &'j Json) -> Option<&'j Json> {
        self.steps
            .iter()
            .try_fold(json, |place, step| child(place, step))
    }

    /// What holds the value that it points to, then what holds that, up to the whole document.
    pub(crate) fn around<'j>(&self, json: &'j Json) -> Vec<&'j Json> {
        let (mut place, mut found) = (Some(json), Vec::new());
        for step in &self.steps {
            found.extend(place);
            place = place.and_then(|place| child(place, step));
        }
        found.reverse();
        found
    }
}

fn child<'j>(json: &'j Json, step: &str) -> Option<&'j Json> {
    match json {
        Json::Object(object) => {
            let mut fields = object.fields();
            fields
                .find(|(name, _)| *name == step)
                .map(|(_, value)| value)
        }
        // RFC 6901 §4: no leading zeros. `-` names what is after the last element, and there is nothing.
        Json::List(items) if step == "0" || !step.starts_with(['0', '+']) => {
            items.get(step.parse::<usize>().ok()?)
        }
        _ => None,
    }
}

fn unescaped(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = match part.as_bytes().first()? {
            b'0' => ('~', &part[1..]),
            b'1' => ('/', &part[1..]),
            _ => return None,
        };
        name.push(escaped);
        name.push_str(rest);
    }
    Some(name)
}

/// What a value is, in words.
pub(crate) fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Integer(_) | Json::Fraction(_) => "a number",
        Json::Text(_) => "a text",
        Json::List(_) => "a list",
        Json::Object(_) => "an object",
    }
}

fn described(json: &Json) -> String {
    match json {
        Json::Object(object) => format!("an object with {}", members(object)),
        Json::List(items) => format!("a list of {}", items.len()),
        other => kind(other).to_owned(),
    }
}

/// The names of members. A name that is no plain word may be a secret, and is only counted.
fn members(object: &Object) -> String {
    let is_shown = |name: &&str| is_word(name, LONGEST_NAME);
    let names: Vec<_> = object.names().filter(is_shown).take(SHOWN).collect();
    let others = object.names().count() - names.len();
    let shown: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match (shown.len(), others) {
        (0, 0) => "no members".to_owned(),
        (0, others) => format!("{others} members"),
        (_, 0) => format!("the members {}", shown.join(", ")),
        (_, others) => format!("the members {} and {others} more", shown.join(", ")),
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const LONGEST_NAME: usize = 40;

/// How many members of an object are named.
const SHOWN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pointer: &str, json: &str) -> Result<String, String> {
        let endpoint = Endpoint::parse("token URL", "https://a.example/").unwrap();
        let json: Json = serde_json::from_str(json).unwrap();
        let pointer = Pointer::parse(pointer).map_err(|error| error.to_string())?;
        let found = pointer.find(&endpoint, "the token", &json);
        found
            .map(|json| match json {
                Json::Text(text) => text.to_string(),
                other => kind(other).to_owned(),
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_pointer_finds_what_rfc_6901_says() {
        let json = r#"{"foo":["bar","baz"],"":"0","a/b":"1","c%d":"2","e^f":"3","g|h":"4","i\\j":"5","k\"l":"6"," ":"7","m~n":"8"}"#;
        for (pointer, value) in [
            ("", "an object"),
            ("/foo", "a list"),
            ("/foo/0", "bar"),
            ("/foo/1", "baz"),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(found(pointer, json).as_deref(), Ok(value), "{pointer}");
        }
        for pointer in [
            "/foo/2", "/foo/-", "/foo/00", "/foo/+1", "/foo/x", "/FOO", "/foo/0/1",
        ] {
            assert!(found(pointer, json).is_err(), "{pointer}");
        }
        for pointer in ["foo", "/a~2", "/a~", "$.foo"] {
            assert!(
                found(pointer, json).unwrap_err().contains("RFC 6901"),
                "{pointer}"
            );
        }
    }

    #[test]
    fn s3_what_is_not_found_is_described_without_values() {
        let error = found(
            "/auth/client_token",
            r#"{"auth": {"error": "s3cret", "s3cr3t-name-9": 1}, "x": "s3cret"}"#,
        );
        assert_eq!(
            error.unwrap_err(),
            "the token URL at https://a.example sent a response without the token at `/auth/client_token`: \
             at `/auth` is an object with the members `error` and 1 more"
        );
        let error = found("/token", r#"["s3cret"]"#).unwrap_err();
        assert!(error.ends_with("it is a list of 1"), "{error}");
    }
}
