//! The store in files: what is on disk, and what happens if files are damaged or replaced.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use keyfob::ErrorKind;
use keyfob::runtime::Runtime;
use keyfob::store::{Entry, FileStore, SealingKey, SealingKeys, StoreErrorKind, TokenStore};
use tempfile::TempDir;

use crate::fixtures::{Process, SECOND, key, token};
use crate::other_process::{PREFIX, print_line};

struct Files {
    scratch: TempDir,
    store: FileStore,
}

impl Files {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let store = FileStore::new(scratch.path().join("state/keyfob"));
        Self { scratch, store }
    }

    /// A store with one token in it.
    async fn with_token() -> Self {
        let files = Self::new();
        let process = Process::rotating(files.store.clone());
        process.get_with_response(token(1)).await.unwrap();
        files
    }

    fn directory(&self) -> PathBuf {
        self.scratch.path().join("state/keyfob")
    }

    fn entry(&self) -> PathBuf {
        self.directory().join(format!("{}.token", key().id()))
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.entry()).unwrap()
    }

    async fn load_fault(&self) -> keyfob::store::StoreError {
        self.store.load(&key()).await.unwrap_err()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn t1_a_token_in_a_file_outlives_its_process() {
    let files = Files::with_token().await;
    let next = Process::rotating(files.store.clone());
    assert_eq!(next.get().await.unwrap(), "token-1");
    assert_eq!(next.source.calls(), 0);
}

#[tokio::test]
async fn s2_only_the_owner_can_read_the_directory_and_its_files() {
    let files = Files::with_token().await;
    assert_eq!(mode(&files.directory()), 0o700);
    let names = fs::read_dir(files.directory()).unwrap();
    let mut kinds: Vec<_> = names
        .map(|file| {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            path.extension().unwrap().to_owned()
        })
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["lock", "token"], "nothing half written is left");
}

#[tokio::test]
async fn s2_a_directory_that_others_can_read_is_refused_with_advice() {
    let files = Files::with_token().await;
    for (path, wrong, right, advice) in [
        (files.entry(), 0o644, 0o600, "chmod 600"),
        (files.directory(), 0o755, 0o700, "chmod 700"),
        (files.directory(), 0o770, 0o700, "chmod 700"),
    ] {
        set_mode(&path, wrong);
        let fault = files.load_fault().await;
        assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
        let shown = fault.to_string();
        assert!(
            shown.contains(advice) && shown.contains(path.to_str().unwrap()),
            "{shown}"
        );
        let process = Process::rotating(files.store.clone());
        process.get().await.unwrap_err();
        assert_eq!(process.source.calls(), 0, "T9: no store, no exchange");
        set_mode(&path, right);
    }
    files.store.load(&key()).await.unwrap().unwrap();
}

