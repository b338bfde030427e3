//! People sign out, at servers that revoke their tokens and at others.

use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::keyfob::Folder;
use crate::sign_in::{Machine, profile, token};

fn signed_in() -> Machine {
    let machine = Machine::new("authorization_code");
    machine.sign_in(token("first", 600));
    machine
}

/// The tokens that were to be revoked, in order.
fn revoked(machine: &Machine) -> Vec<String> {
    let received = machine.posts("/revoke").into_iter();
    let tokens = received.map(|received| received.form_value("token"));
    tokens.map(|token| token.expect("it names one")).collect()
}

#[test]
fn a_sign_out_revokes_and_forgets_both_tokens() {
    let machine = signed_in();
    machine.server.expect(
        Expect::post("/revoke")
            .respond(ScriptedResponse::status(200))
            .times(2),
    );
    let done = machine.run(&["logout"]);
    assert_eq!(
        (done.code, &*done.stdout),
        (0, "signed out of a\n"),
        "{done:?}"
    );
    assert_eq!(revoked(&machine), ["refresh-of-first", "first"]);
    assert_eq!(machine.run(&["status"]).stdout, "");
    assert_eq!(machine.run(&["token", "--profile=a"]).code, 3);

    let again = machine.run(&["logout", "a"]);
    assert_eq!(
        (again.code, &*again.stdout),
        (0, "there was no sign-in to a; `keyfob login a` signs in\n")
    );
    machine.server.verify();
}

#[test]
fn a_failed_revocation_is_reported_and_the_tokens_are_forgotten() {
    let machine = signed_in();
    let never = ScriptedResponse::unavailable().header("retry-after", "3600");
    machine.server.expect(Expect::post("/revoke").always(never));
    let done = machine.run(&["logout"]);
    assert_eq!(done.code, 1, "{done:?}");
    for words in ["forgotten here", "the refresh token could not be revoked"] {
        assert!(done.complaint().contains(words), "{done:?}");
    }
    assert!(!done.stderr.contains("first"), "{done:?}");
    assert_eq!(machine.posts("/revoke").len(), 2);
    assert_eq!(machine.run(&["token", "--profile=a"]).code, 3);
}

#[test]
fn a_sign_out_that_fails_once_is_tried_again() {
    let machine = signed_in();
    let busy = ScriptedResponse::unavailable().header("retry-after", "1");
    machine.server.expect(
        Expect::post("/revoke")
            .respond(busy)
            .always(ScriptedResponse::status(200)),
    );
    let done = machine.run(&["logout"]);
    assert_eq!(
        (done.code, &*done.stdout),
        (0, "signed out of a\n"),
        "{done:?}"
    );
    assert_eq!(
        revoked(&machine),
        ["refresh-of-first", "refresh-of-first", "first"]
    );
}

#[test]
fn a_sign_out_says_which_token_could_not_be_revoked() {
    let machine = signed_in();
    let refusal = ScriptedResponse::json(json!({"error": "invalid_request"})).with_status(400);
    machine.server.expect(
        Expect::post("/revoke")
            .respond(ScriptedResponse::status(200))
            .respond(refusal),
    );
    let done = machine.run(&["logout"]);
    assert_eq!(done.code, 1, "{done:?}");
    let text = "the refresh token is revoked, but the access token may stay valid";
    assert!(done.complaint().contains(text), "{done:?}");
    assert_eq!(machine.run(&["status"]).stdout, "");
}

#[test]
fn without_a_revocation_endpoint_a_sign_out_removes_nothing() {
    let (folder, server) = (Folder::new(), Server::start());
    folder.file(
        "keyfob.toml",
        &profile("a", "authorization_code", &server.url()),
    );
    server.expect(
        Expect::get("/.well-known/oauth-authorization-server").always(ScriptedResponse::json(
            json!({
                "issuer": server.url(),
                "authorization_endpoint": server.url_for("/authorize"),
                "token_endpoint": server.url_for("/token"),
            }),
        )),
    );
    let machine = Machine { folder, server };
    machine.sign_in(token("first", 600));
    let done = machine.run(&["logout"]);
    assert_eq!(done.code, 2, "{done:?}");
    for words in ["no revocation endpoint", "`keyfob forget a`"] {
        assert!(done.complaint().contains(words), "{done:?}");
    }
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "first\n");
    assert_eq!(machine.run(&["forget", "a"]).code, 0);
    let done = machine.run(&["logout"]);
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn a_server_that_cannot_revoke_the_access_token_any_more_is_not_a_failure() {
    for (code, status) in [
        ("unsupported_token_type", 400),
        // It ended with the refresh token: Google, and Keycloak.
        ("invalid_token", 400),
        ("invalid_token", 200),
    ] {
        let machine = signed_in();
        let refusal = ScriptedResponse::json(json!({"error": code})).with_status(status);
        machine.server.expect(
            Expect::post("/revoke")
                .respond(ScriptedResponse::status(200))
                .respond(refusal),
        );
        let done = machine.run(&["logout"]);
        assert_eq!(
            (done.code, &*done.stdout),
            (0, "signed out of a\n"),
            "{done:?}"
        );
        machine.server.verify();
    }
}
