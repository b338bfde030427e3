//! Profiles whose token and secrets are in a keyring, Debian's gnome-keyring: `cargo xtask test stores`.

#[path = "program/keyfob.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod keyfob;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob_testkit::{TokenEndpoint, TokenResponse};

use crate::keyfob::{Finished, Folder, Keyfob, finish};

#[test]
fn t1_processes_that_share_a_keyring_fetch_once_and_the_token_is_only_there() {
    let (keyring, endpoint) = (Keyring::start(), TokenEndpoint::start());
    keyring.profile(&endpoint, "kind = \"keyring\"");
    // Late enough that all processes wait for it.
    endpoint.next(TokenResponse::token().after(Duration::from_secs(1)));
    let started: Vec<_> = (0..8)
        .map(|_| keyring.keyfob(&["token", "--profile=a"]).start())
        .collect();
    for process in started {
        let done = finish(process);
        assert_eq!((done.code, &*done.stdout), (0, "token-1\n"), "{done:?}");
    }
    let later = keyring.run(&["token", "--profile=a"]);
    assert_eq!(later.stdout, "token-1\n", "{later:?}");
    assert_eq!(endpoint.calls(), 1);

    let state = keyring.folder.path("state/keyfob");
    for file in fs::read_dir(state).expect("the locks are there") {
        let file = file.expect("it can be read").path();
        let length = fs::metadata(&file).expect("it is a file").len();
        assert_eq!(length, 0, "it has no token: {}", file.display());
    }
    let listed = keyring.run(&["status"]);
    assert!(listed.stdout.contains("\na        valid"), "{listed:?}");
    let forgotten = keyring.run(&["forget", "a"]);
    assert_eq!(forgotten.stdout, "the token of a is forgotten\n");
    let listed = keyring.run(&["status"]);
    assert!(!listed.stdout.contains("valid"), "{listed:?}");
    assert_eq!(keyring.files(), [""; 0], "nothing is left of it");
    let next = keyring.run(&["token", "--profile=a"]);
    assert_eq!(next.stdout, "token-2\n", "{next:?}");
}

#[test]
fn a_secret_that_another_program_stored_is_the_token() {
    let keyring = Keyring::start();
    keyring.put("tracker", "ann", "t0ken-of-ann");
    keyring.place("keyring:tracker/ann");
    let done = keyring.run(&["token", "--profile=a"]);
    assert_eq!(
        (done.code, &*done.stdout),
        (0, "t0ken-of-ann\n"),
        "{done:?}"
    );
}

#[test]
fn a_missing_entry_is_named() {
    let keyring = Keyring::start();
    keyring.place("keyring:tracker/bob");
    let done = keyring.run(&["token", "--profile=a"]);
    assert_ne!(done.code, 0);
    assert!(
        done.stderr.contains("tracker") && done.stderr.contains("bob"),
        "{done:?}"
    );
}

#[test]
fn s2_the_key_that_seals_files_may_be_in_the_keyring() {
    let (keyring, endpoint) = (Keyring::start(), TokenEndpoint::start());
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    keyring.put("keyfob", "sealing", key);
    keyring.profile(
        &endpoint,
        "kind = \"file\"\nkeys = \"keyring:keyfob/sealing\"",
    );
    for _ in 0..2 {
        let done = keyring.run(&["token", "--profile=a"]);
        assert_eq!((done.code, &*done.stdout), (0, "token-1\n"), "{done:?}");
    }
    let state = fs::read_dir(keyring.folder.path("state/keyfob")).expect("the files are there");
    for file in state {
        let bytes = fs::read(file.expect("it can be read").path()).expect("it is ours");
        let found = bytes.windows(7).any(|part| part == b"token-1");
        assert!(!found, "the token is not sealed");
    }
}

#[test]
fn s2_a_record_of_the_bus_shows_no_token_and_other_programs_find_the_entry() {
    let (keyring, endpoint) = (Keyring::start(), TokenEndpoint::start());
    keyring.profile(&endpoint, "kind = \"keyring\"");
    let record = keyring.folder.path("record");
    let mut monitor = keyring
        .command("dbus-monitor")
        .args(["--session", "--binary"])
        .stdout(fs::File::create(&record).expect("it is ours"))
        .spawn()
        .expect("dbus-monitor is installed with dbus-daemon");
    let recorded = || fs::read(&record).expect("it is ours");
    let deadline = Instant::now() + Duration::from_secs(5);
    while recorded().is_empty() {
        assert!(Instant::now() < deadline, "the monitor records nothing");
        sleep(Duration::from_millis(50));
    }
    for _ in 0..2 {
        assert_eq!(keyring.run(&["token", "--profile=a"]).stdout, "token-1\n");
    }
    let has = |part: &[u8]| recorded().windows(part.len()).any(|bytes| bytes == part);
    while !has(b"GetSecret") || !has(b"CreateItem") {
        assert!(Instant::now() < deadline, "the calls are not recorded");
        sleep(Duration::from_millis(50));
    }
    _ = monitor.kill();
    _ = monitor.wait();
    assert!(!has(b"token-1"));
    let lookup = keyring
        .command("secret-tool")
        .args(["lookup", "service", "keyfob", "username", &keyring.id()])
        .output()
        .expect("secret-tool is installed");
    let found = String::from_utf8_lossy(&lookup.stdout);
    assert!(found.contains("token-1"), "{lookup:?}");
}

