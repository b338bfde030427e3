//! Encrypts entries with XChaCha20-Poly1305, each bound to its store key.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::record;
use crate::store::record::damaged;
use crate::token::secret_file::{FileUse, SecretFile};

/// A key of 256 bits that seals entries, which means that it encrypts and authenticates them.
///
/// `Debug` does not show the key, and its memory is wiped.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; LENGTH]>);

impl SealingKey {
    /// Makes a new random key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the system has no random numbers.
    pub fn generate() -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; LENGTH]);
        fill(&mut *key)?;
        Ok(Self(key))
    }

    /// A key that you made. It must be random; a password is not.
    #[must_use]
    pub fn from_bytes(key: [u8; LENGTH]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Reads a key from base64, as [`to_base64`](Self::to_base64) and `openssl rand -base64 32` write it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if it is not 32 bytes in base64.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new);
        let key = bytes
            .ok()
            .and_then(|bytes| bytes.as_slice().try_into().ok());
        key.map(Self::from_bytes).ok_or_else(|| {
            Error::input("the sealing key is not 32 bytes in base64; make one with `openssl rand -base64 32`")
        })
    }

    /// Reads a key from a file, in base64.
    ///
    /// On Unix, a file that other users can write is refused, and one that every user can read is reported with a warning.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the file cannot be read or does not hold a key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let file = SecretFile::new(path, FileUse::Secret);
        let text = file
            .read()
            .map_err(|fault| fault.into_error(ErrorKind::Input, "the sealing key"))?;
        Self::from_base64(&text)
    }

    /// The key in base64. Each call is a place where the secret leaves its type.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }

    /// A hash of the key. A sealed entry holds it, to say which key opens the entry.
    fn tag(&self) -> [u8; TAG] {
        let mut hash = Sha256::new();
        hash.update(b"keyfob sealing key 1");
        hash.update(*self.0);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&hash.finalize()[..TAG]);
        tag
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

/// The keys that seal and open entries. The first one seals, all of them open.
///
/// To change the key, put the new one first and keep the old one until each entry has been saved again: an entry is sealed
/// with the new key when it is next saved.
///
/// ```
/// use keyfob::store::{SealingKeys, SealingKey};
///
/// let (new, old) = (SealingKey::generate()?, SealingKey::generate()?);
/// let keys = SealingKeys::new(new).old_key(old);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SealingKeys {
    keys: Vec<SealingKey>,
}

impl SealingKeys {
    /// One key, which seals and opens.
    #[must_use]
    pub fn new(key: SealingKey) -> Self {
        Self { keys: vec![key] }
    }

    /// Adds a key that only opens what was sealed with it before.
    #[must_use]
    pub fn old_key(mut self, key: SealingKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Seals an entry, so that it can only be opened under the same store key.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unavailable`](crate::store::StoreErrorKind::Unavailable) if the system has no random numbers.
    pub fn seal(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let plain = record::encode(key, entry);
        let writer = &self.keys[0];
        // A random nonce of 192 bits never repeats in practice, so processes need not share a counter.
        let mut nonce = [0; NONCE];
        fill(&mut nonce).map_err(StoreError::unavailable)?;
        // The id is authenticated with the entry, so that the entry does not open under another key.
        let payload = Payload {
            msg: &plain,
            aad: key.id().as_bytes(),
        };
        let sealed = writer
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("an entry is shorter than the cipher's limit of 256 GiB");
        Ok([MAGIC, &writer.tag(), &nonce, &sealed].concat())
    }

    /// Opens an entry that was sealed for the store key with this [`id`](StoreKey::id).
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Damaged`](crate::store::StoreErrorKind::Damaged) if the bytes were changed or belong to another store
    /// key, and [`StoreErrorKind::Unavailable`](crate::store::StoreErrorKind::Unavailable) if none of these keys opens them.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Result<(StoreKey, Entry), StoreError> {
        let rest = sealed.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (tag, rest) = rest.split_at_checked(TAG).ok_or_else(damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let key = self.keys.iter().find(|key| key.tag() == tag);
        let key = key.ok_or_else(|| {
            StoreError::unusable(
                "the stored token is sealed with a key that was not given; add it as an old key",
            )
        })?;
        let payload = Payload {
            msg: text,
            aad: id.as_bytes(),
        };
        let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload);
        let plain = opened.map(Zeroizing::new).map_err(|_| damaged())?;
        record::decode(&plain)
    }
}

