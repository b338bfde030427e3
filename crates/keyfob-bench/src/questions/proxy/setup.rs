//! What the proxy's questions compare: nginx and `keyfob proxy`, in front of one upstream.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, thread};

use http::HeaderValue;

use crate::questions::proxy::load::Client;
use crate::questions::proxy::processes::{Process, free_address, nginx};

/// A folder for the files of the servers, and the program `keyfob`.
pub struct Setup {
    folder: PathBuf,
    pub program: PathBuf,
}

impl Setup {
    /// `None` if the program was not built.
    pub fn new() -> Option<Self> {
        let program = PathBuf::from(env::var_os("KEYFOB_BENCH_PROGRAM")?);
        let folder = env::temp_dir().join(format!("keyfob-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("its mode");
        Some(Self { folder, program })
    }

    /// nginx, which responds to every request with a short body.
    pub fn upstream(&self) -> Process {
        let address = free_address();
        let server = format!(
            "  server {{ listen {address}; location / {{ default_type application/json; return 200 '{{\"value\":42}}'; }} }}"
        );
        nginx(&self.folder, "upstream", address, &server)
    }

    /// nginx as a proxy that sets a fixed header.
    pub fn nginx(&self, upstream: SocketAddr) -> (Process, Client) {
        let address = free_address();
        let server = format!(
            "  upstream api {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}\n  \
             server {{ listen {address}; client_max_body_size 0; proxy_buffering off; proxy_request_buffering off;\n    \
             location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection '';\n      \
             proxy_set_header Authorization 'Bearer {TOKEN}'; }} }}"
        );
        let process = nginx(&self.folder, "proxy", address, &server);
        let client = Client {
            address,
            path: "/",
            authorization: None,
        };
        (process, client)
    }

    /// `keyfob proxy` with this text after `token =` in its profile.
    pub fn keyfob(&self, upstream: SocketAddr, source: &str) -> (Process, Client) {
        let config = self.config(&format!("http://{upstream}"), source);
        let secret = self.folder.join("secret");
        private(&secret, SECRET);
        let address = free_address();
        let mut command = Command::new(&self.program);
        command.args(["proxy", "--profile", "bench", "--listen"]);
        command.arg(address.to_string()).arg("--client-secret-file");
        command.arg(secret).env("KEYFOB_CONFIG", config);
        command.env("XDG_STATE_HOME", self.folder.join("state"));
        command.env("KEYFOB_BENCH_TOKEN", TOKEN);
        let process = Process::start(&mut command, address);
        let authorization = HeaderValue::from_str(&format!("Bearer {SECRET}"));
        let client = Client {
            address,
            path: "/",
            authorization: Some(authorization.expect("a header value")),
        };
        (process, client)
    }

    /// A file with the profile `bench`.
    pub fn config(&self, base_url: &str, source: &str) -> PathBuf {
        let config = self.folder.join("keyfob.toml");
        let text = format!("[profiles.bench]\nbase_url = \"{base_url}\"\n{source}\n");
        private(&config, &text);
        config
    }

    /// Requests that go to the upstream, without a proxy.
    pub fn direct(upstream: SocketAddr) -> Client {
        Client {
            address: upstream,
            path: "/",
            authorization: None,
        }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn private(file: &Path, text: &str) {
    fs::write(file, text).expect("a file");
    fs::set_permissions(file, Permissions::from_mode(0o600)).expect("its mode");
}

/// The source of a fixed token.
pub const FIXED: &str = "token = \"env:KEYFOB_BENCH_TOKEN\"";

const TOKEN: &str = "bench-t0ken";
const SECRET: &str = "bench-client-secret-of-the-proxy";
