//! The key of a token in a pool: whose it is, and for what.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use crate::error::error::Error;

/// The key of a token in a pool: a subject, and what its token is for.
///
/// Two keys are equal if all their fields are. The order of scopes does not matter, and repeated ones count once. `Debug`
/// shows none of the fields, because a subject may name a person; it shows a number that is the same for equal keys within
/// one process.
///
/// ```
/// use keyfob::pool::PoolKey;
///
/// let key = PoolKey::builder("alice").scopes(["write", "read"]).resource("https://api.example.com").build()?;
/// assert_eq!(key.subject(), "alice");
/// assert_eq!(key.scopes().collect::<Vec<_>>(), ["read", "write"]);
/// assert_eq!(key.client(), None);
/// assert!(!format!("{key:?}").contains("alice"));
/// # Ok::<(), keyfob::Error>(())
/// ```
// One text, so that a key is one allocation, and one comparison. The fields are separated by a control character, which none
// of them contains, and empty fields at the end are left out.
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct PoolKey {
    /// Of the text, by a seed that no caller knows. It is computed once, because each request looks its key up.
    hash: u64,
    text: Arc<str>,
}

impl PoolKey {
    /// The longest key in bytes, with all its fields.
    pub const MAX_LENGTH: usize = 2048;

    /// Makes a key of a subject alone.
    ///
    /// # Errors
    ///
    /// As [`PoolKeyBuilder::build`].
    pub fn new(subject: impl Into<String>) -> Result<Self, Error> {
        Self::builder(subject).build()
    }

    /// Starts a key with its subject: the user, tenant or service that the token is for.
    pub fn builder(subject: impl Into<String>) -> PoolKeyBuilder {
        PoolKeyBuilder {
            subject: subject.into(),
            scopes: Vec::new(),
            resource: None,
            client: None,
        }
    }

    /// Returns the user, tenant or service that the token is for.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.field(0)
    }

    /// Returns the scopes that are requested, in alphabetical order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.field(1).split_ascii_whitespace()
    }

    /// Returns the API that the token is for (RFC 8707).
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.optional(2)
    }

    /// Returns the client that asks for the token.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.optional(3)
    }

    /// All fields, in a form that is the same for equal keys. It may name a person.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    fn field(&self, index: usize) -> &str {
        self.text.split(SEPARATOR).nth(index).unwrap_or_default()
    }

    fn optional(&self, index: usize) -> Option<&str> {
        Some(self.field(index)).filter(|field| !field.is_empty())
    }
}

/// Builds a [`PoolKey`].
#[derive(Clone)]
#[must_use]
pub struct PoolKeyBuilder {
    subject: String,
    scopes: Vec<String>,
    resource: Option<String>,
    client: Option<String>,
}

impl PoolKeyBuilder {
    /// Adds scopes to request (RFC 6749 §3.3). Their order does not matter.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Sets the API that the token is for (RFC 8707).
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Sets the client that asks for the token, if the pool serves several.
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// Builds the key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a field is empty or has a control character, if a scope contains white
    /// space, or if the key is longer than [`PoolKey::MAX_LENGTH`]. The error does not quote the field.
    pub fn build(mut self) -> Result<PoolKey, Error> {
        check("subject", &self.subject)?;
        for scope in &self.scopes {
            check("scope", scope)?;
            if scope.contains(char::is_whitespace) {
                return Err(Error::input(
                    "a scope of a pool's key has white space; give each scope by itself",
                ));
            }
        }
        for (name, field) in [("resource", &self.resource), ("client", &self.client)] {
            field.iter().try_for_each(|field| check(name, field))?;
        }
        self.scopes.sort_unstable();
        self.scopes.dedup();
        let fields = [
            self.subject,
            self.scopes.join(" "),
            self.resource.unwrap_or_default(),
            self.client.unwrap_or_default(),
        ];
        let text = fields.join(SEPARATOR_TEXT);
        let text = text.trim_end_matches(SEPARATOR);
        if text.len() > PoolKey::MAX_LENGTH {
            return Err(Error::input(format!(
                "a pool's key has {} bytes, and at most {} are allowed; shorten its fields",
                text.len(),
                PoolKey::MAX_LENGTH
            )));
        }
        // One seed for the process, so that equal keys have equal hashes in every pool.
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Ok(PoolKey {
            hash: SEED.hash_one(text),
            text: text.into(),
        })
    }
}

