//! What keeps `keyfob proxy` from starting, and what it says about it.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::keyfob::Finished;
use crate::proxy::{Proxy, ask_at, folder, get, keyfob, profile};
use crate::proxy_admission::upstream;
use crate::waiting::wait_until;

#[test]
fn the_socket_is_for_its_owner_alone_and_the_route_is_the_whole_socket() {
    let server = upstream();
    let proxy = Proxy::start(&["api"], &profile(&server));
    let mode = |path: &std::path::Path| {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    };
    let socket = proxy.socket();
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().expect("it has one")), 0o700);
    assert_eq!(proxy.over_socket(&get("/x", "")).body(), "done");
    assert!(
        proxy
            .stderr()
            .contains(&format!("{} leads to ", socket.display()))
    );
    assert_eq!(proxy.stdout(), "");
}

#[test]
fn several_routes_share_an_address_by_path() {
    let server = Server::start();
    server.expect(Expect::get("/a").respond(ScriptedResponse::text("of a")));
    server.expect(Expect::get("/b").respond(ScriptedResponse::text("of b")));
    let config = profile(&server);
    let config = format!("{config}{}", config.replace("profiles.api", "profiles.b"));
    let proxy = Proxy::start(&["api", "--profile", "b"], &config);
    assert_eq!(proxy.over_socket(&get("/api/a", "")).body(), "of a");
    assert_eq!(proxy.over_socket(&get("/b/b", "")).body(), "of b");
    assert_eq!(proxy.over_socket(&get("/a", "")).status(), 404);
}

#[test]
fn allowed_methods_and_paths_are_those_of_the_options() {
    let server = upstream();
    let arguments = ["api", "--allow-method", "GET", "--allow-path", "/x"];
    let proxy = Proxy::start(&arguments, &profile(&server));
    assert_eq!(proxy.over_socket(&get("/x", "")).status(), 200);
    assert!([403, 404].contains(&proxy.over_socket(&get("/y", "")).status()));
    let post = get("/x", "Content-Length: 0\r\n").replace("GET", "POST");
    assert!([403, 405].contains(&proxy.over_socket(&post).status()));
    assert_eq!(server.calls(), 1);
}

#[test]
fn an_option_that_limits_a_route_leaves_the_other_limits_of_the_file() {
    let server = upstream();
    let limits = "[proxy.routes.api]\nmethods = [\"GET\"]\npaths = [\"/x\"]\n";
    let file = format!("{}{limits}", profile(&server));
    let post = get("/x", "Content-Length: 0\r\n").replace("GET", "POST");
    for (option, value) in [("--allow-method", "GET"), ("--allow-path", "/x")] {
        let proxy = Proxy::start(&["api", option, value], &file);
        assert_eq!(proxy.over_socket(&get("/x", "")).status(), 200, "{option}");
        assert_eq!(proxy.over_socket(&get("/y", "")).status(), 403, "{option}");
        assert_eq!(proxy.over_socket(&post).status(), 405, "{option}");
    }
    assert_eq!(server.calls(), 2);
}

#[test]
fn what_cannot_be_used_ends_the_proxy_with_a_message_and_code_2() {
    let server = upstream();
    let file = profile(&server);
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let taken = taken.local_addr().expect("it has one").to_string();
    let long = format!("/tmp/{}", "x".repeat(120));
    let two = format!("{file}{}", file.replace("profiles.api", "profiles.b"));
    for (arguments, config, words) in [
        (
            &["api", "--listen", &*taken][..],
            &*file,
            &["in use", &*taken][..],
        ),
        (
            &["api", "--listen", "0.0.0.0:0"],
            &file,
            &["other machines"],
        ),
        (&["api", "--socket", &long], &file, &["shorter"]),
        (
            &["api", "--socket", "relative.sock"],
            &file,
            &["not absolute"],
        ),
        (
            &["apii"],
            &file,
            &["there is no profile", "did you mean `api`"],
        ),
        (&[], &file, &["no route", "keyfob.toml"]),
        (
            &["api", "--client-secret-file", "/no/such/file"],
            &file,
            &["client's secret", "does not exist"],
        ),
        (&["api", "--host", "http://x"], &file, &["is no host"]),
        (
            &["api", "b", "--allow-method", "GET"],
            &two,
            &["for one route"],
        ),
        (
            &["api"],
            "[proxy]\nlistn = 1\n",
            &["unknown key `listn`", "did you mean `listen`", ":2:1:"],
        ),
        (&[], "[proxy.routes.x]\n", &["not in this file", ":1:15:"]),
        (
            &[],
            "[proxy.routes.\"..\"]\n",
            &["the name of a route", ":1:15:"],
        ),
        (
            &[],
            "[proxy.routes.\"a/b\"]\n",
            &["the name of a route", ":1:15:"],
        ),
    ] {
        let folder = folder();
        let done = keyfob(&folder, arguments, config).run();
        assert_eq!(
            (done.code, &*done.stdout),
            (2, ""),
            "{arguments:?} {done:?}"
        );
        for word in words {
            assert!(done.stderr.contains(word), "{word:?} is not in {done:?}");
        }
    }
    assert_eq!(server.calls(), 0);
}

