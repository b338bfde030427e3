//! OpenBao, the open successor of HashiCorp Vault, as a process of the test. It keeps everything in memory.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use keyfob::http::{Method, StatusCode};
use keyfob::reqwest;
use keyfob_testkit::json;
use serde_json::Value;
use tempfile::TempDir;

/// Runs from [`OpenBao::start`] until it is dropped.
pub(crate) struct OpenBao {
    process: Child,
    url: String,
    _home: TempDir,
}

/// A status, and the JSON of the body.
pub(crate) type Responded = (StatusCode, Value);

impl OpenBao {
    /// Starts on a free port, and waits until it responds.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let home = tempfile::tempdir().unwrap();
        let log = fs::File::create(home.path().join("log")).unwrap();
        let process = Command::new(program())
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-listen-address={address}"))
            .arg(format!("-dev-root-token-id={ROOT}"))
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("`cargo xtask test oauth` installs OpenBao");
        let server = Self {
            process,
            url: format!("http://{address}"),
            _home: home,
        };
        server.wait().await;
        server
    }

    pub(crate) fn url_for(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Enables AppRole, makes a role with these lifetimes in seconds, and returns its role id and a secret id.
    pub(crate) async fn approle(&self, lease: u64, max: u64) -> (String, String) {
        self.configure("/v1/sys/auth/approle", json!({"type": "approle"}))
            .await;
        let lifetimes = json!({"token_ttl": lease, "token_max_ttl": max, "token_policies": "app"});
        self.configure("/v1/auth/approle/role/app", lifetimes).await;
        let policy = "path \"secret/data/app\" { capabilities = [\"read\"] }";
        self.configure("/v1/sys/policies/acl/app", json!({"policy": policy}))
            .await;
        self.configure("/v1/secret/data/app", json!({"data": {"a": "b"}}))
            .await;
        let role = self
            .send(Method::GET, "/v1/auth/approle/role/app/role-id", ROOT, None)
            .await;
        let secret = self
            .configure("/v1/auth/approle/role/app/secret-id", json!({}))
            .await;
        let text = |(_, body): Responded, name: &str| -> String {
            body["data"][name].as_str().unwrap().into()
        };
        let (role, secret) = (text(role, "role_id"), text(secret, "secret_id"));
        let login = json!({"role_id": role, "secret_id": secret});
        // A new auth method is not ready at once.
        for _ in 0..100 {
            let body = Some(login.clone());
            let path = "/v1/auth/approle/login";
            let (status, body) = self.send(Method::POST, path, "", body).await;
            if status.is_success() {
                return (role, secret);
            }
            println!("{status} {body}");
            thread::sleep(Duration::from_millis(50));
        }
        panic!("no login succeeded within 5 s");
    }

    /// Sends a request as the administrator, which has to succeed.
    pub(crate) async fn configure(&self, path: &str, body: Value) -> Responded {
        let (status, body) = self.send(Method::POST, path, ROOT, Some(body)).await;
        assert!(status.is_success(), "{path}: {status} {body}");
        (status, body)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Responded {
        send(method, &self.url_for(path), token, body).await
    }

    async fn wait(&self) {
        let begun = Instant::now();
        let health = self.url_for("/v1/sys/health");
        while reqwest::get(&health).await.is_err() {
            assert!(begun.elapsed() < START_TIMEOUT, "OpenBao did not start");
            thread::sleep(Duration::from_millis(50));
        }
        // The engine for secrets is made after the start.
        while !self.secrets_are_mounted().await {
            assert!(begun.elapsed() < START_TIMEOUT, "OpenBao did not start");
            thread::sleep(Duration::from_millis(50));
        }
    }

    async fn secrets_are_mounted(&self) -> bool {
        let body = Some(json!({"data": {}}));
        let (status, _) = self
            .send(Method::POST, "/v1/secret/data/probe", ROOT, body)
            .await;
        status.is_success()
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a request with this token in `X-Vault-Token`, unless it is empty.
pub(crate) async fn send(method: Method, url: &str, token: &str, body: Option<Value>) -> Responded {
    let mut request = reqwest::Client::new().request(method, url);
    if !token.is_empty() {
        request = request.header("x-vault-token", token);
    }
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("openbao/bin/bao")
}

const ROOT: &str = "root";
const START_TIMEOUT: Duration = Duration::from_secs(60);
