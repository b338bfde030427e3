//! Help, manual pages and completions.

use std::fs;

use crate::keyfob::{Folder, Keyfob};

#[test]
fn help_and_manual_list_the_exit_codes_and_say_why_no_option_takes_a_token() {
    for arguments in [&["request", "--help"][..], &["man", "request"]] {
        let done = Keyfob::new(arguments).run();
        assert_eq!(done.code, 0);
        let text = done
            .stdout
            .replace('\\', "")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(text.contains("18 the response was cut short"), "{text}");
        assert!(
            text.contains("There is no option that takes the token itself"),
            "{text}"
        );
    }
}

#[test]
fn every_command_has_a_manual_page() {
    for name in [
        "request",
        "token",
        "helper",
        "profile",
        "proxy",
        "login",
        "logout",
        "status",
        "forget",
        "store",
        "run",
        "demo",
        "completions",
        "man",
    ] {
        let done = Keyfob::new(["man", name]).run();
        let title = format!(".TH keyfob-{name} 1");
        assert!(done.stdout.contains(&title), "{done:?}");
    }
    let nested = Keyfob::new(["man", "profile", "check"]).run();
    assert!(
        nested.stdout.contains(".TH keyfob-profile-check 1"),
        "{nested:?}"
    );
    assert!(Keyfob::new(["man"]).run().stdout.contains(".TH keyfob 1"));
    assert_eq!(Keyfob::new(["man", "nonsense"]).run().code, 2);
    assert_eq!(Keyfob::new(["man", "profile", "nonsense"]).run().code, 2);
}

#[test]
fn all_manual_pages_are_written_to_a_directory() {
    let folder = Folder::new();
    let directory = folder.path("");
    let directory = directory.to_str().expect("it is UTF-8");
    let done = Keyfob::new(["man", "--directory", directory]).run();
    assert_eq!((done.code, &*done.stdout), (0, ""), "{done:?}");
    for (file, command) in [
        ("keyfob.1", "man"),
        ("keyfob-profile-check.1", "man profile check"),
    ] {
        let written = fs::read_to_string(folder.path(file)).expect("the page was written");
        let printed = Keyfob::new(command.split(' ')).run().stdout;
        assert_eq!(written, printed, "{file}");
    }
    let done = Keyfob::new(["man", "--directory", "/nonexistent"]).run();
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.stderr
            .contains("the manual pages cannot be written to /nonexistent"),
        "{done:?}"
    );
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let done = Keyfob::new(["completions", shell]).run();
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains("token-command"), "{shell}");
    }
}

#[test]
fn no_option_takes_the_token_itself() {
    let done = Keyfob::new(["token", "--token", "t0ken"]).run();
    assert_eq!(done.code, 2, "{done:?}");
}