#[test]
fn s1_a_machine_without_a_keyring_fails_at_once_and_shows_no_secret() {
    let mut keyring = Keyring::start();
    keyring.place("keyring:tracker/ann");
    keyring.stop();
    let bus_alone = keyring.address.clone();
    for address in ["", &bus_alone, "nonsense", "unix:path=/nonexistent/bus"] {
        let start = Instant::now();
        let done = keyring
            .keyfob(&["token", "--profile=a"])
            .env("DBUS_SESSION_BUS_ADDRESS", address)
            .run();
        assert!(start.elapsed() < Duration::from_secs(5), "{address}");
        assert_ne!(done.code, 0);
        assert!(
            done.stderr.contains("the keyring cannot be used"),
            "{done:?}"
        );
    }
}

#[test]
fn a_keyring_that_stays_locked_is_an_error_after_a_timeout() {
    let mut keyring = Keyring::start();
    keyring.put("tracker", "ann", "t0ken-of-ann");
    keyring.place("keyring:tracker/ann");
    keyring.lock();
    let start = Instant::now();
    let done = keyring.run(&["token", "--profile=a"]);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("the keyring "), "{done:?}");
    assert!(!done.stderr.contains("t0ken"), "{done:?}");
}

#[test]
fn s1_a_damaged_entry_is_not_quoted_and_can_be_forgotten() {
    let (keyring, endpoint) = (Keyring::start(), TokenEndpoint::start());
    keyring.profile(&endpoint, "kind = \"keyring\"");
    assert_eq!(keyring.run(&["token", "--profile=a"]).stdout, "token-1\n");
    keyring.put("keyfob", &keyring.id(), "s3cret-rubbish");
    let listed = keyring.run(&["status"]);
    let shown = format!("{}{}", listed.stdout, listed.stderr);
    assert!(shown.contains("damaged"), "{listed:?}");
    assert!(!shown.contains("s3cret"), "{listed:?}");
    assert_eq!(keyring.run(&["forget", "a"]).code, 0);
    assert_eq!(keyring.run(&["token", "--profile=a"]).stdout, "token-2\n");
}

#[test]
fn a_migration_to_files_among_the_locks_of_the_keyring_is_refused_and_another_is_not() {
    let (keyring, endpoint) = (Keyring::start(), TokenEndpoint::start());
    let elsewhere = keyring.folder.path("elsewhere").display().to_string();
    let other = |name: &str, directory: &str| {
        format!(
            "[profiles.{name}]\norigins = \"https://api.example.com\"\n[profiles.{name}.token]\n\
             grant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"reports\"\n\
             [profiles.{name}.store]\nkind = \"file\"\n{directory}\n",
            endpoint.url()
        )
    };
    let files = other("files", "");
    let elsewhere = other("elsewhere", &format!("directory = \"{elsewhere}\""));
    keyring.profile(
        &endpoint,
        &format!("kind = \"keyring\"\n{files}{elsewhere}"),
    );
    assert_eq!(keyring.run(&["token", "--profile=a"]).stdout, "token-1\n");
    let refused = keyring.run(&["store", "migrate", "a", "files"]);
    assert_eq!((refused.code, &*refused.stdout), (2, ""), "{refused:?}");
    let problem = "the keyring keeps its locks in the directory of the other store";
    assert!(refused.complaint().contains(problem), "{refused:?}");
    // A lease in the files of the same directory does not hide the entry of the keyring.
    let forgotten = keyring.run(&["forget", "files"]);
    assert_eq!(forgotten.stdout, "no token of files was stored\n");
    assert_eq!(
        keyring.run(&["forget", "--all"]).stdout,
        "1 token is forgotten\n"
    );
    assert_eq!(keyring.run(&["token", "--profile=a"]).stdout, "token-2\n");
    for (from, to) in [("a", "elsewhere"), ("elsewhere", "files")] {
        let done = keyring.run(&["store", "migrate", from, to]);
        let moved = done.stdout.starts_with("1 token is moved\n");
        assert!(moved, "{done:?}");
    }
}

/// A bus and a keyring for one test, in their own home directory, until dropped.
struct Keyring {
    folder: Folder,
    home: tempfile::TempDir,
    address: String,
    bus: Child,
    daemon: Option<Child>,
}

