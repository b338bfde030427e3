//! A Redis master of the test with replicas, and three sentinels, all with TLS and with users that have only what a store needs.

use std::fs;
use std::path::Path;
use std::process::Child;

use keyfob::store::RedisStore;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::redis_server;
use crate::redis_server::{ask, certify, free_port, start_redis, until};

/// Runs from [`RedisSentinel::start`] until it is dropped.
pub(crate) struct RedisSentinel {
    /// A master and its replicas.
    servers: Vec<Node>,
    sentinels: Vec<Node>,
    settings: &'static [&'static str],
    directory: TempDir,
}

struct Node {
    process: Child,
    port: u16,
}

impl RedisSentinel {
    pub(crate) fn start() -> Self {
        Self::start_with(1, &[])
    }

    /// Starts a master with so many replicas, with these lines in their configuration.
    pub(crate) fn start_with(replicas: usize, settings: &'static [&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        certify(directory.path());
        fs::write(directory.path().join("users.acl"), USERS).unwrap();
        let mut all = Self {
            servers: Vec::new(),
            sentinels: Vec::new(),
            settings,
            directory,
        };
        all.start_server(None);
        for _ in 0..replicas {
            all.start_server(Some(all.servers[0].port));
        }
        for _ in 0..SENTINELS {
            all.start_sentinel();
        }
        all.wait_until_whole();
        all
    }

    /// What another process needs to know for [`store_of`](Self::store_of), in one line.
    pub(crate) fn instructions(&self) -> String {
        let authority = self.directory.path().join("ca.pem");
        serde_json::to_string(&(self.url(), authority)).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        let hosts = self.sentinels.iter();
        let hosts: Vec<_> = hosts
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        let hosts = hosts.join(",");
        format!(
            "rediss+sentinel://keyfob:not-a-secret@{hosts}/{MASTER}?sentinel_username=asks&sentinel_password=not-a-secret"
        )
    }

    pub(crate) fn store(&self) -> RedisStore {
        Self::store_of(&self.instructions())
    }

    pub(crate) fn store_of(instructions: &str) -> RedisStore {
        redis_server::open(instructions)
    }

    /// Kills the master, waits until the sentinels name its replica as the master, and starts it again as a replica.
    pub(crate) fn fail_over(&mut self) {
        let failed = self.kill_master();
        self.wait_for_another_master(failed);
        self.revive(failed);
    }

    /// Makes the replica the master, while both run. The old master refuses writes afterwards.
    pub(crate) fn switch(&self) {
        let old = self.master();
        let reply = self.ask(
            self.sentinels[0].port,
            "admin",
            &["SENTINEL", "FAILOVER", MASTER],
        );
        assert!(reply.contains("OK"), "{reply}");
        self.wait_for_another_master(old);
        self.wait_until_whole();
    }

    /// Stops the replica and cuts its connection, so that it gets no write of the master.
    pub(crate) fn cut_off_replica(&self) {
        let master = self.master();
        self.signal(1 - master, Signal::STOP);
        // What is in the buffer of a connection would reach the replica even if the master dies.
        let master = self.servers[master].port;
        let kill = ["CLIENT", "KILL", "TYPE", "replica"];
        let killed = self.ask(master, "admin", &kill);
        assert_eq!(killed.trim(), "1");
    }

    /// Lets the replica of this master go on.
    pub(crate) fn let_replica_go_on(&self, master: usize) {
        self.signal(1 - master, Signal::CONT);
    }

