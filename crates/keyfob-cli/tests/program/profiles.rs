//! Profiles on the command line: chosen by name or URL, listed and checked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::keyfob::{Folder, Keyfob};

/// A file with the profiles `here`, for this server, and `there`, for another.
fn config(folder: &Folder, server: &Server) -> PathBuf {
    let token = folder.file("token", "t0ken");
    folder.file(
        "keyfob.toml",
        &format!(
            r#"
            [profiles.here]
            base_url = "{}/v1"
            token = "file:{}"
            [profiles.here.retry]
            attempts = 1

            [profiles.there]
            origins = ["https://there.example.com"]
            token = "env:KEYFOB_TEST_THERE"
            "#,
            server.url(),
            token.display()
        ),
    )
}

fn run(config: &Path, arguments: &[&str]) -> Keyfob {
    Keyfob::new(arguments).env("KEYFOB_CONFIG", &config.display().to_string())
}

#[test]
fn a_profile_is_chosen_by_name_and_relative_urls_use_its_base_url() {
    let (folder, server) = (Folder::new(), Server::start());
    let config = config(&folder, &server);
    server.expect(
        Expect::get("/v1/items")
            .query("a", "1")
            .bearer("t0ken")
            .respond(ScriptedResponse::text("ok")),
    );
    let done = run(
        &config,
        &["request", "--profile=here", "items", "--query=a=1"],
    )
    .run();
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (0, "ok", ""));
    server.verify();
}

#[test]
fn the_profile_that_fits_the_url_takes_precedence_over_the_environment() {
    let (folder, server) = (Folder::new(), Server::start());
    let config = config(&folder, &server);
    server.expect(
        Expect::get("/x")
            .bearer("t0ken")
            .respond(ScriptedResponse::text("ok")),
    );
    server.expect(
        Expect::get("/x")
            .bearer("other")
            .respond(ScriptedResponse::text("ok")),
    );
    let url = format!("{}/x", server.url());
    let by_url = run(&config, &["request", &url])
        .env("KEYFOB_TOKEN", "other")
        .run();
    assert_eq!(by_url.code, 0, "{by_url:?}");
    let by_option = run(&config, &["request", &url, "--token-env=OTHER"])
        .env("OTHER", "other")
        .run();
    assert_eq!(by_option.code, 0, "{by_option:?}");
    server.verify();
}

#[test]
fn with_verbose_the_profile_is_named() {
    let (folder, server) = (Folder::new(), Server::start());
    let config = config(&folder, &server);
    server.expect(Expect::get("/x").respond(ScriptedResponse::text("ok")));
    let done = run(&config, &["request", "-v", &format!("{}/x", server.url())]).run();
    assert!(
        done.stderr.starts_with("* profile here\n> GET /x"),
        "{done:?}"
    );
    assert!(!done.stderr.contains("t0ken"), "{done:?}");
    server.verify();
}

#[test]
fn a_url_that_no_profile_fits_uses_the_token_of_the_environment() {
    let (folder, server, other) = (Folder::new(), Server::start(), Server::start());
    let config = config(&folder, &server);
    other.expect(
        Expect::get("/x")
            .bearer("other")
            .respond(ScriptedResponse::text("ok")),
    );
    let url = format!("{}/x", other.url());
    let done = run(&config, &["request", &url])
        .env("KEYFOB_TOKEN", "other")
        .run();
    assert_eq!(done.code, 0, "{done:?}");
    other.verify();
}

#[test]
fn r1_the_token_of_a_profile_goes_to_no_other_origin() {
    let (folder, server, other) = (Folder::new(), Server::start(), Server::start());
    let config = config(&folder, &server);
    let done = run(
        &config,
        &[
            "request",
            "--profile=here",
            &other.url(),
            "--allow-plain-http",
        ],
    )
    .run();
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.complaint().contains(&server.url()), "{done:?}");
    assert_eq!((server.calls(), other.calls()), (0, 0));
}

#[test]
fn the_retry_option_overrides_the_profile() {
    let (folder, server) = (Folder::new(), Server::start());
    let config = config(&folder, &server);
    server.expect(
        Expect::get("/v1/x")
            .respond(ScriptedResponse::status(503))
            .times(1 + 2),
    );
    for retry in [&[][..], &["--retry=1"]] {
        let arguments = [&["request", "--profile=here", "x", "--fail"], retry].concat();
        assert_eq!(run(&config, &arguments).run().code, 22);
    }
    server.verify();
}

#[test]
fn a_token_is_printed_for_a_named_profile() {
    let (folder, server) = (Folder::new(), Server::start());
    let config = config(&folder, &server);
    let done = run(&config, &["token", "--profile=here"]).run();
    assert_eq!((done.code, &*done.stdout), (0, "t0ken\n"), "{done:?}");
    let config = config.display().to_string();
    let done = Keyfob::new(["token", "--profile", "here", "--config", &config]).run();
    assert_eq!((done.code, &*done.stdout), (0, "t0ken\n"), "{done:?}");
}

