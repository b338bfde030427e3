//! The key of a store entry: everything in which two tokens differ, without a secret.

use aws_lc_rs::digest::{Context, SHA256};

use crate::error::printable::printable;
use crate::origin::origin::without_secrets;

/// The key of an entry in a store: who issued the token, to whom, and for what.
///
/// Two keys are equal if all their fields are. The order of scopes and resources does not matter, and repeated ones count
/// once. A store sees the [`id`](Self::id), a hash of all fields, and a [`label`](Self::label) for people. Both are visible to
/// others, so do not put a secret into a field.
///
/// ```
/// use keyfob::store::StoreKey;
///
/// let key = StoreKey::builder("https://issuer.example.com")
///     .client("reports")
///     .scopes(["read", "write"])
///     .grant("refresh_token")
///     .build();
/// assert_eq!(key.label(), "https://issuer.example.com client=reports scope=read+write grant=refresh_token");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey {
    id: String,
    label: String,
}

impl StoreKey {
    /// Starts a key with the issuer of the tokens: a URL, or any other name of what issues them.
    pub fn builder(issuer: impl Into<String>) -> StoreKeyBuilder {
        StoreKeyBuilder {
            issuer: issuer.into(),
            scopes: Vec::new(),
            resources: Vec::new(),
            fields: [const { None }; FIELDS.len()],
        }
    }

    /// The key of an entry that was read from a store.
    pub(crate) fn from_parts(id: String, label: String) -> Self {
        Self { id, label }
    }

    /// A hash of all fields, as 64 hexadecimal digits. A store keeps the entry under this name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The fields in words, for people. User information and queries of URLs are left out.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }
}

/// Builds a [`StoreKey`]. A field that is not set differs from an empty one.
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreKeyBuilder {
    issuer: String,
    scopes: Vec<String>,
    resources: Vec<String>,
    fields: [Option<String>; FIELDS.len()],
}

impl StoreKeyBuilder {
    /// Sets the identifier of the client (`client_id`).
    pub fn client(self, client: impl Into<String>) -> Self {
        self.set(CLIENT, client.into())
    }

    /// Sets the user or service that the token is for.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.set(SUBJECT, subject.into())
    }

    /// Sets the scopes that are requested. Their order does not matter.
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = sorted_set(scopes);
        self
    }

    /// Sets the audience that is requested.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(AUDIENCE, audience.into())
    }

    /// Sets the resources that are requested (RFC 8707). Their order does not matter.
    pub fn resources<T: Into<String>>(mut self, resources: impl IntoIterator<Item = T>) -> Self {
        self.resources = sorted_set(resources);
        self
    }

    /// Sets the type of the token if it is not a bearer token, with the key that it is bound to.
    pub fn token_type(self, token_type: impl Into<String>) -> Self {
        self.set(TOKEN_TYPE, token_type.into())
    }

    /// Sets the grant that the token comes from.
    pub fn grant(self, grant: impl Into<String>) -> Self {
        self.set(GRANT, grant.into())
    }

    /// Sets a name of your choice, for entries that differ in nothing else.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set(NAME, name.into())
    }

    /// Builds the key.
    #[must_use]
    pub fn build(self) -> StoreKey {
        StoreKey {
            id: self.id(),
            label: self.label(),
        }
    }

    fn set(mut self, field: usize, value: String) -> Self {
        self.fields[field] = Some(value);
        self
    }

    fn id(&self) -> String {
        let mut hash = Context::new(&SHA256);
        // A prefix of its own, so that no other hash of keyfob has the same input.
        hash_field(&mut hash, b"keyfob store key 1");
        hash_field(&mut hash, self.issuer.as_bytes());
        hash_list(&mut hash, &self.scopes);
        hash_list(&mut hash, &self.resources);
        for value in &self.fields {
            hash_list(&mut hash, value.as_slice());
        }
        hex(hash.finish().as_ref())
    }

    fn label(&self) -> String {
        let mut label = label_part(without_secrets(&self.issuer));
        let mut add = |name: &str, value: &str| {
            label.push(' ');
            label.push_str(name);
            label.push('=');
            label.push_str(&label_part(value));
        };
        let named = |index: usize| self.fields[index].as_deref();
        for index in [CLIENT, SUBJECT] {
            named(index)
                .into_iter()
                .for_each(|value| add(FIELDS[index], value));
        }
        if !self.scopes.is_empty() {
            add("scope", &self.scopes.join("+"));
        }
        for resource in &self.resources {
            add("resource", without_secrets(resource));
        }
        for index in [AUDIENCE, TOKEN_TYPE, GRANT, NAME] {
            named(index)
                .into_iter()
                .for_each(|value| add(FIELDS[index], without_secrets(value)));
        }
        label
    }
}

