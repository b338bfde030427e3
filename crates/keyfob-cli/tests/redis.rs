//! Two machines whose profiles store their token in one Redis: `cargo xtask test stores`.

#[path = "program/keyfob.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod keyfob;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob_testkit::TokenEndpoint;

use crate::keyfob::{Finished, Folder, Keyfob};

#[test]
fn t1_machines_that_share_a_store_fetch_once_and_entries_are_sealed() {
    let (redis, endpoint) = (Redis::start(), TokenEndpoint::start());
    let machines = [Folder::new(), Folder::new()].map(|folder| {
        folder.file("url", &format!("redis://127.0.0.1:{}", redis.port));
        folder.file("key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let path = |name: &str| folder.path(name).display().to_string();
        let profile = format!(
            "[profiles.a]\norigins = \"https://api.example.com\"\n\
             [profiles.a.token]\ngrant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"fleet\"\n\
             [profiles.a.store]\nkind = \"redis\"\nurl = \"file:{}\"\nkeys = \"file:{}\"\n",
            endpoint.url(),
            path("url"),
            path("key"),
        );
        folder.file("keyfob.toml", &profile);
        folder
    });
    for machine in machines.iter().chain(&machines) {
        let done = run(machine, &["token", "--profile=a"]);
        assert_eq!((done.code, &*done.stdout), (0, "token-1\n"), "{done:?}");
    }
    assert_eq!(endpoint.calls(), 1);

    let listed = run(&machines[1], &["status"]);
    assert!(listed.stdout.contains("\na        valid"), "{listed:?}");
    assert!(!redis.everything().contains("token-1"));
    let forgotten = run(&machines[1], &["forget", "a"]);
    assert_eq!(forgotten.stdout, "the token of a is forgotten\n");
    assert_eq!(
        run(&machines[0], &["token", "--profile=a"]).stdout,
        "token-2\n"
    );
}

#[test]
fn t9_a_migration_to_the_same_redis_under_another_name_is_refused() {
    let (redis, endpoint, folder) = (Redis::start(), TokenEndpoint::start(), Folder::new());
    folder.file("url", &format!("redis://127.0.0.1:{}", redis.port));
    folder.file("url-2", &format!("redis://localhost:{}/", redis.port));
    folder.file("key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    let path = |name: &str| folder.path(name).display().to_string();
    let profile = |name: &str, url: &str, more: &str| {
        format!(
            "[profiles.{name}]\norigins = \"https://api.example.com\"\n\
             [profiles.{name}.token]\ngrant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"fleet\"\n\
             [profiles.{name}.store]\nkind = \"redis\"\nurl = \"file:{}\"\nkeys = \"file:{}\"\n{more}\n",
            endpoint.url(),
            path(url),
            path("key"),
        )
    };
    let text = [
        profile("old", "url", ""),
        profile("address", "url-2", ""),
        profile("named", "url", "prefix = \"keyfob\""),
        profile("other", "url", "prefix = \"other\""),
    ];
    folder.file("keyfob.toml", &text.concat());
    let done = run(&folder, &["token", "--profile=old"]);
    assert_eq!(done.stdout, "token-1\n", "{done:?}");
    for same in ["address", "named"] {
        let done = run(&folder, &["store", "migrate", "old", same]);
        assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
        let problem = "both profiles use the same store";
        assert!(done.complaint().contains(problem), "{done:?}");
    }
    for (from, to) in [("old", "other"), ("other", "old")] {
        let done = run(&folder, &["store", "migrate", from, to]);
        let moved = done.stdout.starts_with("1 token is moved\n");
        assert!(moved, "{done:?}");
    }
}

fn run(machine: &Folder, arguments: &[&str]) -> Finished {
    let path = |name: &str| machine.path(name).display().to_string();
    Keyfob::new(arguments)
        .env("KEYFOB_CONFIG", &path("keyfob.toml"))
        .env("XDG_STATE_HOME", &path("state"))
        .run()
}

/// A server that runs until it is dropped and writes nothing to disk.
struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed; `cargo xtask test` installs it");
        let redis = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            sleep(Duration::from_millis(10));
        }
        redis
    }

    /// All keys and their values.
    fn everything(&self) -> String {
        let command = |arguments: &[&str]| {
            let output = Command::new("redis-cli")
                .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
                .args(arguments)
                .output();
            let output = output.expect("redis-cli comes with redis-server");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let keys = command(&["KEYS", "*"]);
        let entries = keys
            .lines()
            .map(|key| command(&["HGETALL", key]) + &command(&["GET", key]));
        let entries: String = entries.collect();
        assert!(!keys.is_empty(), "nothing is stored");
        keys + &entries
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
