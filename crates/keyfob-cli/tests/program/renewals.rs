//! `keyfob token` replaces a token that is no longer good enough.

use std::process::Command;
use std::time::Duration;

use keyfob_testkit::{Expect, ScriptedResponse, Server, TokenResponse, json};

use crate::keyfob::{Finished, Folder, Keyfob};
use crate::stored_tokens::{API, Machine};

#[test]
fn a_forced_renewal_replaces_the_stored_token_in_each_format() {
    let machine = Machine::new(API, "");
    assert_eq!(token(&machine, &[]).stdout, "token-1\n");
    for (number, format) in ["plain", "json", "header", "bazel", "k8s"]
        .iter()
        .enumerate()
    {
        let renewed = token(&machine, &["--renew", "--format", format]);
        let expected = format!("token-{}", number + 2);
        assert_eq!(renewed.code, 0, "{renewed:?}");
        assert!(renewed.stdout.contains(&expected), "{renewed:?}");
        assert_eq!(token(&machine, &[]).stdout, format!("{expected}\n"));
    }
    assert_eq!(machine.endpoint.calls(), 6);
}

#[test]
fn a_forced_renewal_needs_no_stored_token() {
    let machine = Machine::new(API, "");
    assert_eq!(token(&machine, &["--renew"]).stdout, "token-1\n");
    assert_eq!(machine.endpoint.calls(), 1);
}

#[test]
fn t8_a_rejected_token_is_renewed_only_if_it_is_the_current_one() {
    let machine = Machine::new(API, "");
    assert_eq!(token(&machine, &[]).stdout, "token-1\n");
    for _ in 0..3 {
        let done = rejected(&machine, "token-1\n", &["--rejected", "-"]);
        assert_eq!((done.code, &*done.stdout), (0, "token-2\n"), "{done:?}");
    }
    assert_eq!(machine.endpoint.calls(), 2);
    let done = rejected(&machine, "token-2", &["--rejected=-", "--format=header"]);
    assert_eq!(done.stdout, "authorization: Bearer token-3\n", "{done:?}");
}

#[test]
fn t8_a_rejected_token_is_recognised_in_each_format() {
    for format in ["plain", "json", "header", "bazel", "k8s"] {
        let machine = Machine::new(API, "");
        let printed = token(&machine, &["--format", format]).stdout;
        let done = rejected(&machine, &printed, &["--rejected=-"]);
        assert_eq!((done.code, &*done.stdout), (0, "token-2\n"), "{format}");
    }
    let machine = Machine::new(API, "");
    assert_eq!(token(&machine, &[]).stdout, "token-1\n");
    for (number, (before, after)) in [
        ("\u{feff}", "\r\n"),
        ("\"", "\"\n"),
        ("'", "'"),
        ("Authorization:Bearer ", "\r\n"),
        ("\u{feff}x-trace: 1\nauthorization: Bearer ", "\n"),
        ("x-api-key: ", "\n"),
    ]
    .iter()
    .enumerate()
    {
        let text = format!("{before}token-{}{after}", number + 1);
        let done = rejected(&machine, &text, &["--rejected=-"]);
        assert_eq!(done.stdout, format!("token-{}\n", number + 2), "{text:?}");
    }
}

#[test]
fn t8_a_source_that_gives_the_rejected_token_again_is_an_error() {
    let keyfob = Keyfob::new(["token", "--token-env=TOKEN", "--rejected=-"]);
    let done = keyfob.env("TOKEN", "t0ken").run_with("t0ken");
    assert_eq!((done.code, &*done.stdout), (3, ""), "{done:?}");
}

