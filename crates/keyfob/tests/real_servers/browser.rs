//! A person signs in with a browser: Chromium, and the certified provider.
//!
//! `cargo xtask test browser` installs both and runs these tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyfob::TokenCache;
use keyfob::oauth::{AuthorizationCode, ClientAuthentication, RefreshToken};
use keyfob_testkit::json;

use crate::provider_server::{Provider, desktop};

/// Chromium without a window, with its own profile in this folder.
pub(crate) fn chromium(profile: &Path) -> Command {
    let mut command = Command::new("chromium");
    command
        .args([
            "--headless",
            // Tests may run as root, and then Chromium has no sandbox.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            "--no-proxy-server",
        ])
        .arg(format!("--user-data-dir={}", profile.display()));
    command
}

/// A browser with an empty profile, which is removed when this is dropped.
struct Browser(PathBuf);

impl Browser {
    fn new(name: &str) -> Self {
        let folder = format!("browser-{}-{name}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder))
    }

    /// The page at this address, as the browser shows it.
    fn open(&self, url: &str) -> String {
        let output = chromium(&self.0)
            .arg("--dump-dom")
            .arg(url)
            .stderr(Stdio::null())
            .output()
            .expect("chromium is installed: `cargo xtask test browser` does that");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // `cargo clean` removes the rest.
        _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_person_signs_in_and_the_browser_shows_the_result() {
    let provider = Provider::start(json!({"clients": [desktop("desktop")]}));
    let client = provider.client("desktop", ClientAuthentication::none());
    let flow = AuthorizationCode::new(client.clone()).scopes(["openid", "offline_access"]);
    let request = flow.start().await.unwrap();
    let url = request.url().to_owned();
    let page = tokio::task::spawn_blocking(move || Browser::new("in").open(&url));
    let (token, page) = tokio::join!(request.wait(), page);
    let page = page.unwrap();
    assert!(page.contains("<h1>You are signed in</h1>"), "{page}");

    let token = token.unwrap();
    assert!(client.introspect(&token).await.unwrap().is_active());
    let refresh = token.refresh_token().unwrap();
    let tokens = TokenCache::new(RefreshToken::new(client, refresh).unwrap());
    assert_ne!(
        tokens.get_valid_token().await.unwrap().expose(),
        token.expose()
    );
}

#[tokio::test]
async fn a_refused_person_sees_a_page_that_says_so() {
    let provider = Provider::start(json!({"clients": [desktop("desktop")]}));
    let client = provider.client("desktop", ClientAuthentication::none());
    // No person is signed in there yet, and with `prompt=none` the server must not ask one.
    let flow = AuthorizationCode::new(client).scopes(["openid"]);
    let request = flow.parameter("prompt", "none").start().await.unwrap();
    let url = request.url().to_owned();
    let page = tokio::task::spawn_blocking(move || Browser::new("out").open(&url));
    let (token, page) = tokio::join!(request.wait(), page);
    let page = page.unwrap();
    assert!(page.contains("<h1>You are not signed in</h1>"), "{page}");
    let error = token.unwrap_err();
    assert!(error.to_string().contains("`login_required`"), "{error}");
}