#[test]
fn an_unknown_profile_is_an_error_that_lists_the_known_ones() {
    let (folder, server) = (Folder::new(), Server::start());
    let config = config(&folder, &server);
    let done = run(&config, &["token", "--profile=her"]).run();
    assert_eq!(done.code, 2);
    assert!(
        done.complaint().contains("did you mean `here`?"),
        "{done:?}"
    );
    assert!(done.complaint().contains("here, there"), "{done:?}");
    let done = Keyfob::new(["token", "--profile=here"]).run();
    assert_eq!(done.code, 2);
    assert!(
        done.complaint().contains("keyfob.toml does not exist"),
        "{done:?}"
    );
}

#[test]
fn a_profile_and_another_source_exclude_each_other() {
    let done = Keyfob::new(["token", "--profile=a", "--token-env=A"]).run();
    assert_eq!(done.code, 2, "{done:?}");
}

#[test]
fn a_named_file_must_exist_and_the_default_file_may_be_missing() {
    let done = Keyfob::new(["profile", "list", "--config=/no/such/file"]).run();
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.complaint().contains("/no/such/file does not exist"),
        "{done:?}"
    );
    let done = Keyfob::new(["profile", "list"]).run();
    assert_eq!((done.code, &*done.stdout), (0, ""), "{done:?}");
}

#[test]
fn the_option_overrides_the_variable_and_that_the_default_directory() {
    let folder = Folder::new();
    let profile = |name: &str| {
        format!("[profiles.{name}]\norigins = \"https://{name}.example\"\ntoken = \"env:T\"\n")
    };
    fs::create_dir(folder.path("keyfob")).expect("the folder is ours");
    folder.file("keyfob/keyfob.toml", &profile("usual"));
    let named = |name: &str| folder.file(name, &profile(name)).display().to_string();
    let (variable, option) = (named("variable"), named("option"));
    let usual = || {
        Keyfob::new(["profile", "list"])
            .env("XDG_CONFIG_HOME", &folder.path("").display().to_string())
    };
    assert!(usual().run().stdout.contains("\nusual "));
    let done = usual().env("KEYFOB_CONFIG", &variable).run();
    assert!(done.stdout.contains("\nvariable "), "{done:?}");
    let done = Keyfob::new(["profile", "list", "--config", &option])
        .env("KEYFOB_CONFIG", &variable)
        .run();
    assert!(done.stdout.contains("\noption "), "{done:?}");
    let missing = folder.path("missing").display().to_string();
    assert_eq!(usual().env("KEYFOB_CONFIG", &missing).run().code, 2);
}

#[test]
fn every_mistake_in_the_file_is_a_line_with_its_position() {
    let folder = Folder::new();
    let config = folder.file(
        "keyfob.toml",
        "[profiles.a]\norigin = \"x\"\ntoken = \"s3cret\"\n",
    );
    let done = run(&config, &["profile", "check", "a"]).run();
    assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
    assert!(!done.stderr.contains("s3cret"), "{done:?}");
    let places: Vec<_> = done
        .stderr
        .lines()
        .map(|line| line.split(": ").nth(1))
        .collect();
    let place = |place| Some(format!("{}:{place}", config.display()));
    let expected = [place("1:11"), place("2:1"), place("3:9")];
    assert_eq!(
        places,
        expected.each_ref().map(Option::as_deref),
        "{done:?}"
    );
}

#[test]
fn profiles_are_listed_without_fetching_tokens() {
    let (folder, server) = (Folder::new(), Server::start());
    let config = config(&folder, &server);
    let done = run(&config, &["profile", "list"]).run();
    assert_eq!(done.code, 0);
    let lines: Vec<Vec<&str>> = done
        .stdout
        .lines()
        .map(|line| {
            line.split("  ")
                .filter(|cell| !cell.is_empty())
                .map(str::trim)
                .collect()
        })
        .collect();
    let file = format!("the file {}", folder.path("token").display());
    assert_eq!(
        lines,
        [
            vec!["PROFILE", "SERVERS", "TOKEN FROM"],
            vec!["here", &server.url(), &file],
            vec![
                "there",
                "https://there.example.com",
                "the environment variable KEYFOB_TEST_THERE"
            ],
        ]
    );
}

