//! T10: `--subject` uses the token of one user of a profile.

use std::fs;

use keyfob_testkit::{Expect, ScriptedResponse, TokenEndpoint, TokenResponse};

use crate::keyfob::{Finished, Folder, Keyfob};
use crate::pending_sign_in::{PendingSignIn, get, redirect_url};
use crate::sign_in::{Machine, token};

/// Signs this user in.
fn sign_in(machine: &Machine, subject: &str) {
    machine.server.expect(
        Expect::post("/token")
            .form("grant_type", "authorization_code")
            .respond(ScriptedResponse::json(token(
                &format!("token-of-{subject}"),
                3600,
            ))),
    );
    let login = machine.keyfob(&["login", "--no-browser", "--subject", subject]);
    let mut sign_in = PendingSignIn::start(login);
    let url = sign_in.address();
    get(&redirect_url(&url, "code=c0de"));
    assert_eq!(sign_in.finish().code, 0);
}

fn token_of(machine: &Machine, subject: &str) -> Finished {
    machine.run(&["token", "--profile=a", "--subject", subject])
}

#[test]
fn t10_each_subject_has_a_sign_in_of_its_own_in_every_command() {
    let machine = Machine::new("authorization_code");
    let revoked = Expect::post("/revoke").always(ScriptedResponse::status(200));
    machine.server.expect(revoked);
    for subject in ["anna", "bert"] {
        sign_in(&machine, subject);
    }
    for subject in ["anna", "bert"] {
        let done = token_of(&machine, subject);
        assert_eq!(done.stdout, format!("token-of-{subject}\n"), "{done:?}");
        let run = ["run", "--quiet", "--env=T=a", "--subject", subject];
        let done = machine
            .keyfob(&run)
            .args(["/bin/sh", "-c", "echo $T"])
            .run();
        assert_eq!(done.stdout, format!("token-of-{subject}\n"), "{done:?}");
    }
    // That of the profile itself is another one.
    let done = machine.run(&["token", "--profile=a"]);
    assert!(
        done.complaint().contains("run `keyfob login a`"),
        "{done:?}"
    );
    let done = token_of(&machine, "carla");
    assert!(
        done.complaint()
            .contains("`keyfob login a --subject SUBJECT`"),
        "{done:?}"
    );
    let done = machine.run(&["status", "--subject=anna"]);
    assert_eq!(done.stdout.matches("valid").count(), 1, "{done:?}");
    assert!(!done.stdout.contains("anna"), "{done:?}");
    let done = machine.run(&["logout", "a", "--subject=anna"]);
    assert_eq!(
        (done.code, machine.posts("/revoke").len()),
        (0, 2),
        "{done:?}"
    );
    assert_ne!(token_of(&machine, "anna").code, 0);
    assert_eq!(token_of(&machine, "bert").stdout, "token-of-bert\n");
}

#[test]
fn t10_the_token_of_one_subject_is_forgotten_and_those_of_others_stay() {
    let machine = Machine::new("authorization_code");
    for subject in ["anna", "bert"] {
        sign_in(&machine, subject);
    }
    let done = machine.run(&["forget", "a", "--subject=anna"]);
    let expected = "the token of a is forgotten\n";
    assert_eq!((done.code, &*done.stdout), (0, expected), "{done:?}");
    let done = machine.run(&["forget", "a", "--subject=anna"]);
    let expected = "no token of a was stored\n";
    assert_eq!((done.code, &*done.stdout), (0, expected), "{done:?}");
    assert_ne!(token_of(&machine, "anna").code, 0);
    assert_eq!(token_of(&machine, "bert").stdout, "token-of-bert\n");
    let done = machine.run(&["forget", "--all", "--subject=bert"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert_eq!(token_of(&machine, "bert").stdout, "token-of-bert\n");
}

#[test]
fn t10_a_subject_that_the_issuer_refuses_leaves_no_file() {
    let (folder, endpoint) = (Folder::new(), TokenEndpoint::start());
    let key = rcgen::KeyPair::generate().expect("the machine has randomness");
    let key = folder.file("key.pem", &key.serialize_pem());
    let profile = format!(
        "[profiles.a]\nbase_url = \"https://api.example.com\"\n[profiles.a.token]\ngrant = \"jwt_bearer\"\n\
         token_endpoint = \"{}\"\nclient_id = \"gateway\"\nprivate_key = \"file:{}\"\n",
        endpoint.url(),
        key.display()
    );
    folder.file("keyfob.toml", &profile);
    let run = |arguments: &[&str]| folder.keyfob(arguments).run();
    let files = || {
        let files = fs::read_dir(folder.path("state/keyfob")).expect("it is there");
        files.count()
    };
    for subject in ["anna", "bert"] {
        endpoint.next(TokenResponse::error("invalid_grant"));
        let done = run(&["token", "--profile=a", "--subject", subject]);
        assert_ne!(done.code, 0, "{done:?}");
        assert_eq!(files(), 0, "{subject}");
    }
    assert_eq!(endpoint.calls(), 2);
    let done = run(&["forget", "a", "--subject=carla"]);
    assert_eq!((done.code, files()), (0, 0), "{done:?}");
    let done = run(&["token", "--profile=a", "--subject=anna"]);
    assert_eq!((done.code, files()), (0, 2), "{done:?}");
}

#[test]
fn a_subject_is_refused_where_the_token_has_none() {
    let folder = Folder::new();
    let file =
        "[profiles.a]\nbase_url = \"https://api.example.com\"\nenv = \"T\"\ntoken = \"env:A\"";
    folder.file("keyfob.toml", file);
    let config = format!("--config={}", folder.path("keyfob.toml").display());
    let url = "https://api.example.com/";
    for command in [
        &["token", "--profile=a"][..],
        &["token", "a"],
        &["forget", "a"],
        &["request", "--profile=a", url],
        &["request", url],
        &["status"],
        &[
            "run",
            "--profile=a",
            "--proxy",
            "--subject=anna",
            &config,
            "true",
        ],
        &["run", "--profile=a", "--subject=anna", &config, "true"],
    ] {
        let mut arguments = command.to_vec();
        if command[0] != "run" {
            arguments.extend(["--subject=anna", &config]);
        }
        let done = Keyfob::new(arguments).env("A", "t0ken").run();
        assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
        let complaint = done.complaint();
        assert!(
            complaint.contains("`a` has no token for each subject"),
            "{done:?}"
        );
    }
    let without_profile = Keyfob::new(["token", "--token-env=A", "--subject=anna"]).run();
    assert!(
        without_profile
            .complaint()
            .contains("name one with --profile")
    );
    for (subject, fault) in [("", "is empty"), ("a\nb", "control character")] {
        let done = Keyfob::new(["token", "--profile=a", &config, "--subject", subject]).run();
        assert!(done.complaint().contains(fault), "{done:?}");
    }
}