/// Whether the bytes are a sealed entry, with any key.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Fills a buffer with random bytes from the system.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(buffer)
        .map_err(|fault| Error::unavailable("the system has no random numbers").caused_by(fault))
}

const MAGIC: &[u8] = b"keyfob-sealed-1\n";
const LENGTH: usize = 32;
const TAG: usize = 8;
const NONCE: usize = 24;

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::store::error::StoreErrorKind;
    use crate::token::token::Token;

    fn key(name: &str) -> StoreKey {
        StoreKey::builder(name).build()
    }

    fn sealing_key(byte: u8) -> SealingKey {
        SealingKey::from_bytes([byte; LENGTH])
    }

    fn entry(text: &str) -> Entry {
        Entry::new(Token::new(text).unwrap(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn s2_a_sealed_entry_shows_nothing_and_opens_again() {
        let keys = SealingKeys::new(sealing_key(1));
        let sealed = keys.seal(&key("a"), &entry("s3cr3t")).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"s3cr3t"));
        let (opened, entry_again) = keys.open(key("a").id(), &sealed).unwrap();
        assert_eq!(opened, key("a"));
        assert_eq!(entry_again.token().unwrap().expose(), "s3cr3t");
        assert_ne!(sealed, keys.seal(&key("a"), &entry("s3cr3t")).unwrap());
    }

    #[test]
    fn s2_an_entry_that_was_moved_to_another_store_key_does_not_open() {
        let keys = SealingKeys::new(sealing_key(1));
        let sealed = keys.seal(&key("a"), &entry("s3cr3t")).unwrap();
        let fault = keys.open(key("b").id(), &sealed).unwrap_err();
        assert_eq!(fault.kind(), StoreErrorKind::Damaged);
    }

    #[test]
    fn s2_the_first_key_seals_and_all_keys_open() {
        let old = SealingKeys::new(sealing_key(1));
        let both = SealingKeys::new(sealing_key(2)).old_key(sealing_key(1));
        let new = SealingKeys::new(sealing_key(2));
        let before = old.seal(&key("a"), &entry("t")).unwrap();
        let after = both.seal(&key("a"), &entry("t")).unwrap();
        assert!(both.open(key("a").id(), &before).is_ok());
        assert!(new.open(key("a").id(), &after).is_ok());
        let fault = old.open(key("a").id(), &after).unwrap_err();
        assert_eq!(
            fault.kind(),
            StoreErrorKind::Unavailable,
            "its key was not given"
        );
    }

    #[test]
    fn s2_a_changed_bit_is_detected() {
        let keys = SealingKeys::new(sealing_key(1));
        let sealed = keys.seal(&key("a"), &entry("t")).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open(key("a").id(), &changed).is_err(), "byte {at}");
            assert!(keys.open(key("a").id(), &sealed[..at]).is_err());
        }
    }

    #[test]
    fn s1_debug_shows_no_key() {
        let key = sealing_key(7);
        assert_eq!(
            format!("{:?}", SealingKeys::new(key)),
            "SealingKeys { keys: [SealingKey] }"
        );
    }

    #[test]
    fn a_key_is_written_and_read_in_base64() {
        let key = SealingKey::generate().unwrap();
        let again = SealingKey::from_base64(&format!("{}\n", *key.to_base64())).unwrap();
        assert_eq!(key.tag(), again.tag());
        let error = SealingKey::from_base64("s3cr3t").unwrap_err();
        assert!(!error.to_string().contains("s3cr3t"));
    }
}
