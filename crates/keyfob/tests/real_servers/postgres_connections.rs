//! The connections of the store in PostgreSQL: to which server, how many, how long, and what holds them up.

use std::net::TcpListener;
use std::sync::Arc;

use futures_util::future::join_all;
use keyfob::store::{
    PostgresStore as Store, SealingKey, SealingKeys, StoreErrorKind, StoreKey, TokenStore,
};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::fixtures::{SECOND, key};
use crate::postgres::contract::until_in_real_time;
use crate::postgres::{entry, shown_save_failure};
use crate::postgres_server::PostgresServer as Server;

/// Makes the leases of this key wait for a minute.
fn make_leases_wait(server: &Server, key: &StoreKey) {
    server.ask(
        "CREATE FUNCTION slow() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$ LANGUAGE plpgsql",
    );
    let id = key.id();
    server.ask(&format!(
        "CREATE TRIGGER slow BEFORE INSERT ON keyfob_tokens FOR EACH ROW WHEN (NEW.id = '{id}') EXECUTE FUNCTION slow()",
    ));
}

fn waiting_statements(server: &Server) -> String {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'keyfob' AND state = 'active'";
    server.ask(waiting).trim().to_owned()
}

fn open_connections(server: &Server) -> usize {
    let open = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'keyfob'";
    server.ask(open).trim().parse().unwrap()
}

fn host_of(server: &Server) -> String {
    let url = server.url();
    let (_, address) = url.rsplit_once('@').unwrap();
    let (host, _) = address.split_once('/').unwrap();
    host.to_owned()
}

/// A store at the server and at another one, which is named before it or after it.
fn store_at_two(server: &Server, other: &str, other_is_first: bool) -> Store {
    let host = host_of(server);
    let hosts = match other_is_first {
        true => format!("{other},{host}"),
        false => format!("{host},{other}"),
    };
    let url = server.url().replace(&host, &hosts);
    let keys = SealingKeys::new(SealingKey::from_bytes([1; 32]));
    let authority = std::fs::read(server.authority()).unwrap();
    Store::open_trusting(&url, &authority, keys).unwrap()
}

/// Nothing listens there.
const DOWN: &str = "127.0.0.1:1";

/// The system accepts connections, and nothing replies.
fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn make_read_only(server: &Server) {
    server.ask("ALTER ROLE keyfob SET default_transaction_read_only = on");
}

fn accept_writes(server: &Server) {
    server.ask("ALTER ROLE keyfob RESET default_transaction_read_only");
}

#[tokio::test]
async fn t9_one_of_several_servers_that_does_not_answer_delays_no_other() {
    let server = Server::start();
    let (_listener, silent) = silent_server();
    for attempt in 0..8 {
        for other in [&*silent, DOWN] {
            let store = store_at_two(&server, other, attempt % 2 == 0);
            store.replace(&key(), &entry(1), SECOND).await.unwrap();
        }
    }
}

