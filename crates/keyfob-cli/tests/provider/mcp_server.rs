//! A sign-in to a server of the Model Context Protocol, by its URL alone, and requests with its tokens.

use std::thread::sleep;
use std::time::Duration;

use url::Url;

use crate::keyfob::{Finished, Folder, Keyfob};
use crate::pending_sign_in::{PendingSignIn, get};
use crate::server::McpServer;

#[test]
fn one_sign_in_by_url_serves_requests_also_after_the_token_has_expired() {
    let (folder, server) = (Folder::new(), McpServer::start(LIFETIME.as_secs()));
    let done = sign_in(&folder, &server, &[]);
    assert_eq!(done.code, 0, "{done:?}");
    let first = token(&folder, &server);

    let done = post(&folder, &server, INITIALIZE);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("\"serverInfo\""), "{done:?}");
    let done = post(&folder, &server, CALL);
    assert!(done.stdout.contains("hello from a tool"), "{done:?}");

    // Twice, because the server accepts each refresh token once.
    let mut tokens = vec![first];
    for _ in 0..2 {
        sleep(LIFETIME + Duration::from_secs(1));
        let done = post(&folder, &server, INITIALIZE);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.contains("\"serverInfo\""), "{done:?}");
        tokens.push(token(&folder, &server));
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "each life has a token of its own");
}

#[test]
fn a_second_account_uses_the_registration_of_the_first() {
    let (folder, server) = (Folder::new(), McpServer::start(60));
    assert_eq!(sign_in(&folder, &server, &["--profile=one"]).code, 0);
    let done = sign_in(&folder, &server, &["--profile=two"]);
    assert_eq!(done.code, 0, "{done:?}");
    let file = std::fs::read_to_string(folder.path("keyfob.toml")).expect("it was written");
    let mut clients: Vec<_> = file
        .lines()
        .filter(|line| line.starts_with("client_id"))
        .collect();
    assert_eq!(clients.len(), 2, "{file}");
    clients.dedup();
    assert_eq!(clients.len(), 1, "{file}");
}

/// Signs in. The browser follows the redirect of the server, as every browser does.
fn sign_in(folder: &Folder, server: &McpServer, more: &[&str]) -> Finished {
    let arguments = ["login", &server.url, "--yes", "--no-browser"];
    let arguments = [&arguments, more].concat();
    let mut sign_in = PendingSignIn::start(keyfob(folder, &arguments));
    let page = get(sign_in.address().as_str());
    let mut headers = page.lines().filter_map(|line| line.split_once(": "));
    let location = headers.find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let (_, location) = location.unwrap_or_else(|| panic!("no redirect: {page}"));
    get(location);
    sign_in.finish()
}

fn post(folder: &Folder, server: &McpServer, message: &str) -> Finished {
    let arguments = [
        "request",
        "-X",
        "POST",
        &server.url,
        "-H",
        ACCEPT,
        "--fail",
        "--json",
        message,
    ];
    keyfob(folder, &arguments).run()
}

fn token(folder: &Folder, server: &McpServer) -> String {
    let url = Url::parse(&server.url).expect("it is a URL");
    let name = format!("127.0.0.1-{}", url.port().expect("it has a port"));
    keyfob(folder, &["token", "--profile", &name]).run().stdout
}

fn keyfob(folder: &Folder, arguments: &[&str]) -> Keyfob {
    let path = |name: &str| folder.path(name).display().to_string();
    Keyfob::new(arguments)
        .env("KEYFOB_CONFIG", &path("keyfob.toml"))
        .env("XDG_STATE_HOME", &path("state"))
}

const LIFETIME: Duration = Duration::from_secs(3);

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"greet","arguments":{}}}"#;

const ACCEPT: &str = "Accept: application/json, text/event-stream";
