//! The secrets by which a proxy tells its clients apart (P3).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::error::shown_name::shown_name;
use crate::token::secret_file::{FileUse, SecretFile};

/// The clients of a proxy: a name and a secret each.
///
/// Only digests of the secrets are kept. A secret is compared with those of all clients in a time that depends on none of them.
#[derive(Clone, Default)]
pub struct ClientSecrets(Vec<Client>);

#[derive(Clone)]
struct Client {
    name: Arc<str>,
    digest: Digest,
}

/// What a request presents in place of a client's secret, as a digest. The secret may be anything.
pub(super) struct Presented(Option<Digest>);

type Digest = [u8; SHA256_OUTPUT_LEN];

impl ClientSecrets {
    /// The shortest secret, in characters.
    pub const SHORTEST: usize = 16;

    /// Adds a client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the secret has fewer than [`SHORTEST`](Self::SHORTEST) characters or one that
    /// is no visible ASCII, or if another client has this name or this secret.
    pub fn add(&mut self, name: &str, secret: impl AsRef<str>) -> Result<(), Error> {
        let (secret, shown) = (secret.as_ref(), shown_name(name));
        if secret.len() < Self::SHORTEST || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::input(format!(
                "the secret of the client {shown} has fewer than {} characters, or a space or another character that is no visible \
                 ASCII; make one with `openssl rand -hex 32`",
                Self::SHORTEST
            )));
        }
        let digest = digest_of(secret.as_bytes());
        for other in &self.0 {
            if *other.name == *name {
                return Err(Error::input(format!(
                    "there are two clients {shown}; give each a name of its own"
                )));
            }
            if other.digest.ct_eq(&digest).into() {
                return Err(Error::input(format!(
                    "the clients {} and {shown} have the same secret; give each its own",
                    shown_name(&other.name)
                )));
            }
        }
        let name = name.into();
        self.0.push(Client { name, digest });
        Ok(())
    }

    /// Adds a client whose secret is in a file, which others must not be able to change.
    ///
    /// A descriptor that the program inherited is the file `/dev/fd/3`. White space at the end is ignored.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add); also if the file cannot be read.
    pub fn add_file(&mut self, name: &str, path: impl AsRef<std::path::Path>) -> Result<(), Error> {
        let text = SecretFile::new(path, FileUse::Secret).read();
        let text = text
            .map_err(|fault| fault.into_error(ErrorKind::Input, "the file of a client's secret"))?;
        self.add(name, text.trim())
    }

    /// Adds a client with a new secret of 32 random bytes, and returns it.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), for the name; also if the system has no random numbers.
    pub fn generate(&mut self, name: &str) -> Result<Zeroizing<String>, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *bytes)
            .map_err(|_| Error::input("the system has no random numbers for a secret"))?;
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
        self.add(name, &*secret)?;
        Ok(secret)
    }

    /// Whether there is no client.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the clients.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|client| &*client.name)
    }

    /// The client with this secret. All are compared, whichever it is.
    pub(super) fn find(&self, presented: Presented) -> Option<Arc<str>> {
        let digest = presented.0?;
        let mut found = u32::MAX;
        for (index, client) in (0..).zip(&self.0) {
            let same: Choice = client.digest.ct_eq(&digest);
            found.conditional_assign(&index, same);
        }
        let client = self.0.get(usize::try_from(found).ok()?)?;
        Some(Arc::clone(&client.name))
    }
}

impl Presented {
    /// The secret in a field: alone, after `Bearer`, or as the password after `Basic`, or as its user if the password is empty.
    pub(super) fn of(value: &HeaderValue) -> Self {
        let value = value.as_bytes().trim_ascii();
        let Some(space) = value.iter().position(|byte| *byte == b' ') else {
            return Self(Some(digest_of(value)));
        };
        let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return Self(Some(digest_of(rest)));
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Self(None);
        }
        let decoded = STANDARD.decode(rest).ok().map(Zeroizing::new);
        Self(decoded.and_then(|pair| {
            let colon = pair.iter().position(|byte| *byte == b':')?;
            Some(match &pair[colon + 1..] {
                [] => digest_of(&pair[..colon]),
                password => digest_of(password),
            })
        }))
    }
}

impl fmt::Debug for ClientSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn digest_of(secret: &[u8]) -> Digest {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest(&SHA256, secret).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn clients() -> ClientSecrets {
        let mut clients = ClientSecrets::default();
        clients.add("a", SECRET).unwrap();
        clients.add("b", "another-secret-of-a-client").unwrap();
        clients
    }

    fn found(value: &str) -> Option<Arc<str>> {
        clients().find(Presented::of(&value.parse().unwrap()))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn p3_a_client_is_known_by_its_secret_in_each_form() {
        for value in [
            SECRET.to_owned(),
            format!("Bearer {SECRET}"),
            format!("bearer  {SECRET}"),
            basic(&format!("any:{SECRET}")),
            basic(&format!(":{SECRET}")),
            basic(&format!("{SECRET}:")),
        ] {
            assert_eq!(found(&value).as_deref(), Some("a"), "{value}");
        }
        assert_eq!(found("another-secret-of-a-client").as_deref(), Some("b"));
    }

    #[test]
    fn p3_what_is_not_a_whole_secret_is_no_client() {
        for value in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            "Bearer a".to_owned(),
            format!("Bearer {SECRET}x"),
            format!("Bearer {}", &SECRET[1..]),
            format!("Bearer {SECRET} {SECRET}"),
            format!("Digest {SECRET}"),
            format!("Bearer Bearer {SECRET}"),
            basic(SECRET),
            basic("a:b"),
            basic(&format!("{SECRET}:b")),
            "Basic %%%".to_owned(),
            SECRET.to_uppercase(),
        ] {
            assert_eq!(found(&value), None, "{value}");
        }
        assert_eq!(
            ClientSecrets::default().find(Presented::of(&HeaderValue::from_static(""))),
            None
        );
    }

    #[test]
    fn a_secret_is_long_and_belongs_to_one_client() {
        let mut clients = clients();
        for (name, secret, word) in [
            ("c", "short", "fewer than 16"),
            ("c", "with a space in the secret", "visible"),
            ("a", "yet-another-secret", "two clients"),
            ("c", SECRET, "same secret"),
        ] {
            let error = clients.add(name, secret).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains(secret), "{error}");
        }
        assert_eq!(clients.names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn s1_a_secret_is_not_in_the_debug_output() {
        assert_eq!(format!("{:?}", clients()), r#"{"a", "b"}"#);
    }

    #[test]
    fn a_generated_secret_is_that_of_its_client() {
        let mut clients = clients();
        let secret = clients.generate("new").unwrap();
        assert_eq!(secret.len(), 43);
        let found = clients.find(Presented::of(&secret.parse().unwrap()));
        assert_eq!(found.as_deref(), Some("new"));
    }
}
