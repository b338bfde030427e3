//! Where the response body goes, and what is left if it is cut short.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::keyfob::{Folder, Keyfob, finish};

#[test]
fn a_file_appears_when_it_is_complete() {
    let folder = Folder::new();
    let server = serving(ScriptedResponse::text("whole"));
    let done = download(&server, &folder, &[]);
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (0, "", ""));
    assert_eq!(fs::read_to_string(folder.path("out")).unwrap(), "whole");
    assert_eq!(names(&folder), ["out"]);
}

#[test]
fn a_download_that_is_cut_short_is_reported_and_leaves_no_file() {
    let folder = Folder::new();
    let server = serving(ScriptedResponse::stream(1000).cut_body_after(400));
    let done = download(&server, &folder, &[]);
    assert_eq!(done.code, 18, "{done:?}");
    let message = "the response was cut short after 400 of 1000 bytes; ";
    assert!(done.complaint().contains(message), "{done:?}");
    assert!(done.complaint().contains("out was not written"), "{done:?}");
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_download_that_is_cut_short_leaves_the_old_file() {
    let folder = Folder::new();
    folder.file("out", "before");
    let server = serving(ScriptedResponse::stream(1000).chunked().cut_body_after(400));
    assert_eq!(download(&server, &folder, &[]).code, 18);
    assert_eq!(fs::read_to_string(folder.path("out")).unwrap(), "before");
    assert_eq!(names(&folder), ["out"]);
}

#[test]
fn a_response_that_is_cut_short_on_standard_output_is_a_failure() {
    let server = serving(ScriptedResponse::stream(1000).cut_body_after(400));
    let done = Keyfob::request([server.url_for("/x")]).run();
    assert_eq!((done.code, done.stdout.len()), (18, 400), "{done:?}");
}

#[test]
fn a_replaced_file_keeps_its_permissions_and_its_links() {
    let folder = Folder::new();
    let real = folder.file("real", "before");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, folder.path("out")).unwrap();
    let server = serving(ScriptedResponse::text("after"));
    assert_eq!(download(&server, &folder, &[]).code, 0);
    assert_eq!(fs::read_to_string(&real).unwrap(), "after");
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(folder.path("out").is_symlink());
}

