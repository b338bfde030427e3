//! Debian's `glewlwyd` as a process of the test, set up through its API. See `glewlwyd/glewlwyd.conf`.

use std::fs;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::time::{Duration, Instant};

use keyfob::oauth::{Client, ClientAuthentication};
use keyfob_testkit::json;
use serde_json::Value;

/// Runs from [`Glewlwyd::start`] until it is dropped, with one client and one person, `anna`.
pub(crate) struct Glewlwyd {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Glewlwyd {
    /// Starts on a free port with the client [`ROBOT`] and its secret, and waits until it responds.
    pub(crate) async fn start(secret: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("glewlwyd-{}-{port}", id()));
        fs::create_dir_all(&folder).unwrap();
        let configuration = include_str!("glewlwyd/glewlwyd.conf")
            .replace("PORT", &port.to_string())
            .replace("FOLDER", folder.to_str().unwrap());
        fs::write(folder.join("glewlwyd.conf"), configuration).unwrap();
        make_database(&folder.join("database"));
        let process = Command::new("glewlwyd")
            .arg(format!(
                "--config-file={}",
                folder.join("glewlwyd.conf").display()
            ))
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("log")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("glewlwyd is installed: `cargo xtask test oauth` does that");
        let server = Self {
            process,
            folder,
            port,
        };
        server.set_up(secret).await;
        server
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}/api/oidc", self.port)
    }

    pub(crate) fn client(&self, who: ClientAuthentication) -> Client {
        Client::builder(ROBOT)
            .issuer(self.issuer())
            .authentication(who)
            .build()
            .unwrap()
    }

    /// A refresh token of `anna`, fetched with her password (RFC 6749 §4.3).
    pub(crate) async fn refresh_token(&self, secret: &str) -> String {
        let form = [
            ("grant_type", "password"),
            ("username", "anna"),
            ("password", PASSWORD),
            ("scope", SCOPE),
        ];
        let response = self
            .http()
            .post(format!("{}/token", self.issuer()))
            .basic_auth(ROBOT, Some(secret))
            .form(&form)
            .send()
            .await
            .unwrap();
        let response: Value = response.json().await.unwrap();
        response["refresh_token"].as_str().unwrap().to_owned()
    }

    /// Allows the sign-in of a device, as `anna`.
    pub(crate) async fn approve_device(&self, user_code: &str) {
        let http = self.http();
        let api = format!("http://127.0.0.1:{}/api", self.port);
        let anna = json!({"username": "anna", "password": PASSWORD});
        let signed_in = http.post(format!("{api}/auth/")).json(&anna).send();
        assert_eq!(signed_in.await.unwrap().status(), 200);
        let grant = http
            .put(format!("{api}/auth/grant/{ROBOT}"))
            .json(&json!({"scope": SCOPE}));
        assert_eq!(grant.send().await.unwrap().status(), 200);
        let agreed = http
            .get(format!("{}/device", self.issuer()))
            .query(&[("code", user_code), ("g_continue", "")])
            .send()
            .await
            .unwrap();
        // The page of the redirect belongs to a package that is not installed.
        let page = agreed.url().as_str();
        assert!(page.ends_with("prompt=deviceComplete"), "{page}");
    }

    /// Adds the protocol, the client and the person, as the administrator.
    async fn set_up(&self, secret: &str) {
        let http = self.http();
        let api = format!("http://127.0.0.1:{}/api", self.port);
        let administrator = json!({"username": "admin", "password": "password"});
        let deadline = Instant::now() + START_TIMEOUT;
        while http
            .post(format!("{api}/auth/"))
            .json(&administrator)
            .send()
            .await
            .is_err()
        {
            assert!(
                Instant::now() < deadline,
                "glewlwyd did not respond within {START_TIMEOUT:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for (path, body) in [
            ("mod/plugin/", self.protocol()),
            (
                "scope/",
                json!({"name": SCOPE, "password_required": false, "scheme": {}}),
            ),
            ("client/?source=database", robot(secret)),
            ("user/?source=database", anna()),
        ] {
            let response = http
                .post(format!("{api}/{path}"))
                .json(&body)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 200, "{path}");
        }
    }

    fn protocol(&self) -> Value {
        json!({
            "module": "oidc",
            "name": "oidc",
            "display_name": "OpenID Connect",
            "parameters": {
                "iss": self.issuer(),
                "subject-type": "public",
                "jwt-type": "sha",
                "jwt-key-size": "256",
                "key": "what this signs is worth nothing",
                "access-token-duration": 60,
                "refresh-token-duration": 3600,
                "refresh-token-rolling": false,
                "refresh-token-one-use": "always",
                "code-duration": 60,
                "allow-non-oidc": true,
                "auth-type-client-enabled": true,
                "auth-type-code-enabled": true,
                "auth-type-device-enabled": true,
                "auth-type-password-enabled": true,
                "auth-type-refresh-enabled": true,
                "device-authorization-expiration": 600,
                "device-authorization-interval": 5,
                "introspection-revocation-allowed": true,
                "introspection-revocation-allow-target-client": true,
                "oauth-dpop-allowed": true,
                "oauth-dpop-iat-duration": 60,
                "pkce-allowed": true,
            },
        })
    }

    fn http(&self) -> keyfob::reqwest::Client {
        keyfob::reqwest::Client::builder()
            .cookie_store(true)
            .no_proxy()
            .build()
            .unwrap()
    }
}

impl Drop for Glewlwyd {
    fn drop(&mut self) {
        // Errors do not matter here: the process may have ended, and `cargo clean` removes the folder.
        _ = self.process.kill();
        _ = self.process.wait();
        _ = fs::remove_dir_all(&self.folder);
    }
}

fn robot(secret: &str) -> Value {
    json!({
        "client_id": ROBOT,
        "password": secret,
        "confidential": true,
        "enabled": true,
        "authorization_type": ["client_credentials", "password", "refresh_token", "device_authorization"],
        "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
        "scope": [SCOPE],
        "redirect_uri": [],
    })
}

fn anna() -> Value {
    json!({"username": "anna", "password": PASSWORD, "enabled": true, "scope": [SCOPE]})
}

/// Makes a database as the package does.
fn make_database(path: &Path) {
    let status = Command::new("sqlite3")
        .arg(path)
        // Waiting for the disk is expensive, and of no use for a test.
        .arg("pragma synchronous = off;")
        .arg(format!(".read {SCHEMA}"))
        .stdout(Stdio::null())
        .status()
        .expect("sqlite3 is installed: `cargo xtask test oauth` does that");
    assert!(status.success());
}

pub(crate) const ROBOT: &str = "robot";
pub(crate) const SCOPE: &str = "read";
const PASSWORD: &str = "her password";
const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
const START_TIMEOUT: Duration = Duration::from_secs(60);
