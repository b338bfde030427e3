//! The keychain of macOS and the Credential Manager of Windows. Everything here blocks its thread.

use keyring_core::{CredentialStore, Entry};
use std::sync::Arc;
use zeroize::Zeroizing;

#[cfg(target_os = "macos")]
use apple_native_keyring_store::keychain::Store as System;
#[cfg(windows)]
use windows_native_keyring_store::Store as System;

use crate::error::error::Error;

/// A connection to the keyring: secrets by service and user.
pub(crate) struct SystemKeyring(Arc<CredentialStore>);

impl SystemKeyring {
    pub(crate) fn open() -> Result<Self, Error> {
        match System::new() {
            Ok(system) => Ok(Self(system)),
            Err(fault) => Err(error(fault)),
        }
    }

    /// Reads the secret of this entry; `None` if there is no such entry.
    pub(crate) fn read(
        &self,
        service: &str,
        user: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let secret = self.entry(service, user)?.get_secret();
        if_present(secret.map(Zeroizing::new))
    }

    pub(crate) fn write(&self, service: &str, user: &str, secret: &[u8]) -> Result<(), Error> {
        let written = self.entry(service, user)?.set_secret(secret);
        written.map_err(error)
    }

    /// Removes the entry. Returns whether there was one.
    pub(crate) fn remove(&self, service: &str, user: &str) -> Result<bool, Error> {
        let removed = if_present(self.entry(service, user)?.delete_credential())?;
        Ok(removed.is_some())
    }

    fn entry(&self, service: &str, user: &str) -> Result<Entry, Error> {
        Entry::new_in_store(&self.0, service, user).map_err(error)
    }
}

fn if_present<T>(result: keyring_core::Result<T>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(keyring_core::Error::NoEntry) => Ok(None),
        Err(fault) => Err(error(fault)),
    }
}

/// The error for people. Some errors of the library hold the secret, so only errors of the system are passed on as a cause.
fn error(fault: keyring_core::Error) -> Error {
    match fault {
        keyring_core::Error::PlatformFailure(cause) => Error::unavailable(
            "the keyring cannot be used; on Linux it needs a D-Bus session with a Secret Service, such as gnome-keyring",
        )
        .caused_by(cause),
        keyring_core::Error::NoStorageAccess(cause) => {
            Error::unavailable("the keyring is locked, or may not be read").caused_by(cause)
        }
        keyring_core::Error::TooLong(_, limit) => Error::unavailable(format!(
            "the keyring of this system keeps no more than {limit} bytes in an entry, and the token is longer; use a file store"
        )),
        keyring_core::Error::Ambiguous(_) => {
            Error::unavailable("the keyring has several entries of this service and user")
        }
        keyring_core::Error::Invalid(_, _) => {
            Error::input("the keyring does not accept this service or user")
        }
        _ => Error::unavailable("the keyring failed, or the entry is damaged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_no_error_holds_the_content_of_an_entry() {
        let bytes = b"s3cret-bytes".to_vec();
        for fault in [
            keyring_core::Error::BadEncoding(bytes.clone()),
            keyring_core::Error::BadDataFormat(bytes.clone(), "s3cret".into()),
            keyring_core::Error::BadStoreFormat("s3cret".into()),
        ] {
            let error = error(fault);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(!shown.contains("115, 51"), "{shown}");
        }
    }

    #[test]
    fn the_error_for_a_large_entry_names_the_limit() {
        let error = error(keyring_core::Error::TooLong("secret".into(), 2560));
        assert!(error.to_string().contains("2560 bytes"), "{error}");
    }
}
