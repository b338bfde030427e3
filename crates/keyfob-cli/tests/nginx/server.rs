//! A real nginx for one test: two origins on loopback, one of which requires bearer tokens. See `nginx.conf`.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Runs from [`Nginx::start`] until it is dropped.
///
/// `Authorization: Bearer good-…` is accepted until that token is revoked; every other value, and none, gets a 401 with a challenge.
pub(crate) struct Nginx {
    process: Child,
    folder: PathBuf,
    here: u16,
    elsewhere: u16,
}

impl Nginx {
    /// Starts on free ports, and waits until it responds.
    pub(crate) fn start() -> Self {
        let folder = new_folder();
        for _ in 0..ATTEMPTS {
            match Self::start_in(&folder) {
                Ok(nginx) => return nginx,
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("nginx did not start:\n{log}"),
            }
        }
        panic!("no two ports stayed free for nginx in {ATTEMPTS} attempts");
    }

    /// Fails with nginx's log if nginx ends by itself.
    fn start_in(folder: &Path) -> Result<Self, String> {
        let (here, elsewhere) = two_free_ports();
        let configuration = include_str!("nginx.conf")
            .replace("PORT_HERE", &here.to_string())
            .replace("PORT_ELSEWHERE", &elsewhere.to_string());
        fs::write(folder.join("nginx.conf"), configuration)
            .expect("the folder of a test can be written");
        let process = spawn(folder);
        let mut nginx = Self {
            process,
            folder: folder.to_owned(),
            here,
            elsewhere,
        };
        let deadline = Instant::now() + TIMEOUT;
        while !nginx.is_ready() {
            let ended = nginx
                .process
                .try_wait()
                .expect("nginx is our child")
                .is_some();
            assert!(
                Instant::now() < deadline,
                "nginx did not respond within {TIMEOUT:?}:\n{}",
                nginx.log("error.log")
            );
            if ended {
                return Err(nginx.log("error.log"));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(nginx)
    }

    /// True if the response comes from our nginx, and not from another process that took the port first.
    fn is_ready(&self) -> bool {
        let response = exchange(self.elsewhere, "GET /process HTTP/1.0\r\n\r\n");
        response.is_ok_and(|response| response.ends_with(&format!("\r\n\r\n{}", self.process.id())))
    }

    /// The URL of a path that requires a bearer token.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.here)
    }

    /// The URL of a path on the other origin, which accepts everything and responds with the `Authorization` that it received.
    pub(crate) fn url_elsewhere(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.elsewhere)
    }

    /// Makes requests with `token` get a 401 from now on.
    pub(crate) fn revoke(&self, token: &str) {
        self.write("revoked", token, b"");
    }

    /// Serves `contents` as `/file/{name}`.
    pub(crate) fn serve(&self, name: &str, contents: &[u8]) {
        self.write("files", name, contents);
    }

    /// The body that was PUT to `/upload/{name}`, if there was one.
    pub(crate) fn uploaded(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join("uploads").join(name)).ok()
    }

    /// All requests that got a response, in order: `here GET /ok 200 [Bearer good-1]`, or `elsewhere …`.
    pub(crate) fn requests(&self) -> Vec<String> {
        // nginx logs a response after it has sent it, but before it reads the next request.
        assert!(self.is_ready(), "nginx has ended");
        self.log("access.log").lines().map(str::to_owned).collect()
    }

    /// Sends these bytes to the origin that requires bearer tokens, and returns the whole response.
    pub(crate) fn send(&self, request: &str) -> String {
        exchange(self.here, request).expect("nginx responds")
    }

    fn write(&self, kind: &str, name: &str, contents: &[u8]) {
        fs::write(self.folder.join(kind).join(name), contents)
            .expect("the folder of a test can be written");
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Failures do not matter: the process has ended already, and `cargo clean` removes the folder.
        _ = self.process.kill();
        _ = self.process.wait();
        _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &Path) -> Child {
    let spawned = Command::new(PROGRAM)
        .args(["-c", "nginx.conf", "-e", "error.log", "-p"])
        .arg(folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match spawned {
        Ok(process) => process,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{PROGRAM} is missing: `cargo xtask test nginx` installs it, or says how")
        }
        Err(error) => panic!("{PROGRAM} could not be started: {error}"),
    }
}

/// A new folder with everything that `nginx.conf` expects.
fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nginx-{}-{number}", id()));
    for kind in ["files", "revoked", "temporary", "uploads"] {
        fs::create_dir_all(folder.join(kind)).expect("the folder of the build can be written");
    }
    folder
}

fn two_free_ports() -> (u16, u16) {
    let listeners = [(); 2]
        .map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports"));
    let [here, elsewhere] =
        listeners.map(|listener| listener.local_addr().expect("it is bound").port());
    (here, elsewhere)
}

fn exchange(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

/// Where Debian installs it.
const PROGRAM: &str = "/usr/sbin/nginx";
const TIMEOUT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 5;