#[test]
fn a_device_is_written_and_not_replaced() {
    let server = serving(ScriptedResponse::text("gone"));
    let done = Keyfob::request([&*server.url_for("/x"), "-o", "/dev/null"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_missing_folder_is_reported_before_anything_is_sent() {
    let server = Server::start();
    for file in ["/no/such/folder/out", "/proc/out"] {
        let done = Keyfob::request([&*server.url_for("/x"), "-o", file]).run();
        assert_eq!(done.code, 23);
        let words = format!("keyfob: {file} cannot be written: ");
        assert!(done.complaint().starts_with(&words), "{done:?}");
        // Not the name of the temporary file.
        assert!(!done.stderr.contains(".part"), "{done:?}");
        assert!(!done.stderr.contains("os error"), "{done:?}");
    }
    assert_eq!(server.calls(), 0);
}

#[test]
fn with_fail_a_response_with_an_error_status_writes_nothing() {
    let folder = Folder::new();
    let server = serving(ScriptedResponse::text("no such thing").with_status(404));
    let done = download(&server, &folder, &["--fail"]);
    assert_eq!(done.code, 22);
    assert_eq!(
        done.complaint(),
        "keyfob: the response has the status 404 Not Found"
    );
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn the_head_goes_to_standard_output_and_the_body_to_the_file() {
    let folder = Folder::new();
    let server = serving(ScriptedResponse::text("body").header("x-a", "1"));
    let done = download(&server, &folder, &["--include"]);
    assert!(done.stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{done:?}");
    assert!(
        done.stdout.contains("x-a: 1\r\n") && done.stdout.ends_with("\r\n\r\n"),
        "{done:?}"
    );
    assert_eq!(fs::read_to_string(folder.path("out")).unwrap(), "body");
}

#[test]
fn a_reader_that_stops_early_is_not_a_failure() {
    let server = serving(ScriptedResponse::stream(64 << 20));
    let mut child = Keyfob::request([server.url_for("/x")]).start();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let done = finish(child);
    assert_eq!((done.code, &*done.stderr), (0, ""));
}

#[test]
fn with_silent_a_failure_is_only_an_exit_code() {
    let server = serving(ScriptedResponse::status(500));
    let done = Keyfob::request([&*server.url_for("/x"), "-sf", "--retry", "0"]).run();
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (22, "", ""));
}

#[test]
fn a_timeout_covers_the_head_and_the_body() {
    for response in [
        ScriptedResponse::hang(),
        ScriptedResponse::stream(1000).slow_body(10, Duration::from_secs(60)),
    ] {
        let folder = Folder::new();
        let server = serving(response);
        let done = download(&server, &folder, &["--timeout", "2"]);
        assert_eq!(done.code, 28, "{done:?}");
        assert!(done.complaint().contains("--timeout"), "{done:?}");
        assert_eq!(names(&folder), [""; 0]);
    }
}

fn serving(response: ScriptedResponse) -> Server {
    let server = Server::start();
    server.expect(Expect::get("/x").bearer("t0ken").respond(response));
    server
}

fn download(server: &Server, folder: &Folder, options: &[&str]) -> crate::keyfob::Finished {
    let (url, out) = (server.url_for("/x"), folder.path("out"));
    let arguments = [&*url, "-o", out.to_str().expect("a plain path")];
    Keyfob::request(arguments.iter().chain(options)).run()
}

/// The names of all files in a folder.
pub(crate) fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path(".")).expect("the folder is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn warnings_are_always_shown_and_details_with_verbose() {
    let folder = Folder::new();
    let file = folder.file("token", "t0ken");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("the file is ours");
    let path = file.to_str().expect("a plain path");
    let server = Server::start();
    server.expect(Expect::get("/x").always(ScriptedResponse::status(200)));
    let url = server.url_for("/x");
    for arguments in [&["token"][..], &["request", &url]] {
        let run = |more: &[&str]| {
            let option = ["--token-file", path];
            let arguments: Vec<&str> = [arguments, &option, more].concat();
            Keyfob::new(arguments).run()
        };
        let plain = run(&[]);
        assert_eq!(plain.code, 0, "{plain:?}");
        assert!(plain.stderr.contains(path), "{plain:?}");
        assert_eq!(plain.stderr.lines().count(), 1, "{plain:?}");
        let verbose = run(&["-vv"]);
        assert!(verbose.stderr.contains("token renewed"), "{verbose:?}");
        assert!(!verbose.stderr.contains("t0ken"), "{verbose:?}");
    }
    let silent = Keyfob::new(["request", &url, "--silent", "--token-file", path]).run();
    assert_eq!((silent.code, &*silent.stderr), (0, ""), "{silent:?}");
}

#[test]
fn every_command_has_verbose() {
    for command in ["token", "login", "logout", "status", "forget", "demo"] {
        for arguments in [["-v", command, "--help"], [command, "-v", "--help"]] {
            let done = Keyfob::new(arguments).run();
            assert_eq!(done.code, 0, "{done:?}");
            assert!(done.stdout.contains("--verbose"), "{done:?}");
        }
    }
}

#[test]
fn with_fail_the_reason_of_the_server_is_shown_without_the_token() {
    let challenge = "Bearer error=\"insufficient_scope\", error_description=\"t0ken lacks admin\"";
    let challenged = ScriptedResponse::unauthorized(challenge).with_status(403);
    let server = serving(challenged.header("retry-after", "7"));
    let done = Keyfob::request([&*server.url_for("/x"), "-f", "--retry=0"]).run();
    assert_eq!(done.code, 22, "{done:?}");
    let words =
        "403 Forbidden: [hidden] lacks admin (insufficient_scope); the server asks to wait for 7 s";
    assert!(done.stderr.contains(words), "{done:?}");
    assert!(!done.stderr.contains("t0ken"), "{done:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_retry_is_announced_at_a_terminal_and_only_there() {
    let server = Server::start();
    let url = server.url_for("/x");
    let run = || {
        server.expect(
            Expect::get("/x")
                .respond(ScriptedResponse::too_many_requests("1").with_status(503))
                .respond(ScriptedResponse::text("fine")),
        );
        Keyfob::request([&url])
    };
    let shown = run().at_terminal().run();
    // The pause has jitter.
    let (begin, end) = ("keyfob: 503, trying again in ", " s (2 of 4)");
    let mut lines = shown.stdout.lines();
    let is_announced = lines.any(|line| line.starts_with(begin) && line.ends_with(end));
    assert!(is_announced, "{shown:?}");
    assert!(shown.stdout.contains("fine"), "{shown:?}");
    let silent = run().args(["--silent"]).at_terminal().run();
    assert!(!silent.stdout.contains("trying again"), "{silent:?}");
    let piped = run().run();
    assert_eq!((&*piped.stdout, &*piped.stderr), ("fine", ""));
}

#[cfg(target_os = "linux")]
#[test]
fn json_is_indented_and_coloured_at_a_terminal_and_only_there() {
    let json = ScriptedResponse::json(json!({"a": [1, "b\u{1b}\u{9b}2J"]}));
    let server = Server::start();
    server.expect(Expect::get("/x").always(json));
    let url = server.url_for("/x");
    let run = || Keyfob::request([&url]);
    let plain = run().env("NO_COLOR", "1").at_terminal().run();
    let expected = "{\r\n  \"a\": [\r\n    1,\r\n    \"b\\u001b\"\r\n  ]\r\n}\r\n";
    assert_eq!(plain.stdout, expected, "{plain:?}");
    let coloured = run().env("NO_COLOR", "").env("TERM", "xterm");
    let coloured = coloured.at_terminal().run();
    let name = "\u{1b}[34m\"a\"\u{1b}[0m: ";
    assert!(coloured.stdout.contains(name), "{coloured:?}");
    let raw = run().args(["-o", "-"]).at_terminal().run();
    assert!(raw.stdout.contains('\u{9b}'), "{raw:?}");
    let piped = run().run();
    assert!(piped.stdout.starts_with("{\"a\":[1"), "{piped:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_help_is_coloured_at_a_terminal_and_only_there() {
    let run = |arguments: &[&str]| Keyfob::new(arguments).env("TERM", "xterm");
    let heading = "\u{1b}[1;4mUsage:\u{1b}[0m";
    let help = run(&["token", "--help"]).at_terminal().run();
    assert!(help.stdout.contains(heading), "{help:?}");
    let error = run(&["token", "--nonsense"]).at_terminal().run();
    assert!(
        error.stdout.contains("\u{1b}[1;31merror:\u{1b}[0m"),
        "{error:?}"
    );
    assert_eq!(error.code, 2);
    let plain = run(&["token", "--help"]).env("NO_COLOR", "1").at_terminal();
    for done in [
        plain.run(),
        run(&["token", "--help"]).run(),
        run(&["token", "--nonsense"]).run(),
    ] {
        assert!(
            !format!("{}{}", done.stdout, done.stderr).contains('\u{1b}'),
            "{done:?}"
        );
    }
}

#[test]
fn a_long_download_shows_its_progress_at_a_terminal_unless_quiet() {
    let folder = Folder::new();
    let server = Server::start();
    let slow = ScriptedResponse::stream(2000).slow_body(100, Duration::from_millis(100));
    server.expect(Expect::get("/file").always(slow));
    let file = folder.path("out").display().to_string();
    let run = || Keyfob::request([&server.url_for("/file"), "--output", &file]);
    // Nothing is drawn at a terminal of an unknown kind.
    let shown = run().env("TERM", "xterm").at_terminal().run();
    assert!(shown.stdout.contains("1.95 KiB"), "{shown:?}");
    for option in ["--quiet", "--silent"] {
        let silent = run().args([option]).env("TERM", "xterm");
        let silent = silent.at_terminal().run();
        assert_eq!((silent.code, &*silent.stdout), (0, ""), "{option}");
    }
    assert_eq!(run().run().stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_no_text_that_it_would_obey_and_no_binary() {
    let server = Server::start();
    let text = ScriptedResponse::text("a\tb\u{7}\n\u{1b}[2Jc\n");
    server.expect(Expect::get("/x").always(text));
    server.expect(Expect::get("/y").always(ScriptedResponse::bytes("a\0b")));
    let shown = Keyfob::request([server.url_for("/x")]).at_terminal().run();
    assert_eq!(shown.stdout, "a\tb\r\nc\r\n", "{shown:?}");
    let refused = Keyfob::request([server.url_for("/y")]).at_terminal().run();
    assert_eq!(refused.code, 23, "{refused:?}");
    assert!(refused.stdout.contains("--output"), "{refused:?}");
}