#[test]
fn a_token_that_is_valid_for_too_short_a_time_is_renewed_once() {
    let machine = Machine::new(API, "");
    let lifetime = |seconds: u64| TokenResponse::token().field("expires_in", json!(seconds));
    machine.endpoint.next(lifetime(600)).always(lifetime(1200));
    assert_eq!(token(&machine, &["--min-valid=500"]).stdout, "token-1\n");
    assert_eq!(token(&machine, &["--min-valid=1000"]).stdout, "token-2\n");
    let short = token(&machine, &["--min-valid=3600"]);
    assert_eq!((short.code, &*short.stdout), (3, ""), "{short:?}");
    assert!(short.complaint().contains("--min-valid"), "{short:?}");
    assert_eq!(machine.endpoint.calls(), 3);
    // Without the option, it is good enough.
    assert_eq!(token(&machine, &[]).stdout, "token-3\n");
}

#[test]
fn t1_a_token_that_this_run_fetched_is_not_renewed_for_its_lifetime() {
    let machine = Machine::new(API, "");
    let lifetime = |seconds: u64| TokenResponse::token().field("expires_in", json!(seconds));
    machine.endpoint.always(lifetime(900));
    let too_short = |done: Finished| {
        assert_eq!((done.code, &*done.stdout), (3, ""), "{done:?}");
        assert!(done.complaint().contains("--min-valid"), "{done:?}");
    };
    // Nothing is stored.
    too_short(token(&machine, &["--min-valid=1000"]));
    assert_eq!(machine.endpoint.calls(), 1);
    // The stored token is the rejected one.
    let options = ["--rejected=-", "--min-valid=1000"];
    too_short(rejected(&machine, "token-1", &options));
    assert_eq!(machine.endpoint.calls(), 2);
    too_short(token(&machine, &["--renew", "--min-valid=1000"]));
    assert_eq!(machine.endpoint.calls(), 3);
    // The stored token is not.
    too_short(rejected(&machine, "token-1", &options));
    assert_eq!(machine.endpoint.calls(), 4);
    let run = ["run", "--env=T=a", "--min-valid=1000", "--", "true"];
    machine.run(&["forget", "a"]);
    too_short(machine.run(&run));
    assert_eq!(machine.endpoint.calls(), 5);
}