#[tokio::test]
async fn t9_of_several_servers_the_fault_that_says_most_is_told() {
    let server = Server::start();
    let (_listener, silent) = silent_server();
    let shown = async |other: &str| {
        let store = store_at_two(&server, other, true).response_timeout(SECOND);
        shown_save_failure(&store).await
    };
    make_read_only(&server);
    for other in [&*silent, DOWN, &*host_of(&server)] {
        let shown = shown(other).await;
        assert!(shown.contains("none of the servers"), "{shown}");
    }
    server.ask("ALTER ROLE keyfob PASSWORD 'other'");
    for other in [&*silent, DOWN] {
        let shown = shown(other).await;
        assert!(
            shown.contains("refused the user or the password"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn t9_a_save_waits_until_one_of_several_servers_accepts_writes() {
    let server = Server::start();
    let (_listener, silent) = silent_server();
    for other in [&*silent, DOWN] {
        make_read_only(&server);
        let store = store_at_two(&server, other, true).response_timeout(SECOND * 20);
        let promoted = async {
            tokio::time::sleep(SECOND).await;
            accept_writes(&server);
        };
        let (key, entry) = (key(), entry(1));
        let (saved, ()) = tokio::join!(store.replace(&key, &entry, SECOND * 20), promoted);
        saved.unwrap();
    }
}

#[tokio::test]
async fn t9_statements_without_a_reply_take_up_no_connection_of_the_server() {
    let server = Server::start();
    let store = server.store().response_timeout(SECOND);
    let key = key();
    make_leases_wait(&server, &key);
    // One after the other, and more at once than there are connections.
    for at_once in [1, 1, 8] {
        store.load(&key).await.unwrap();
        let leases = (0..at_once).map(|_| store.lease(&key, SECOND));
        for taken in join_all(leases).await {
            let fault = taken.err().unwrap();
            assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
        }
        until_in_real_time(async || waiting_statements(&server) == "0").await;
    }
    // The same for a caller that does not wait for the timeout.
    let dropped = tokio::time::timeout(SECOND / 2, store.lease(&key, SECOND));
    assert!(dropped.await.is_err());
    until_in_real_time(async || waiting_statements(&server) == "0").await;
    store.load(&key).await.unwrap();
}

#[test]
fn t9_a_process_that_ends_after_a_timeout_leaves_no_statement() {
    let server = Server::start();
    let store = server.store().response_timeout(SECOND);
    let ends_after_a_timeout = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let taken = runtime.block_on(store.lease(&key(), SECOND));
        drop(runtime);
        taken.err().unwrap();
        assert_eq!(waiting_statements(&server), "0");
    };
    make_leases_wait(&server, &key());
    ends_after_a_timeout();
    server.ask("DROP TRIGGER slow ON keyfob_tokens");
    server.ask("ALTER SYSTEM SET synchronous_standby_names = 'gone'");
    server.ask("SELECT pg_reload_conf()");
    ends_after_a_timeout();
}

#[tokio::test]
async fn t9_a_locked_row_delays_no_other_key() {
    let server = Server::start();
    let store = server.store();
    let locked = key();
    make_leases_wait(&server, &locked);
    let waiting = tokio::spawn({
        let (store, locked) = (store.clone(), locked.clone());
        async move {
            join_all((0..3).map(|_| store.lease(&locked, SECOND)))
                .await
                .len()
        }
    });
    until_in_real_time(async || waiting_statements(&server) == "3").await;
    let other = StoreKey::builder("other").build();
    store.replace(&other, &entry(1), SECOND).await.unwrap();
    assert!(!waiting.is_finished());
}

/// Passes connections on to a server. Those that are open can be made to stand still.
struct Passage {
    address: String,
    stalled: Arc<watch::Sender<bool>>,
}

impl Passage {
    async fn to(server: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stalled = Arc::new(watch::Sender::new(false));
        let told = Arc::clone(&stalled);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&server).await.unwrap();
                told.send_replace(false);
                let mut stalls = told.subscribe();
                tokio::spawn(async move {
                    let passed = copy_bidirectional(&mut client, &mut server);
                    let stalled = async { stalls.wait_for(|stalled| *stalled).await.is_ok() };
                    tokio::select! {
                        _ = passed => {}
                        true = stalled => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, stalled }
    }
}

#[tokio::test]
async fn t9_a_connection_that_stands_still_does_not_end_a_lease() {
    let server = Server::start();
    let passage = Passage::to(host_of(&server)).await;
    let url = server.url().replace(&host_of(&server), &passage.address);
    let authority = std::fs::read(server.authority()).unwrap();
    let keys = SealingKeys::new(SealingKey::from_bytes([1; 32]));
    let store = Store::open_trusting(&url, &authority, keys).unwrap();
    let store = store.lease_duration(SECOND * 4);
    let lease = store.lease(&key(), SECOND).await.unwrap();
    passage.stalled.send_replace(true);
    let other = server.store();
    let taken = other.lease(&key(), SECOND * 6).await;
    assert_eq!(taken.err().unwrap().kind(), StoreErrorKind::Busy);
    lease.release().await;
    other.lease(&key(), SECOND).await.unwrap();
}

#[tokio::test]
async fn t9_a_save_waits_until_its_only_server_accepts_writes() {
    let server = Server::start();
    for attributes in ["any", "read-write"] {
        make_read_only(&server);
        let url = format!("{}?target_session_attrs={attributes}", server.url());
        let authority = std::fs::read(server.authority()).unwrap();
        let keys = SealingKeys::new(SealingKey::from_bytes([1; 32]));
        let store = Store::open_trusting(&url, &authority, keys).unwrap();
        let impatient = store.clone().response_timeout(SECOND / 2);
        let shown = shown_save_failure(&impatient).await;
        let expected = match attributes {
            "any" => "is read-only, as a standby is",
            _ => "none of the servers of the token store accepts writes",
        };
        assert!(shown.contains(expected), "{shown}");
        let store = store.response_timeout(SECOND * 20);
        let promoted = async {
            tokio::time::sleep(SECOND).await;
            accept_writes(&server);
        };
        let (key, entry) = (key(), entry(1));
        let (saved, ()) = tokio::join!(store.replace(&key, &entry, SECOND * 20), promoted);
        saved.unwrap();
    }
}

#[tokio::test]
async fn connections_are_few_and_closed_when_they_are_idle() {
    let server = Server::start();
    let store = server.store();
    let keys: Vec<_> = (0..64)
        .map(|number| StoreKey::builder(format!("{number}")).build())
        .collect();
    let entry = entry(1);
    let saves = keys
        .iter()
        .map(|key| store.replace(key, &entry, SECOND * 20));
    for saved in join_all(saves).await {
        saved.unwrap();
    }
    let open = open_connections(&server);
    assert!((2..=4).contains(&open), "{open}");
    until_in_real_time(async || open_connections(&server) == 0).await;
    store.load(&keys[0]).await.unwrap();
    assert_eq!(open_connections(&server), 1);
}

#[tokio::test]
async fn a_process_waits_for_a_connection_if_the_server_has_none_left() {
    let server = Server::start();
    server.ask("ALTER ROLE keyfob CONNECTION LIMIT 1");
    let store = server.store();
    let entry = entry(1);
    let key = key();
    let saves = (0..8).map(|_| store.replace(&key, &entry, SECOND * 20));
    for saved in join_all(saves).await {
        saved.unwrap();
    }
    let other = server.store().response_timeout(SECOND);
    let shown = shown_save_failure(&other).await;
    assert!(shown.contains("no connection left"), "{shown}");
    let other = server.store().response_timeout(SECOND * 20);
    let ended = async {
        tokio::time::sleep(SECOND).await;
        drop(store);
    };
    let (loaded, ()) = tokio::join!(other.load(&key), ended);
    assert!(loaded.unwrap().is_some());
}
