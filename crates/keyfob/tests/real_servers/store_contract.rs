//! What every store in a database keeps, with failures of the server and of the processes that hold a lease.
//!
//! The module of each kind of server includes this file, and says what `Server` and `Store` are.

use std::time::{Duration, Instant};

use keyfob::ErrorKind;
use keyfob::store::{Entry, SealingKey, SealingKeys, StoreErrorKind, TokenStore};
use rustix::process::Signal;
use tokio::runtime::{Builder, Runtime};

use super::{Server, Store};
use crate::fixtures::{Process, SECOND, key, token};
use crate::other_process;
use crate::other_process::OtherProcess;

/// Short, so that a test does not wait long until a lease expires.
const LEASE: Duration = Duration::from_secs(1);

pub(super) fn store(server: &Server) -> Store {
    server.store().lease_duration(LEASE)
}

/// Stores the first token, as a process that rotates.
pub(super) async fn save_first_token(store: &Store) {
    let process = Process::rotating(store.clone());
    process.get_with_response(token(1)).await.unwrap();
}

/// Waits until a condition holds. The wait is bounded, so that a failing test ends.
pub(crate) async fn until_in_real_time(holds: impl AsyncFn() -> bool) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(SECOND / 100).await;
    }
    panic!("the condition did not hold in time");
}

/// Makes the clock of this process run faster than real time.
pub(super) fn with_fast_clock(process: Process) -> Process {
    let clock = process.clock.clone();
    tokio::spawn(async move {
        for _ in 0..6_000 {
            tokio::time::sleep(SECOND / 100).await;
            clock.advance(SECOND / 20);
        }
    });
    process
}

pub(super) async fn stored(store: &Store) -> Option<Entry> {
    let kept = store.load(&key()).await.unwrap();
    kept.map(|kept| kept.entry)
}

#[tokio::test]
async fn t1_a_token_that_another_machine_fetched_is_read_from_the_store() {
    let server = Server::start();
    let (first, second) = (
        Process::rotating(store(&server)),
        Process::rotating(store(&server)),
    );
    let (one, other) = tokio::join!(first.get_with_response(token(1)), async {
        until_in_real_time(async || stored(&store(&server)).await.is_some()).await;
        second.get().await
    });
    assert_eq!(
        (one.unwrap(), other.unwrap()),
        ("token-1".into(), "token-1".into())
    );
    assert_eq!(second.source.calls(), 0);
}

#[tokio::test]
async fn s2_a_dump_of_the_database_shows_no_secret() {
    let server = Server::start();
    Process::rotating(store(&server))
        .get_with_response(token(1))
        .await
        .unwrap();
    let dump = server.dump().await;
    assert!(dump.contains(key().id()), "{dump}");
    for secret in ["token-1", "refresh-1", "issuer.example.com"] {
        assert!(!dump.contains(secret), "{secret}");
    }
    let other = server.store_with(SealingKeys::new(SealingKey::from_bytes([1; 32])));
    let fault = other.load(&key()).await.unwrap_err();
    assert_eq!(
        fault.kind(),
        StoreErrorKind::Unavailable,
        "its key is elsewhere"
    );
}

#[tokio::test]
async fn t9_the_lease_is_renewed_until_the_exchange_ends() {
    let server = Server::start();
    // On a loaded machine, a renewal may come a second late.
    let lease = LEASE * 3;
    let process = Process::rotating(store(&server).lease_duration(lease));
    let response = async {
        let call = process.source.next_call().await;
        let taken = store(&server).lease(&key(), lease * 2).await;
        let fault = taken.err().expect("the lease is held for twice its length");
        assert_eq!(fault.kind(), StoreErrorKind::Busy);
        call.respond(token(1));
    };
    let (got, ()) = tokio::join!(process.get(), response);
    got.unwrap();
    store(&server).lease(&key(), SECOND).await.unwrap();
}