impl Keyring {
    fn start() -> Self {
        // The path of a socket must be short.
        let home = tempfile::tempdir().expect("there is room");
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(home.path(), mode).expect("it is ours");
        let settings = home.path().join("bus.conf");
        let listen = format!("<listen>unix:dir={}</listen>", home.path().display());
        fs::write(&settings, BUS.replace("<listen/>", &listen)).expect("it is ours");
        let mut bus = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address"])
            .arg(format!("--config-file={}", settings.display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is installed; `cargo xtask test` installs it");
        let mut address = String::new();
        let stdout = bus.stdout.take().expect("it is piped");
        let read = BufReader::new(stdout).read_line(&mut address);
        read.expect("the bus prints its address");
        let mut keyring = Self {
            folder: Folder::new(),
            address: address.trim().to_owned(),
            home,
            bus,
            daemon: None,
        };
        keyring.unlock();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !keyring.try_put("ready", "ready", "ready") {
            assert!(Instant::now() < deadline, "the keyring does not respond");
            sleep(Duration::from_millis(50));
        }
        keyring
    }

    fn unlock(&mut self) {
        let mut daemon = self.daemon(&["--unlock"]);
        let mut password = daemon.stdin.take().expect("it is piped");
        password.write_all(b"password").expect("it reads");
        drop(password);
        self.daemon = Some(daemon);
    }

    /// Starts the daemon again without the password.
    fn lock(&mut self) {
        self.stop();
        self.daemon = Some(self.daemon(&[]));
        let deadline = Instant::now() + Duration::from_secs(5);
        // A search works although the keyring is locked.
        while !self
            .command("secret-tool")
            .args(["search", "--all", "service", "ready"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("secret-tool is installed")
            .success()
        {
            assert!(Instant::now() < deadline, "the keyring does not respond");
            sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            _ = daemon.kill();
            _ = daemon.wait();
        }
    }

    fn daemon(&self, arguments: &[&str]) -> Child {
        self.command("gnome-keyring-daemon")
            .args(["--foreground", "--components=secrets"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring-daemon is installed; `cargo xtask test` installs it")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path())
            .env("XDG_DATA_HOME", self.home.path().join("data"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }

    /// Stores a secret, as another program does.
    fn put(&self, service: &str, user: &str, secret: &str) {
        assert!(self.try_put(service, user, secret));
    }

    fn try_put(&self, service: &str, user: &str, secret: &str) -> bool {
        let mut tool = self
            .command("secret-tool")
            .args(["store", "--label=test", "service", service])
            .args(["username", user])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("secret-tool is installed; `cargo xtask test` installs it");
        let mut stdin = tool.stdin.take().expect("it is piped");
        _ = stdin.write_all(secret.as_bytes());
        drop(stdin);
        let mut stderr_text = String::new();
        let mut stderr = tool.stderr.take().expect("it is piped");
        _ = stderr.read_to_string(&mut stderr_text);
        tool.wait().expect("it ends").success()
    }

    /// The user under which the only entry is, as its files say.
    fn id(&self) -> String {
        let name = self.files().into_iter().next().expect("there is one");
        let (id, _) = name.split_once('.').expect("it has a kind");
        id.to_owned()
    }

    /// The names of the files in the directory of the locks.
    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path("state/keyfob")).expect("it is there");
        let name = |file: std::io::Result<fs::DirEntry>| file.expect("it can be read").file_name();
        let names = files.map(|file| name(file).to_string_lossy().into_owned());
        names.collect()
    }

    fn place(&self, reference: &str) {
        let profile = format!(
            "[profiles.a]\norigins = \"https://api.example.com\"\ntoken = \"{reference}\"\n"
        );
        self.folder.file("keyfob.toml", &profile);
    }

    fn profile(&self, endpoint: &TokenEndpoint, store: &str) {
        let profile = format!(
            "[profiles.a]\norigins = \"https://api.example.com\"\n\
             [profiles.a.token]\ngrant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"reports\"\n\
             [profiles.a.store]\n{store}\n",
            endpoint.url(),
        );
        self.folder.file("keyfob.toml", &profile);
    }

    fn keyfob(&self, arguments: &[&str]) -> Keyfob {
        let path = |name: &str| self.folder.path(name).display().to_string();
        Keyfob::new(arguments)
            .env("KEYFOB_CONFIG", &path("keyfob.toml"))
            .env("XDG_STATE_HOME", &path("state"))
            .env("XDG_RUNTIME_DIR", &path("nothing"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        self.keyfob(arguments).run()
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        self.stop();
        _ = self.bus.kill();
        _ = self.bus.wait();
    }
}

/// A bus that starts no services by itself.
const BUS: &str = "<busconfig><type>session</type><listen/><policy context=\"default\">\
    <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>";
