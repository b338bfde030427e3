//! Errors are one line and an exit code, and nothing is sent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use keyfob_testkit::Server;

use crate::keyfob::{Finished, Folder, Keyfob};

#[test]
fn without_a_token_nothing_is_sent() {
    let folder = Folder::new();
    let failing = folder.script("failing", "echo 'the vault is sealed' >&2; exit 3");
    let silent = folder.script("silent", "true");
    let garbage = folder.script("garbage", "echo '{\"half\": s3cret'");
    let missing = folder.path("missing");
    let missing = missing.to_str().expect("a plain path");
    for (option, value, message) in [
        ("--token-command", &*failing, "the vault is sealed"),
        ("--token-command", &silent, "it is empty"),
        ("--token-command", &garbage, "holds no token"),
        ("--token-command", "no-such-helper", "was not found"),
        (
            "--token-env",
            "NO_SUCH_VARIABLE",
            "NO_SUCH_VARIABLE is not set",
        ),
        ("--token-file", missing, "does not exist"),
    ] {
        let server = Server::start();
        let done = Keyfob::new(["request", &server.url(), option, value]).run();
        assert_eq!((done.code, &*done.stdout), (3, ""), "{done:?}");
        assert!(done.complaint().contains(message), "{done:?}");
        assert!(!done.stderr.contains("s3cret"), "{done:?}");
        assert_eq!(server.calls(), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn s3_what_a_helper_says_is_shown_at_a_terminal_without_secrets() {
    let folder = Folder::new();
    let helper = folder.script(
        "helper",
        "echo 'open https://login.example.com/device' >&2; echo 'token: s3cret' >&2; \
         printf '\\033[2Jbell\\a\\n' >&2; echo t0ken",
    );
    let run = || Keyfob::new(["token", "--token-command", &helper]);
    let shown = run().at_terminal().run();
    assert_eq!(shown.code, 0, "{shown:?}");
    let line = "helper: open https://login.example.com/device";
    assert!(
        shown.stdout.contains(line) && shown.stdout.contains("t0ken"),
        "{shown:?}"
    );
    assert!(!shown.stdout.contains("s3cret"), "{shown:?}");
    assert!(!shown.stdout.contains(['\u{1b}', '\u{7}']), "{shown:?}");
    let piped = run().run();
    assert_eq!((&*piped.stdout, &*piped.stderr), ("t0ken\n", ""));
}

#[test]
fn a_command_that_hangs_is_stopped_after_the_timeout() {
    let server = Server::start();
    let done = Keyfob::new([
        "request",
        &server.url(),
        "--token-command=sleep 600",
        "--token-timeout=0.2",
    ])
    .run();
    assert_eq!(done.code, 3, "{done:?}");
    assert!(
        done.complaint().contains("did not end within 200 ms"),
        "{done:?}"
    );
    assert_eq!(server.calls(), 0);
}

#[test]
fn the_token_is_not_sent_over_plain_http_to_another_machine() {
    let done = Keyfob::request(["http://api.example.invalid/"]).run();
    assert_eq!(done.code, 4);
    assert!(done.complaint().contains("--allow-plain-http"), "{done:?}");
    let done = Keyfob::request([
        "http://api.example.invalid/",
        "--allow-plain-http",
        "--retry=0",
    ])
    .run();
    assert_eq!(done.code, 6, "{done:?}");
}

#[test]
fn wrong_usage_has_exit_code_2() {
    for arguments in [
        &["request"][..],
        &["request", "GET"],
        &["request", "ftp://example.com/"],
        &["request", "http://["],
        &["request", "https://h/", "--data=a", "--json=1"],
        &["request", "https://h/", "--header=no value"],
        &["request", "https://h/", "--timeout=0"],
        &["request", "https://h/", "--query=novalue"],
        &["request", "https://h/", "--token-env=A", "--token-file=B"],
        &["request", "https://h/", "--token-command=unclosed '"],
        &["request", "https://h/", "--token-command="],
        &["token", "--format=nonsense"],
        &["nonsense"],
    ] {
        let done = Keyfob::new(arguments).env("KEYFOB_TOKEN", "t0ken").run();
        assert_eq!(
            (done.code, &*done.stdout),
            (2, ""),
            "{arguments:?}: {done:?}"
        );
        assert!(!done.stderr.is_empty());
    }
}

#[test]
fn exactly_one_source_must_be_named() {
    let none = Keyfob::new(["token"]).run();
    assert_eq!(none.code, 2);
    assert!(none.complaint().contains("--token-command"), "{none:?}");
    let two = Keyfob::new(["token"])
        .env("KEYFOB_TOKEN", "a")
        .env("KEYFOB_TOKEN_FILE", "b")
        .run();
    assert_eq!(two.code, 2);
    assert!(two.complaint().contains("more than one"), "{two:?}");
}

#[test]
fn a_refused_connection_is_told_in_words_without_the_query() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let url = format!(
        "http://{}/a?q=s3cret",
        listener.local_addr().expect("it is bound")
    );
    drop(listener);
    let done = Keyfob::request([&*url, "--retry", "0"]).run();
    assert_eq!(done.code, 7);
    let line = done.complaint();
    assert!(
        line.ends_with("check that it runs: connection refused"),
        "{line}"
    );
    assert!(!line.contains("s3cret") && !is_debug(&done), "{line}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let done = Keyfob::request(["https://h.invalid/", "-d", "@/no/such/file"]).run();
    assert_eq!(done.code, 26);
    let words = "/no/such/file cannot be read: no such file or directory";
    assert!(done.complaint().ends_with(words), "{done:?}");
    let done = Keyfob::request(["https://h.invalid/", "-T", "/"]).run();
    assert_eq!(done.code, 2, "{done:?}");
}

/// True if the output has the `Debug` form of an error.
fn is_debug(done: &Finished) -> bool {
    done.stderr.contains("Error(") || done.stderr.contains(" { ") || done.stderr.contains("kind:")
}

#[test]
fn nothing_from_outside_reaches_the_terminal_unfiltered() {
    let folder = Folder::new();
    let helper = folder.script(
        "helper",
        r"printf 'no\033[2J luck\302\233H\342\200\256\r\n' >&2; exit 1",
    );
    let done = Keyfob::new(["token", "--token-command", &helper]).run();
    assert!(done.complaint().ends_with("no luck"), "{done:?}");

    let redis = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = redis.local_addr().expect("it is bound").port();
    // Ends with the test program.
    thread::spawn(move || {
        for connection in redis.incoming() {
            let mut connection = connection.expect("the program connects");
            while matches!(connection.read(&mut [0; 4096]), Ok(1..)) {
                let refusal = "-ERR \u{1b}]0;title\u{7}no \u{9b}31mluck\u{202e}\r\n".repeat(9);
                let _ = connection.write_all(refusal.as_bytes());
            }
        }
    });
    folder.file("url", &format!("redis://127.0.0.1:{port}"));
    folder.file("key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    let path = |name: &str| folder.path(name).display().to_string();
    let profile = format!(
        "[profiles.a]\norigins = \"https://api.example.com\"\ntoken = \"env:TOKEN\"\n\
         [profiles.a.store]\nkind = \"redis\"\nurl = \"file:{}\"\nkeys = \"file:{}\"\n",
        path("url"),
        path("key"),
    );
    folder.file("keyfob.toml", &profile);
    let done = Keyfob::new(["status"])
        .env("KEYFOB_CONFIG", &path("keyfob.toml"))
        .run();
    let complaint = done.complaint();
    assert!(complaint.contains("luck"), "{done:?}");
    let odd = |c: char| c.is_control() || c == '\u{202e}';
    assert!(!complaint.contains(odd), "{done:?}");
}

#[test]
fn s1_a_secret_in_place_of_a_name_is_not_quoted() {
    let secret = "sk-live-51H8xYtABCDEF0123";
    let body = format!("--data=@{secret}");
    for arguments in [
        &["token", "--token-env", secret][..],
        &["token", "--token-file", secret],
        &["token", "--token-command", secret],
        &["token", "--profile", secret],
        &["token", "--config", secret, "--profile=a"],
        &["token", "--format", secret, "--token-env=HOME"],
        &["token", "--min-valid", secret, "--token-env=HOME"],
        &["token", secret],
        &[secret],
        &["login", secret],
        &["forget", secret],
        &["profile", "check", secret],
        &["man", secret],
        &["completions", secret],
        &["request", secret, "--token-env=HOME"],
        &[
            "request",
            "https://a.example",
            "-H",
            secret,
            "--token-env=HOME",
        ],
        &["request", "https://a.example", &body, "--token-env=HOME"],
    ] {
        let done = Keyfob::new(arguments).run();
        assert_ne!(done.code, 0, "{done:?}");
        assert!(!done.stderr.contains(secret), "{done:?}");
        assert!(!done.stderr.is_empty(), "{arguments:?}");
    }
}