#[tokio::test]
async fn s2_a_link_pipe_or_directory_instead_of_a_file_is_refused() {
    let files = Files::with_token().await;
    let elsewhere = files.scratch.path().join("elsewhere");
    fs::rename(files.entry(), &elsewhere).unwrap();
    symlink(&elsewhere, files.entry()).unwrap();
    assert_eq!(files.load_fault().await.kind(), StoreErrorKind::Unavailable);
    fs::remove_file(files.entry()).unwrap();

    fs::create_dir(files.entry()).unwrap();
    assert_eq!(files.load_fault().await.kind(), StoreErrorKind::Unavailable);
    fs::remove_dir(files.entry()).unwrap();

    rustix::fs::mkfifoat(rustix::fs::CWD, files.entry(), 0o600.into()).unwrap();
    assert_eq!(files.load_fault().await.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn s2_a_store_directory_that_is_a_link_is_refused() {
    let files = Files::with_token().await;
    let link = files.scratch.path().join("link");
    symlink(files.directory(), &link).unwrap();
    let linked = FileStore::new(&link);
    let fault = linked.load(&key()).await.unwrap_err();
    assert!(fault.to_string().contains("symbolic link"), "{fault}");
    let fault = linked.lease(&key(), SECOND).await.err().unwrap();
    assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
    fs::remove_file(&link).unwrap();
    fs::write(&link, "").unwrap();
    let fault = linked.lease(&key(), SECOND).await.err().unwrap();
    assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn s2_a_new_file_is_not_written_through_a_link() {
    let files = Files::with_token().await;
    let target = files.scratch.path().join("target");
    fs::write(&target, "untouched").unwrap();
    let new = files.directory().join(format!("{}.new", key().id()));
    symlink(&target, &new).unwrap();
    let entry = Entry::new(token(2).unwrap(), SystemTime::now());
    files.store.replace(&key(), &entry, SECOND).await.unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
}

#[tokio::test]
async fn t9_a_damaged_entry_that_may_hold_a_refresh_token_is_not_replaced() {
    let files = Files::with_token().await;
    let whole = files.bytes();
    for damaged in [
        &whole[..whole.len() / 2],
        &whole[..0],
        b"keyfob-token-1 no\n{}",
    ] {
        fs::write(files.entry(), damaged).unwrap();
        let process = Process::rotating(files.store.clone());
        let error = process.get().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("sign in again"), "{error}");
        assert_eq!(process.source.calls(), 0);
        assert_eq!(files.bytes(), damaged, "it stays as it is");
    }
}

#[tokio::test]
async fn a_damaged_entry_is_quarantined_if_the_source_can_be_called_again() {
    let files = Files::with_token().await;
    fs::write(files.entry(), "garbled").unwrap();
    let process = Process::repeatable(files.store.clone());
    assert_eq!(
        process.get_with_response(token(2)).await.unwrap(),
        "token-2"
    );
    let aside = files.entry().with_extension("bad");
    assert_eq!(fs::read_to_string(aside).unwrap(), "garbled");
}

#[tokio::test]
async fn t9_a_sign_in_replaces_a_damaged_entry_and_quarantines_it() {
    let files = Files::with_token().await;
    fs::write(files.entry(), "garbled").unwrap();
    let entry = Entry::new(token(7).unwrap(), SystemTime::now());
    files.store.replace(&key(), &entry, SECOND).await.unwrap();
    let kept = files.store.load(&key()).await.unwrap().unwrap();
    assert_eq!(kept.entry.token().unwrap().expose(), "token-7");
    assert!(files.entry().with_extension("bad").exists());
}

#[tokio::test]
async fn t9_an_entry_of_a_newer_version_is_left_alone() {
    let files = Files::with_token().await;
    let newer = b"keyfob-token-3 of a later day\nwhatever".to_vec();
    fs::write(files.entry(), &newer).unwrap();
    let error = Process::rotating(files.store.clone())
        .get()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
    let process = Process::repeatable(files.store.clone());
    assert_eq!(
        process.get_with_response(token(2)).await.unwrap(),
        "token-2"
    );
    assert_eq!(files.bytes(), newer);
}

#[tokio::test]
async fn t9_an_entry_under_another_keys_name_is_damaged() {
    let files = Files::with_token().await;
    let other = keyfob::store::StoreKey::builder("https://other.example.com").build();
    let place = files.directory().join(format!("{}.token", other.id()));
    fs::copy(files.entry(), place).unwrap();
    let fault = files.store.load(&other).await.unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Damaged);
}

#[tokio::test]
async fn s2_a_sealed_entry_shows_no_secret_and_needs_its_key() {
    let files = Files::new();
    let ring = |byte| SealingKeys::new(SealingKey::from_bytes([byte; 32]));
    let sealed = files.store.clone().sealed(ring(1));
    Process::rotating(sealed.clone())
        .get_with_response(token(1))
        .await
        .unwrap();
    let bytes = files.bytes();
    for secret in ["token-1", "refresh-1", "issuer.example.com"] {
        assert!(
            !bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes()),
            "{secret}"
        );
    }
    assert_eq!(Process::rotating(sealed).get().await.unwrap(), "token-1");
    for keyless in [files.store.clone(), files.store.clone().sealed(ring(2))] {
        let fault = keyless.load(&key()).await.unwrap_err();
        assert_eq!(fault.kind(), StoreErrorKind::Unavailable, "{fault}");
    }
    let mut garbled = bytes.clone();
    *garbled.last_mut().unwrap() ^= 1;
    fs::write(files.entry(), garbled).unwrap();
    let fault = files
        .store
        .clone()
        .sealed(ring(1))
        .load(&key())
        .await
        .unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Damaged);
}