#[tokio::test]
async fn t9_a_server_stopped_for_longer_than_the_lease_loses_no_refresh_token() {
    let server = Server::start();
    let (first, second) = (
        with_fast_clock(Process::rotating(
            store(&server).response_timeout(LEASE * 2),
        )),
        with_fast_clock(Process::rotating(store(&server))),
    );
    let fault = async {
        let call = first.source.next_call().await;
        server.stop();
        call.respond(token(1));
        tokio::time::sleep(LEASE * 3).await;
        server.go_on();
    };
    let (one, ()) = tokio::join!(first.get(), fault);
    // The token could not be stored at once, so it was not used, but it is not lost.
    one.unwrap_err();
    assert_eq!(second.get().await.unwrap(), "token-1");
    assert_eq!(second.source.calls(), 0);
    first.clock.advance(SECOND * 2);
    assert_eq!(first.get().await.unwrap(), "token-1");
}

#[tokio::test]
async fn t9_a_late_response_after_a_lost_lease_is_stored_if_no_process_was_faster() {
    let server = Server::start();
    let store = store(&server);
    let process = Process::rotating(store.clone());
    let fault = async {
        let call = process.source.next_call().await;
        // As if the process had been stopped: its lease has expired, and another process has a new one.
        server.end_lease(&key()).await;
        let other = store.lease(&key(), SECOND).await.unwrap();
        call.respond(token(1));
        until_in_real_time(async || stored(&store).await.unwrap().token().is_some()).await;
        other.release().await;
    };
    let (got, ()) = tokio::join!(process.get(), fault);
    assert_eq!(got.unwrap(), "token-1");
}

#[tokio::test]
async fn t9_a_late_response_after_a_lost_lease_loses_to_a_faster_process() {
    let server = Server::start();
    let store = store(&server);
    let (slow, fast) = (
        with_fast_clock(Process::rotating(store.clone())),
        with_fast_clock(Process::rotating(store.clone())),
    );
    let fault = async {
        let call = slow.source.next_call().await;
        server.end_lease(&key()).await;
        fast.get_with_response(token(2)).await.unwrap();
        call.respond(token(1));
    };
    let (got, ()) = tokio::join!(slow.get(), fault);
    assert_eq!(got.unwrap(), "token-2", "it adopts the one that is there");
    let kept = stored(&store).await.unwrap();
    assert_eq!(kept.token().unwrap().refresh_token(), Some("refresh-2"));
}

#[tokio::test]
async fn t9_a_late_response_is_kept_if_the_faster_process_got_no_refresh_token() {
    let server = Server::start();
    let store = store(&server);
    let now = std::time::SystemTime::now();
    let expired = token(1).unwrap().obtained_at(now - SECOND * 200);
    let entry = Entry::new(expired, now);
    store.replace(&key(), &entry, SECOND).await.unwrap();
    let (slow, fast) = (
        with_fast_clock(Process::rotating(store.clone())),
        with_fast_clock(Process::rotating(store.clone())),
    );
    let fault = async {
        let call = slow.source.next_call().await;
        server.end_lease(&key()).await;
        let refused = Err(keyfob::Error::refused("invalid_grant"));
        fast.get_with_response(refused).await.unwrap_err();
        call.respond(token(2));
    };
    let (got, ()) = tokio::join!(slow.get(), fault);
    assert_eq!(got.unwrap(), "token-2");
    let kept = stored(&store).await.unwrap();
    assert_eq!(kept.token().unwrap().refresh_token(), Some("refresh-2"));
}

#[test]
fn t9_a_process_stopped_past_its_lease_adopts_the_newer_token() {
    let server = Server::start();
    let instructions = server.instructions();
    let start = || run_other(&instructions);
    let (mut slow, mut fast) = (start(), start());
    slow.send_line("go");
    assert_eq!(slow.next_line(), "exchange");
    slow.signal(Signal::STOP);
    fast.send_line("go");
    assert_eq!(fast.next_line(), "exchange", "once more, within the grace");
    fast.send_line("2");
    assert_eq!(fast.next_line(), "token-2");
    slow.send_line("1");
    slow.signal(Signal::CONT);
    assert_eq!(slow.next_line(), "token-2");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = runtime.block_on(stored(&store(&server))).unwrap();
    assert_eq!(kept.token().unwrap().refresh_token(), Some("refresh-2"));
}

