//! Requests that must not get through the proxy, as a table: those of strangers, and those that a web page has caused (P3).
//!
//! To add a case, add a line to a table. `{port}` is the port of the proxy, `{secret}` the secret of its client, `{basic:X}` is `X`
//! in Base64. Each request goes over a connection of its own. None may reach the upstream, and no response may show a secret.

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

/// What a case is about, the lines of its request, and the statuses of which its response has one. A request that the parser refuses
/// has the status 400 in every case.
type Case = (&'static str, &'static [&'static str], &'static [u16]);

/// Requests without the right secret. The host is right unless they name one.
const STRANGERS: &[Case] = &[
    ("no secret", &["GET /x"], &[401]),
    (
        "an empty secret",
        &["GET /x", "Keyfob-Client-Secret:"],
        &[401],
    ),
    (
        "a wrong secret",
        &[
            "GET /x",
            "Keyfob-Client-Secret: 0123456789abcdef0123456789abcdef",
        ],
        &[401],
    ),
    (
        "a secret and one more character",
        &["GET /x", "Keyfob-Client-Secret: {secret}x"],
        &[401],
    ),
    (
        "half of a secret twice",
        &["GET /x", "Keyfob-Client-Secret: {secret}{secret}"],
        &[401],
    ),
    (
        "a secret in other words",
        &["GET /x", "Keyfob-Client-Secret: secret={secret}"],
        &[401],
    ),
    (
        "a quoted secret",
        &["GET /x", "Keyfob-Client-Secret: \"{secret}\""],
        &[401],
    ),
    (
        "the right secret twice",
        &[
            "GET /x",
            "Keyfob-Client-Secret: {secret}",
            "Keyfob-Client-Secret: {secret}",
        ],
        &[400],
    ),
    (
        "a wrong and a right secret",
        &[
            "GET /x",
            "Keyfob-Client-Secret: wrong",
            "Keyfob-Client-Secret: {secret}",
        ],
        &[400],
    ),
    (
        "a right and a wrong secret",
        &[
            "GET /x",
            "Keyfob-Client-Secret: {secret}",
            "Keyfob-Client-Secret: wrong",
        ],
        &[400],
    ),
    (
        "a wrong bearer token",
        &["GET /x", "Authorization: Bearer wrong"],
        &[401],
    ),
    (
        "an empty bearer token",
        &["GET /x", "Authorization: Bearer "],
        &[401],
    ),
    (
        "a scheme alone",
        &["GET /x", "Authorization: Bearer"],
        &[401],
    ),
    (
        "a bearer token of two words",
        &["GET /x", "Authorization: Bearer {secret} {secret}"],
        &[401],
    ),
    (
        "a scheme twice",
        &["GET /x", "Authorization: Bearer Bearer {secret}"],
        &[401],
    ),
    (
        "two bearer tokens",
        &[
            "GET /x",
            "Authorization: Bearer {secret}",
            "Authorization: Bearer {secret}",
        ],
        &[400],
    ),
    (
        "a list of credentials",
        &["GET /x", "Authorization: Bearer wrong, Bearer {secret}"],
        &[401],
    ),
    (
        "another scheme",
        &["GET /x", "Authorization: Digest {secret}"],
        &[401],
    ),
    (
        "a scheme of its own",
        &["GET /x", "Authorization: Token {secret}"],
        &[401],
    ),
    (
        "a wrong password",
        &["GET /x", "Authorization: Basic {basic:client:wrong}"],
        &[401],
    ),
    (
        "the secret as the user of another password",
        &["GET /x", "Authorization: Basic {basic:{secret}:x}"],
        &[401],
    ),
    (
        "a password without a colon",
        &["GET /x", "Authorization: Basic {basic:{secret}}"],
        &[401],
    ),
    (
        "no Base64",
        &["GET /x", "Authorization: Basic {secret}"],
        &[401],
    ),
    (
        "a wrong secret before a right one of another field",
        &[
            "GET /x",
            "Keyfob-Client-Secret: wrong",
            "Authorization: Bearer {secret}",
        ],
        &[401],
    ),
    (
        "a wrong proxy secret before a right token",
        &[
            "GET /x",
            "Proxy-Authorization: Bearer wrong",
            "Authorization: Bearer {secret}",
        ],
        &[401],
    ),
    (
        "a wrong proxy secret",
        &["GET /x", "Proxy-Authorization: Basic {basic:client:wrong}"],
        &[401],
    ),
    (
        "the secret in the query",
        &["GET /x?secret={secret}&access_token={secret}"],
        &[401],
    ),
    ("the secret in the path", &["GET /{secret}/x"], &[401]),
    (
        "the secret in a cookie",
        &["GET /x", "Cookie: Keyfob-Client-Secret={secret}"],
        &[401],
    ),
    (
        "the secret in a field of an API",
        &["GET /x", "X-Api-Key: {secret}"],
        &[401],
    ),
    (
        "a field with underscores",
        &["GET /x", "Keyfob_Client_Secret: {secret}"],
        &[401],
    ),
    (
        "a field whose name has a space",
        &["GET /x", "Keyfob-Client-Secret : {secret}"],
        &[400],
    ),
    (
        "a secret on a folded line",
        &["GET /x", "X-A: b", " Keyfob-Client-Secret: {secret}"],
        &[401],
    ),
    (
        "a secret in the body",
        &["POST /x", "Content-Length: 9", "", "secret=x"],
        &[401],
    ),
    (
        "a secret that another route's client has",
        &[
            "GET /x",
            "Keyfob-Client-Secret: the-secret-of-another-client",
        ],
        &[403],
    ),
    (
        "a user in the target",
        &["GET http://client:{secret}@127.0.0.1:{port}/x"],
        &[401, 421],
    ),
];

/// Requests with the right secret that name another host than the proxy.
const HOSTS: &[Case] = &[
    ("no host", &["GET /x", "!Host"], &[421]),
    ("an empty host", &["GET /x", "Host:"], &[421]),
    ("another host", &["GET /x", "Host: evil.example"], &[421]),
    (
        "another host with the port",
        &["GET /x", "Host: evil.example:{port}"],
        &[421],
    ),
    (
        "a name that resolves to this machine",
        &["GET /x", "Host: 127.0.0.1.nip.io:{port}"],
        &[421],
    ),
    (
        "a name that begins like this machine",
        &["GET /x", "Host: localhost.evil.example:{port}"],
        &[421],
    ),
    (
        "a name that ends like this machine",
        &["GET /x", "Host: evil.localhost:{port}"],
        &[421],
    ),
    (
        "the address without its port",
        &["GET /x", "Host: 127.0.0.1"],
        &[421],
    ),
    (
        "the name without its port",
        &["GET /x", "Host: localhost"],
        &[421],
    ),
    ("another port", &["GET /x", "Host: 127.0.0.1:1"], &[421]),
    (
        "a port with a zero",
        &["GET /x", "Host: 127.0.0.1:0{port}"],
        &[421],
    ),
    ("an empty port", &["GET /x", "Host: 127.0.0.1:"], &[421]),
    (
        "another loopback address",
        &["GET /x", "Host: 127.0.0.2:{port}"],
        &[421],
    ),
    ("any address", &["GET /x", "Host: 0.0.0.0:{port}"], &[421]),
    (
        "any address of IPv6",
        &["GET /x", "Host: [::]:{port}"],
        &[421],
    ),
    (
        "an address of IPv4 in IPv6",
        &["GET /x", "Host: [::ffff:127.0.0.1]:{port}"],
        &[421],
    ),
    ("a short address", &["GET /x", "Host: 127.1:{port}"], &[421]),
    (
        "an address as a number",
        &["GET /x", "Host: 2130706433:{port}"],
        &[421],
    ),
    (
        "an address in hexadecimal",
        &["GET /x", "Host: 0x7f.0.0.1:{port}"],
        &[421],
    ),
    (
        "a name with a dot at its end",
        &["GET /x", "Host: localhost.:{port}"],
        &[421],
    ),
    (
        "a user before the host",
        &["GET /x", "Host: evil.example@127.0.0.1:{port}"],
        &[421],
    ),
    (
        "two hosts in one field",
        &["GET /x", "Host: 127.0.0.1:{port}, evil.example"],
        &[421],
    ),
    (
        "the same host twice",
        &["GET /x", "Host: 127.0.0.1:{port}", "Host: 127.0.0.1:{port}"],
        &[400],
    ),
    (
        "two hosts",
        &["GET /x", "Host: 127.0.0.1:{port}", "Host: evil.example"],
        &[400],
    ),
    (
        "a path after the host",
        &["GET /x", "Host: 127.0.0.1:{port}/x"],
        &[421],
    ),
    (
        "a scheme before the host",
        &["GET /x", "Host: http://127.0.0.1:{port}"],
        &[421],
    ),
    (
        "a percent sign in the host",
        &["GET /x", "Host: localhost%00:{port}"],
        &[421],
    ),
    (
        "a host outside of ASCII",
        &["GET /x", "Host: löcalhost:{port}"],
        &[421],
    ),
    (
        "another host in the target",
        &["GET http://evil.example/x"],
        &[421],
    ),
    (
        "another host in the target than in the field",
        &["GET http://127.0.0.1:{port}/x", "Host: evil.example"],
        &[421],
    ),
    (
        "a tunnel to another host",
        &["CONNECT evil.example:443"],
        &[405, 421],
    ),
    (
        "a tunnel to a metadata service",
        &["CONNECT 169.254.169.254:80"],
        &[405, 421],
    ),
];

/// Requests with the right secret and host, as a browser sends them for a page of another site.
const PAGES: &[Case] = &[
    (
        "a page of another site",
        &["GET /x", "Origin: https://evil.example"],
        &[403],
    ),
    (
        "a page without an origin",
        &["GET /x", "Origin: null"],
        &[403],
    ),
    ("an empty origin", &["GET /x", "Origin:"], &[403]),
    (
        "a page of another port",
        &["GET /x", "Origin: http://127.0.0.1:1"],
        &[403],
    ),
    (
        "a page without a port",
        &["GET /x", "Origin: http://127.0.0.1"],
        &[403],
    ),
    (
        "a page of another name of this machine",
        &["GET /x", "Origin: http://localhost:{port}"],
        &[403],
    ),
    (
        "a page by https",
        &["GET /x", "Origin: https://127.0.0.1:{port}"],
        &[403],
    ),
    (
        "a page of an extension",
        &["GET /x", "Origin: chrome-extension://abcdefgh"],
        &[403],
    ),
    ("a page of a file", &["GET /x", "Origin: file://"], &[403]),
    (
        "an origin with a user",
        &["GET /x", "Origin: http://127.0.0.1:{port}@evil.example"],
        &[403],
    ),
    (
        "an origin that begins alike",
        &["GET /x", "Origin: http://127.0.0.1:{port}.evil.example"],
        &[403],
    ),
    (
        "a list of origins",
        &[
            "GET /x",
            "Origin: http://127.0.0.1:{port} https://evil.example",
        ],
        &[403],
    ),
    (
        "two origins",
        &[
            "GET /x",
            "Origin: http://127.0.0.1:{port}",
            "Origin: https://evil.example",
        ],
        &[400],
    ),
    (
        "a request across sites",
        &["GET /x", "Sec-Fetch-Site: cross-site"],
        &[403],
    ),
    (
        "a request of another port",
        &["GET /x", "Sec-Fetch-Site: same-site"],
        &[403],
    ),
    (
        "a word that no browser sends",
        &["GET /x", "Sec-Fetch-Site: Same-Origin"],
        &[403],
    ),
    ("an empty word", &["GET /x", "Sec-Fetch-Site:"], &[403]),
    (
        "two words",
        &[
            "GET /x",
            "Sec-Fetch-Site: none",
            "Sec-Fetch-Site: cross-site",
        ],
        &[400],
    ),
    (
        "a list of words",
        &["GET /x", "Sec-Fetch-Site: none, cross-site"],
        &[403],
    ),
    (
        "a form of another site",
        &[
            "POST /x",
            "Sec-Fetch-Site: cross-site",
            "Content-Type: text/plain",
            "Content-Length: 0",
        ],
        &[403],
    ),
    (
        "an image of another site",
        &[
            "GET /x",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Dest: image",
        ],
        &[403],
    ),
    (
        "a right origin across sites",
        &[
            "GET /x",
            "Origin: http://127.0.0.1:{port}",
            "Sec-Fetch-Site: cross-site",
        ],
        &[403],
    ),
    (
        "a preflight",
        &[
            "OPTIONS /x",
            "Origin: https://evil.example",
            "Access-Control-Request-Method: PUT",
        ],
        &[403],
    ),
    (
        "a preflight without an origin",
        &["OPTIONS /x", "Access-Control-Request-Method: GET"],
        &[403],
    ),
    (
        "a preflight of the same origin",
        &[
            "OPTIONS /x",
            "Origin: http://127.0.0.1:{port}",
            "Access-Control-Request-Method: GET",
        ],
        &[403],
    ),
    (
        "a preflight to a private network",
        &[
            "OPTIONS /x",
            "Origin: https://evil.example",
            "Access-Control-Request-Method: GET",
            "Access-Control-Request-Private-Network: true",
        ],
        &[403],
    ),
    (
        "a socket of another site",
        &[
            "GET /x",
            "Origin: https://evil.example",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ],
        &[403],
    ),
];

/// Requests that must get through, so that the tables show more than a proxy that refuses all.
const GUESTS: &[&[&str]] = &[
    &["GET /x", "Keyfob-Client-Secret: {secret}"],
    &["GET /x", "keyfob-client-secret:{secret}"],
    &["GET /x", "Authorization: Bearer {secret}"],
    &["GET /x", "authorization: bearer {secret}"],
    &["GET /x", "Authorization: Basic {basic:anything:{secret}}"],
    &["GET /x", "Authorization: Basic {basic:{secret}:}"],
    &[
        "GET /x",
        "Proxy-Authorization: Bearer {secret}",
        "Authorization: Bearer of-the-program",
    ],
    &[
        "GET /x",
        "Keyfob-Client-Secret: {secret}",
        "Host: LOCALHOST:{port}",
    ],
    &[
        "GET /x",
        "Keyfob-Client-Secret: {secret}",
        "Host: [::1]:{port}",
    ],
    &[
        "GET /x",
        "Keyfob-Client-Secret: {secret}",
        "Host: declared.example",
    ],
    &[
        "GET /x",
        "Keyfob-Client-Secret: {secret}",
        "Origin: http://127.0.0.1:{port}",
        "Sec-Fetch-Site: same-origin",
    ],
    &[
        "GET /x",
        "Keyfob-Client-Secret: {secret}",
        "Sec-Fetch-Site: none",
    ],
    &["OPTIONS /x", "Keyfob-Client-Secret: {secret}"],
];

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
    let with_secret = ["Keyfob-Client-Secret: {secret}"];
    let tables = [
        (STRANGERS, &[][..]),
        (HOSTS, &with_secret),
        (PAGES, &with_secret),
    ];
    for (cases, added) in tables {
        for (about, lines, expected) in cases {
            let response = send(&proxy, lines, added);
            let status = response.status();
            if status != 400 && !expected.contains(&status) {
                wrong.push(format!("{about}: {expected:?} expected, got {response:?}"));
            }
            if response.0.contains(SECRET) || response.0.contains("t0ken") {
                wrong.push(format!("{about}: the response shows a secret"));
            }
            if response.0.to_ascii_lowercase().contains("access-control-") {
                wrong.push(format!(
                    "{about}: the response allows another site to read it"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.calls(), 0);
    for lines in GUESTS {
        let response = send(&proxy, lines, &[]);
        assert_eq!(response.status(), 200, "{lines:?}: {response:?}");
    }
    assert_eq!(server.calls(), GUESTS.len());
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

/// Sends a request with these lines, the first of which is its method and target, and these further ones.
fn send(proxy: &Proxy, lines: &[&str], added: &[&str]) -> RawResponse {
    let address = proxy.address();
    let port = address
        .rsplit(':')
        .next()
        .expect("it has a port")
        .to_owned();
    let (first, lines) = lines.split_first().expect("a case has a line");
    let mut request = format!("{first} HTTP/1.1\r\n");
    let has_host = lines
        .iter()
        .any(|line| line.starts_with("Host:") || *line == "!Host");
    if !has_host {
        request.push_str("Host: 127.0.0.1:{port}\r\n");
    }
    let lines = added.iter().chain(lines).filter(|line| **line != "!Host");
    lines.for_each(|line| request.push_str(&format!("{line}\r\n")));
    request.push_str("\r\n");
    let request = request.replace("{secret}", SECRET).replace("{port}", &port);
    proxy.over_tcp(&with_base64(&request))
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
