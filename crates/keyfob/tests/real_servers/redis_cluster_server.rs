//! A Redis Cluster of the test: three masters with a replica each, with TLS and with a user that has only what a store needs.

use std::fs;
use std::path::Path;
use std::process::Child;

use keyfob::store::{RedisStore, StoreKey};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::redis_server;
use crate::redis_server::{ask, certify, free_port, start_redis, until};

/// Runs from [`RedisCluster::start`] until it is dropped.
pub(crate) struct RedisCluster {
    nodes: Vec<Node>,
    settings: &'static [&'static str],
    directory: TempDir,
}

/// Which replicas are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    ThisMasters,
    OtherMasters,
}

struct Node {
    process: Child,
    port: u16,
    bus: u16,
}

impl RedisCluster {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts nodes with these settings, as they are on a command line.
    pub(crate) fn start_with(settings: &'static [&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        certify(directory.path());
        fs::write(directory.path().join("users.acl"), USERS).unwrap();
        let nodes = (0..6)
            .map(|_| Node::start(directory.path(), settings))
            .collect();
        let mut cluster = Self {
            nodes,
            settings,
            directory,
        };
        for node in 0..6 {
            until(|| cluster.responds(node), "a node does not start");
        }
        let addresses = cluster.nodes.iter();
        let addresses = addresses.map(|node| format!("127.0.0.1:{}", node.port));
        let mut create = vec!["--cluster".to_owned(), "create".to_owned()];
        create.extend(addresses);
        create.extend(["--cluster-replicas", "1", "--cluster-yes"].map(str::to_owned));
        let create: Vec<_> = create.iter().map(String::as_str).collect();
        let made = cluster.ask(0, &create);
        assert!(made.contains("[OK] All 16384 slots covered"), "{made}");
        cluster.wait_until_whole();
        cluster
    }

    /// Whether a node responds. One that has ended is started again: another test was faster to use its port.
    fn responds(&mut self, node: usize) -> bool {
        if self.nodes[node].process.try_wait().unwrap().is_some() {
            self.nodes[node] = Node::start(self.directory.path(), self.settings);
        }
        self.ask(node, &["PING"]).contains("PONG")
    }

    pub(crate) fn instructions(&self) -> String {
        let hosts = self.nodes.iter();
        let hosts: Vec<_> = hosts
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        let url = format!("rediss+cluster://keyfob:not-a-secret@{}", hosts.join(","));
        serde_json::to_string(&(url, self.directory.path().join("ca.pem"))).unwrap()
    }

    pub(crate) fn store(&self) -> RedisStore {
        Self::store_of(&self.instructions())
    }

    pub(crate) fn store_of(instructions: &str) -> RedisStore {
        redis_server::open(instructions)
    }

    /// Kills the master of this entry, waits for its replica to take over, and starts it again as a replica.
    pub(crate) fn fail_over(&mut self, key: &StoreKey) {
        let slot = self.slot(key);
        let failed = self.master_of(slot);
        self.nodes[failed].process.kill().unwrap();
        self.nodes[failed].process.wait().unwrap();
        let other = (failed + 1) % 6;
        let port = self.nodes[failed].port;
        until(
            || {
                master_port(&self.ask(other, &["CLUSTER", "NODES"]), slot)
                    .is_some_and(|p| p != port)
            },
            "no replica takes over",
        );
        let node = &mut self.nodes[failed];
        node.process = spawn(self.directory.path(), (node.port, node.bus), self.settings);
        self.wait_until_whole();
    }

