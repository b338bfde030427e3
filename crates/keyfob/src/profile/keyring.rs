//! Secrets and tokens in the keyring of the system.
//!
//! Every build reads profiles that use a keyring; a build without the feature `keyring` reports that it cannot open one.

pub(super) use system::{read, store};

#[cfg(feature = "keyring")]
mod system {
    use std::sync::Arc;

    use zeroize::Zeroizing;

    use crate::error::error::Error;
    use crate::store::file::FileStore;
    use crate::store::keyring::{KeyringStore, read_secret};
    use crate::store::store::TokenStore;

    /// Reads a secret from the keyring.
    pub(in crate::profile) fn read(service: &str, user: &str) -> Result<Zeroizing<String>, Error> {
        let bytes = read_secret(service, user)?.ok_or_else(|| {
            Error::unavailable(format!(
                "the keyring has no entry for the service {service} and the user {user}, which should hold a secret"
            ))
        })?;
        // The UTF-8 error is not the source of ours, because it holds the secret.
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            Error::unavailable(format!(
                "the secret in the keyring ({service}/{user}) is not text"
            ))
        })?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The store in the keyring.
    pub(in crate::profile) fn store() -> Result<Arc<dyn TokenStore>, Error> {
        let locks = FileStore::default_directory()?;
        Ok(Arc::new(KeyringStore::new(locks)))
    }
}

#[cfg(not(feature = "keyring"))]
mod system {
    use std::sync::Arc;

    use zeroize::Zeroizing;

    use crate::error::error::Error;
    use crate::store::store::TokenStore;

    pub(in crate::profile) fn read(_: &str, _: &str) -> Result<Zeroizing<String>, Error> {
        Err(not_in_this_build("a secret"))
    }

    pub(in crate::profile) fn store() -> Result<Arc<dyn TokenStore>, Error> {
        Err(not_in_this_build("the token"))
    }

    fn not_in_this_build(what: &str) -> Error {
        Error::input(format!(
            "{what} is in the keyring, which this build of keyfob cannot open; build it with the feature `keyring`"
        ))
    }
}
