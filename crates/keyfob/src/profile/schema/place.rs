//! The place of a token with which another token is fetched: a secret, or a link of a chain with settings of its own.

use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Value};

/// The place of a token with which another token is fetched.
#[derive(Clone, Debug)]
pub(crate) enum TokenPlace {
    /// A secret, which is read for each exchange.
    Secret(SecretRef),
    /// The link with this key.
    Link(String),
}

/// Reads links: the settings of tokens inside of the settings of another one.
pub(crate) struct LinkReader<'f> {
    read: &'f dyn Fn(String, &Value<'_>) -> Read<()>,
}

impl<'f> LinkReader<'f> {
    /// Reads with this function, which gets the key of a link and its value.
    pub(super) fn new(read: &'f dyn Fn(String, &Value<'_>) -> Read<()>) -> Self {
        Self { read }
    }

    /// Reads a reference to a secret, a reference to a profile, or a table with the settings of a token.
    ///
    /// The last two are the link with this key.
    pub(crate) fn place(&self, key: &str, value: &Value<'_>) -> Read<TokenPlace> {
        if !value.is_table() && !value.is_profile() {
            return value.secret().map(TokenPlace::Secret);
        }
        (self.read)(key.to_owned(), value)?;
        Ok(TokenPlace::Link(key.to_owned()))
    }
}

impl TokenPlace {
    pub(crate) fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Secret(secret) => Some(secret),
            Self::Link(_) => None,
        }
    }
}
