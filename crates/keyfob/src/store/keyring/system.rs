//! The keyring of the system: secrets by service and user. All of it blocks its thread.

use keyring_core::{CredentialStore, Entry};
use std::sync::Arc;
use zeroize::Zeroizing;

#[cfg(target_os = "macos")]
use apple_native_keyring_store::keychain::Store as System;
#[cfg(windows)]
use windows_native_keyring_store::Store as System;
#[cfg(all(unix, not(target_vendor = "apple")))]
use zbus_secret_service_keyring_store::Store as System;

use crate::error::error::Error;

/// A connection to the keyring.
pub(crate) struct Vault(Arc<CredentialStore>);

impl Vault {
    pub(crate) fn open() -> Result<Self, Error> {
        match System::new() {
            Ok(system) => Ok(Self(system)),
            Err(fault) => Err(plain(fault)),
        }
    }

    /// The secret of this entry; `None` if there is no such entry.
    pub(crate) fn read(
        &self,
        service: &str,
        user: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let secret = self.entry(service, user)?.get_secret();
        present(secret.map(Zeroizing::new))
    }

    pub(crate) fn write(&self, service: &str, user: &str, secret: &[u8]) -> Result<(), Error> {
        let written = self.entry(service, user)?.set_secret(secret);
        written.map_err(plain)
    }

    /// Removes the entry; says whether there was one.
    pub(crate) fn remove(&self, service: &str, user: &str) -> Result<bool, Error> {
        let removed = present(self.entry(service, user)?.delete_credential())?;
        Ok(removed.is_some())
    }

    fn entry(&self, service: &str, user: &str) -> Result<Entry, Error> {
        Entry::new_in_store(&self.0, service, user).map_err(plain)
    }
}

fn present<T>(answer: keyring_core::Result<T>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(keyring_core::Error::NoEntry) => Ok(None),
        Err(fault) => Err(plain(fault)),
    }
}

/// The fault in words for people. Some faults hold the secret, so that only those of the system go along as a cause.
fn plain(fault: keyring_core::Error) -> Error {
    match fault {
        keyring_core::Error::PlatformFailure(cause) => Error::unavailable(
            "the keyring cannot be used; on Linux it needs a D-Bus session with a Secret Service, such as gnome-keyring",
        )
        .caused_by(cause),
        keyring_core::Error::NoStorageAccess(cause) => {
            Error::unavailable("the keyring is locked, or may not be read").caused_by(cause)
        }
        keyring_core::Error::TooLong(_, limit) => Error::unavailable(format!(
            "the keyring of this system keeps no more than {limit} bytes in an entry, and the token is longer; keep it in files"
        )),
        keyring_core::Error::Ambiguous(_) => {
            Error::unavailable("the keyring has several entries of this service and user")
        }
        keyring_core::Error::Invalid(_, _) => {
            Error::input("the keyring does not take such a service or user")
        }
        _ => Error::unavailable("the keyring does not do what was asked, or has damaged entries"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_what_an_entry_holds_is_in_no_error() {
        let bytes = b"s3cret-bytes".to_vec();
        for fault in [
            keyring_core::Error::BadEncoding(bytes.clone()),
            keyring_core::Error::BadDataFormat(bytes.clone(), "s3cret".into()),
            keyring_core::Error::BadStoreFormat("s3cret".into()),
        ] {
            let error = plain(fault);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(!shown.contains("115, 51"), "{shown}");
        }
    }

    #[test]
    fn an_entry_that_is_too_large_is_said_to_be() {
        let error = plain(keyring_core::Error::TooLong("secret".into(), 2560));
        assert!(error.to_string().contains("2560 bytes"), "{error}");
    }
}
