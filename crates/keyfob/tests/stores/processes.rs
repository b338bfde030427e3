//! Several processes over one store in files: they start at once, are stopped or killed, find the disk full, and
//! take turns.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use keyfob::Token;
use keyfob::store::{FileStore, TokenStore};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::fixtures::{Process, SECOND, key, token};
use crate::other_process::{OtherProcess, get_token_from, read};

/// The instructions for another process.
#[derive(Deserialize, Serialize)]
struct Instructions {
    store: String,
    /// The maximum size of a file, to simulate a full disk.
    room: Option<u64>,
}

fn start(store: &Path, room: Option<u64>) -> OtherProcess {
    let instructions = Instructions {
        store: store.to_str().unwrap().to_owned(),
        room,
    };
    let instructions = serde_json::to_string(&instructions).unwrap();
    OtherProcess::run("processes::as_a_process_of_its_own", &instructions)
}

#[test]
#[ignore = "other tests run it as a process of its own"]
fn as_a_process_of_its_own() {
    let instructions: Instructions = serde_json::from_str(&read()).unwrap();
    if let Some(room) = instructions.room {
        let room = Rlimit {
            current: Some(room),
            maximum: Some(room),
        };
        setrlimit(Resource::Fsize, room).unwrap();
    }
    get_token_from(FileStore::new(instructions.store));
}

#[test]
fn t1_fifty_processes_that_start_at_once_cause_one_exchange() {
    let scratch = tempfile::tempdir().unwrap();
    let mut others: Vec<_> = (0..50).map(|_| start(&directory(&scratch), None)).collect();
    for other in &mut others {
        other.send_line("go");
        // The process that exchanges reads this line as the response. The others do not need it.
        other.send_line("1");
    }
    let mut exchanges = 0;
    for other in &mut others {
        let mut line = other.next_line();
        if line == "exchange" {
            exchanges += 1;
            line = other.next_line();
        }
        assert_eq!(line, "token-1");
    }
    assert_eq!(exchanges, 1);
}

#[test]
fn t9_a_process_killed_during_an_exchange_leaves_a_note_and_no_lock() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut holder, mut next) = (
        start(&directory(&scratch), None),
        start(&directory(&scratch), None),
    );
    holder.send_line("go");
    assert_eq!(holder.next_line(), "exchange");
    next.send_line("go");
    holder.signal(Signal::KILL);
    assert_eq!(next.next_line(), "exchange", "once more, within the grace");
    next.signal(Signal::KILL);
    let mut third = start(&directory(&scratch), None);
    third.send_line("go");
    let line = third.next_line();
    assert!(
        line.starts_with("refused: ") && line.contains("sign in again"),
        "{line}"
    );
}

#[test]
fn t9_a_stopped_process_keeps_its_lock_and_its_response_counts() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut holder, mut next) = (
        start(&directory(&scratch), None),
        start(&directory(&scratch), None),
    );
    holder.send_line("go");
    assert_eq!(holder.next_line(), "exchange");
    holder.signal(Signal::STOP);
    next.send_line("go");
    let store = FileStore::new(directory(&scratch));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let taken = runtime.block_on(store.lease(&key(), SECOND / 2));
    assert!(
        taken.is_err(),
        "the system keeps the lock of a process that was stopped"
    );
    holder.send_line("1");
    holder.signal(Signal::CONT);
    assert_eq!(holder.next_line(), "token-1");
    assert_eq!(next.next_line(), "token-1");
}

#[test]
fn t9_on_a_full_disk_nothing_is_exchanged_and_no_entry_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let mut full = start(&directory(&scratch), Some(16));
    full.send_line("go");
    let line = full.next_line();
    assert!(
        line.starts_with("unavailable: ") && line.contains("cannot be written"),
        "{line}"
    );
    let left = std::fs::read_dir(directory(&scratch)).unwrap();
    let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    assert!(left.is_empty() || cfg!(not(unix)), "{left:?}");
    let mut roomy = start(&directory(&scratch), None);
    roomy.send_line("go");
    assert_eq!(roomy.next_line(), "exchange");
    roomy.send_line("1");
    assert_eq!(roomy.next_line(), "token-1");
    let mut full = start(&directory(&scratch), Some(16));
    full.send_line("go");
    assert_eq!(full.next_line(), "token-1", "reading needs no room");
}

#[tokio::test]
async fn t6_a_clock_that_is_minutes_behind_or_ahead_loses_no_refresh_token() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory(&scratch));
    let (behind, ahead) = (
        Process::rotating(store.clone()),
        Process::rotating(store.clone()),
    );
    ahead.clock.step_wall(7 * 60);
    ahead.get_with_response(token(1)).await.unwrap();
    // Written by a clock that runs ahead, so it counts as written just now.
    assert_eq!(behind.get().await.unwrap(), "token-1");
    assert!(behind.cache.status().expires_in.unwrap() <= SECOND * 100);
    // When the token has really expired, a server rejects it, and the stored refresh token is used.
    let rejected = behind.cache.ready().unwrap();
    let nothing = keyfob::exchange::Challenges::default();
    let response = async { behind.source.next_call().await.respond(token(2)) };
    let (replaced, ()) = tokio::join!(behind.cache.replace(&rejected, &nothing, None), response);
    assert_eq!(replaced.unwrap().token().expose(), "token-2");
    // A clock that runs ahead renews too early, with the stored refresh token.
    let later = Process::rotating(store);
    later.clock.step_wall(7 * 60);
    let response = async {
        let call = later.source.next_call().await;
        let previous = call
            .request()
            .previous()
            .map(Token::expose)
            .map(str::to_owned);
        assert_eq!(previous.as_deref(), Some("token-2"));
        call.respond(token(3));
    };
    let (got, ()) = tokio::join!(later.get(), response);
    assert_eq!(got.unwrap(), "token-3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t9_leases_exclude_each_other_although_their_lock_file_comes_and_goes() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory(&scratch));
    let held = Arc::new(Mutex::new(()));
    let tasks = (0..4).map(|_| {
        let (store, held) = (store.clone(), Arc::clone(&held));
        tokio::spawn(async move {
            for _ in 0..50 {
                let lease = store.lease(&key(), SECOND * 60).await.unwrap();
                let only = held.try_lock().expect("another task has a lease");
                std::thread::yield_now();
                drop(only);
                lease.release().await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(std::fs::read_dir(store.path()).unwrap().count(), 0);
}

/// A directory that the store creates, readable only for its owner.
fn directory(scratch: &TempDir) -> PathBuf {
    scratch.path().join("store")
}
