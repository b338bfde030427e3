//! What profiles have in the keyring of the system.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::store::file::FileStore;
use crate::store::keyring::KeyringStore;
use crate::store::keyring::system::Vault;
use crate::store::store::TokenStore;

/// The secret that is kept there.
pub(super) fn read(service: &str, user: &str) -> Result<Zeroizing<String>, Error> {
    let bytes = Vault::open()?.read(service, user)?.ok_or_else(|| {
        Error::unavailable(format!(
            "the keyring has no entry of the service {service} and the user {user}; it is where a secret is kept"
        ))
    })?;
    // The fault of what is no text holds the secret.
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        Error::unavailable(format!(
            "the secret in the keyring ({service}/{user}) is not text"
        ))
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The store that is there.
pub(super) fn store() -> Result<Arc<dyn TokenStore>, Error> {
    Ok(Arc::new(KeyringStore::new(FileStore::default_directory()?)))
}