/// Checks a field, whose text may name a person and is not quoted.
fn check(name: &str, field: &str) -> Result<(), Error> {
    if field.trim().is_empty() {
        return Err(Error::input(format!(
            "the {name} of a pool's key is empty; leave it out, or name the user whose token is meant"
        )));
    }
    match field.contains(char::is_control) {
        true => Err(Error::input(format!(
            "the {name} of a pool's key has a control character, such as a line end; check where it comes from"
        ))),
        false => Ok(()),
    }
}

impl TryFrom<&str> for PoolKey {
    type Error = Error;

    fn try_from(subject: &str) -> Result<Self, Error> {
        Self::new(subject)
    }
}

impl TryFrom<String> for PoolKey {
    type Error = Error;

    fn try_from(subject: String) -> Result<Self, Error> {
        Self::new(subject)
    }
}

impl PartialEq for PoolKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // Clones of a key share the text, which then need not be read.
        self.hash == other.hash && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl fmt::Debug for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The seed is random, so that the number cannot be computed from a name.
        write!(f, "PoolKey({:016x})", self.hash)
    }
}

impl fmt::Debug for PoolKeyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolKeyBuilder").finish_non_exhaustive()
    }
}

impl Hash for PoolKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes the hash of a [`PoolKey`] as it is.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key writes its hash alone")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The maps of a pool use the hash that their keys have.
pub(super) type HashOfKey = BuildHasherDefault<KeyHasher>;

/// ASCII's unit separator.
const SEPARATOR: char = '\u{1f}';
const SEPARATOR_TEXT: &str = "\u{1f}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::error::ErrorKind;

    fn fault(key: PoolKeyBuilder) -> String {
        let error = key.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    }

    #[test]
    fn keys_are_equal_if_all_their_fields_are() {
        let key = || PoolKey::builder("alice");
        let of = |key: PoolKeyBuilder| key.build().unwrap();
        assert_eq!(of(key()), "alice".try_into().unwrap());
        assert_eq!(
            of(key().scopes(["b", "a"])),
            of(key().scopes(["a"]).scopes(["b", "a"]))
        );
        let different = [
            of(key()),
            of(key().scopes(["a"])),
            of(key().resource("a")),
            of(key().client("a")),
            of(key().scopes(["a", "b"])),
            of(PoolKey::builder("alice a")),
        ];
        for (index, one) in different.iter().enumerate() {
            assert!(different[index + 1..].iter().all(|other| other != one));
        }
        assert_eq!(different[3].client(), Some("a"));
        assert_eq!(
            (different[3].resource(), different[3].scopes().next()),
            (None, None)
        );
    }

    #[test]
    fn empty_fields_and_control_characters_are_errors() {
        for subject in ["", " ", "\u{2003}"] {
            assert!(fault(PoolKey::builder(subject)).contains("subject of a pool's key is empty"));
        }
        for bad in [
            "a\nb",
            "a\0",
            "\u{1f}",
            "a\u{1f}b",
            "a\u{7f}",
            "a\u{85}b",
            "\u{1b}[31m",
        ] {
            let key = PoolKey::builder("alice");
            for key in [
                PoolKey::builder(bad),
                key.clone().scopes([bad]),
                key.clone().resource(bad),
                key.client(bad),
            ] {
                let fault = fault(key);
                assert!(
                    fault.contains("control character") && !fault.contains(bad),
                    "{fault}"
                );
            }
        }
        let key = || PoolKey::builder("alice");
        assert!(fault(key().scopes(["a b"])).contains("white space"));
        assert!(fault(key().scopes([""])).contains("empty"));
        assert!(fault(key().resource("")).contains("empty"));
        assert!(fault(key().client("")).contains("empty"));
    }

    #[test]
    fn a_key_of_any_length_is_refused_above_the_limit() {
        assert!(PoolKey::new("a".repeat(PoolKey::MAX_LENGTH)).is_ok());
        assert!(
            fault(PoolKey::builder("a".repeat(PoolKey::MAX_LENGTH + 1))).contains("2049 bytes")
        );
    }

    #[test]
    fn s1_debug_shows_no_field_of_a_key() {
        let key = PoolKey::builder("alice")
            .scopes(["payroll"])
            .client("reports");
        for text in [
            format!("{key:?}"),
            format!("{:?}", key.clone().build().unwrap()),
        ] {
            assert!(
                !["alice", "payroll", "reports"]
                    .iter()
                    .any(|field| text.contains(field)),
                "{text}"
            );
        }
        let (one, same) = (
            PoolKey::new("alice").unwrap(),
            PoolKey::new("alice").unwrap(),
        );
        assert_eq!(format!("{one:?}"), format!("{same:?}"));
    }
}
