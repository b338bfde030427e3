//! Several processes over one store in files: they start at once, are stopped or killed, and find the disk full.

use std::path::{Path, PathBuf};

use keyfob::Token;
use keyfob::store::{FileStore, TokenStore};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::fixtures::{Process, SECOND, key, token};
use crate::other_process::{OtherProcess, get_token_from, read};

/// The instructions for another process.
#[derive(Deserialize, Serialize)]
struct Errand {
    store: String,
    /// The maximum size of a file, to simulate a full disk.
    room: Option<u64>,
}

fn start(store: &Path, room: Option<u64>) -> OtherProcess {
    let errand = Errand {
        store: store.to_str().unwrap().to_owned(),
        room,
    };
    let errand = serde_json::to_string(&errand).unwrap();
    OtherProcess::run("processes::as_a_process_of_its_own", &errand)
}

#[test]
#[ignore = "other tests run it as a process of its own"]
fn as_a_process_of_its_own() {
    let errand: Errand = serde_json::from_str(&read()).unwrap();
    if let Some(room) = errand.room {
        let room = Rlimit {
            current: Some(room),
            maximum: Some(room),
        };
        setrlimit(Resource::Fsize, room).unwrap();
    }
    get_token_from(FileStore::new(errand.store));
}

#[test]
fn t1_fifty_processes_that_start_at_once_cause_one_exchange() {
    let scratch = tempfile::tempdir().unwrap();
    let mut others: Vec<_> = (0..50).map(|_| start(&place(&scratch), None)).collect();
    for other in &mut others {
        other.tell("go");
        // The process that exchanges reads this line as the response. The others do not need it.
        other.tell("1");
    }
    let mut exchanges = 0;
    for other in &mut others {
        let mut said = other.hear();
        if said == "exchange" {
            exchanges += 1;
            said = other.hear();
        }
        assert_eq!(said, "token-1");
    }
    assert_eq!(exchanges, 1);
}

#[test]
fn t9_a_process_killed_during_an_exchange_leaves_a_note_and_no_lock() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut holder, mut next) = (start(&place(&scratch), None), start(&place(&scratch), None));
    holder.tell("go");
    assert_eq!(holder.hear(), "exchange");
    next.tell("go");
    holder.signal(Signal::KILL);
    assert_eq!(next.hear(), "exchange", "once more, within the grace");
    next.signal(Signal::KILL);
    let mut third = start(&place(&scratch), None);
    third.tell("go");
    let said = third.hear();
    assert!(
        said.starts_with("refused: ") && said.contains("sign in again"),
        "{said}"
    );
}

#[test]
fn t9_a_stopped_process_keeps_its_lock_and_its_response_counts() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut holder, mut next) = (start(&place(&scratch), None), start(&place(&scratch), None));
    holder.tell("go");
    assert_eq!(holder.hear(), "exchange");
    holder.signal(Signal::STOP);
    next.tell("go");
    let store = FileStore::new(place(&scratch));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let taken = runtime.block_on(store.lease(&key(), SECOND / 2));
    assert!(
        taken.is_err(),
        "the system keeps the lock of a process that was stopped"
    );
    holder.tell("1");
    holder.signal(Signal::CONT);
    assert_eq!(holder.hear(), "token-1");
    assert_eq!(next.hear(), "token-1");
}

#[test]
fn t9_on_a_full_disk_nothing_is_exchanged_and_no_entry_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let mut full = start(&place(&scratch), Some(16));
    full.tell("go");
    let said = full.hear();
    assert!(
        said.starts_with("unavailable: ") && said.contains("cannot be written"),
        "{said}"
    );
    let left = std::fs::read_dir(place(&scratch)).unwrap();
    let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "the lock alone: {left:?}");
    let mut roomy = start(&place(&scratch), None);
    roomy.tell("go");
    assert_eq!(roomy.hear(), "exchange");
    roomy.tell("1");
    assert_eq!(roomy.hear(), "token-1");
    let mut full = start(&place(&scratch), Some(16));
    full.tell("go");
    assert_eq!(full.hear(), "token-1", "reading needs no room");
}

#[tokio::test]
async fn t6_a_clock_that_is_minutes_behind_or_ahead_loses_no_refresh_token() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::new(place(&scratch));
    let (behind, ahead) = (
        Process::rotating(store.clone()),
        Process::rotating(store.clone()),
    );
    ahead.clock.step_wall(7 * 60);
    ahead.get_answered(token(1)).await.unwrap();
    // Written by a clock that runs ahead, so it counts as written just now.
    assert_eq!(behind.get().await.unwrap(), "token-1");
    assert!(behind.cache.status().expires_in.unwrap() <= SECOND * 100);
    // When the token has really expired, a server rejects it, and the stored refresh token is used.
    let rejected = behind.cache.ready().unwrap();
    let nothing = keyfob::exchange::Challenges::default();
    let answer = async { behind.source.next_call().await.respond(token(2)) };
    let (replaced, ()) = tokio::join!(behind.cache.replace(&rejected, &nothing, None), answer);
    assert_eq!(replaced.unwrap().token().expose(), "token-2");
    // A clock that runs ahead renews too early, with the stored refresh token.
    let later = Process::rotating(store);
    later.clock.step_wall(7 * 60);
    let answer = async {
        let call = later.source.next_call().await;
        let previous = call
            .request()
            .previous()
            .map(Token::expose)
            .map(str::to_owned);
        assert_eq!(previous.as_deref(), Some("token-2"));
        call.respond(token(3));
    };
    let (got, ()) = tokio::join!(later.get(), answer);
    assert_eq!(got.unwrap(), "token-3");
}

/// A directory that the store creates, readable only for its owner.
fn place(scratch: &TempDir) -> PathBuf {
    scratch.path().join("store")
}