#[test]
fn a_second_proxy_at_the_same_socket_is_refused_and_the_first_goes_on() {
    let server = upstream();
    let proxy = Proxy::start(&["api"], &profile(&server));
    let socket = proxy.socket().display().to_string();
    let second = keyfob(&folder(), &["api", "--socket", &socket], &profile(&server)).run();
    assert_eq!(second.code, 2, "{second:?}");
    assert!(
        second.stderr.contains("another process listens"),
        "{second:?}"
    );
    assert_eq!(proxy.over_socket(&get("/x", "")).status(), 200);
}

#[test]
fn a_route_that_needs_a_sign_in_is_reported_and_the_others_are_served() {
    let server = upstream();
    let config = format!(
        "{}[profiles.person]\nbase_url = \"https://api.example\"\n[profiles.person.token]\ngrant = \"device_code\"\n\
         issuer = \"https://issuer.example\"\nclient_id = \"keyfob\"\n",
        profile(&server)
    );
    let proxy = Proxy::start(&["api", "person"], &config);
    wait_until("the sign-in is asked for", || {
        let text = proxy.stderr();
        (text.contains("the route person has no token") && text.contains("keyfob login person"))
            .then_some(())
    });
    assert_eq!(proxy.over_socket(&get("/api/x", "")).status(), 200);
    assert!([502, 503].contains(&proxy.over_socket(&get("/person/x", "")).status()));
}

#[test]
fn p3_a_secret_may_come_from_an_inherited_descriptor() {
    let server = upstream();
    let folder = folder();
    let config = folder.path().join("keyfob.toml");
    fs::write(&config, profile(&server)).expect("the folder is ours");
    let program = env!("CARGO_BIN_EXE_keyfob");
    let line = format!(
        "exec 3<&0 0</dev/null; exec {program} proxy api --config {} --listen 127.0.0.1:0 --client-secret-file /dev/fd/3",
        config.display()
    );
    let mut child = Command::new("setsid")
        .args(["sh", "-c", &line])
        .env("TOKEN", "t0ken")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("every Linux has it");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(b"a-secret-through-a-pipe\n")
        .expect("it reads");
    drop(stdin);
    let mut first = String::new();
    let mut stderr = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
    std::io::BufRead::read_line(&mut stderr, &mut first).expect("it writes a line");
    let (_, rest) = first
        .split_once("http://")
        .unwrap_or_else(|| panic!("{first}"));
    let address = rest.split('/').next().expect("it has an address");
    let request = get("/x", "Authorization: Bearer a-secret-through-a-pipe\r\n");
    let response = ask_at(address, &request.replace("localhost", address));
    _ = child.kill();
    _ = child.wait();
    assert_eq!(response.status(), 200, "{response:?}");
}

#[test]
fn s1_a_new_secret_is_not_printed_into_the_journal() {
    let server = upstream();
    let folder = folder();
    let keyfob = keyfob(
        &folder,
        &["api", "--listen", "127.0.0.1:0"],
        &profile(&server),
    );
    let done: Finished = keyfob.env("JOURNAL_STREAM", "8:1").run();
    assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
    assert!(done.stderr.contains("--client-secret-file"), "{done:?}");
}

#[test]
fn a_person_at_a_terminal_is_shown_how_to_use_the_proxy() {
    let server = upstream();
    let folder = folder();
    let terminal = keyfob(&folder, &["api"], &profile(&server)).at_terminal();
    let mut child = terminal.start();
    let mut lines = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
    let mut text = String::new();
    while !text.contains("curl --unix-socket") {
        let length = std::io::BufRead::read_line(&mut lines, &mut text).expect("it is text");
        assert_ne!(length, 0, "{text}");
    }
    _ = child.kill();
    _ = child.wait();
    assert!(text.contains("proxy.sock http://localhost/"), "{text}");
}
