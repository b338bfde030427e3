//! Entries that only who has the key can read: XChaCha20-Poly1305, bound to the key they are kept under.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::record::damaged;

/// A key of 256 bits with which entries are sealed. `Debug` does not show it, and its memory is wiped.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; LENGTH]>);

impl SealingKey {
    /// A new key from the system's source of randomness.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the system has no randomness to give.
    pub fn generate() -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; LENGTH]);
        fill(&mut *key)?;
        Ok(Self(key))
    }

    /// A key of your own; it must be random, not a password.
    #[must_use]
    pub fn from_bytes(key: [u8; LENGTH]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// A key as [`to_base64`](Self::to_base64) writes it and `openssl rand -base64 32` makes it.
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

    /// The key in a file, in base64.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if it cannot be read or is no key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|fault| {
            Error::input(format!("the sealing key {} cannot be read", path.display()))
                .caused_by(fault)
        })?;
        Self::from_base64(&text)
    }

    /// The key in base64. Each call is a place where the secret leaves its type.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }

    /// By which a sealed entry says which key it needs.
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

/// The keys that are accepted; the first one writes.
///
/// To change keys, put the new one first and keep the old one until no entry needs it any more: each entry is sealed anew
/// when it is next saved.
///
/// ```
/// use keyfob::store::{SealingKeys, SealingKey};
///
/// let (new, old) = (SealingKey::generate()?, SealingKey::generate()?);
/// let ring = SealingKeys::new(new).old_key(old);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SealingKeys {
    keys: Vec<SealingKey>,
}

impl SealingKeys {
    /// A ring with one key, which reads and writes.
    #[must_use]
    pub fn new(key: SealingKey) -> Self {
        Self { keys: vec![key] }
    }

    /// Adds a key that reads what was sealed with it before.
    #[must_use]
    pub fn old_key(mut self, key: SealingKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Seals bytes so that they can be opened under this key alone.
    pub(crate) fn seal(&self, key: &StoreKey, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let writer = &self.keys[0];
        let mut nonce = [0; NONCE];
        fill(&mut nonce)?;
        let payload = Payload {
            msg: plain,
            aad: key.id().as_bytes(),
        };
        let sealed = writer
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("an entry is shorter than the cipher's limit of 256 GiB");
        Ok([MAGIC, &writer.tag(), &nonce, &sealed].concat())
    }

    /// Opens what was sealed for the key of this identifier.
    pub(crate) fn open(&self, id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let rest = sealed.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (tag, rest) = rest.split_at_checked(TAG).ok_or_else(damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let key = self.keys.iter().find(|key| key.tag() == tag);
        let key = key.ok_or_else(|| {
            StoreError::unavailable(Error::unavailable(
                "the stored token is sealed with a key that is not among those given",
            ))
        })?;
        let payload = Payload {
            msg: text,
            aad: id.as_bytes(),
        };
        let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload);
        opened.map(Zeroizing::new).map_err(|_| damaged())
    }
}

/// Whether bytes are sealed, whoever can open them.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Fills a buffer with random bytes that nobody can foresee.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(buffer)
        .map_err(|fault| Error::unavailable("the system gives no random numbers").caused_by(fault))
}

const MAGIC: &[u8] = b"keyfob-sealed-1\n";
const LENGTH: usize = 32;
const TAG: usize = 8;
const NONCE: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::error::StoreErrorKind;

    fn key(name: &str) -> StoreKey {
        StoreKey::builder(name).build()
    }

    fn sealing_key(byte: u8) -> SealingKey {
        SealingKey::from_bytes([byte; LENGTH])
    }

    #[test]
    fn s2_what_is_sealed_shows_nothing_and_opens_again() {
        let ring = SealingKeys::new(sealing_key(1));
        let sealed = ring.seal(&key("a"), b"s3cr3t").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"s3cr3t"));
        assert_eq!(**ring.open(key("a").id(), &sealed).unwrap(), *b"s3cr3t");
        assert_ne!(sealed, ring.seal(&key("a"), b"s3cr3t").unwrap());
    }

    #[test]
    fn s2_an_entry_that_was_moved_to_another_key_does_not_open() {
        let ring = SealingKeys::new(sealing_key(1));
        let sealed = ring.seal(&key("a"), b"s3cr3t").unwrap();
        let fault = ring.open(key("b").id(), &sealed).unwrap_err();
        assert_eq!(fault.kind(), StoreErrorKind::Damaged);
    }

    #[test]
    fn s2_the_first_key_writes_and_all_read() {
        let old = SealingKeys::new(sealing_key(1));
        let both = SealingKeys::new(sealing_key(2)).old_key(sealing_key(1));
        let new = SealingKeys::new(sealing_key(2));
        let before = old.seal(&key("a"), b"t").unwrap();
        let after = both.seal(&key("a"), b"t").unwrap();
        assert!(both.open(key("a").id(), &before).is_ok());
        assert!(new.open(key("a").id(), &after).is_ok());
        let fault = old.open(key("a").id(), &after).unwrap_err();
        assert_eq!(
            fault.kind(),
            StoreErrorKind::Unavailable,
            "its key is elsewhere"
        );
    }

    #[test]
    fn s2_any_bit_that_changed_is_noticed() {
        let ring = SealingKeys::new(sealing_key(1));
        let sealed = ring.seal(&key("a"), b"t").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open(key("a").id(), &changed).is_err(), "byte {at}");
            assert!(ring.open(key("a").id(), &sealed[..at]).is_err());
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
