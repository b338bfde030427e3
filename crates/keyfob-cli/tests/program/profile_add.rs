//! `keyfob profile add`: a profile from options, and from answers at a terminal.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::keyfob::{Folder, Keyfob, finish};

fn add(config: &Path, arguments: &[&str]) -> Keyfob {
    let config = config.display().to_string();
    Keyfob::new(["profile", "add"].iter().chain(arguments)).env("KEYFOB_CONFIG", &config)
}

#[test]
fn a_profile_is_made_from_options_checked_and_usable_at_once() {
    let (folder, server) = (Folder::new(), Server::start());
    let secret = folder.file("secret", "s3cret");
    let config = folder.path("new").join("keyfob.toml");
    server.expect(
        Expect::post("/token")
            .form("grant_type", "client_credentials")
            .form("scope", "read write")
            .respond(ScriptedResponse::json(
                json!({"access_token": "t0ken", "token_type": "Bearer", "expires_in": 60}),
            ))
            .times(2),
    );
    server.expect(
        Expect::get("/v1/items")
            .bearer("t0ken")
            .respond(ScriptedResponse::text("ok")),
    );
    let added = add(
        &config,
        &[
            "reports",
            "--grant=client_credentials",
            "--base-url",
            &server.url_for("/v1"),
            "--set",
            &format!("token_endpoint={}", server.url_for("/token")),
            "--set=client_id=reports",
            &format!("--set=client_secret=file:{}", secret.display()),
            "--set=scopes=read write",
            "--set=store=memory",
        ],
    )
    .run();
    assert_eq!((added.code, &*added.stderr), (0, ""), "{added:?}");
    for line in [
        "added reports to ",
        "ok      a new token",
        "next: keyfob request http://",
    ] {
        assert!(added.stdout.contains(line), "{added:?}");
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&config), mode(config.parent().unwrap())),
        (0o600, 0o700)
    );
    let text = fs::read_to_string(&config).unwrap();
    assert!(
        text.contains("# reference to the client secret\nclient_secret = \"file:"),
        "{text}"
    );
    let config = config.display().to_string();
    let url = server.url_for("/v1/items");
    let sent = Keyfob::new(["request", &url])
        .env("KEYFOB_CONFIG", &config)
        .run();
    assert_eq!((sent.code, &*sent.stdout), (0, "ok"), "{sent:?}");
    server.verify();
}

#[test]
fn without_a_terminal_all_that_is_missing_is_listed_and_nothing_written() {
    let folder = Folder::new();
    let config = folder.path("keyfob.toml");
    let added = add(
        &config,
        &["reports", "--grant=jwt_bearer", "--set=scopes=a"],
    )
    .run();
    assert_eq!(added.code, 2, "{added:?}");
    for words in [
        "`base_url` or `origins` or `allow_plain_http` is missing",
        "`issuer` or `token_endpoint` is missing",
        "`assertion` or `private_key` is missing",
        "--set KEY=VALUE",
    ] {
        assert!(added.stderr.contains(words), "{added:?}");
    }
    let added = add(&config, &["reports"]).run();
    assert_eq!(added.code, 2, "{added:?}");
    assert!(added.complaint().contains("--grant"), "{added:?}");
    assert!(!config.exists());
}

#[test]
fn s1_a_secret_in_an_option_is_refused_and_not_repeated() {
    let folder = Folder::new();
    let config = folder.path("keyfob.toml");
    for arguments in [
        &["a", "--source=s3cret-value"][..],
        &[
            "a",
            "--grant=client_credentials",
            "--set=client_secret=s3cret-value",
        ],
        &["a", "--set=user=me", "--set=password=s3cret-value"],
        &["a", "--source=env:T", "--set=s3cret-value"],
        &["a", "--source=env:T", "--base-url=s3cret-value"],
    ] {
        let added = add(&config, arguments).run();
        assert_eq!(added.code, 2, "{added:?}");
        assert!(!format!("{added:?}").contains("s3cret"), "{added:?}");
    }
    assert!(!config.exists());
}

#[test]
fn an_existing_name_is_refused_and_the_file_stays_as_it_was() {
    let folder = Folder::new();
    let text = "# mine\n[profiles.a]\nbase_url = 'https://a.example'\ntoken = 'env:A'\n";
    let config = folder.file("keyfob.toml", text);
    let options = [
        "--source=env:T",
        "--base-url=https://b.example",
        "--no-check",
    ];
    let added = add(&config, &[&["a"], &options[..]].concat()).run();
    assert_eq!(added.code, 2, "{added:?}");
    assert!(added.complaint().contains("already"), "{added:?}");
    assert_eq!(fs::read_to_string(&config).unwrap(), text);
    let added = add(&config, &[&["b"], &options[..]].concat()).run();
    assert_eq!(added.code, 0, "{added:?}");
    assert!(fs::read_to_string(&config).unwrap().starts_with(text));
}

#[test]
fn a_profile_that_does_not_work_yet_is_kept_and_the_reason_shown() {
    let folder = Folder::new();
    let config = folder.path("keyfob.toml");
    let options = [
        "a",
        "--source=env:KEYFOB_TEST_UNSET",
        "--base-url=https://a.example",
    ];
    let added = add(&config, &options).run();
    assert_eq!(added.code, 3, "{added:?}");
    assert!(added.stdout.contains("KEYFOB_TEST_UNSET"), "{added:?}");
    assert!(added.stdout.contains("keyfob profile check a"), "{added:?}");
    assert!(
        fs::read_to_string(&config)
            .unwrap()
            .contains("[profiles.a]")
    );
}

#[test]
fn a_sign_in_comes_before_the_first_request() {
    let folder = Folder::new();
    let config = folder.path("keyfob.toml");
    let options = [
        "mail",
        "--grant=authorization_code",
        "--base-url=https://a.example",
        "--set=issuer=https://b.example",
        "--set=client_id=c",
    ];
    let added = add(&config, &options).run();
    assert_eq!(added.code, 0, "{added:?}");
    let next = "next: keyfob login mail, and then keyfob request https://a.example/\n";
    assert!(added.stdout.ends_with(next), "{added:?}");
    // The commands name the file that this one named.
    let other = folder.path("other.toml").display().to_string();
    let added = add(&config, &options).args(["--config", &other]).run();
    let next = format!(
        "next: keyfob login mail --config {other}, and then keyfob request https://a.example/ --config {other}\n"
    );
    assert!(added.stdout.ends_with(&next), "{added:?}");
}

#[test]
fn at_a_terminal_it_asks_until_the_answers_fit() {
    let folder = Folder::new();
    let token = folder.file("token", "t0ken");
    let config = folder.path("keyfob.toml");
    let mut child = add(&config, &["a"])
        .at_terminal()
        .stdin(Stdio::piped())
        .start();
    let answers = [
        "nothing",
        "source",
        "",
        "https://a.example",
        "s3cret-value",
        &format!("file:{}", token.display()),
    ];
    let mut stdin = child.stdin.take().expect("it is a pipe");
    for answer in answers {
        writeln!(stdin, "{answer}").expect("the program reads it");
    }
    let added = finish(child);
    drop(stdin);
    assert_eq!(added.code, 0, "{added:?}");
    for words in [
        "there is no kind of token `nothing`",
        "Do not type the secret itself",
        "`source` is a secret, which must not be in this file",
        "added a to",
        "next: keyfob request https://a.example",
    ] {
        assert!(added.stdout.contains(words), "{words}: {added:?}");
    }
    let text = fs::read_to_string(&config).unwrap();
    assert!(
        text.contains("source = \"file:") && text.contains("origins = "),
        "{text}"
    );
}
