//! Requests that must not get through the proxy, as a table: those of strangers, and those that a web page has caused (P3).
//!
//! The table is in `hostile_requests.txt`. Each request goes over a connection of its own. None but the guests may reach the upstream,
//! and no response may show a secret.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob_testkit::{Expect, ScriptedResponse, Server};
use rustix::process::geteuid;

use crate::proxy::{Proxy, RawResponse, folder, get, profile};
use crate::waiting::wait_until;

/// The tables; their form is explained there.
const CASES: &str = include_str!("hostile_requests.txt");

#[test]
fn p3_no_stranger_and_no_web_page_gets_through() {
    let server = upstream();
    let folder = folder();
    for (name, secret) in [("secret", SECRET), ("other", OTHER)] {
        let path = folder.path().join(name);
        fs::write(&path, format!("{secret}\n")).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }
    let path = |name| folder.path().join(name).display().to_string();
    let config = format!(
        "{}[proxy]\nclients = {{ client = \"file:{}\", other = \"file:{}\" }}\nhosts = \"declared.example\"\n\
         [proxy.routes.api]\nclients = \"client\"\nlisten = \"127.0.0.1:0\"\n",
        profile(&server),
        path("secret"),
        path("other"),
    );
    let proxy = Proxy::start_in(folder, &[], &config, |keyfob| keyfob);
    let mut wrong = Vec::new();
    let mut reached = 0;
    for case in cases() {
        let response = send(&proxy, &case);
        let (about, status) = (case.about, response.status());
        let is_refused = status == 400 && case.table != "guests";
        if !is_refused && !case.expected.contains(&status) {
            wrong.push(format!(
                "{about}: {:?} expected, got {response:?}",
                case.expected
            ));
        }
        reached += usize::from(case.table == "guests");
        if server.calls() != reached {
            wrong.push(format!(
                "{about}: {} requests have reached the upstream",
                server.calls()
            ));
        }
        if response.0.contains(SECRET) || response.0.contains("t0ken") {
            wrong.push(format!("{about}: the response shows a secret"));
        }
        if response.0.to_ascii_lowercase().contains("access-control-") {
            wrong.push(format!("{about}: another site may read the response"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(reached > 10);
    assert!(!proxy.stderr().contains(SECRET) && !proxy.stdout().contains(SECRET));
}

#[test]
fn p3_a_unix_socket_needs_no_secret_and_takes_no_wrong_one() {
    let server = upstream();
    let proxy = Proxy::start(&["api"], &profile(&server));
    for (headers, status) in [
        ("", 200),
        // Many programs cannot send a request without some key.
        ("Authorization: Bearer a-key-of-the-program\r\n", 200),
        ("Keyfob-Client-Secret: wrong\r\n", 401),
        ("Proxy-Authorization: Bearer wrong\r\n", 401),
        ("Origin: https://evil.example\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
    ] {
        let response = proxy.over_socket(&get("/x", headers));
        assert_eq!(response.status(), status, "{headers}: {response:?}");
    }
    let other_host = proxy.over_socket("GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(other_host.status(), 421, "{other_host:?}");
    assert_eq!(server.calls(), 2);
}

#[test]
fn p3_a_process_of_another_user_is_refused() {
    if !geteuid().is_root() {
        eprintln!("skipped: only the administrator can start a program as another user");
        return;
    }
    let server = upstream();
    let proxy = Proxy::start(&["api"], &profile(&server));
    let socket = proxy.socket();
    let as_nobody = || {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-m", "10", "--unix-socket"])
            .args([socket.as_os_str(), "http://localhost/x".as_ref()]);
        curl.uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
        curl.output().expect("there is curl")
    };
    let by_mode = as_nobody();
    assert_eq!(by_mode.status.code(), Some(7), "{by_mode:?}");
    // Even if each file let it: the kernel says who asks.
    for (path, mode) in [
        ("", 0o755),
        ("run", 0o755),
        ("run/keyfob", 0o755),
        ("run/keyfob/proxy.sock", 0o666),
    ] {
        fs::set_permissions(proxy.path(path), fs::Permissions::from_mode(mode))
            .expect("it is ours");
    }
    let by_user = as_nobody();
    assert!(
        !by_user.status.success() && by_user.stdout.is_empty(),
        "{by_user:?}"
    );
    // So it was the proxy that closed the connection, and not the mode of a file.
    wait_until("the refusal is logged", || {
        proxy
            .stderr()
            .contains("a connection of another user was refused")
            .then_some(())
    });
    assert_eq!(server.calls(), 0);
}

/// A server that answers every request.
pub(crate) fn upstream() -> Server {
    let server = Server::start();
    server.expect(
        Expect::any()
            .bearer("t0ken")
            .always(ScriptedResponse::text("done")),
    );
    server
}

/// A line of a table.
struct Case {
    table: &'static str,
    about: &'static str,
    expected: Vec<u16>,
    /// Method and target, and header fields.
    lines: Vec<&'static str>,
}

fn cases() -> Vec<Case> {
    let mut table = "";
    let mut cases = Vec::new();
    for line in CASES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
            continue;
        }
        let mut cells = line.split(" | ");
        let mut next = || {
            cells
                .next()
                .unwrap_or_else(|| panic!("a cell is missing: {line}"))
        };
        let (about, expected) = (next(), next());
        let expected = expected
            .split(' ')
            .map(|status| status.parse().expect("a status"));
        cases.push(Case {
            table,
            about,
            expected: expected.collect(),
            lines: cells.collect(),
        });
    }
    cases
}

/// Sends the request of a case.
fn send(proxy: &Proxy, case: &Case) -> RawResponse {
    let address = proxy.address();
    let port = address
        .rsplit(':')
        .next()
        .expect("it has a port")
        .to_owned();
    let (first, lines) = case.lines.split_first().expect("a case has a target");
    let mut request = format!("{first} HTTP/1.1\r\n");
    if !lines
        .iter()
        .any(|line| line.starts_with("Host:") || *line == "!Host")
    {
        request.push_str("Host: 127.0.0.1:{port}\r\n");
    }
    if ["hosts", "pages"].contains(&case.table) {
        request.push_str("Keyfob-Client-Secret: {secret}\r\n");
    }
    for line in lines.iter().filter(|line| **line != "!Host") {
        request.push_str(&format!("{line}\r\n"));
    }
    request.push_str("\r\n");
    let request = request.replace("{secret}", SECRET).replace("{port}", &port);
    proxy.over_tcp(&with_base64(&request.replace("{nothing}", "")))
}

/// Replaces each `{basic:…}`.
fn with_base64(text: &str) -> String {
    let mut parts = text.split("{basic:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once('}').expect("it is closed");
        out.push_str(&STANDARD.encode(inner));
        out.push_str(rest);
    }
    out
}

const SECRET: &str = "the-secret-of-the-client-0123456789";
const OTHER: &str = "the-secret-of-another-client";
const NOBODY: u32 = 65534;