/// Sorts the values and removes repeated ones.
fn sorted_set<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut values: Vec<String> = values.into_iter().map(Into::into).collect();
    values.sort();
    values.dedup();
    values
}

/// Hashes the length first, so that two different lists of fields never give the same bytes.
fn hash_field(hash: &mut Context, value: &[u8]) {
    hash.update(&(value.len() as u64).to_be_bytes());
    hash.update(value);
}

fn hash_list(hash: &mut Context, values: &[String]) {
    hash.update(&(values.len() as u64).to_be_bytes());
    for value in values {
        hash_field(hash, value.as_bytes());
    }
}

/// The bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).expect("four bits are a digit");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The start of a field's text, for people.
fn label_part(text: &str) -> String {
    let text = printable(text);
    text.chars().take(LABEL_FIELD_LIMIT).collect()
}

const CLIENT: usize = 0;
const SUBJECT: usize = 1;
const AUDIENCE: usize = 2;
const TOKEN_TYPE: usize = 3;
const GRANT: usize = 4;
const NAME: usize = 5;
const FIELDS: [&str; 6] = ["client", "subject", "audience", "type", "grant", "name"];

/// How many characters of a field are shown.
const LABEL_FIELD_LIMIT: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full() -> StoreKeyBuilder {
        StoreKey::builder("https://issuer.example.com")
            .client("c")
            .subject("s")
            .scopes(["a", "b"])
            .audience("aud")
            .resources(["https://r.example.com"])
            .token_type("DPoP")
            .grant("g")
            .name("n")
    }

    #[test]
    fn each_field_is_part_of_the_key() {
        let key = full().build();
        for other in [
            StoreKey {
                ..StoreKey::builder("https://other.example.com").build()
            },
            full().client("x").build(),
            full().subject("x").build(),
            full().scopes(["a"]).build(),
            full().audience("x").build(),
            full().resources(["x"]).build(),
            full().token_type("x").build(),
            full().grant("x").build(),
            full().name("x").build(),
        ] {
            assert_ne!(key.id(), other.id(), "{other:?}");
        }
        assert_eq!(key.id(), full().build().id());
    }

    #[test]
    fn the_order_of_scopes_does_not_matter() {
        let (one, other) = (
            full().scopes(["a", "b", "a"]).build(),
            full().scopes(["b", "a"]).build(),
        );
        assert_eq!(one, other);
    }

    #[test]
    fn an_absent_field_differs_from_an_empty_one_and_from_others() {
        let absent = StoreKey::builder("i").build();
        let empty = StoreKey::builder("i").client("").build();
        let other = StoreKey::builder("i").subject("").build();
        assert_ne!(absent.id(), empty.id());
        assert_ne!(empty.id(), other.id());
    }

    #[test]
    fn s1_the_secrets_in_a_url_are_not_in_the_label() {
        let key = StoreKey::builder("https://user:s3cr3t@issuer.example.com/a?key=s3cr3t#s3cr3t")
            .resources(["https://r.example.com/?s3cr3t"])
            .build();
        assert!(!key.label().contains("s3cr3t"), "{}", key.label());
        assert!(!format!("{key:?}").contains("s3cr3t"));
        assert!(key.label().starts_with("issuer.example.com/a resource="));
    }

    #[test]
    fn a_label_is_one_line_without_control_characters() {
        let key = StoreKey::builder("i\n\u{1b}[2J").build();
        assert!(key.label().chars().all(|c| !c.is_control()));
    }

    proptest! {
        #[test]
        fn different_fields_never_have_the_same_id(
            one in prop::collection::vec("[ab/]{0,3}", 4),
            other in prop::collection::vec("[ab/]{0,3}", 4),
        ) {
            let key = |f: &[String]| StoreKey::builder(f[0].clone())
                .client(f[1].clone())
                .scopes([f[2].clone(), f[3].clone()])
                .build();
            let set = |f: &[String]| sorted_set([f[2].clone(), f[3].clone()]);
            let same = one[..2] == other[..2] && set(&one) == set(&other);
            prop_assert_eq!(key(&one).id() == key(&other).id(), same);
        }
    }
}