#[test]
fn t1_twenty_processes_that_start_at_once_cause_one_exchange() {
    let server = Server::start();
    let instructions = server.instructions();
    let start = |_| run_other(&instructions);
    let mut others: Vec<_> = (0..20).map(start).collect();
    for other in &mut others {
        other.send_line("go");
        other.send_line("1");
    }
    let lines: Vec<_> = others.iter_mut().map(OtherProcess::next_line).collect();
    let exchanges = lines.iter().filter(|lines| *lines == "exchange").count();
    assert_eq!(exchanges, 1, "{lines:?}");
    let adopted = lines.iter().filter(|lines| *lines == "token-1").count();
    assert_eq!(adopted, 19, "{lines:?}");
}

#[tokio::test]
async fn t9_a_process_that_finds_a_recent_note_waits_before_it_repeats_the_exchange() {
    let server = Server::start();
    let store = store(&server);
    let (slow, next) = (
        Process::rotating(store.clone()),
        Process::rotating(store.clone()),
    );
    let clock = next.clock.clone();
    let fault = async {
        let call = slow.source.next_call().await;
        server.end_lease(&key()).await;
        let awake = async {
            clock.until_sleeping_for(SECOND / 20).await;
            call.respond(token(1));
            until_in_real_time(async || stored(&store).await.unwrap().token().is_some()).await;
            clock.advance(SECOND / 20);
        };
        let (got, ()) = tokio::join!(next.get(), awake);
        assert_eq!(got.unwrap(), "token-1");
    };
    let (got, ()) = tokio::join!(slow.get(), fault);
    assert_eq!(got.unwrap(), "token-1");
    assert_eq!(next.source.calls(), 0);
}

#[tokio::test]
async fn t9_an_emptied_server_gets_its_entry_back_from_a_process() {
    let mut server = Server::start();
    let store = store(&server);
    let process = Process::rotating(store.clone());
    process.get_with_response(token(1)).await.unwrap();
    server.restart_empty();
    process.clock.advance(SECOND * 101);
    let process = with_fast_clock(process);
    let response = async {
        let call = process.source.next_call().await;
        let previous = call.request().previous().unwrap();
        assert_eq!(previous.refresh_token(), Some("refresh-1"));
        call.respond(token(2));
    };
    let (got, ()) = tokio::join!(process.get(), response);
    assert_eq!(got.unwrap(), "token-2");
    let kept = stored(&store).await.unwrap();
    assert_eq!(kept.token().unwrap().refresh_token(), Some("refresh-2"));
}

#[tokio::test]
async fn t9_a_server_that_comes_back_is_used_again_at_once() {
    let mut server = Server::start();
    let process = Process::rotating(store(&server).response_timeout(SECOND * 2));
    server.end();
    let error = process.get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(process.source.calls(), 0);
    server.begin();
    process.clock.advance(SECOND * 2);
    assert_eq!(
        process.get_with_response(token(1)).await.unwrap(),
        "token-1"
    );
}

#[test]
fn t7_a_connection_of_a_runtime_that_is_not_driven_holds_up_no_other() {
    let server = Server::start();
    let store = store(&server).response_timeout(SECOND * 20);
    let runtimes: [Runtime; 3] = std::array::from_fn(|_| single_threaded());
    // Each runtime stands still while the next one uses the store, and goes on after that.
    let began = Instant::now();
    for runtime in runtimes.iter().chain(&runtimes) {
        assert!(runtime.block_on(store.load(&key())).unwrap().is_none());
    }
    assert!(began.elapsed() < SECOND * 10, "{:?}", began.elapsed());
}

