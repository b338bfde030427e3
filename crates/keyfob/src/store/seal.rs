//! Encrypts entries with AES-256-GCM-SIV (RFC 8452), each bound to its place, its store key and a counter.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::{Error, ErrorKind};
use crate::runtime::lock::{Mutex, lock};
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::record;
use crate::store::record::{damaged, newer_version};
use crate::token::secret_file::{FileUse, SecretFile};

/// A key of 256 bits that seals entries, which means that it encrypts and authenticates them.
///
/// `Debug` does not show the key, and its memory is wiped.
///
/// [`SealingKeys`](crate::store::SealingKeys) has an example.
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
        let mut hash = Context::new(&SHA256);
        hash.update(b"keyfob sealing key 1");
        hash.update(&*self.0);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&hash.finish().as_ref()[..TAG]);
        tag
    }

    /// A cipher with a random nonce of 96 bits. Should one repeat, only two equal entries would be seen to be equal.
    fn cipher(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM_SIV, &*self.0)
            .expect("the key has the cipher's length")
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
/// A sealed entry opens only at its [place](Self::bound_to) and under its store key. It also holds a counter that grows with
/// each save, on all machines: it is the time in milliseconds, or one more than the counter before. So anyone who can write to
/// the store, but has no key, can neither move an entry nor put back an older one unnoticed: keys refuse a state that is older than
/// the newest one that they have opened or [saved](Self::note_saved). Clones share what they have seen.
///
/// ```
/// use keyfob::store::{SealingKeys, SealingKey};
///
/// let (new, old) = (SealingKey::generate()?, SealingKey::generate()?);
/// let keys = SealingKeys::new(new).old_key(old);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct SealingKeys {
    keys: Vec<SealingKey>,
    place: String,
    /// The counter of the newest state of each entry.
    newest: Arc<Mutex<HashMap<String, u64>>>,
}

impl SealingKeys {
    /// One key, which seals and opens.
    #[must_use]
    pub fn new(key: SealingKey) -> Self {
        Self {
            keys: vec![key],
            place: String::new(),
            newest: Arc::default(),
        }
    }

    /// Binds entries to a place, such as the prefix of a database: an entry that was moved from another place does not open.
    ///
    /// The keys that this returns share nothing that they see with these, so each store should bind its own.
    #[must_use]
    pub fn bound_to(&self, place: impl Into<String>) -> Self {
        Self {
            keys: self.keys.clone(),
            place: place.into(),
            newest: Arc::default(),
        }
    }

