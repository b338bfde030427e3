//! Entries that other versions of keyfob wrote: those of older ones are read, those of newer ones are left as they are.
//!
//! `tests/fixtures/formats` has a folder for each version whose formats differ from those of the version before.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use keyfob::source::Persisted;
use keyfob::store::{
    Entry, EntrySummary, FileStore, MemoryStore, SealingKey, SealingKeys, StoreErrorKind, StoreKey,
    TokenStore, move_entry,
};
use keyfob::{Error, Token, TokenCache};
use keyfob_testkit::GatedSource;
use tempfile::TempDir;

use crate::fixtures::{Rotating, SECOND};

/// The folders of all versions, the newest last.
fn versions() -> Vec<PathBuf> {
    let folders = fs::read_dir(FORMATS).unwrap();
    let mut folders: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// A copy of a folder of entries, with the permissions that a store demands.
struct Copied {
    scratch: TempDir,
    keys: SealingKeys,
}

impl Copied {
    fn new(version: &Path, name: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let copy = Self {
            keys: sealing_keys(version),
            scratch,
        };
        fs::set_permissions(copy.scratch.path(), fs::Permissions::from_mode(0o700)).unwrap();
        for file in fs::read_dir(version.join(name)).unwrap() {
            let file = file.unwrap();
            copy.write(file.file_name(), &fs::read(file.path()).unwrap());
        }
        copy
    }

    fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.scratch.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn store(&self) -> FileStore {
        FileStore::new(self.scratch.path()).sealed(self.keys.clone())
    }

    fn bytes(&self, key: &StoreKey) -> Vec<u8> {
        fs::read(entry_file(self.scratch.path(), key)).unwrap()
    }
}

fn entry_file(folder: &Path, key: &StoreKey) -> PathBuf {
    folder.join(format!("{}.token", key.id()))
}

fn sealing_keys(version: &Path) -> SealingKeys {
    let text = fs::read_to_string(version.join("sealing-key")).unwrap();
    SealingKeys::new(SealingKey::from_base64(&text).unwrap())
}

/// The entries of the fixtures, by the name in their key.
fn key(name: &str) -> StoreKey {
    let key = StoreKey::builder("https://issuer.example.com");
    key.client("tests").name(name).build()
}

/// The entries that hold a token and nothing else. Their tokens expire in the year 2100.
fn tokens() -> Result<Vec<(&'static str, Token)>, Error> {
    let all = Token::new("t0ken\"\\")?.scheme("DPoP")?;
    let all = all.with_header("x-tenant".parse().expect("a name"), "a value")?;
    let all = all
        .with_refresh_token("r3fresh")?
        .with_scope("read write")
        .recheck_after(SECOND * 600)
        .expires_at(SystemTime::UNIX_EPOCH + SECOND * 4_102_444_800);
    let field = Token::new("t0ken")?.header_name("x-api-key".parse().expect("a name"));
    Ok(vec![("all", all), ("field", field)])
}

#[tokio::test]
async fn t9_entries_of_each_version_are_read() {
    for version in versions() {
        for folder in ["store", "sealed-store"] {
            let copy = Copied::new(&version, folder);
            let store = copy.store();
            for (name, token) in tokens().unwrap() {
                let found = store.load(&key(name)).await.unwrap().unwrap().entry;
                let read = found.token().unwrap();
                assert_eq!(read.headers(), token.headers(), "{version:?} {folder}");
                assert_eq!(read.refresh_token(), token.refresh_token());
                assert_eq!(read.scope(), token.scope());
                assert_eq!(read.expires(), token.expires());
                assert_eq!(found.saved(), saved());
            }
            let begun = store.load(&key("begun")).await.unwrap().unwrap().entry;
            assert_eq!(begun.pending_exchange().unwrap().attempts(), 1);
            assert!(store.load(&key("failed")).await.unwrap().is_some());
            let fault = store.load(&key("moved")).await.unwrap_err();
            assert!(fault.to_string().contains("moved to another store"));
            let listed = store.list().await.unwrap();
            let unreadable = listed.iter().filter(|entry| entry.unreadable.is_some());
            assert_eq!((listed.len(), unreadable.count()), (5, 1), "{listed:?}");
        }
    }
}

/// If this fails, a format has changed. Once it is released, give it a new number, and write fixtures of it (see below).
#[tokio::test]
async fn t9_entries_are_written_as_in_the_newest_version() {
    let version = versions().pop().unwrap();
    let old = Copied::new(&version, "store");
    let scratch = tempfile::tempdir().unwrap();
    let new = FileStore::new(scratch.path().join("new"));
    let mut compared = 0;
    for EntrySummary { key, .. } in old.store().list().await.unwrap() {
        // The entry that was moved cannot be read, and its time is that of the move.
        let Ok(Some(found)) = old.store().load(&key).await else {
            continue;
        };
        new.replace(&key, &found.entry, SECOND).await.unwrap();
        let written = fs::read(entry_file(&scratch.path().join("new"), &key)).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&written),
            String::from_utf8_lossy(&old.bytes(&key)),
            "{}",
            key.label()
        );
        compared += 1;
    }
    assert_eq!(compared, 4);
    let sealed = Copied::new(&version, "sealed-store");
    let head = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').next().unwrap().to_vec();
    let (store, all) = (sealed.store(), key("all"));
    let before = head(&sealed.bytes(&all));
    let found = store.load(&all).await.unwrap().unwrap();
    store.replace(&all, &found.entry, SECOND).await.unwrap();
    assert_eq!(head(&sealed.bytes(&all)), before);
}