fn single_threaded() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn t9_a_note_whose_confirmation_was_lost_is_removed() {
    let server = Server::start();
    let store = store(&server);
    // The connection is open already, so that the timeout concerns the reply alone.
    assert!(store.load(&key()).await.unwrap().is_none());
    let store = store.response_timeout(SECOND * 3);
    let process = Process::rotating(store.clone());
    // The server stops when the lease is taken, so that the note is sent but gets no response.
    let mut lease = store.lease(&key(), SECOND).await.unwrap();
    assert!(lease.load().await.unwrap().is_none());
    let entry = Entry::new(token(1).unwrap(), std::time::SystemTime::now());
    server.stop();
    lease.save(&entry).await.unwrap_err();
    server.go_on();
    // The first save was completed after all. The second one still succeeds.
    let entry = Entry::new(token(2).unwrap(), std::time::SystemTime::now());
    lease.save(&entry).await.unwrap();
    lease.release().await;
    let kept = stored(&store).await.unwrap();
    assert_eq!(kept.token().unwrap().expose(), "token-2");
    assert_eq!(process.source.calls(), 0);
}

#[tokio::test]
async fn s2_an_old_entry_that_is_put_back_is_refused() {
    let server = Server::start();
    let process = Process::rotating(store(&server));
    process.get_with_response(token(1)).await.unwrap();
    let before = server.backup(&key()).await;
    let responded = async { process.source.next_call().await.respond(token(2)) };
    let (renewed, ()) = tokio::join!(process.cache.renew(), responded);
    renewed.unwrap();
    server.put_back(&before).await;
    let error = process.cache.renew().await.unwrap_err();
    assert!(error.to_string().contains("older state"), "{error}");
    assert_eq!(
        process.source.calls(),
        2,
        "the old refresh token is not sent"
    );
}

#[tokio::test]
async fn t9_a_damaged_entry_is_quarantined_only_if_that_is_safe() {
    let server = Server::start();
    let store = store(&server);
    save_first_token(&store).await;
    server.replace_sealed(&key(), b"garbled").await;
    let process = Process::rotating(store.clone());
    let error = process.get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let process = Process::repeatable(store);
    assert_eq!(
        process.get_with_response(token(3)).await.unwrap(),
        "token-3"
    );
}

#[tokio::test]
async fn t9_an_entry_of_a_newer_version_is_refused_and_kept() {
    let server = Server::start();
    let store = store(&server);
    save_first_token(&store).await;
    server
        .replace_sealed(
            &key(),
            b"keyfob-sealed-99\nwhat a later version means by this",
        )
        .await;
    let before = server.dump().await;
    for process in [
        Process::rotating(store.clone()),
        Process::over(
            store.clone(),
            |source| source,
            |p| p.on_store_outage(keyfob::source::OnStoreOutage::Fail),
        ),
    ] {
        let error = process.get().await.unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
    }
    let entry = Entry::new(token(2).unwrap(), std::time::SystemTime::now());
    store.replace(&key(), &entry, SECOND).await.unwrap_err();
    assert_eq!(server.dump().await, before);
}

#[test]
#[ignore = "another test runs it as a process of its own"]
fn as_a_process_of_its_own() {
    let store = Server::store_of(&other_process::read()).lease_duration(LEASE);
    other_process::get_token_from(store);
}

fn run_other(instructions: &str) -> OtherProcess {
    let (_, module) = module_path!().split_once("::").unwrap();
    OtherProcess::run(&format!("{module}::as_a_process_of_its_own"), instructions)
}

#[tokio::test]
async fn the_ca_file_of_a_profile_applies_to_its_store() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let url = write("url", &server.url());
    let seal = write("key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let kind = Server::KIND;
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example\"\ntoken = \"command:true\"\n\
         store = {{ kind = \"{kind}\", url = \"file:{url}\", keys = \"file:{seal}\" }}\n"
    );
    let profiles = keyfob::Profiles::from_text(&text).unwrap();
    let profile = profiles.get("a").unwrap();
    let list = async |profile: &keyfob::Profile| {
        let (store, _) = profile.store().unwrap().unwrap();
        store.list().await
    };
    let fault = list(profile).await.unwrap_err();
    let cause = std::error::Error::source(&fault).map(ToString::to_string);
    let shown = format!("{fault}: {}", cause.unwrap_or_default());
    assert!(
        shown.contains("an authority that is not trusted"),
        "{shown}"
    );
    assert!(shown.contains("`ca_file` in a profile"), "{shown}");
    let trusting = profile.with_ca_file(server.authority());
    assert!(list(&trusting).await.unwrap().is_empty());
}