#[test]
fn a_check_reports_what_works_and_what_does_not() {
    let (folder, server) = (Folder::new(), Server::start());
    let config = config(&folder, &server);
    let done = run(&config, &["profile", "check", "here"]).run();
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    assert!(
        done.stdout
            .contains("ok      a new token came from the file"),
        "{done:?}"
    );
    assert!(done.stdout.contains(&server.url()), "{done:?}");
    assert!(!done.stdout.contains("t0ken"), "{done:?}");

    let done = run(&config, &["profile", "check", "there"]).run();
    assert_eq!((done.code, &*done.stderr), (3, ""), "{done:?}");
    assert!(done.stdout.contains("failed  a new token: "), "{done:?}");
    assert!(
        done.stdout.contains("KEYFOB_TEST_THERE is not set"),
        "{done:?}"
    );
    assert_eq!(server.calls(), 0);
}

#[test]
fn r1_a_check_fails_for_a_server_that_each_request_refuses() {
    let folder = Folder::new();
    for key in [
        "base_url = \"http://api.example.com/v1\"",
        "origins = \"http://api.example.com\"",
    ] {
        let file = format!("[profiles.a]\n{key}\ntoken = \"env:T\"\n");
        let config = folder.file("keyfob.toml", &file);
        let refused = run(
            &config,
            &["request", "--profile=a", "http://api.example.com/x"],
        )
        .env("T", "t0ken");
        assert_eq!(refused.run().code, 4);
        let done = run(&config, &["profile", "check", "a"])
            .env("T", "t0ken")
            .run();
        assert_eq!(done.code, 4, "{done:?}");
        assert!(done.stdout.contains("failed  its token: "), "{done:?}");
        assert!(!done.stdout.contains("ok "), "{done:?}");
    }
}

#[test]
fn s1_the_query_of_a_token_endpoint_is_not_shown() {
    let folder = Folder::new();
    let config = folder.file(
        "keyfob.toml",
        "[profiles.a]\nbase_url = \"https://api.example.com\"\n[profiles.a.token]\ngrant = \"client_credentials\"\n\
         token_endpoint = \"http://127.0.0.1:1/token?key=s3cret\"\nclient_id = \"a\"\n",
    );
    for arguments in [&["profile", "list"][..], &["profile", "check", "a"]] {
        let done = run(&config, arguments).run();
        assert!(done.stdout.contains("http://127.0.0.1:1/token"), "{done:?}");
        assert!(!format!("{done:?}").contains("s3cret"), "{done:?}");
    }
}

#[test]
fn without_a_usable_store_a_token_is_fetched_and_a_warning_says_why() {
    let folder = Folder::new();
    let helper = folder.script(
        "helper",
        r#"echo '{"access_token":"t0ken","expires_in":600}'"#,
    );
    let config = folder.file(
        "keyfob.toml",
        &format!("[profiles.a]\norigins = [\"https://a.example\"]\ntoken = \"command:{helper}\"\n"),
    );
    let open = folder.path("open");
    fs::create_dir_all(open.join("keyfob")).expect("the folder is ours");
    let mode = |mode| fs::set_permissions(open.join("keyfob"), fs::Permissions::from_mode(mode));
    let no_directory = folder.file("file", "");
    for (home, state, word) in [
        // Relative paths are no directories of a user (XDG).
        (
            "nowhere",
            "nowhere".to_owned(),
            "set XDG_STATE_HOME or HOME",
        ),
        ("/", open.display().to_string(), "chmod 700"),
        ("/", no_directory.display().to_string(), "cannot be"),
    ] {
        mode(0o755).expect("the folder is ours");
        let done = run(&config, &["token", "--profile=a"])
            .env("HOME", home)
            .env("XDG_STATE_HOME", &state)
            .run();
        assert_eq!((done.code, &*done.stdout), (0, "t0ken\n"), "{done:?}");
        assert!(done.stderr.contains(word), "{done:?}");
        assert_eq!(done.stderr.matches("WARN").count(), 1, "{done:?}");
        let status = run(&config, &["status"])
            .env("HOME", home)
            .env("XDG_STATE_HOME", &state)
            .run();
        // A directory that cannot be listed is an error, and one that is missing holds no token.
        let is_listed = word != "cannot be";
        assert_eq!(status.code == 0, is_listed, "{status:?}");
    }
}

#[test]
fn t9_a_profile_with_a_refresh_token_needs_a_store() {
    let folder = Folder::new();
    let config = folder.file(
        "keyfob.toml",
        "[profiles.a]\norigins = [\"https://a.example\"]\n[profiles.a.token]\ngrant = \"device_code\"\n\
         client_id = \"a\"\nissuer = \"https://i.example\"\n",
    );
    for command in [&["token", "--profile=a"][..], &["login", "a"]] {
        let done = run(&config, command)
            .env("HOME", "nowhere")
            .env("XDG_STATE_HOME", "nowhere")
            .run();
        assert_eq!(done.code, 2, "{done:?}");
        assert!(
            done.complaint().contains("set XDG_STATE_HOME or HOME"),
            "{done:?}"
        );
    }
}
