//! `keyfob proxy` as its users run it: started, asked by raw requests, and stopped by signals.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use keyfob_testkit::Server;
use rustix::process::{Pid, Signal, kill_process};

use crate::keyfob::{Finished, Keyfob};
use crate::waiting::{TIMEOUT, wait_until};

/// A proxy that runs, and the folder with its settings and its socket.
pub(crate) struct Proxy {
    child: Child,
    folder: tempfile::TempDir,
    stderr: Output,
    stdout: Output,
}

/// What a process has written so far.
struct Output {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// The response to a raw request: what came until the connection was closed, or until the response was complete.
#[derive(Debug)]
pub(crate) struct RawResponse(pub(crate) String);

/// A connection that a raw request goes over.
pub(crate) trait Wire: Read + Write + Sized {
    fn limit(&self, timeout: Duration);
}

impl Proxy {
    /// Starts it with these arguments and this file, and waits until it listens.
    pub(crate) fn start(arguments: &[&str], config: &str) -> Self {
        let folder = folder();
        Self::start_in(folder, arguments, config, |keyfob| keyfob)
    }

    pub(crate) fn start_in(
        folder: tempfile::TempDir,
        arguments: &[&str],
        config: &str,
        change: impl FnOnce(Keyfob) -> Keyfob,
    ) -> Self {
        let mut child = change(keyfob(&folder, arguments, config))
            .in_own_session()
            .start();
        let stderr = Output::of(child.stderr.take().expect("it is piped"));
        let stdout = Output::of(child.stdout.take().expect("it is piped"));
        let mut proxy = Self {
            child,
            folder,
            stderr,
            stdout,
        };
        wait_until("the proxy listens", || {
            let ended = proxy.child.try_wait().expect("it is ours");
            assert!(ended.is_none(), "{ended:?}: {}", proxy.stderr());
            proxy.stderr().contains(" leads to ").then_some(())
        });
        proxy
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The default socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/keyfob/proxy.sock")
    }

    pub(crate) fn rewrite(&self, config: &str) {
        fs::write(self.path("keyfob.toml"), config).expect("the folder is ours");
    }

    /// The TCP addresses of routes, in the order in which they are reported.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let text = self.stderr();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("keyfob: http://"));
        let hosts = lines.filter_map(|line| {
            let (_, rest) = line.split_once("http://")?;
            rest.split('/').next().map(str::to_owned)
        });
        hosts.collect()
    }

    pub(crate) fn address(&self) -> String {
        self.addresses().swap_remove(0)
    }

    pub(crate) fn status_address(&self) -> String {
        let text = self.stderr();
        let (_, rest) = text
            .split_once("metrics are at http://")
            .expect("it has one");
        rest.lines().next().unwrap_or_default().to_owned()
    }

    /// The secret that was printed for `export`.
    pub(crate) fn secret(&self) -> String {
        wait_until("the secret is printed", || {
            let text = self.stdout();
            let (_, rest) = text.split_once("export KEYFOB_CLIENT_SECRET=")?;
            rest.split_once('\n').map(|(secret, _)| secret.to_owned())
        })
    }

    pub(crate) fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    /// The result of a proxy that should end by itself.
    pub(crate) fn ended(mut self) -> Finished {
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            match self.child.try_wait().expect("it is ours") {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    panic!("the proxy did not end: {}", self.stderr())
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        Finished {
            code: status.code().expect("it was not killed"),
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
        }
    }

    pub(crate) fn over_tcp(&self, request: &str) -> RawResponse {
        ask_at(&self.address(), request)
    }

    pub(crate) fn over_socket(&self, request: &str) -> RawResponse {
        ask(
            UnixStream::connect(self.socket()).expect("the proxy listens"),
            request,
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl RawResponse {
    pub(crate) fn status(&self) -> u16 {
        let status = self.0.split(' ').nth(1);
        status
            .and_then(|status| status.parse().ok())
            .unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

impl Wire for TcpStream {
    fn limit(&self, timeout: Duration) {
        self.set_read_timeout(Some(timeout))
            .expect("a timeout above zero");
    }
}

impl Wire for &TcpStream {
    fn limit(&self, timeout: Duration) {
        (*self).limit(timeout);
    }
}

impl Wire for &UnixStream {
    fn limit(&self, timeout: Duration) {
        (*self).limit(timeout);
    }
}

impl Wire for UnixStream {
    fn limit(&self, timeout: Duration) {
        self.set_read_timeout(Some(timeout))
            .expect("a timeout above zero");
    }
}

/// Sends a raw request, and reads until the connection is closed or the response is complete by its length.
pub(crate) fn ask(mut wire: impl Wire, request: &str) -> RawResponse {
    wire.limit(TIMEOUT);
    // The proxy may close the connection before it has read everything.
    _ = wire.write_all(request.as_bytes());
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !is_complete(&text) {
        match wire.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => text.extend_from_slice(&buffer[..length]),
        }
    }
    RawResponse(String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn ask_at(address: &str, request: &str) -> RawResponse {
    ask(
        TcpStream::connect(address).expect("the proxy listens"),
        request,
    )
}

/// Whether a response with a length has come in full.
fn is_complete(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    length.is_some_and(|length| body.len() >= length)
}

/// The program with a file of its own, and with a directory for sockets.
pub(crate) fn keyfob(folder: &tempfile::TempDir, arguments: &[&str], config: &str) -> Keyfob {
    let file = folder.path().join("keyfob.toml");
    fs::write(&file, config).expect("the folder is ours");
    let runtime = folder.path().join("run");
    _ = fs::create_dir(&runtime);
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    Keyfob::new(["proxy", "--config", &text(&file)])
        .args(arguments)
        .env("XDG_RUNTIME_DIR", &text(&runtime))
        .env("TOKEN", "t0ken")
}

/// A short path, because that of a socket is limited.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is a folder for temporary files")
}

/// A file with one profile `api`, whose server this is.
pub(crate) fn profile(server: &Server) -> String {
    format!(
        "[profiles.api]\nbase_url = \"{}\"\ntoken = \"env:TOKEN\"\nretry = {{ attempts = 1 }}\n",
        server.url_for("/")
    )
}

pub(crate) fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

impl Output {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut lines = BufReader::new(stream);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                collected
                    .lock()
                    .expect("no test panics with it")
                    .push_str(&line);
                line.clear();
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        self.text.lock().expect("no test panics with it").clone()
    }

    /// The text of a process that has ended, whose last lines may not have been read yet.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        self.text()
    }
}
