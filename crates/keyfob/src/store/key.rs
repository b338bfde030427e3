//! Which entry of a store is meant: everything that makes two tokens different, without a secret.

use std::fmt;

use sha2::{Digest, Sha256};

/// The name of an entry in a store: what the token is for, and for whom.
///
/// Two keys are the same if all their fields are; the order of scopes, resources and their repetition do not count. What a store
/// sees of it is the [`id`](Self::id), a hash in which no field can run into the next, and a [`label`](Self::label) for people.
/// Neither is secret: put no secret in.
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
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey {
    id: String,
    label: String,
}

impl StoreKey {
    /// A key for tokens of this issuer, or of whatever gives them: a URL, the name of a profile or a command.
    pub fn builder(issuer: impl Into<String>) -> StoreKeyBuilder {
        StoreKeyBuilder {
            issuer: issuer.into(),
            scopes: Vec::new(),
            resources: Vec::new(),
            fields: [const { None }; FIELDS.len()],
        }
    }

    /// The key of an entry that was found in a store.
    pub(crate) fn found(id: String, label: String) -> Self {
        Self { id, label }
    }

    /// A hash of all fields, in 64 hexadecimal digits: the name under which a store keeps the entry.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The fields in words, for people; what an issuer's URL says of a user or in a query is left out.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreKey").field(&self.label).finish()
    }
}

/// Makes a [`StoreKey`]; a field that is not set differs from one that is empty.
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreKeyBuilder {
    issuer: String,
    scopes: Vec<String>,
    resources: Vec<String>,
    fields: [Option<String>; FIELDS.len()],
}

impl StoreKeyBuilder {
    /// The client's identifier at the issuer.
    pub fn client(self, client: impl Into<String>) -> Self {
        self.set(CLIENT, client.into())
    }

    /// The user or service for whom the token is.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.set(SUBJECT, subject.into())
    }

    /// The scopes that are asked for; their order does not count.
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = in_order(scopes);
        self
    }

    /// The audience that is asked for.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(AUDIENCE, audience.into())
    }

    /// The resources that are asked for (RFC 8707); their order does not count.
    pub fn resources<T: Into<String>>(mut self, resources: impl IntoIterator<Item = T>) -> Self {
        self.resources = in_order(resources);
        self
    }

    /// The type of token, if it is not a bearer token, with the key it is bound to, as a DPoP one is.
    pub fn token_type(self, token_type: impl Into<String>) -> Self {
        self.set(TOKEN_TYPE, token_type.into())
    }

    /// The grant by which it is got.
    pub fn grant(self, grant: impl Into<String>) -> Self {
        self.set(GRANT, grant.into())
    }

    /// A name of your own, for entries that differ in nothing else.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set(NAME, name.into())
    }

    /// The key.
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
        let mut hash = Sha256::new();
        field(&mut hash, b"keyfob store key 1");
        field(&mut hash, self.issuer.as_bytes());
        list(&mut hash, &self.scopes);
        list(&mut hash, &self.resources);
        for value in &self.fields {
            list(&mut hash, value.as_slice());
        }
        hex(&hash.finalize())
    }

    fn label(&self) -> String {
        let mut label = printable(shown_part(&self.issuer));
        let mut add = |name: &str, value: &str| {
            label.push(' ');
            label.push_str(name);
            label.push('=');
            label.push_str(&printable(value));
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
            add("resource", shown_part(resource));
        }
        for index in [AUDIENCE, TOKEN_TYPE, GRANT, NAME] {
            named(index)
                .into_iter()
                .for_each(|value| add(FIELDS[index], shown_part(value)));
        }
        label
    }
}

/// Sorted, each once.
fn in_order<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut values: Vec<String> = values.into_iter().map(Into::into).collect();
    values.sort();
    values.dedup();
    values
}

fn field(hash: &mut Sha256, value: &[u8]) {
    hash.update((value.len() as u64).to_be_bytes());
    hash.update(value);
}

fn list(hash: &mut Sha256, values: &[String]) {
    hash.update((values.len() as u64).to_be_bytes());
    for value in values {
        field(hash, value.as_bytes());
    }
}

/// In lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).expect("four bits are a digit");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A URL without user, query and fragment, where people leave secrets; any other text as it is.
fn shown_part(text: &str) -> &str {
    let text = match text.find("://").and_then(|_| text.find(['?', '#'])) {
        Some(end) => &text[..end],
        None => text,
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        return text;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => &text[scheme.len() + "://".len() + at + 1..],
        None => text,
    }
}

/// On one line, and without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(LABEL_FIELD_LIMIT)
        .collect()
}

const CLIENT: usize = 0;
const SUBJECT: usize = 1;
const AUDIENCE: usize = 2;
const TOKEN_TYPE: usize = 3;
const GRANT: usize = 4;
const NAME: usize = 5;
const FIELDS: [&str; 6] = ["client", "subject", "audience", "type", "grant", "name"];

/// So many characters of a field are shown.
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
    fn the_order_of_scopes_does_not_count() {
        let (one, other) = (
            full().scopes(["a", "b", "a"]).build(),
            full().scopes(["b", "a"]).build(),
        );
        assert_eq!(one, other);
    }

    #[test]
    fn an_absent_field_is_no_empty_one_and_none_is_another() {
        let absent = StoreKey::builder("i").build();
        let empty = StoreKey::builder("i").client("").build();
        let other = StoreKey::builder("i").subject("").build();
        assert_ne!(absent.id(), empty.id());
        assert_ne!(empty.id(), other.id());
    }

    #[test]
    fn s1_what_urls_hide_is_not_in_the_label() {
        let key = StoreKey::builder("https://user:s3cr3t@issuer.example.com/a?key=s3cr3t#s3cr3t")
            .resources(["https://r.example.com/?s3cr3t"])
            .build();
        assert!(!key.label().contains("s3cr3t"), "{}", key.label());
        assert!(!format!("{key:?}").contains("s3cr3t"));
        assert!(key.label().starts_with("issuer.example.com/a resource="));
    }

    #[test]
    fn a_label_is_one_line_that_no_terminal_obeys() {
        let key = StoreKey::builder("i\n\u{1b}[2J").build();
        assert!(key.label().chars().all(|c| !c.is_control()));
    }

    proptest! {
        #[test]
        fn no_two_lists_of_fields_have_one_id(
            one in prop::collection::vec("[ab/]{0,3}", 4),
            other in prop::collection::vec("[ab/]{0,3}", 4),
        ) {
            let key = |f: &[String]| StoreKey::builder(f[0].clone())
                .client(f[1].clone())
                .scopes([f[2].clone(), f[3].clone()])
                .build();
            let set = |f: &[String]| in_order([f[2].clone(), f[3].clone()]);
            let same = one[..2] == other[..2] && set(&one) == set(&other);
            prop_assert_eq!(key(&one).id() == key(&other).id(), same);
        }
    }
}
