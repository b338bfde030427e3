//! The client as which a person signs in to an API by its URL.

use keyfob_testkit::{Expect, ScriptedResponse, json};

use crate::pending_sign_in::{PendingSignIn, get, parameter, redirect_url};
use crate::sign_in_by_url::{Machine, issued};

#[test]
fn a_registration_is_used_again_for_another_api_of_the_same_server() {
    let machine = Machine::signed_in("c1ient");

    // The same API under another name, as a second account.
    machine.grant("c1ient", issued("second", 600));
    let done = machine.sign_in(&["--profile=second"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(machine.registrations(), 1);
    let printed = machine.run(&["token", "--profile=second"]);
    assert_eq!(printed.stdout, "second\n", "{printed:?}");
    machine.issuer.verify();
}

#[test]
fn a_client_that_the_server_has_removed_is_registered_again_once() {
    let machine = Machine::signed_in("old");

    machine.grant("old", refused_client());
    machine.register("new");
    machine.grant("new", issued("second", 600));
    let mut sign_in = PendingSignIn::start(machine.login(&["--profile=second"]));
    get(&redirect_url(&sign_in.address(), "code=c0de"));
    let again = sign_in.address();
    assert_eq!(parameter(&again, "client_id"), "new");
    get(&redirect_url(&again, "code=c0de"));
    let done = sign_in.finish();
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(machine.registrations(), 2);

    // A client that was registered just now is not registered once more.
    machine.register("third");
    machine.grant("third", refused_client());
    let done = machine.sign_in(&["--profile=third", "--new-client"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert_eq!(machine.registrations(), 3);
}

#[test]
fn a_profile_gets_another_client_only_if_the_person_agrees() {
    let machine = Machine::signed_in("old");
    let file = machine.file() + "# mine\n";
    machine.folder.file("config/keyfob.toml", &file);

    // Without a terminal and `--yes`, the file stays as it is.
    machine.grant("old", refused_client());
    let issuer = format!("--issuer={}", machine.issuer.url());
    let arguments = ["login", &machine.url(), "--no-browser", &issuer];
    let mut sign_in = PendingSignIn::start(machine.keyfob(&arguments));
    get(&redirect_url(&sign_in.address(), "code=c0de"));
    let done = sign_in.finish();
    assert_eq!(done.code, 2, "{done:?}");
    assert_eq!(machine.file(), file);
    assert_eq!(machine.registrations(), 1);

    machine.grant("old", refused_client());
    machine.register("new");
    machine.grant("new", issued("second", 600));
    let mut sign_in = PendingSignIn::start(machine.login(&[]));
    get(&redirect_url(&sign_in.address(), "code=c0de"));
    let again = sign_in.address();
    assert_eq!(parameter(&again, "client_id"), "new");
    get(&redirect_url(&again, "code=c0de"));
    let done = sign_in.finish();
    assert_eq!(done.code, 0, "{done:?}");
    let client_lines = |text: &str| {
        let lines = text.lines().map(str::to_owned);
        let others = lines
            .filter(|line| !line.starts_with("client_id") && !line.starts_with("redirect_uri"));
        others.collect::<Vec<_>>()
    };
    assert_eq!(client_lines(&machine.file()), client_lines(&file));
    assert!(machine.file().contains("client_id = \"new\""));
    let printed = machine.run(&["token", "--profile", &machine.profile()]);
    assert_eq!(printed.stdout, "second\n", "{printed:?}");
}

#[test]
fn a_profile_that_its_user_changed_is_not_changed_again() {
    let machine = Machine::signed_in("old");
    let file = machine
        .file()
        .replace("client_id = \"old\"", "client_id = 'old' # mine");
    machine.folder.file("config/keyfob.toml", &file);
    machine.register("new");
    let done = machine.refused(&["--new-client"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains("client_id = \"new\""), "{done:?}");
    assert_eq!(machine.file(), file);
}

#[test]
fn a_client_id_metadata_document_makes_a_registration_unnecessary() {
    let supported = json!({"client_id_metadata_document_supported": true});
    let machine = Machine::new(&json!({}), &supported);
    let document = "https://tool.example.com/client.json";
    machine.grant(document, issued("first", 600));
    let done = machine.sign_in(&["--client-metadata-url", document]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(machine.registrations(), 0);
    assert!(machine.file().contains(document), "{}", machine.file());

    // A server that does not read such documents gets a registration.
    let machine = Machine::usual();
    machine.register("c1ient");
    machine.grant("c1ient", issued("first", 600));
    let keyfob = machine
        .login(&[])
        .env("KEYFOB_CLIENT_METADATA_URL", document);
    let mut sign_in = PendingSignIn::start(keyfob);
    get(&redirect_url(&sign_in.address(), "code=c0de"));
    assert_eq!(sign_in.finish().code, 0);
    for url in [
        "http://tool.example.com/client.json",
        "https://tool.example.com",
        "tool",
    ] {
        let done = machine.refused(&["--profile=other", "--client-metadata-url", url]);
        assert_eq!(done.code, 2, "{url}: {done:?}");
    }
}

#[test]
fn a_server_that_registers_no_clients_needs_a_client_id() {
    let machine = Machine::new(&json!({}), &json!({"registration_endpoint": null}));
    let done = machine.refused(&[]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains("--client-id"), "{done:?}");
    assert!(done.stderr.contains(&machine.issuer.url()), "{done:?}");

    machine.grant("mine", issued("first", 600));
    let done = machine.sign_in(&["--client-id=mine"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(machine.file().contains("client_id = \"mine\""));
}

#[test]
fn s1_an_initial_access_token_comes_from_a_variable_and_is_not_shown() {
    let machine = Machine::usual();
    let client = ScriptedResponse::json(json!({"client_id": "c1ient"}));
    let invited = Expect::post("/register").bearer("inv1ted").respond(client);
    machine.issuer.expect(invited);
    machine.grant("c1ient", issued("first", 600));
    let option = "--registration-token-env=INITIAL";
    let keyfob = machine.login(&[option]).env("INITIAL", "inv1ted");
    let mut sign_in = PendingSignIn::start(keyfob);
    get(&redirect_url(&sign_in.address(), "code=c0de"));
    let done = sign_in.finish();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!format!("{done:?}{}", machine.file()).contains("inv1ted"));
    let done = machine.refused(&[
        "--profile=b",
        "--new-client",
        "--registration-token-env=NONE",
    ]);
    assert_eq!(done.code, 2, "{done:?}");
}

fn refused_client() -> ScriptedResponse {
    ScriptedResponse::json(json!({"error": "invalid_client"})).with_status(401)
}