#[tokio::test]
async fn t9_an_entry_of_a_newer_version_is_refused_and_stays() {
    for version in versions() {
        for folder in ["store", "sealed-store"] {
            let old = Copied::new(&version, folder);
            let newer = with_newer_version(&old.bytes(&key("all")));
            old.write(format!("{}.token", key("all").id()), &newer);
            let fault = old.store().load(&key("all")).await.unwrap_err();
            assert_eq!(fault.kind(), StoreErrorKind::Unavailable, "{folder}");
            assert!(fault.to_string().contains("newer version"), "{fault}");
            let entry = Entry::new(Token::new("other").unwrap(), saved());
            let replaced = old.store().replace(&key("all"), &entry, SECOND).await;
            assert!(replaced.is_err(), "{folder}");
            assert_eq!(old.bytes(&key("all")), newer, "{folder}");
            let listed = old.store().list().await.unwrap();
            assert_eq!(listed.len(), 5);
        }
    }
}

/// The same bytes, as if a version that does not exist yet had written them.
fn with_newer_version(bytes: &[u8]) -> Vec<u8> {
    let digit = bytes.iter().position(u8::is_ascii_digit).unwrap();
    [&bytes[..digit], b"99", &bytes[digit + 1..]].concat()
}

/// Run it by hand after a release whose formats differ, and commit the folder that it writes:
/// `cargo test -p keyfob --all-features --test stores -- --ignored the_fixtures_of_this_version`
#[tokio::test]
#[ignore = "writes files for the next versions to read"]
async fn the_fixtures_of_this_version_are_written() {
    let number = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap().0;
    let version = Path::new(FORMATS).join(number);
    let _ = fs::remove_dir_all(version.join("store"));
    let _ = fs::remove_dir_all(version.join("sealed-store"));
    fs::create_dir_all(&version).unwrap();
    fs::write(version.join("sealing-key"), SEALING_KEY).unwrap();
    let store = |name: &str| FileStore::new(version.join(name));
    write_entries(store("store")).await;
    write_entries(store("sealed-store").sealed(sealing_keys(&version))).await;
    write_rows(&version);
    for folder in ["store", "sealed-store"] {
        for file in fs::read_dir(version.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "lock") {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

/// The entry `all`, sealed for each database. `tests/real_servers/old_formats.rs` reads it there.
fn write_rows(version: &Path) {
    let (_, token) = tokens().unwrap().remove(0);
    let entry = Entry::new(token, saved());
    for (place, name) in [("keyfob", "redis"), ("keyfob_tokens", "postgres")] {
        let keys = sealing_keys(version).bound_to(place);
        let sealed = keys.seal(&key("all"), &entry).unwrap();
        let text = sealed.iter().map(|byte| format!("{byte:02x}"));
        let text = text.collect::<String>();
        fs::write(version.join(format!("{name}-row.hex")), text).unwrap();
    }
}

async fn write_entries(store: FileStore) {
    for (name, token) in tokens().unwrap() {
        let entry = Entry::new(token, saved());
        store.replace(&key(name), &entry, SECOND).await.unwrap();
    }
    // A process that ends during an exchange, and one whose exchange fails.
    let during = failing_exchange(&store, "begun").await;
    fs::write(entry_file(store.path(), &key("begun")), during).unwrap();
    failing_exchange(&store, "failed").await;
    // What an entry leaves behind that was moved.
    let entry = Entry::new(Token::new("moved").unwrap(), saved());
    store.replace(&key("moved"), &entry, SECOND).await.unwrap();
    let other = MemoryStore::default();
    let moved = key("moved");
    let done = move_entry(&moved, &store, &other, "another store", SECOND);
    assert!(done.await.unwrap());
}

/// An exchange of a refresh token that fails. Returns what was stored while it was under way.
async fn failing_exchange(store: &FileStore, name: &str) -> Vec<u8> {
    let token = Token::new("t0ken").unwrap().with_refresh_token("r3fresh");
    let token = token.unwrap().expires_at(saved());
    let entry = Entry::new(token, saved());
    store.replace(&key(name), &entry, SECOND).await.unwrap();
    let source = GatedSource::new();
    let persisted = Persisted::new(Rotating(source.clone()), store.clone(), key(name));
    let cache = TokenCache::new(persisted);
    let during = async {
        let call = source.next_call().await;
        let during = fs::read(entry_file(store.path(), &key(name))).unwrap();
        call.respond(Err(Error::refused("the grant was revoked")));
        during
    };
    let (failed, during) = tokio::join!(cache.get_valid_token(), during);
    assert!(failed.is_err());
    during
}

/// When the entries of the fixtures were saved.
fn saved() -> SystemTime {
    SystemTime::UNIX_EPOCH + SECOND * 1_700_000_000
}

const FORMATS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/formats");
const SEALING_KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";
