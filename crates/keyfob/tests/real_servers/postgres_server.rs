//! A PostgreSQL server of the test: on a free port, with TLS, and with a user that has only the rights that a store needs.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{fs, thread};

use keyfob::store::{PostgresStore, SealingKey, SealingKeys, StoreKey};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::redis_server::{RESPONSE_TIMEOUT, certify};

/// Runs from [`PostgresServer::start`] until it is dropped.
pub(crate) struct PostgresServer {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl PostgresServer {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        certify(directory.path());
        give_to_postgres(directory.path());
        give_to_postgres(&directory.path().join("server.key"));
        copy_template(directory.path());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let process = spawn(directory.path(), port, &[]);
        Self {
            process,
            port,
            directory,
        }
    }

    /// Restarts the server with more settings, such as `fsync=off`.
    pub(crate) fn restart_with(&mut self, settings: &[&str]) {
        self.end();
        self.process = spawn(self.directory.path(), self.port, settings);
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://keyfob:not-a-secret@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// The certificate of the authority that clients have to trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The value of `kind` in a profile.
    pub(crate) const KIND: &str = "postgres";

    pub(crate) fn store(&self) -> PostgresStore {
        Self::store_of(&self.instructions())
    }

    pub(crate) fn store_with(&self, keys: SealingKeys) -> PostgresStore {
        let authority = fs::read(self.authority()).unwrap();
        let store = PostgresStore::open_trusting(&self.url(), &authority, keys).unwrap();
        store.response_timeout(RESPONSE_TIMEOUT)
    }

    /// What another process needs to know for [`store_of`](Self::store_of), in one line.
    pub(crate) fn instructions(&self) -> String {
        serde_json::to_string(&(self.url(), self.authority())).unwrap()
    }

    pub(crate) fn store_of(instructions: &str) -> PostgresStore {
        let (url, authority): (String, PathBuf) = serde_json::from_str(instructions).unwrap();
        let keys = SealingKeys::new(SealingKey::from_bytes([42; 32]));
        let store = PostgresStore::open_trusting(&url, &fs::read(authority).unwrap(), keys);
        store.unwrap().response_timeout(RESPONSE_TIMEOUT)
    }

    /// Runs a statement as the administrator, and returns its rows.
    pub(crate) fn ask(&self, statement: &str) -> String {
        let output = Command::new("psql")
            .arg("--host")
            .arg(self.directory.path())
            .args(["--port", &self.port.to_string()])
            .args(["--username=postgres", "--no-psqlrc", "--quiet"])
            .args(["--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
            .args(["--command", statement, "postgres"])
            .output()
            .expect("psql is installed; `cargo xtask test` installs it");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statement}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// All data of the table, as the server stores them.
    pub(crate) async fn dump(&self) -> String {
        self.ask("SELECT id, revision, saved, encode(sealed, 'escape') FROM keyfob_tokens")
    }

    /// What the table holds of an entry, as the statement that writes it.
    pub(crate) async fn backup(&self, key: &StoreKey) -> String {
        let id = key.id();
        self.ask(&format!(
            "SELECT format('UPDATE keyfob_tokens SET revision = %L, sealed = %L, saved = %L WHERE id = %L', \
             revision, sealed, saved, id) FROM keyfob_tokens WHERE id = '{id}'"
        ))
    }

    /// Writes an entry as it was before.
    pub(crate) async fn put_back(&self, backup: &str) {
        self.ask(backup);
    }

    /// Replaces the sealed bytes of an entry.
    pub(crate) async fn replace_sealed(&self, key: &StoreKey, sealed: &[u8]) {
        let hex = sealed.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        let id = key.id();
        self.ask(&format!(
            "UPDATE keyfob_tokens SET sealed = '\\x{hex}' WHERE id = '{id}'"
        ));
    }

    /// Changes when an entry was saved by so many seconds, as if the clock of the server had been set back since.
    pub(crate) async fn move_save(&self, key: &StoreKey, seconds: i64) {
        let id = key.id();
        self.ask(&format!(
            "UPDATE keyfob_tokens SET saved = saved + interval '{seconds} seconds' WHERE id = '{id}'"
        ));
    }

    /// Whether there is an entry, or what was quarantined of it.
    pub(crate) async fn holds_anything_of(&self, key: &StoreKey) -> bool {
        let id = key.id();
        let found = self.ask(&format!(
            "SELECT coalesce(revision, sealed::text, saved::text, quarantined::text) IS NOT NULL \
             FROM keyfob_tokens WHERE id = '{id}'"
        ));
        found.trim() == "t"
    }

    /// Ends the lease, as if its process had not renewed it in time.
    pub(crate) async fn end_lease(&self, key: &StoreKey) {
        let id = key.id();
        self.ask(&format!(
            "UPDATE keyfob_tokens SET lease = NULL, lease_until = NULL WHERE id = '{id}'"
        ));
    }

    /// Restarts the server without its data.
    pub(crate) fn restart_empty(&mut self) {
        self.ask("TRUNCATE keyfob_tokens");
        self.end();
        self.begin();
    }

    /// Stops the processes of the server without ending them.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the server and the processes of its connections.
    pub(crate) fn end(&mut self) {
        let children = self.signal(Signal::KILL);
        self.process.wait().unwrap();
        // A new server does not start before they are gone.
        for _ in 0..1_000 {
            if !children.iter().copied().any(is_running) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("a process of the server does not end");
    }

    pub(crate) fn begin(&mut self) {
        self.process = spawn(self.directory.path(), self.port, &[]);
    }

    /// Sends a signal to the server and to the processes that it started, and returns these.
    fn signal(&self, signal: Signal) -> Vec<Pid> {
        let server = Pid::from_child(&self.process);
        // First the server, so that it starts no other process meanwhile.
        let stopped = kill_process(server, Signal::STOP);
        let path = format!("/proc/{0}/task/{0}/children", server.as_raw_nonzero());
        let children = fs::read_to_string(path).unwrap_or_default();
        let children = children
            .split(' ')
            .filter_map(|pid| pid.trim().parse().ok());
        let children: Vec<_> = children.filter_map(Pid::from_raw).collect();
        for child in &children {
            // It may have ended already.
            let _ = kill_process(*child, signal);
        }
        if stopped.is_ok() && signal != Signal::STOP {
            let _ = kill_process(server, signal);
        }
        children
    }
}

/// Whether a process has not ended. One that was not waited for is in the state `Z`.
fn is_running(process: Pid) -> bool {
    let path = format!("/proc/{}/stat", process.as_raw_nonzero());
    let state = fs::read_to_string(path).unwrap_or_default();
    let state = state.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with('Z')
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.process.wait();
    }
}

/// The programs of the server are not in `PATH`.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let programs = versions.map(|version| version.unwrap().path().join("bin").join(name));
    let mut programs: Vec<_> = programs.filter(|path| path.exists()).collect();
    programs.sort();
    programs
        .pop()
        .expect("postgresql is installed; `cargo xtask test` installs it")
}

/// A program of the server. It refuses to run as root, so root runs it as the user that the package made.
fn command(name: &str) -> Command {
    if !geteuid().is_root() {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    command.arg(program(name)).current_dir("/");
    command
}

fn give_to_postgres(path: &Path) {
    if geteuid().is_root() {
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let user = users.lines().find(|line| line.starts_with("postgres:"));
        let mut fields = user.expect("the package makes the user").split(':');
        let mut number = |nth| fields.nth(nth).and_then(|field| field.parse().ok());
        chown(path, number(2), number(0)).unwrap();
    }
    let is_directory = path.is_dir();
    let mode = if is_directory { 0o755 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Making a database takes a second, so each server gets a copy of one.
fn copy_template(directory: &Path) {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    copy(TEMPLATE.get_or_init(make_template), &directory.join("data"));
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success(), "{to:?} is not copied");
}

fn make_template() -> PathBuf {
    // The user of the server may not be able to enter the build folder, so the database is made elsewhere.
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    give_to_postgres(directory);
    let data = directory.join("data");
    let made = command("initdb")
        .args(["--auth-host=scram-sha-256", "--auth-local=trust"])
        .args(["--username=postgres", "--no-sync", "--wal-segsize=1"])
        .args(["--no-locale", "--encoding=UTF8", "--pgdata"])
        .arg(&data)
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success(), "initdb fails");
    fs::write(data.join("pg_hba.conf"), USERS).unwrap();
    let table = PostgresStore::sql(PostgresStore::TABLE);
    let setup = format!(
        "CREATE ROLE keyfob LOGIN PASSWORD 'not-a-secret';\n\n{table}\n\n\
         GRANT SELECT, INSERT, UPDATE, DELETE ON keyfob_tokens TO keyfob;\n\n"
    );
    let file = directory.join("setup.sql");
    fs::write(&file, setup).unwrap();
    let alone = command("postgres")
        .args(["--single", "-j", "-D"])
        .arg(&data)
        .arg("postgres")
        .stdin(fs::File::open(file).unwrap())
        .stdout(Stdio::null())
        .output();
    let output = alone.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !errors.contains("ERROR"),
        "{errors}"
    );
    // In the build folder, where the next run replaces it.
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    let _ = fs::remove_dir_all(&template);
    copy(&data, &template);
    template
}

fn spawn(directory: &Path, port: u16, settings: &[&str]) -> Child {
    let port_text = port.to_string();
    let log = fs::File::create(directory.join("log")).unwrap();
    let path = |name: &str| directory.join(name).display().to_string();
    let own = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={}", directory.display()),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", path("server.pem")),
        format!("ssl_key_file={}", path("server.key")),
        "shared_buffers=4MB".to_owned(),
        // A process that is killed loses nothing of what the system has been given.
        "fsync=off".to_owned(),
    ];
    let settings = settings.iter().map(|setting| (*setting).to_owned());
    let settings = own.into_iter().chain(settings);
    let mut process = command("postgres")
        .args(["-D", &path("data"), "-p", &port_text])
        .args(settings.flat_map(|setting| ["-c".to_owned(), setting]))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("setpriv is there");
    for _ in 0..1_000 {
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        let is_ready = log.contains("ready to accept connections");
        if is_ready && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return process;
        }
        if process.try_wait().unwrap().is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    let _ = process.wait();
    let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
    panic!("postgres does not listen: {log}");
}

/// Who may connect, and how.
const USERS: &str = "local all postgres trust
hostssl all keyfob 127.0.0.1/32 scram-sha-256
";