    fn signal(&self, server: usize, signal: Signal) {
        let process = &self.servers[server].process;
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Kills the master. Returns which server it was.
    pub(crate) fn kill_master(&mut self) -> usize {
        let master = self.master();
        self.servers[master].process.kill().unwrap();
        self.servers[master].process.wait().unwrap();
        master
    }

    pub(crate) fn wait_for_another_master(&self, old: usize) {
        until(|| self.master() != old, "no replica becomes the master");
    }

    /// Starts a server that was killed as a replica.
    pub(crate) fn revive(&mut self, server: usize) {
        let master = self.servers[self.master()].port;
        let port = self.servers[server].port;
        self.servers[server].process = self.spawn_server(port, Some(master));
        self.wait_until_whole();
    }

    /// The server that the first sentinel names as the master.
    fn master(&self) -> usize {
        let named = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
        let named = self.ask(self.sentinels[0].port, "admin", &named);
        let port = named.lines().nth(1).and_then(|port| port.parse().ok());
        let mut servers = self.servers.iter();
        let place = servers.position(|server| Some(server.port) == port);
        place.unwrap_or_else(|| panic!("the sentinel names no master: {named}"))
    }

    fn wait_until_whole(&self) {
        let replicas = self.servers.len() - 1;
        let knows_all = |node: &Node| {
            let master = self.ask(node.port, "admin", &["SENTINEL", "MASTER", MASTER]);
            let value = |name: &str| {
                let mut lines = master.lines().skip_while(|line| *line != name);
                lines.nth(1).unwrap_or_default().to_owned()
            };
            value("flags") == "master"
                && value("num-slaves") == replicas.to_string()
                && value("num-other-sentinels") == (SENTINELS - 1).to_string()
        };
        let is_whole = || {
            let master = &self.servers[self.master()];
            let replication = self.ask(master.port, "admin", &["INFO", "replication"]);
            replication.matches("state=online").count() == replicas
                && self.sentinels.iter().all(knows_all)
        };
        until(is_whole, "the sentinels do not agree");
    }

    fn start_server(&mut self, master: Option<u16>) {
        let port = free_port();
        let process = self.spawn_server(port, master);
        self.servers.push(Node { process, port });
        let is_up = || self.ask(port, "admin", &["PING"]).contains("PONG");
        until(is_up, "a server does not start");
    }

    fn spawn_server(&self, port: u16, master: Option<u16>) -> Child {
        let mut settings = vec![
            "masteruser admin".to_owned(),
            "masterauth not-a-secret".to_owned(),
            "tls-replication yes".to_owned(),
            "repl-diskless-sync-delay 0".to_owned(),
            "save \"\"".to_owned(),
            "appendonly yes".to_owned(),
            "appendfsync always".to_owned(),
            "aclfile ../users.acl".to_owned(),
        ];
        settings.extend(self.settings.iter().map(|line| (*line).to_owned()));
        settings.extend(master.map(|master| format!("replicaof 127.0.0.1 {master}")));
        start(self.directory.path(), port, &settings, &[])
    }

    fn start_sentinel(&mut self) {
        let port = free_port();
        let monitor = format!("monitor {MASTER} 127.0.0.1 {} 2", self.servers[0].port);
        let rest = [
            format!("auth-user {MASTER} admin"),
            format!("auth-pass {MASTER} not-a-secret"),
            "sentinel-user admin".to_owned(),
            "sentinel-pass not-a-secret".to_owned(),
            format!("down-after-milliseconds {MASTER} 1000"),
            format!("failover-timeout {MASTER} 1000"),
        ];
        let rest = [monitor].into_iter().chain(rest);
        let mut settings: Vec<_> = rest.map(|line| format!("sentinel {line}")).collect();
        settings.push("tls-replication yes".to_owned());
        settings.extend(SENTINEL_USERS.map(str::to_owned));
        let process = start(self.directory.path(), port, &settings, &["--sentinel"]);
        self.sentinels.push(Node { process, port });
        let is_up = || self.ask(port, "admin", &["PING"]).contains("PONG");
        until(is_up, "a sentinel does not start");
    }

    fn ask(&self, port: u16, user: &str, command: &[&str]) -> String {
        ask(self.directory.path(), port, user, command)
    }
}

impl Drop for RedisSentinel {
    fn drop(&mut self) {
        for node in self.sentinels.iter_mut().chain(&mut self.servers) {
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
    }
}

/// Starts a server or a sentinel in a folder of its own, with these lines as its configuration.
fn start(directory: &Path, port: u16, settings: &[String], arguments: &[&str]) -> Child {
    let own = directory.join(port.to_string());
    fs::create_dir_all(&own).unwrap();
    // A sentinel keeps what it learns in this file.
    let file = own.join("redis.conf");
    fs::write(&file, settings.join("\n")).unwrap();
    let file = file.display().to_string();
    let mut all = vec![file.as_str()];
    all.extend(arguments);
    start_redis(&own, port, &all)
}

const MASTER: &str = "main";

const SENTINELS: usize = 3;

/// The permissions that a store needs, as in docs/how-to/many-machines.md.
const USERS: &str = "user default off
user admin on >not-a-secret ~* &* +@all
user keyfob on >not-a-secret resetchannels ~keyfob:* -@all +eval +get +set +del +incr +exists +rename +pexpire +hmget +hset +hget +time +persist +zadd +zrem +zrange +zremrangebyscore +hello +select +ping +role +wait
";

/// The same at the sentinels.
const SENTINEL_USERS: [&str; 3] = [
    "user default off",
    "user admin on >not-a-secret ~* &* +@all",
    "user asks on >not-a-secret resetchannels -@all +sentinel|masters +role +hello +ping",
];