#[test]
fn t1_an_expired_token_is_renewed_once_for_its_lifetime() {
    let machine = Machine::new(API, "");
    let lifetime = |seconds: u64| TokenResponse::token().field("expires_in", json!(seconds));
    machine.endpoint.next(lifetime(1)).always(lifetime(900));
    assert_eq!(token(&machine, &[]).stdout, "token-1\n");
    std::thread::sleep(Duration::from_millis(1100));
    let done = token(&machine, &["--min-valid=1000"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert_eq!(machine.endpoint.calls(), 2);
}

#[test]
fn t9_a_short_run_ends_after_the_exchange_that_it_has_begun() {
    let (folder, server) = (Folder::new(), Server::start());
    let response = ScriptedResponse::json(json!({
        "access_token": "t1", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r2",
    }));
    // The person gives up before it arrives.
    let response = response.after(Duration::from_secs(1));
    server.expect(
        Expect::post("/token")
            .form("refresh_token", "r1")
            .respond(response),
    );
    let first = folder.file("first", "r1");
    let file = format!(
        "[profiles.a]\nbase_url = \"{API}\"\n[profiles.a.token]\ngrant = \"refresh_token\"\nclient_id = \"a\"\n\
         token_endpoint = \"{}\"\nrefresh_token = \"file:{}\"\n",
        server.url_for("/token"),
        first.display()
    );
    let config = folder.file("keyfob.toml", &file).display().to_string();
    let state = folder.path("state").display().to_string();
    let run = |arguments: &[&str]| {
        let keyfob = Keyfob::new(arguments).env("KEYFOB_CONFIG", &config);
        keyfob.env("XDG_STATE_HOME", &state).run()
    };
    let done = run(&["request", "--profile=a", "--timeout=0.2", "/"]);
    assert_eq!(done.code, 28, "{done:?}");
    assert_eq!(run(&["token", "--profile=a"]).stdout, "t1\n");
    server.verify();
}

#[test]
fn a_token_without_an_expiry_is_valid_for_long_enough() {
    let done = Keyfob::new(["token", "--token-env=TOKEN", "--min-valid=3600"]);
    assert_eq!(done.env("TOKEN", "t0ken").run().stdout, "t0ken\n");
}

#[test]
fn s1_a_token_that_is_given_as_an_argument_is_not_quoted() {
    for arguments in [
        &["token", "--token-env=sk-live-s3cret"][..],
        &["token", "--token-env=ghp_s3cretAbC"],
        &["token", "--token-env=s3cret"],
        &["token", "--token-file=s3cret-and-more-of-it"],
        &["token", "--rejected=s3cret"],
        // The name of a profile is shown, unless it looks like a secret.
        &["token", "ghp_s3cretAbC"],
        &["token", "--profile=sk-live-s3cret"],
        &["token", "--min-valid=s3cret"],
        &["request", "api.example.com", "--query=s3cret"],
        &["s3cret"],
        &["token", "--renew=s3cret"],
        &[
            "token",
            "-----BEGIN PRIVATE KEY-----\nMIIs3cret\n-----END PRIVATE KEY-----",
        ],
        &["request", "-----BEGIN PRIVATE KEY-----\nMIIs3cret"],
        &["token", "--eyJhbGci.s3cret.sig"],
        &["--eyJhbGci.s3cret.sig"],
        &["token", "--\u{1b}[31ms3cret"],
    ] {
        let done = Keyfob::new(arguments).run();
        assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
        assert!(!done.stderr.contains("s3cret"), "{done:?}");
        assert!(!done.stderr.contains('\u{1b}'), "{done:?}");
    }
    let unset = Keyfob::new(["token", "--token-env=NO_SUCH_VARIABLE"]).run();
    assert!(unset.complaint().contains("NO_SUCH_VARIABLE"), "{unset:?}");
    let typo = Keyfob::new(["tokne"]).run();
    assert!(typo.stderr.contains("tokne"), "{typo:?}");
}

#[test]
fn without_a_rejected_token_on_standard_input_nothing_is_renewed() {
    let machine = Machine::new(API, "");
    let done = rejected(&machine, "\n", &["--rejected", "-"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert_eq!(machine.endpoint.calls(), 0);
}

#[test]
fn r2_the_documented_way_with_curl_sends_nothing_without_a_token() {
    let readme = include_str!("../../README.md");
    let line = readme
        .lines()
        .find(|line| line.contains("curl --header @- https://"));
    let line = line.expect("the page shows it").trim();
    let server = Server::start();
    server.expect(
        Expect::get("/reports")
            .bearer("t0ken")
            .respond(ScriptedResponse::text("the report")),
    );
    let line = line.replace(
        "https://api.example.com/reports",
        &server.url_for("/reports"),
    );
    let run = |token: Option<&str>| {
        let path = std::env::var("PATH").unwrap_or_default();
        let folder = std::path::Path::new(env!("CARGO_BIN_EXE_keyfob")).parent();
        let folder = folder.expect("it is in a folder").display();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &line])
            .env("PATH", format!("{folder}:{path}"));
        shell.env_remove("KEYFOB_TOKEN").env("no_proxy", "*");
        if let Some(token) = token {
            shell.env("KEYFOB_TOKEN", token);
        }
        shell.output().expect("there is a shell")
    };
    let failed = run(None);
    assert!(!failed.status.success(), "{failed:?}");
    assert_eq!(server.calls(), 0);
    let sent = run(Some("t0ken"));
    assert_eq!(
        String::from_utf8_lossy(&sent.stdout),
        "the report",
        "{sent:?}"
    );
}

fn token(machine: &Machine, options: &[&str]) -> Finished {
    let arguments: Vec<_> = ["token", "--profile=a"]
        .iter()
        .chain(options)
        .copied()
        .collect();
    machine.run(&arguments)
}

fn rejected(machine: &Machine, token: &str, options: &[&str]) -> Finished {
    let arguments: Vec<_> = ["token", "--profile=a"]
        .iter()
        .chain(options)
        .copied()
        .collect();
    machine.keyfob(&arguments).run_with(token)
}
