//! The certified OpenID provider as a process of the test. See `oidc-provider/provider.mjs`.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

use keyfob::http::HeaderMap;
use keyfob::oauth::{Client, ClientAuthentication, ClientBuilder, SigningKey};
use keyfob::reqwest;
use keyfob_testkit::json;
use serde_json::Value;
use url::Url;

/// Runs from [`Provider::start`] until it is dropped. Every visitor is signed in as `anna` and agrees to everything.
pub(crate) struct Provider {
    process: Child,
    issuer: String,
    setup: Value,
}

impl Provider {
    /// Starts on a free port, and waits until it responds. `provider.mjs` describes `setup`.
    pub(crate) fn start(mut setup: Value) -> Self {
        for _ in 0..ATTEMPTS {
            // A fixed port, so that the provider can be restarted on it.
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            setup["port"] = listener.local_addr().unwrap().port().into();
            drop(listener);
            if let Some((process, issuer)) = spawn(&setup) {
                return Self {
                    process,
                    issuer,
                    setup,
                };
            }
        }
        panic!("the provider did not start in {ATTEMPTS} attempts, of {START_TIMEOUT:?} at most");
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// A client of this provider that uses discovery.
    pub(crate) fn client(&self, id: &str, who: ClientAuthentication) -> Client {
        self.builder(id, who).build().unwrap()
    }

    pub(crate) fn builder(&self, id: &str, who: ClientAuthentication) -> ClientBuilder {
        Client::builder(id)
            .issuer(self.issuer())
            .authentication(who)
    }

    /// Ends the process at once, as `kill -9` does. All its state is lost.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the provider again on the same port.
    pub(crate) fn start_again(&mut self) {
        (self.process, self.issuer) = spawn(&self.setup).expect("the provider starts again");
    }

    /// Signs `anna` in with PKCE (RFC 7636), like a browser. Returns the token response.
    ///
    /// The client must be [`desktop`] or have the same settings.
    pub(crate) async fn sign_in(&self, client_id: &str, scope: &str) -> Value {
        self.sign_in_with(client_id, scope, HeaderMap::new()).await
    }

    /// The same with these fields on the token request.
    pub(crate) async fn sign_in_with(
        &self,
        client_id: &str,
        scope: &str,
        fields: HeaderMap,
    ) -> Value {
        let browser = browser();
        let mut start = Url::parse(&self.url("/auth")).unwrap();
        start
            .query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", REDIRECT)
            .append_pair("scope", scope)
            .append_pair("prompt", "consent")
            // The challenge of the verifier below, from RFC 7636 appendix B.
            .append_pair(
                "code_challenge",
                "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            )
            .append_pair("code_challenge_method", "S256");
        let mut url = start;
        let code = loop {
            let response = browser.get(url.clone()).send().await.unwrap();
            let location = response.headers().get("location").expect("a redirect");
            url = url.join(location.to_str().unwrap()).unwrap();
            if url.as_str().starts_with(REDIRECT) {
                break url
                    .query_pairs()
                    .find(|(name, _)| name == "code")
                    .map(|(_, code)| code.into_owned());
            }
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("code", &code.expect("the server gave a code")),
            ("redirect_uri", REDIRECT),
            (
                "code_verifier",
                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            ),
        ];
        let response = browser
            .post(self.url("/token"))
            .headers(fields)
            .form(&form)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// Allows the sign-in of a device (RFC 8628), like a person who opens its `verification_uri_complete`.
    pub(crate) async fn approve_device(&self, verification_uri_complete: &str) {
        let (browser, mut response) = self
            .respond_to_device(verification_uri_complete, "confirm")
            .await;
        while let Some(location) = response.headers().get("location") {
            let next = response.url().join(location.to_str().unwrap()).unwrap();
            response = browser.get(next).send().await.unwrap();
        }
        assert_eq!(response.status(), 200);
    }

    /// Denies the sign-in of a device.
    pub(crate) async fn deny_device(&self, verification_uri_complete: &str) {
        // The response is a page that reports an error.
        self.respond_to_device(verification_uri_complete, "abort")
            .await;
    }

    async fn respond_to_device(
        &self,
        verification_uri_complete: &str,
        button: &str,
    ) -> (reqwest::Client, reqwest::Response) {
        let browser = browser();
        let url = Url::parse(verification_uri_complete).unwrap();
        let code = url.query_pairs().find(|(name, _)| name == "user_code");
        let code = code.expect("the user code").1.into_owned();
        let page = browser.get(url).send().await.unwrap().text().await.unwrap();
        let xsrf = attribute_after(&page, "name=\"xsrf\"", "value");
        let form = [
            ("xsrf", xsrf.as_str()),
            ("user_code", &code),
            (button, "yes"),
        ];
        let request = browser.post(self.url("/device")).form(&form);
        let response = request.send().await.unwrap();
        (browser, response)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // The process may have ended already.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// A client with a secret, as RFC 7591 describes it.
pub(crate) fn with_secret(id: &str, secret: &str, method: &str) -> Value {
    json!({
        "client_id": id,
        "client_secret": secret,
        "token_endpoint_auth_method": method,
        "grant_types": ["client_credentials", TOKEN_EXCHANGE],
    })
}

/// A client with a key.
pub(crate) fn with_key(id: &str, key: &SigningKey) -> Value {
    let jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    json!({
        "client_id": id,
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": key.signs_as().name(),
        "jwks": {"keys": [jwk]},
        "grant_types": ["client_credentials", JWT_BEARER],
    })
}

/// A desktop program, which has no secret.
pub(crate) fn desktop(id: &str) -> Value {
    json!({
        "client_id": id,
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE],
        "response_types": ["code"],
        "redirect_uris": [REDIRECT],
    })
}

/// A client that keeps cookies and does not follow redirects.
pub(crate) fn browser() -> reqwest::Client {
    reqwest::Client::builder()
        .cookie_store(true)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

/// The value of the attribute that follows a mark in a page.
fn attribute_after(page: &str, mark: &str, name: &str) -> String {
    let rest = page.split_once(mark).expect("the mark is in the page").1;
    let value = rest
        .split_once(&format!("{name}=\""))
        .expect("the attribute")
        .1;
    value.split('"').next().unwrap().to_owned()
}

/// Starts the process and waits until it listens. `None` if it ended, for instance because another program took the port.
fn spawn(setup: &Value) -> Option<(Child, String)> {
    let modules = modules();
    assert!(
        modules.join("node_modules/oidc-provider").exists(),
        "the provider is not installed: `cargo xtask test oauth` does that"
    );
    let mut process = Command::new("node")
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/real_servers/oidc-provider/provider.mjs"),
        )
        .arg("-")
        .env("KEYFOB_PROVIDER_MODULES", modules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node is installed");
    // The pipe closes when this process ends in any way, and then the provider ends too.
    let input = process.stdin.as_mut().unwrap();
    writeln!(input, "{setup}").unwrap();
    let output = process.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // The receiver is gone after the first line.
            _ = sender.send(line);
        }
    });
    match receiver.recv_timeout(START_TIMEOUT) {
        Ok(issuer) => Some((process, issuer)),
        Err(_) => {
            _ = process.kill();
            _ = process.wait();
            None
        }
    }
}

/// The folder of the packages, in the build folder of cargo.
fn modules() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
        .join("provider")
}

pub(crate) const REDIRECT: &str = "http://127.0.0.1/callback";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 3;