#[tokio::test]
async fn a_file_that_a_crash_left_half_written_disturbs_nothing() {
    let files = Files::with_token().await;
    let new = files.directory().join(format!("{}.new", key().id()));
    fs::write(&new, "half wri").unwrap();
    let process = Process::rotating(files.store.clone());
    assert_eq!(process.get().await.unwrap(), "token-1");
    process.clock.advance(SECOND * 101);
    process.get_with_response(token(2)).await.unwrap();
    assert!(!new.exists());
}

#[tokio::test]
async fn s2_a_copy_of_an_entry_is_removed_from_where_it_is() {
    let files = Files::with_token().await;
    let copy = files.directory().join("backup.token");
    fs::copy(files.entry(), &copy).unwrap();
    for found in files.store.list().await.unwrap() {
        assert!(files.store.forget(&found.key, SECOND).await.unwrap());
    }
    assert!(!copy.exists() && !files.entry().exists());
}

#[tokio::test]
async fn entries_in_files_are_listed_even_unreadable_ones() {
    let files = Files::with_token().await;
    assert!(Files::new().store.list().await.unwrap().is_empty());
    fs::write(files.directory().join("0123.token"), "garbled").unwrap();
    set_mode(&files.directory().join("0123.token"), 0o600);
    let listed = files.store.list().await.unwrap();
    let (readable, other): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .partition(|listed| listed.unreadable.is_none());
    assert_eq!((readable.len(), other.len()), (1, 1));
    assert_eq!(readable[0].key, key());
    assert!(readable[0].expires.is_some());
    assert!(files.store.forget(&other[0].key, SECOND).await.unwrap());
    assert!(files.store.forget(&key(), SECOND).await.unwrap());
    assert!(files.store.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn s2_nothing_of_an_entry_is_left_after_it_is_forgotten() {
    let files = Files::with_token().await;
    let path = |kind: &str| files.directory().join(format!("{}.{kind}", key().id()));
    for kinds in [&["token", "bad", "new"][..], &["bad"], &["new"]] {
        for kind in kinds {
            fs::write(path(kind), "garbled s3cr3t").unwrap();
            set_mode(&path(kind), 0o600);
        }
        let listed = files.store.list().await.unwrap();
        assert_eq!(listed.len(), 1, "{kinds:?}");
        assert!(listed[0].unreadable.is_some());
        assert!(files.store.forget(&listed[0].key, SECOND).await.unwrap());
        let left = fs::read_dir(files.directory()).unwrap();
        let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
        assert!(left.is_empty() || cfg!(not(unix)), "{left:?}");
    }
}

#[tokio::test]
async fn t10_a_lease_under_which_nothing_is_saved_leaves_no_file() {
    let files = Files::new();
    let left = || {
        let names = fs::read_dir(files.directory()).unwrap();
        names.map(|file| file.unwrap().path()).collect::<Vec<_>>()
    };
    let mut lease = files.store.lease(&key(), SECOND).await.unwrap();
    assert!(lease.load().await.unwrap().is_none());
    assert_eq!(left().len(), 1, "its lock");
    lease.release().await;
    assert!(left().is_empty(), "{:?}", left());
    assert!(!files.store.forget(&key(), SECOND).await.unwrap());
    assert!(left().is_empty(), "{:?}", left());
    for kind in ["token", "bad", "new"] {
        let path = files.directory().join(format!("{}.{kind}", key().id()));
        fs::write(&path, "garbled").unwrap();
        drop(files.store.lease(&key(), SECOND).await.unwrap());
        assert_eq!(left().len(), 2, "{kind} has its lock");
        assert!(files.store.forget(&key(), SECOND).await.unwrap());
        assert!(left().is_empty(), "{:?}", left());
    }
}

#[tokio::test]
async fn t9_a_lease_lasts_until_its_end_although_its_entry_was_removed() {
    let files = Files::with_token().await;
    let is_free = async || files.store.lease(&key(), SECOND / 100).await.is_ok();
    let mut held = files.store.lease(&key(), SECOND).await.unwrap();
    assert!(held.remove().await.unwrap());
    assert!(!is_free().await);
    let entry = Entry::new(token(2).unwrap(), SystemTime::now());
    held.save(&entry).await.unwrap();
    assert!(!is_free().await);
    held.release().await;
    assert!(is_free().await);
    let kept = files.store.load(&key()).await.unwrap().unwrap();
    assert_eq!(kept.entry.token().unwrap().expose(), "token-2");
}

#[tokio::test]
async fn s2_a_sealed_file_that_is_put_back_is_refused_until_a_new_sign_in() {
    let files = Files::new();
    let keys = SealingKeys::new(SealingKey::from_bytes([1; 32]));
    let store = files.store.clone().sealed(keys.clone());
    let process = Process::rotating(store.clone());
    process.get_with_response(token(1)).await.unwrap();
    let old = files.bytes();
    process.clock.advance(SECOND * 101);
    process.get_with_response(token(2)).await.unwrap();
    fs::write(files.entry(), &old).unwrap();
    process.clock.advance(SECOND * 101);
    let error = process.get().await.unwrap_err();
    assert!(error.to_string().contains("older state"), "{error}");
    assert_eq!(
        process.source.calls(),
        2,
        "the old refresh token is not sent"
    );

    // Another process has not seen the newer state, and a person signs in there. The counter of its entry is the time in
    // milliseconds. That of this process is larger than the time if it saved several entries within one of them.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let other = files.store.clone().sealed(keys);
    let entry = Entry::new(token(7).unwrap(), process.clock.wall());
    other.replace(&key(), &entry, SECOND).await.unwrap();
    process.clock.advance(SECOND * 60);
    assert_eq!(process.get().await.unwrap(), "token-7");
}

#[tokio::test]
async fn an_old_state_is_replaced_if_the_source_can_be_called_again() {
    let files = Files::new();
    let keys = SealingKeys::new(SealingKey::from_bytes([1; 32]));
    let process = Process::repeatable(files.store.clone().sealed(keys));
    process.get_with_response(token(1)).await.unwrap();
    let old = files.bytes();
    process.clock.advance(SECOND * 101);
    process.get_with_response(token(2)).await.unwrap();
    fs::write(files.entry(), &old).unwrap();
    process.clock.advance(SECOND * 101);
    let got = process.get_with_response(token(3)).await.unwrap();
    assert_eq!(got, "token-3");
}

/// Runs the first piece of blocking work, which locks the file, and delays the rest.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<Option<Vec<Work>>>>);

type Work = Box<dyn FnOnce() + Send>;

impl Runtime for Late {
    fn spawn(&self, _: BoxFuture<'static, ()>) {
        unreachable!("a store only blocks");
    }

    fn spawn_blocking(&self, work: Work) {
        match &mut *self.0.lock().unwrap() {
            Some(later) => later.push(work),
            first => {
                *first = Some(Vec::new());
                work();
            }
        }
    }
}

#[tokio::test]
async fn t9_a_lease_that_is_dropped_during_a_save_ends_with_it() {
    let files = Files::new();
    let late = Late::default();
    let store = files.store.clone().runtime(late.clone());
    let key = key();
    let mut lease = store.lease(&key, SECOND).await.unwrap();
    let entry = Entry::new(token(1).unwrap(), SystemTime::now());
    drop(lease.save(&entry));
    drop(lease);

    let others = || files.store.lease(&key, Duration::ZERO);
    let busy = others().await.err().unwrap();
    assert_eq!(busy.kind(), StoreErrorKind::Busy);
    for work in late.0.lock().unwrap().take().unwrap() {
        work();
    }
    let mut lease = others().await.unwrap();
    assert!(lease.load().await.unwrap().is_some());
}

#[test]
fn the_default_directory_is_the_state_directory_of_the_user() {
    let home = ("HOME", "/home/a");
    for (variables, expected) in [
        (vec![home], "/home/a/.local/state/keyfob"),
        (vec![home, ("XDG_STATE_HOME", "/state")], "/state/keyfob"),
        // The XDG specification: a relative path is invalid and ignored.
        (
            vec![home, ("XDG_STATE_HOME", "relative")],
            "/home/a/.local/state/keyfob",
        ),
        (vec![("HOME", "relative")], "none"),
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files::says_the_default_directory"])
            .args(["--ignored", "--nocapture", "--quiet"])
            .env_clear()
            .envs(variables.clone())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let expected = format!("{PREFIX}{expected}\n");
        assert!(printed.contains(&expected), "{variables:?}: {printed}");
    }
}

#[test]
#[ignore = "another test runs it as a process of its own"]
fn says_the_default_directory() {
    let directory = FileStore::default_directory();
    print_line(&directory.map_or("none".to_owned(), |path| path.display().to_string()));
}
