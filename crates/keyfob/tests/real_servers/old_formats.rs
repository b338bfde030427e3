//! Rows that other versions of keyfob left in Redis and PostgreSQL. `tests/stores/old_formats.rs` tests the other stores.

use std::fs;
use std::path::PathBuf;

use keyfob::redis::cmd;
use keyfob::store::{
    SealingKey, SealingKeys, StoreError, StoreErrorKind, StoreKey, StoredEntry, TokenStore,
};

use crate::postgres_server::PostgresServer;
use crate::redis_server::RedisServer;

fn versions() -> Vec<PathBuf> {
    let folders = fs::read_dir(FORMATS).unwrap();
    folders.map(|folder| folder.unwrap().path()).collect()
}

fn text(version: &std::path::Path, name: &str) -> String {
    fs::read_to_string(version.join(name)).unwrap()
}

fn keys(version: &std::path::Path) -> SealingKeys {
    SealingKeys::new(SealingKey::from_base64(&text(version, "sealing-key")).unwrap())
}

fn key() -> StoreKey {
    let key = StoreKey::builder("https://issuer.example.com");
    key.client("tests").name("all").build()
}

fn assert_read(found: Result<Option<StoredEntry>, StoreError>) {
    let entry = found.unwrap().unwrap().entry;
    assert_eq!(entry.token().unwrap().refresh_token(), Some("r3fresh"));
}

fn assert_newer(found: Result<Option<StoredEntry>, StoreError>) {
    let fault = found.unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
    let cause = std::error::Error::source(&fault).map(ToString::to_string);
    let shown = format!("{fault} {}", cause.unwrap_or_default());
    assert!(shown.contains("newer version"), "{shown}");
}

#[tokio::test]
async fn t9_a_row_of_each_version_in_redis_is_read() {
    for version in versions() {
        let server = RedisServer::start();
        let sealed = bytes(&text(&version, "redis-row.hex"));
        put_into_redis(&server, &sealed).await;
        let store = server.store_with(keys(&version));
        assert_read(store.load(&key()).await);
        // "keyfob-sealed-9…" in place of "keyfob-sealed-3".
        let newer = [&sealed[..14], b"9", &sealed[14..]].concat();
        put_into_redis(&server, &newer).await;
        assert_newer(store.load(&key()).await);
        assert!(
            store
                .lease(&key(), SECOND)
                .await
                .unwrap()
                .load()
                .await
                .is_err()
        );
        let kept = server.ask(cmd("HGET").arg(entry()).arg("sealed")).await;
        assert_eq!(kept, keyfob::redis::Value::BulkString(newer));
    }
}

#[tokio::test]
async fn t9_a_table_of_each_version_in_postgres_is_read() {
    for version in versions() {
        let server = PostgresServer::start();
        server.ask("DROP TABLE keyfob_tokens");
        server.ask(&text(&version, "postgres.sql"));
        server.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON keyfob_tokens TO keyfob");
        let (id, hex) = (key().id().to_owned(), text(&version, "postgres-row.hex"));
        server.ask(&format!(
            "INSERT INTO keyfob_tokens (id, revision, sealed, saved, fence) \
             VALUES ('{id}', '1.a.1', '\\x{hex}', clock_timestamp(), 1)"
        ));
        assert_read(server.store_with(keys(&version)).load(&key()).await);
        server.ask("COMMENT ON TABLE keyfob_tokens IS 'keyfob tokens, layout 99'");
        assert_newer(server.store_with(keys(&version)).load(&key()).await);
        let kept = server.ask("SELECT count(*) FROM keyfob_tokens WHERE sealed IS NOT NULL");
        assert_eq!(kept.trim(), "1");
    }
}

async fn put_into_redis(server: &RedisServer, sealed: &[u8]) {
    let mut command = cmd("HSET");
    command.arg(entry()).arg("revision").arg("1.a.1");
    command
        .arg("sealed")
        .arg(sealed)
        .arg("saved")
        .arg("1700000000000");
    server.ask(&command).await;
}

/// The name of the row in Redis.
fn entry() -> String {
    format!("keyfob:{{{}}}:entry", key().id())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.trim().as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
const FORMATS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/formats");
