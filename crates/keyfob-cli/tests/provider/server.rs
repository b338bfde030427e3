//! Servers that run in node, each a process for one test: see `provider.mjs` in the library's tests, and `mcp/server.mjs`.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs with its demonstration clients from [`Provider::start`] until it is dropped.
pub(crate) struct Provider {
    process: Child,
    port: u16,
    lifetime: u64,
}

impl Provider {
    /// Starts on a free port. Its tokens expire after `lifetime` seconds.
    pub(crate) fn start(lifetime: u64) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        Self {
            process: spawn(port, lifetime),
            port,
            lifetime,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it; it forgets everything.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
    }

    /// Starts it again on the same port.
    pub(crate) fn start_again(&mut self) {
        self.process = spawn(self.port, self.lifetime);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Starts the process, and waits until it reports that it listens.
fn spawn(port: u16, lifetime: u64) -> Child {
    let tests =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../keyfob/tests/real_servers/oidc-provider");
    let setup = format!(r#"{{"port": {port}, "lifetime": {lifetime}}}"#);
    node(&tests.join("provider.mjs"), "provider", &setup).0
}

/// A server of the Model Context Protocol that asks for a sign-in. It runs until it is dropped.
pub(crate) struct McpServer {
    process: Child,
    pub(crate) url: String,
}

impl McpServer {
    /// Starts on a free port. Its tokens expire after `lifetime` seconds.
    pub(crate) fn start(lifetime: u64) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider/mcp/server.mjs");
        let setup = format!(r#"{{"lifetime": {lifetime}}}"#);
        let (process, url) = node(&script, "mcp", &setup);
        Self { process, url }
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Starts a script with the packages in this part of the build folder. Returns its first line, which is a URL.
fn node(script: &Path, packages: &str, setup: &str) -> (Child, String) {
    let mut process = Command::new("node")
        .arg(script)
        .arg("-")
        .env("KEYFOB_PROVIDER_MODULES", build_folder().join(packages))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node is installed");
    // The server ends when its standard input closes, so it does not outlive this process.
    let input = process.stdin.as_mut().expect("it is a pipe");
    writeln!(input, "{setup}").expect("it reads its setup");
    let output = process.stdout.take().expect("it is a pipe");
    let mut line = String::new();
    let read = BufReader::new(output).read_line(&mut line);
    assert!(
        read.is_ok_and(|length| length > 0),
        "the server did not start; `cargo xtask test oauth` installs it"
    );
    (process, line.trim_end().to_owned())
}

/// Cargo's target directory.
fn build_folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
