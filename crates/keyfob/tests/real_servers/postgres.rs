//! The store in PostgreSQL: what every store in a database keeps, and what only concerns PostgreSQL.

use keyfob::store::{
    Entry, PostgresStore as Store, SealingKey, SealingKeys, StoreErrorKind, StoreKey, TokenStore,
};

use crate::fixtures::{Process, SECOND, key, token};
use crate::postgres_server::PostgresServer as Server;

#[path = "store_clocks.rs"]
mod clocks;
#[path = "store_contract.rs"]
pub(super) mod contract;
#[path = "store_entries.rs"]
mod entries;

pub(super) fn entry(number: u32) -> Entry {
    Entry::new(token(number).unwrap(), std::time::SystemTime::now())
}

/// The error of a store, with its causes.
async fn shown_failure(store: &Store) -> String {
    let fault = store.load(&key()).await.unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
    let cause = std::error::Error::source(&fault).map(ToString::to_string);
    let shown = format!("{fault}: {}", cause.unwrap_or_default());
    assert!(!format!("{fault:?} {shown}").contains("not-a-secret"));
    shown
}

pub(super) async fn shown_save_failure(store: &Store) -> String {
    let fault = store.replace(&key(), &entry(2), SECOND).await.unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
    fault.to_string()
}

#[tokio::test]
async fn s2_an_entry_in_another_table_does_not_open() {
    let server = Server::start();
    Process::rotating(server.store())
        .get_with_response(token(1))
        .await
        .unwrap();
    server.ask("ALTER TABLE keyfob_tokens RENAME TO others");
    let other = server.store().table("public.others");
    let fault = other.load(&key()).await.unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Damaged);
}

#[tokio::test]
async fn an_entry_that_another_program_has_changed_is_still_read() {
    let server = Server::start();
    let store = server.store();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    server.ask("UPDATE keyfob_tokens SET saved = NULL, revision = NULL");
    assert!(store.load(&key()).await.unwrap().is_some());
    assert!(store.list().await.unwrap()[0].unreadable.is_none());
    store.replace(&key(), &entry(2), SECOND).await.unwrap();
}

#[tokio::test]
async fn s1_the_password_of_a_postgres_url_is_in_no_error() {
    let server = Server::start();
    let keys = || SealingKeys::new(SealingKey::from_bytes([1; 32]));
    let authority = std::fs::read(server.authority()).unwrap();
    let open = |url: &str| Store::open_trusting(url, &authority, keys()).unwrap();
    let wrong = server.url().replace("not-a-secret", "s3cr3t");
    let no_server = "postgres://u:s3cr3t@127.0.0.1:1/d";
    let other_database = server.url().replace("/postgres", "/s3cr3t?");
    for (url, expected) in [
        (&*wrong, "refused the user or the password"),
        (no_server, "cannot be reached"),
    ] {
        let store = open(url);
        let shown = shown_failure(&store).await;
        assert!(shown.contains(expected), "{shown}");
        assert!(!format!("{shown} {store:?}").contains("s3cr3t"));
    }
    let shown = shown_failure(&open(&other_database)).await;
    assert!(shown.contains("does not have the database"), "{shown}");
}

#[tokio::test]
async fn s2_a_server_without_tls_is_sent_nothing() {
    let mut server = Server::start();
    server.restart_with(&["ssl=off"]);
    let shown = shown_failure(&server.store()).await;
    assert!(shown.contains("does not support TLS"), "{shown}");
    let untrusting = Store::open(
        &server.url(),
        SealingKeys::new(SealingKey::from_bytes([1; 32])),
    );
    server.restart_with(&[]);
    let shown = shown_failure(&untrusting.unwrap()).await;
    assert!(shown.contains("certificate"), "{shown}");
}