    /// Adds a key that only opens what was sealed with it before.
    #[must_use]
    pub fn old_key(mut self, key: SealingKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Seals an entry, so that it can only be opened at this place and under the same store key.
    ///
    /// The entry that it replaces must have been opened with these keys before, so that the new one has a larger counter.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unavailable`](crate::store::StoreErrorKind::Unavailable) if the system has no random numbers.
    pub fn seal(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let writer = &self.keys[0];
        let counter = self.next_counter(key.id());
        let binding = Aad::from(self.binding(key.id(), counter));
        let mut sealed = record::encode(key, entry).to_vec();
        let nonce = writer
            .cipher()
            .seal_in_place_append_tag(binding, &mut sealed)
            .map_err(|_| StoreError::unavailable(no_random_numbers()))?;
        Ok([
            MAGIC,
            &writer.tag(),
            &counter.to_be_bytes(),
            nonce.as_ref(),
            &sealed,
        ]
        .concat())
    }

    /// Opens an entry that was sealed for the store key with this [`id`](StoreKey::id).
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Damaged`](crate::store::StoreErrorKind::Damaged) if the bytes were changed or belong to another place or
    /// store key; [`StoreErrorKind::Unavailable`](crate::store::StoreErrorKind::Unavailable) if none of these keys opens them; and
    /// [`StoreErrorKind::Outdated`](crate::store::StoreErrorKind::Outdated) if these keys have seen a newer state. If another
    /// caller read at the same time, the bytes may only have come late: read them again, a few times.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Result<(StoreKey, Entry), StoreError> {
        let rest = sealed
            .strip_prefix(MAGIC)
            .ok_or_else(|| unknown_format(sealed))?;
        let (tag, rest) = rest.split_at_checked(TAG).ok_or_else(damaged)?;
        let (counter, rest) = rest.split_first_chunk::<COUNTER>().ok_or_else(damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let counter = u64::from_be_bytes(*counter);
        let key = self.keys.iter().find(|key| key.tag() == tag);
        let key = key.ok_or_else(|| {
            StoreError::unreadable(
                "the stored token is sealed with a key that was not given; add it as an old key",
            )
        })?;
        let binding = Aad::from(self.binding(id, counter));
        let mut text = Zeroizing::new(text.to_vec());
        let plain = key
            .cipher()
            .open_in_place(Nonce::from(nonce), binding, &mut text)
            .map_err(|_| damaged())?;
        if self.see(id, counter) > counter {
            return Err(outdated());
        }
        record::decode(plain)
    }

    /// Notes that a sealed entry has been saved: from now on, these keys refuse older states of it.
    ///
    /// A save whose outcome is not known must not be noted.
    pub fn note_saved(&self, id: &str, sealed: &[u8]) {
        let counter = sealed
            .get(MAGIC.len() + TAG..)
            .and_then(|rest| rest.first_chunk());
        if let Some(counter) = counter {
            self.see(id, u64::from_be_bytes(*counter));
        }
    }

    /// Notes a counter, and returns the largest one that was seen.
    fn see(&self, id: &str, counter: u64) -> u64 {
        let mut newest = lock(&self.newest);
        if newest.len() >= SEEN_LIMIT && !newest.contains_key(id) {
            // Any of them: what a process does not remember, it cannot refuse, and memory is bounded (T10).
            let other = newest.keys().next().cloned();
            other.and_then(|other| newest.remove(&other));
        }
        let known = newest.entry(id.to_owned()).or_insert(counter);
        *known = counter.max(*known);
        *known
    }

    /// A counter that is larger than all before, also if the newest states were lost with their machine: it follows the time.
    ///
    /// So after a state of a machine whose clock is ahead was lost, what other machines seal counts as older for as long.
    fn next_counter(&self, id: &str) -> u64 {
        let now = SystemClock.coarse_time().wall_time();
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = u64::try_from(now.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(u64::MAX);
        let newest = lock(&self.newest).get(id).copied();
        newest.map_or(now, |newest| now.max(newest.saturating_add(1)))
    }

    /// What is authenticated with an entry, although it is not part of it.
    fn binding(&self, id: &str, counter: u64) -> Vec<u8> {
        let place = self.place.as_bytes();
        // The length keeps the end of the place and the beginning of the id apart.
        let length = place.len() as u64;
        [
            &counter.to_be_bytes(),
            &length.to_be_bytes(),
            place,
            id.as_bytes(),
        ]
        .concat()
    }
}

/// Shows no key.
impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKeys")
            .field("keys", &self.keys)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Why bytes do not begin as this version writes them.
///
/// What a newer version sealed is not damaged: it must not be moved out of its way.
fn unknown_format(sealed: &[u8]) -> StoreError {
    let version = sealed.strip_prefix(FORMAT).unwrap_or_default();
    let digits = version.iter().take_while(|byte| byte.is_ascii_digit());
    let digits = digits.count();
    let is_format = digits > 0 && version.get(digits) == Some(&b'\n');
    // A number that is too long is newer, too.
    let number = str::from_utf8(&version[..digits]).map(str::parse::<u32>);
    let is_newer = !matches!(number, Ok(Ok(version)) if version <= VERSION);
    match is_format && is_newer {
        true => newer_version(),
        false => damaged(),
    }
}

fn outdated() -> StoreError {
    StoreError::outdated(Error::unavailable(
        "the token store has an older state of this entry than this process has seen, as after a restore or an attack; \
         its refresh token may be used up: sign in again; if that does not help, compare the clocks of the machines and restart \
         this process",
    ))
}

/// Whether the bytes are a sealed entry, with any key and of any version.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(FORMAT)
}

/// Fills a buffer with random bytes from the system.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(buffer).map_err(|_| no_random_numbers())
}

fn no_random_numbers() -> Error {
    Error::unavailable("the system has no random numbers")
}

const MAGIC: &[u8] = b"keyfob-sealed-3\n";
const FORMAT: &[u8] = b"keyfob-sealed-";
const VERSION: u32 = 3;
const LENGTH: usize = 32;
const TAG: usize = 8;
const NONCE: usize = 12;
const COUNTER: usize = 8;

/// How often an entry is read until it counts as outdated. Each read may come late, if the entry is saved at the same time.
pub(super) const READS: usize = 4;

/// How many entries a process remembers the newest state of.
const SEEN_LIMIT: usize = 10_000;

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
    fn s2_an_entry_that_was_moved_to_another_place_does_not_open() {
        let keys = SealingKeys::new(sealing_key(1));
        let here = keys.bound_to("prod");
        let sealed = here.seal(&key("a"), &entry("t")).unwrap();
        assert!(here.open(key("a").id(), &sealed).is_ok());
        for elsewhere in [keys.bound_to("test"), keys] {
            let fault = elsewhere.open(key("a").id(), &sealed).unwrap_err();
            assert_eq!(fault.kind(), StoreErrorKind::Damaged);
        }
    }

    #[test]
    fn s2_an_older_state_than_the_newest_that_was_seen_is_refused() {
        let key = key("a");
        let writer = SealingKeys::new(sealing_key(1));
        let first = writer.seal(&key, &entry("one")).unwrap();
        writer.note_saved(key.id(), &first);
        let second = writer.seal(&key, &entry("two")).unwrap();
        let reader = SealingKeys::new(sealing_key(1));
        assert!(reader.open(key.id(), &first).is_ok());
        assert!(reader.open(key.id(), &second).is_ok());
        for keys in [&reader, &reader.clone()] {
            let fault = keys.open(key.id(), &first).unwrap_err();
            assert_eq!(fault.kind(), StoreErrorKind::Outdated);
        }
        assert!(
            reader.open(key.id(), &second).is_ok(),
            "the newest state stays good"
        );
        assert!(
            writer.open(key.id(), &first).is_ok(),
            "a save of unknown outcome"
        );
        writer.note_saved(key.id(), &second);
        assert!(writer.open(key.id(), &first).is_err());
    }

    #[test]
    fn t9_what_a_newer_version_sealed_is_not_damaged() {
        let keys = SealingKeys::new(sealing_key(1));
        let kind = |bytes: &str| keys.open("a", bytes.as_bytes()).unwrap_err().kind();
        for newer in ["4\n", "10\nrest", "99999999999999999999\n"] {
            let kind = kind(&format!("keyfob-sealed-{newer}"));
            assert_eq!(kind, StoreErrorKind::Unavailable, "{newer:?}");
        }
        for damaged in ["", "4", "x\n", "2\n", "3\n", "-4\n"] {
            let kind = kind(&format!("keyfob-sealed-{damaged}"));
            assert_eq!(kind, StoreErrorKind::Damaged, "{damaged:?}");
        }
    }

    #[test]
    fn s2_a_counter_cannot_be_changed() {
        let key = key("a");
        let keys = SealingKeys::new(sealing_key(1));
        let mut sealed = keys.seal(&key, &entry("t")).unwrap();
        sealed[MAGIC.len() + TAG] ^= 0x40;
        let fault = keys.open(key.id(), &sealed).unwrap_err();
        assert_eq!(fault.kind(), StoreErrorKind::Damaged);
    }

    #[test]
    fn what_was_seen_is_bounded() {
        let keys = SealingKeys::new(sealing_key(1));
        for number in 0..SEEN_LIMIT + 10 {
            keys.see(&number.to_string(), 1);
        }
        assert_eq!(lock(&keys.newest).len(), SEEN_LIMIT);
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
            "SealingKeys { keys: [SealingKey], place: \"\", .. }"
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
