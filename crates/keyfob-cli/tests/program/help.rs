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
fn help_and_manual_have_the_sections_that_people_look_for() {
    let help = Keyfob::new(["store", "check", "--help"]).run().stdout;
    let page = Keyfob::new(["man", "store", "check"]).run().stdout;
    for (section, text) in [
        ("Examples", "keyfob store check work"),
        ("Exit codes", "143  ended by SIGTERM"),
        ("Environment", "KEYFOB_CONFIG"),
        ("Files", "~/.config/keyfob/keyfob.toml"),
        ("See also", "keyfob-store(1), keyfob(1)"),
    ] {
        for (shown, heading) in [
            (&help, format!("{section}:\n")),
            (&page, format!(".SH \"{}\"\n", section.to_uppercase())),
        ] {
            // In the manual, one word needs no quotes, and a hyphen has a backslash.
            let plain = |text: &str| text.replace(['\\', '"'], "");
            let shown = plain(shown);
            let rest = shown.split_once(&plain(&heading)).map(|(_, rest)| rest);
            assert!(rest.is_some_and(|rest| rest.contains(text)), "{shown}");
        }
    }
    let short = Keyfob::new(["store", "check", "-h"]).run().stdout;
    assert!(!short.contains("Exit codes:"), "{short}");
}

#[test]
fn every_shell_completes_commands_options_and_names_of_profiles() {
    let folder = Folder::new();
    let config = folder.file(
        "keyfob.toml",
        "[profiles.work]\nbase_url = \"https://api.example.com\"\ntoken.source = \"file:/t\"\n\n\
         [profiles.play]\nbase_url = \"https://play.example.com\"\ntoken.source = \"file:/t\"\n",
    );
    let config = config.display().to_string();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let done = Keyfob::new(["completions", shell]).run();
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains("KEYFOB_COMPLETE"), "{shell}");
        let complete = |words: &[&str]| {
            let asked = Keyfob::new(["--", "keyfob"]).args(words);
            let asked = asked.env("KEYFOB_COMPLETE", shell);
            // The word that the cursor is in.
            let asked = asked.env("_CLAP_COMPLETE_INDEX", &words.len().to_string());
            asked.env("KEYFOB_CONFIG", &config).run()
        };
        let commands = complete(&["pro"]).stdout;
        assert!(commands.contains("profile"), "{shell}: {commands}");
        assert!(commands.contains("proxy"), "{shell}: {commands}");
        let options = complete(&["token", "--token-c"]).stdout;
        assert!(options.contains("--token-command"), "{shell}: {options}");
        for words in [
            &["token", "w"][..],
            &["request", "--profile", "w"],
            &["store", "check", "w"],
            &["helper", "setup", "git", "w"],
        ] {
            let done = complete(words);
            assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
            assert!(done.stdout.contains("work"), "{shell} {words:?}: {done:?}");
            assert!(!done.stdout.contains("play"), "{shell} {words:?}: {done:?}");
        }
        let new = complete(&["profile", "add", "w"]).stdout;
        assert!(!new.contains("work"), "{shell}: {new}");
        let missing = folder.path("missing").display().to_string();
        let done = Keyfob::new(["--", "keyfob", "token", "w"])
            .env("KEYFOB_COMPLETE", shell)
            .env("_CLAP_COMPLETE_INDEX", "2")
            .env("KEYFOB_CONFIG", &missing)
            .run();
        assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    }
}

#[test]
fn no_option_takes_the_token_itself() {
    let done = Keyfob::new(["token", "--token", "t0ken"]).run();
    assert_eq!(done.code, 2, "{done:?}");
}
