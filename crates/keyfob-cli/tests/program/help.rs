//! Help, manual pages and completions.

use crate::keyfob::Keyfob;

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