#[tokio::test]
async fn s2_a_login_is_bound_to_the_tls_connection() {
    let server = Server::start();
    let authority = std::fs::read(server.authority()).unwrap();
    let url = format!("{}?channel_binding=require", server.url());
    let keys = SealingKeys::new(SealingKey::from_bytes([1; 32]));
    let store = Store::open_trusting(&url, &authority, keys).unwrap();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
}

#[tokio::test]
async fn a_missing_table_is_named_and_can_be_created() {
    let server = Server::start();
    let store = server.store().table("other.tokens");
    let shown = shown_failure(&store).await;
    assert!(shown.contains("no table `other.tokens`"), "{shown}");
    assert!(shown.contains("`keyfob store sql`"), "{shown}");
    server.ask("CREATE SCHEMA other AUTHORIZATION keyfob");
    store.create_table().await.unwrap();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    let fault = store.create_table().await.unwrap_err();
    assert!(format!("{fault:?}").contains("already exists"), "{fault:?}");
    assert!(store.load(&key()).await.unwrap().is_some());
}

#[tokio::test]
async fn t9_the_table_of_a_newer_version_is_refused_and_not_changed() {
    let server = Server::start();
    let store = server.store();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    let before = server.dump().await;
    server.ask("COMMENT ON TABLE keyfob_tokens IS 'keyfob tokens, layout 3'");
    for store in [server.store(), server.store()] {
        let shown = shown_save_failure(&store).await;
        assert!(shown.contains("newer version"), "{shown}");
    }
    assert_eq!(server.dump().await, before);
    server.ask("ALTER TABLE keyfob_tokens RENAME sealed TO sealed_2");
    let shown = shown_failure(&store).await;
    assert!(shown.contains("was changed"), "{shown}");
    let layout = |layout: u32| {
        server.ask(&format!(
            "COMMENT ON TABLE keyfob_tokens IS 'keyfob tokens, layout {layout}'"
        ));
    };
    layout(2);
    let shown = shown_failure(&server.store()).await;
    assert!(shown.contains("lacks the column `sealed bytea`"), "{shown}");
    server.ask("ALTER TABLE keyfob_tokens RENAME sealed_2 TO sealed");
    server.ask("ALTER TABLE keyfob_tokens DROP keep_until");
    layout(1);
    let shown = shown_failure(&server.store()).await;
    let advice = "add the column `keep_until timestamptz`, and then set the comment";
    assert!(shown.contains(advice), "{shown}");
    // As the advice says.
    server.ask("ALTER TABLE keyfob_tokens ADD keep_until timestamptz");
    layout(2);
    assert!(server.store().load(&key()).await.unwrap().is_some());
}

#[tokio::test]
async fn t9_a_read_only_server_is_read_and_its_refusal_named() {
    let server = Server::start();
    let process = Process::rotating(server.store());
    process.get_with_response(token(1)).await.unwrap();
    server.ask("ALTER ROLE keyfob SET default_transaction_read_only = on");
    let store = server.store();
    assert!(store.load(&key()).await.unwrap().is_some());
    let shown = shown_save_failure(&store).await;
    assert!(shown.contains("read-only"), "{shown}");
    let reader = Process::rotating(server.store());
    assert_eq!(reader.get().await.unwrap(), "token-1");
    reader.cache.renew().await.unwrap_err();
    assert_eq!(reader.source.calls(), 0, "without a note, no exchange");
    // As after a failover: the same address leads to a server that accepts writes.
    server.ask("ALTER ROLE keyfob RESET default_transaction_read_only");
    store.replace(&key(), &entry(2), SECOND).await.unwrap();
}

#[tokio::test]
async fn t9_a_user_without_rights_is_told_what_to_grant() {
    let server = Server::start();
    let store = server.store();
    server.ask("REVOKE INSERT ON keyfob_tokens FROM keyfob");
    let shown = shown_save_failure(&store).await;
    assert!(shown.contains("`keyfob store sql`"), "{shown}");
}

