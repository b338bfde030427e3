//! A Redis server of the test: on a free port, with TLS, and with a user that has only the permissions that a store needs.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use keyfob::redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, TlsCertificates, Value, cmd,
};
use keyfob::store::{RedisStore, SealingKey, SealingKeys, StoreKey};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Runs from [`RedisServer::start`] until it is dropped.
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        certify(directory.path());
        fs::write(directory.path().join("users.acl"), USERS).unwrap();
        let port = free_port();
        let process = spawn(directory.path(), port);
        Self {
            process,
            port,
            directory,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("rediss://keyfob:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// The certificate of the authority that clients have to trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The value of `kind` in a profile.
    pub(crate) const KIND: &str = "redis";

    pub(crate) fn store(&self) -> RedisStore {
        Self::store_of(&self.instructions())
    }

    pub(crate) fn store_with(&self, keys: SealingKeys) -> RedisStore {
        RedisStore::new(client(&self.url(), &self.authority()), keys)
    }

    /// What another process needs to know for [`store_of`](Self::store_of), in one line.
    pub(crate) fn instructions(&self) -> String {
        serde_json::to_string(&(self.url(), self.authority())).unwrap()
    }

    pub(crate) fn store_of(instructions: &str) -> RedisStore {
        open(instructions)
    }

    /// Lets the user of the stores wait for replicas.
    pub(crate) fn permit_wait(&self) {
        let command = ["ACL", "SETUSER", "keyfob", "+wait"];
        let reply = ask(self.directory.path(), self.port, "admin", &command);
        assert_eq!(reply.trim(), "OK");
    }

    /// Sends a command as the user of the stores.
    pub(crate) async fn ask(&self, command: &Cmd) -> Value {
        let client = client(&self.url(), &self.authority());
        // By default it gives up after a second, which a busy machine may need for a connection.
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&patient);
        let mut connection = connection.await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }

    /// All data of the server, as it stores them.
    pub(crate) async fn dump(&self) -> String {
        let names: Vec<String> = FromRedisValue::from_redis_value(
            self.ask(cmd("ZRANGE").arg("keyfob:ids").arg(0).arg(-1))
                .await,
        )
        .unwrap();
        let mut dump = names.join(" ");
        for name in &names {
            let mut command = cmd("HMGET");
            command.arg(entry_name("keyfob", name)).arg(&FIELDS);
            let fields: Vec<Vec<u8>> =
                FromRedisValue::from_redis_value(self.ask(&command).await).unwrap();
            for field in fields {
                dump.push_str(&String::from_utf8_lossy(&field));
            }
        }
        dump
    }

    /// The stored fields of an entry.
    pub(crate) async fn backup(&self, key: &StoreKey) -> Backup {
        let mut command = cmd("HMGET");
        command.arg(entry_name("keyfob", key.id())).arg(&FIELDS);
        let fields = FromRedisValue::from_redis_value(self.ask(&command).await).unwrap();
        Backup {
            id: key.id().to_owned(),
            fields,
        }
    }

    /// Writes an entry as it was before.
    pub(crate) async fn put_back(&self, backup: &Backup) {
        self.put_under("keyfob", backup).await;
    }

    /// Writes an entry under another prefix.
    pub(crate) async fn put_under(&self, prefix: &str, backup: &Backup) {
        let mut command = cmd("HSET");
        command.arg(entry_name(prefix, &backup.id));
        for (field, value) in FIELDS.iter().zip(&backup.fields) {
            command.arg(field).arg(value);
        }
        self.ask(&command).await;
    }

    /// Replaces the sealed bytes of an entry.
    pub(crate) async fn replace_sealed(&self, key: &StoreKey, sealed: &[u8]) {
        let mut command = cmd("HSET");
        command.arg(entry_name("keyfob", key.id()));
        self.ask(command.arg("sealed").arg(sealed)).await;
    }

    /// Changes when an entry was saved by so many seconds, as if the clock of the server had been set back since.
    pub(crate) async fn move_save(&self, key: &StoreKey, seconds: i64) {
        let mut command = cmd("HGET");
        command.arg(entry_name("keyfob", key.id())).arg("saved");
        let saved: i64 = FromRedisValue::from_redis_value(self.ask(&command).await).unwrap();
        let mut command = cmd("HSET");
        command.arg(entry_name("keyfob", key.id())).arg("saved");
        self.ask(command.arg(saved + seconds * 1000)).await;
    }

    /// Sets how much memory the server may use, in bytes; 0 for no limit.
    pub(crate) fn set_memory(&self, bytes: u32) {
        let bytes = bytes.to_string();
        let set = ["CONFIG", "SET", "maxmemory", &bytes];
        let reply = ask(self.directory.path(), self.port, "admin", &set);
        assert_eq!(reply.trim(), "OK");
    }

    /// How long each Redis key of an entry is kept, in milliseconds; -1 is forever, and -2 if there is no such key.
    pub(crate) fn kept_for(&self, key: &StoreKey) -> Vec<i64> {
        let entry = entry_name("keyfob", key.id());
        let kinds = [":entry", ":bad", ":fence", ":lease"];
        let kept_for = kinds.iter().map(|kind| {
            let name = entry.replace(":entry", kind);
            let reply = ask(self.directory.path(), self.port, "admin", &["PTTL", &name]);
            reply.trim().parse().unwrap()
        });
        kept_for.collect()
    }

    /// Whether there is an entry, or what was quarantined of it.
    pub(crate) async fn holds_anything_of(&self, key: &StoreKey) -> bool {
        let entry = entry_name("keyfob", key.id());
        let bad = entry.replace(":entry", ":bad");
        let found = self.ask(cmd("EXISTS").arg(entry).arg(bad)).await;
        found != Value::Int(0)
    }

    /// Ends the lease, as if its process had not renewed it in time.
    pub(crate) async fn end_lease(&self, key: &StoreKey) {
        let mut command = cmd("DEL");
        command.arg(entry_name("keyfob", key.id()).replace(":entry", ":lease"));
        self.ask(&command).await;
    }

    /// Restarts the server without its data.
    pub(crate) fn restart_empty(&mut self) {
        self.end();
        self.process = spawn(self.directory.path(), self.port);
    }

    /// Stops the process without ending it.
    pub(crate) fn stop(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    pub(crate) fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    pub(crate) fn end(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn begin(&mut self) {
        self.process = spawn(self.directory.path(), self.port);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the database holds of an entry.
pub(crate) struct Backup {
    id: String,
    fields: Vec<Vec<u8>>,
}

const FIELDS: [&str; 3] = ["revision", "sealed", "saved"];

fn entry_name(prefix: &str, id: &str) -> String {
    format!("{prefix}:{{{id}}}:entry")
}

/// A store at a URL, and with an authority, as the instructions name them.
pub(crate) fn open(instructions: &str) -> RedisStore {
    let (url, authority): (String, PathBuf) = serde_json::from_str(instructions).unwrap();
    let keys = SealingKeys::new(SealingKey::from_bytes([42; 32]));
    let store = RedisStore::open_trusting(&url, &fs::read(authority).unwrap(), keys);
    store.unwrap().response_timeout(RESPONSE_TIMEOUT)
}

fn client(url: &str, authority: &Path) -> Client {
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(fs::read(authority).unwrap()),
    };
    Client::build_with_tls(url, certificates).unwrap()
}

/// Writes the certificates of an authority and of a server at 127.0.0.1.
pub(crate) fn certify(directory: &Path) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    // OpenSSL takes a certificate for self-signed if its authority has the same name.
    let name = rcgen::DnType::CommonName;
    authority.distinguished_name.push(name, "an authority");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    for (name, text) in [
        ("ca.pem", certificate.pem()),
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(directory.join(name), text).unwrap();
    }
}

fn spawn(directory: &Path, port: u16) -> Child {
    let own = directory.join("data");
    fs::create_dir_all(&own).unwrap();
    let settings = [
        "--aclfile",
        "../users.acl",
        "--save",
        "",
        "--appendonly",
        "no",
    ];
    let mut process = start_redis(&own, port, &settings);
    for _ in 0..500 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return process;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    let _ = process.wait();
    let log = fs::read_to_string(own.join("log")).unwrap_or_default();
    panic!("redis-server does not listen: {log}");
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a server with TLS in this folder, whose parent has the certificates. A configuration file comes first.
pub(crate) fn start_redis(own: &Path, port: u16, settings: &[&str]) -> Child {
    Command::new("redis-server")
        .current_dir(own)
        .args(settings)
        .args(["--bind", "127.0.0.1", "--port", "0"])
        .args(["--tls-port", &port.to_string()])
        .args(["--tls-cert-file", "../server.pem"])
        .args(["--tls-key-file", "../server.key"])
        .args(["--tls-ca-cert-file", "../ca.pem"])
        .args(["--tls-auth-clients", "no", "--logfile", "log"])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed; `cargo xtask test` installs it")
}

/// Sends a command to a server as this user. Returns what it replies, or nothing.
pub(crate) fn ask(directory: &Path, port: u16, user: &str, command: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "--user", user])
        .args(["--pass", PASSWORD, "--no-auth-warning", "--tls", "--cacert"])
        .arg(directory.join("ca.pem"))
        .args(command)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn until(mut holds: impl FnMut() -> bool, problem: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{problem}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Long, because the machine of the tests may be slow.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a save waits for replicas: a third of the timeout.
pub(crate) const WAIT_LIMIT: Duration =
    Duration::from_millis(RESPONSE_TIMEOUT.as_millis() as u64 / 3);

const PASSWORD: &str = "not-a-secret";

/// The permissions that a store needs, as in docs/how-to/many-machines.md.
const USERS: &str = "user default off
user admin on >not-a-secret ~* &* +@all
user keyfob on >not-a-secret resetchannels ~keyfob:* -@all +eval +get +set +del +incr +exists +rename +pexpire +hmget +hset +hget +time +persist +zadd +zrem +zrange +zremrangebyscore +hello +select +ping
";