    /// Moves the slot of this entry to another master, and leaves it half moved for a while.
    pub(crate) fn move_slot(&self, key: &StoreKey, meanwhile: impl FnOnce()) {
        let slot = self.slot(key);
        let from = self.master_of(slot);
        let nodes = self.ask(from, &["CLUSTER", "NODES"]);
        let masters = nodes.lines().filter(|line| line.contains("master"));
        let mut others = masters.filter(|line| !line.contains("myself"));
        let to_id = others.next().unwrap().split(' ').next().unwrap().to_owned();
        let from_id = self.ask(from, &["CLUSTER", "MYID"]).trim().to_owned();
        let is_to = |node: &usize| self.ask(*node, &["CLUSTER", "MYID"]).trim() == to_id;
        let to = (0..6).find(is_to).unwrap();
        let slot = slot.to_string();
        self.ask(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        self.ask(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
        // Keys that are not there are asked for at the other master (ASK).
        let port = self.nodes[to].port.to_string();
        let keys = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000"];
        migrate.extend(["AUTH2", "admin", "not-a-secret", "KEYS"]);
        migrate.extend(keys.lines());
        let moved = self.ask(from, &migrate);
        assert!(moved.contains("OK"), "{moved}");
        meanwhile();
        for node in [to, from] {
            self.ask(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
        }
    }

    /// Stops the replica of the master of this entry, or those of all other masters.
    pub(crate) fn stop_replicas(&self, key: &StoreKey, whose: Whose) {
        let master = self.master_of(self.slot(key));
        let id = self.ask(master, &["CLUSTER", "MYID"]);
        let nodes = self.ask(0, &["CLUSTER", "NODES"]);
        for node in &self.nodes {
            let address = format!("127.0.0.1:{}@", node.port);
            let mut lines = nodes.lines();
            let line = lines.find(|line| line.contains(&address)).unwrap();
            let is_replica = line.contains("slave");
            let is_of_this = line.contains(&format!(" {} ", id.trim()));
            if is_replica && is_of_this == (whose == Whose::ThisMasters) {
                kill_process(Pid::from_child(&node.process), Signal::STOP).unwrap();
            }
        }
    }

    fn slot(&self, key: &StoreKey) -> u32 {
        let slot = self.ask(0, &["CLUSTER", "KEYSLOT", key.id()]);
        slot.trim().parse().unwrap()
    }

    fn master_of(&self, slot: u32) -> usize {
        let port = master_port(&self.ask(0, &["CLUSTER", "NODES"]), slot).unwrap();
        let mut nodes = self.nodes.iter();
        nodes.position(|node| node.port == port).unwrap()
    }

    fn wait_until_whole(&self) {
        let is_whole = |node| {
            let info = self.ask(node, &["CLUSTER", "INFO"]);
            let nodes = self.ask(node, &["CLUSTER", "NODES"]);
            let replication = self.ask(node, &["INFO", "replication"]);
            let linked = !replication.contains("master_link_status:down");
            let masters = nodes.lines().filter(|line| line.contains("master"));
            info.contains("cluster_state:ok")
                && !nodes.contains("fail")
                && linked
                && masters.count() == 3
        };
        until(|| (0..6).all(is_whole), "the cluster is not whole");
    }

    /// Sends a command to a node as the administrator.
    fn ask(&self, node: usize, command: &[&str]) -> String {
        ask(
            self.directory.path(),
            self.nodes[node].port,
            "admin",
            command,
        )
    }
}

impl Drop for RedisCluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
    }
}

/// The port of the master of a slot, in the output of `CLUSTER NODES`.
fn master_port(nodes: &str, slot: u32) -> Option<u16> {
    let has_slot = |range: &str| match range.split_once('-') {
        Some((first, last)) => {
            let bounds = first.parse().ok().zip(last.parse().ok());
            bounds.is_some_and(|(first, last): (u32, u32)| (first..=last).contains(&slot))
        }
        None => range.parse() == Ok(slot),
    };
    let mut masters = nodes.lines().filter(|line| !line.contains("fail"));
    let line = masters.find(|line| line.split(' ').skip(8).any(has_slot))?;
    let address = line.split(' ').nth(1)?.split('@').next()?;
    address.rsplit(':').next()?.parse().ok()
}

impl Node {
    fn start(directory: &Path, settings: &[&str]) -> Self {
        let (port, bus) = (free_port(), free_port());
        let process = spawn(directory, (port, bus), settings);
        Self { process, port, bus }
    }
}

fn spawn(directory: &Path, (port, bus): (u16, u16), more: &[&str]) -> Child {
    let own = directory.join(port.to_string());
    fs::create_dir_all(&own).unwrap();
    let bus = bus.to_string();
    let mut settings = vec![
        "--cluster-port",
        &bus,
        "--tls-cluster",
        "yes",
        "--tls-replication",
        "yes",
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "2000",
        "--repl-diskless-sync-delay",
        "0",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--masteruser",
        "admin",
        "--masterauth",
        "not-a-secret",
        "--aclfile",
        "../users.acl",
    ];
    settings.extend(more);
    start_redis(&own, port, &settings)
}

/// The permissions that a store needs in a cluster, as in docs/how-to/many-machines.md.
const USERS: &str = "user default off
user admin on >not-a-secret ~* &* +@all
user keyfob on >not-a-secret resetchannels ~keyfob:* -@all +eval +get +set +del +incr +exists +rename +pexpire +hmget +hset +hget +time +persist +zadd +zrem +zrange +zremrangebyscore +hello +select +ping +cluster|slots +asking +wait
";