#[tokio::test]
async fn t9_a_full_disk_is_named_and_the_entry_stays() {
    let server = Server::start();
    let store = server.store();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    server.ask(
        "CREATE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN RAISE 'could not extend file' \
         USING ERRCODE = 'disk_full'; END $$ LANGUAGE plpgsql",
    );
    server.ask(
        "CREATE TRIGGER full_disk BEFORE UPDATE OF sealed ON keyfob_tokens \
         FOR EACH ROW EXECUTE FUNCTION full_disk()",
    );
    let shown = shown_save_failure(&store).await;
    assert!(shown.contains("no space left"), "{shown}");
    let process = contract::with_fast_clock(Process::rotating(store.clone()));
    assert_eq!(process.get().await.unwrap(), "token-1");
    process.cache.renew().await.unwrap_err();
    assert_eq!(process.source.calls(), 0, "without a note, no exchange");
    server.ask("DROP TRIGGER full_disk ON keyfob_tokens");
    let renewed = async { process.source.next_call().await.respond(token(2)) };
    let (got, ()) = tokio::join!(process.cache.renew(), renewed);
    got.unwrap();
}

#[tokio::test]
async fn t9_a_saved_entry_survives_the_server_even_if_commits_are_not_synchronous() {
    let mut server = Server::start();
    // The writer of the log waits so long that only a synchronous commit is on the disk.
    server.restart_with(&["synchronous_commit=off", "wal_writer_delay=10s"]);
    let store = server.store();
    // The lease makes no commit wait, so that the save is what writes the log.
    let mut lease = store.lease(&key(), SECOND).await.unwrap();
    lease.load().await.unwrap();
    lease.save(&entry(1)).await.unwrap();
    server.end();
    server.begin();
    let kept = store.load(&key()).await.unwrap().unwrap();
    assert_eq!(kept.entry.token().unwrap().expose(), "token-1");
}

#[tokio::test]
async fn t9_a_connection_that_the_server_ended_is_opened_again_unseen() {
    let server = Server::start();
    let store = server.store();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    for _ in 0..3 {
        server
            .ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keyfob'");
        assert!(store.load(&key()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn t9_a_row_of_no_use_is_deleted_unless_its_lease_is_held() {
    let server = Server::start();
    let store = server.store();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    let other = StoreKey::builder("other").build();
    let lease = store.lease(&other, SECOND).await.unwrap();
    // As if the time of both were over.
    server.ask("UPDATE keyfob_tokens SET keep_until = now() - interval '1 minute'");
    let third = StoreKey::builder("third").build();
    store.replace(&third, &entry(3), SECOND).await.unwrap();
    let ids = server.ask("SELECT id FROM keyfob_tokens ORDER BY id");
    assert!(!ids.contains(key().id()), "{ids}");
    assert!(
        ids.contains(other.id()) && ids.contains(third.id()),
        "{ids}"
    );
    lease.release().await;
    // A user without the right to delete saves all the same.
    server.ask("REVOKE DELETE ON keyfob_tokens FROM keyfob");
    store.replace(&third, &entry(4), SECOND).await.unwrap();
    assert!(store.load(&third).await.unwrap().is_some());
}

#[tokio::test]
async fn t1_leases_are_taken_in_turn_under_stricter_isolation_levels() {
    let server = Server::start();
    server.ask(
        "CREATE FUNCTION slow() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$ LANGUAGE plpgsql",
    );
    // Between the snapshot of a statement and its write, others commit.
    server.ask(
        "CREATE TRIGGER slow BEFORE INSERT ON keyfob_tokens FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    for level in ["repeatable read", "serializable"] {
        server.ask(&format!(
            "ALTER ROLE keyfob SET default_transaction_isolation = '{level}'"
        ));
        let in_turn = (0..4).map(|number| {
            let store = server.store();
            async move {
                let mut lease = store.lease(&key(), SECOND * 20).await.unwrap();
                lease.load().await.unwrap();
                lease.save(&entry(number)).await.unwrap();
                lease.release().await;
            }
        });
        futures_util::future::join_all(in_turn).await;
    }
}
