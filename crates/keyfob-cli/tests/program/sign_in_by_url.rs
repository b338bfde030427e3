//! `keyfob login URL`: a person signs in to an API that says where.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use keyfob_testkit::{Expect, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::keyfob::{Finished, Folder, Keyfob};
use crate::pending_sign_in::{PendingSignIn, get, parameter, redirect_url};
use crate::sign_in::token;

/// A machine without profiles, an API at `/mcp`, and a server where people sign in.
pub(crate) struct Machine {
    pub(crate) folder: Folder,
    pub(crate) api: Server,
    pub(crate) issuer: Server,
}

impl Machine {
    /// These members replace the usual ones of the metadata of the API and of the issuer.
    pub(crate) fn new(resource: &Value, metadata: &Value) -> Self {
        let (folder, api, issuer) = (Folder::new(), Server::start(), Server::start());
        let challenge = format!(
            "Bearer error=\"invalid_token\", resource_metadata=\"{}\", scope=\"mcp:tools\"",
            api.url_for("/doc")
        );
        let machine = Self {
            folder,
            api,
            issuer,
        };
        let refusal = ScriptedResponse::unauthorized(&challenge);
        machine
            .api
            .expect(
                Expect::get("/mcp")
                    .without_header("authorization")
                    .always(refusal),
            )
            .expect(document(
                "/doc",
                json!({
                    "resource": machine.url(),
                    "authorization_servers": [machine.issuer.url()],
                }),
                resource,
            ));
        machine.issuer.expect(document(
            "/.well-known/oauth-authorization-server",
            json!({
                "issuer": machine.issuer.url(),
                "authorization_endpoint": machine.issuer.url_for("/authorize"),
                "token_endpoint": machine.issuer.url_for("/token"),
                "registration_endpoint": machine.issuer.url_for("/register"),
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["mcp:tools", "offline_access"],
            }),
            metadata,
        ));
        machine
    }

    pub(crate) fn usual() -> Self {
        Self::new(&json!({}), &json!({}))
    }

    /// With a profile of this client, whose token is `first`.
    pub(crate) fn signed_in(client: &str) -> Self {
        let machine = Self::usual();
        machine.register(client);
        machine.grant(client, issued("first", 600));
        assert_eq!(machine.sign_in(&[]).code, 0);
        machine
    }

    pub(crate) fn url(&self) -> String {
        self.api.url_for("/mcp")
    }

    pub(crate) fn keyfob(&self, arguments: &[&str]) -> Keyfob {
        let path = |name: &str| self.folder.path(name).display().to_string();
        Keyfob::new(arguments)
            .env("KEYFOB_CONFIG", &path("config/keyfob.toml"))
            .env("XDG_STATE_HOME", &path("state"))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.keyfob(arguments).run()
    }

    /// `keyfob login URL --yes` with further arguments.
    pub(crate) fn login(&self, arguments: &[&str]) -> Keyfob {
        let url = self.url();
        let all = ["login", &url, "--yes", "--no-browser"];
        self.keyfob(&[&all, arguments].concat())
    }

    pub(crate) fn refused(&self, arguments: &[&str]) -> Finished {
        self.login(arguments).run()
    }

    /// Signs in, and lets the browser come back with the code.
    pub(crate) fn sign_in(&self, arguments: &[&str]) -> Finished {
        let mut sign_in = PendingSignIn::start(self.login(arguments));
        get(&redirect_url(&sign_in.address(), "code=c0de"));
        sign_in.finish()
    }

    /// Registers a client with this id, once, and with whatever redirect URI it asks for.
    pub(crate) fn register(&self, id: &str) {
        let client = json!({"client_id": id});
        let client = ScriptedResponse::json(client).with_status(201);
        self.issuer
            .expect(Expect::post("/register").respond(client));
    }

    /// Responds to token requests of this client.
    pub(crate) fn grant(&self, client: &str, response: ScriptedResponse) {
        self.issuer.expect(
            Expect::post("/token")
                .form("client_id", client)
                .form("resource", &self.url())
                .respond(response),
        );
    }

    pub(crate) fn file(&self) -> String {
        fs::read_to_string(self.folder.path("config/keyfob.toml")).unwrap_or_default()
    }

    pub(crate) fn profile(&self) -> String {
        format!("127.0.0.1-{}", self.api.address().port())
    }

    pub(crate) fn registrations(&self) -> usize {
        let received = self.issuer.received();
        received
            .iter()
            .filter(|one| one.path == "/register")
            .count()
    }
}

fn document(path: &str, mut document: Value, members: &Value) -> Expect {
    for (name, value) in members.as_object().expect("it is an object") {
        document[name] = value.clone();
    }
    Expect::get(path).always(ScriptedResponse::json(document))
}

pub(crate) fn issued(text: &str, expires_in: u64) -> ScriptedResponse {
    ScriptedResponse::json(token(text, expires_in))
}

#[test]
fn a_url_is_enough_to_sign_in_and_to_send_requests_afterwards() {
    let machine = Machine::usual();
    machine.register("c1ient");
    machine.grant("c1ient", issued("first", 0));
    let mut sign_in = PendingSignIn::start(machine.login(&[]));
    let url = sign_in.address();
    assert_eq!(parameter(&url, "client_id"), "c1ient");
    assert_eq!(parameter(&url, "resource"), machine.url());
    assert_eq!(parameter(&url, "scope"), "mcp:tools offline_access");
    assert_eq!(parameter(&url, "code_challenge_method"), "S256");
    assert_eq!(parameter(&url, "prompt"), "consent");
    get(&redirect_url(&url, "code=c0de"));
    let done = sign_in.finish();
    assert_eq!(done.code, 0, "{done:?}");
    for words in [&machine.issuer.url(), &machine.url(), "mcp:tools"] {
        assert!(done.stderr.contains(words), "{done:?}");
    }
    assert!(
        done.stdout
            .contains(&format!("keyfob request {}", machine.url())),
        "{done:?}"
    );
    let received = machine.issuer.received();
    let request = received.iter().find(|one| one.path == "/register");
    let client = request
        .and_then(|request| request.json())
        .expect("it is JSON");
    assert_eq!(client["token_endpoint_auth_method"], "none");
    assert_eq!(client["redirect_uris"][0], parameter(&url, "redirect_uri"));

    // Another process renews the token, with the resource.
    machine.issuer.expect(
        Expect::post("/token")
            .form("grant_type", "refresh_token")
            .form("refresh_token", "refresh-of-first")
            .form("resource", &machine.url())
            .respond(issued("second", 600)),
    );
    machine.api.expect(
        Expect::post("/mcp")
            .bearer("second")
            .respond(ScriptedResponse::text("hello")),
    );
    let done = machine.run(&["request", "-X", "POST", &machine.url(), "-d", "{}"]);
    assert_eq!((done.code, &*done.stdout), (0, "hello"), "{done:?}");
    machine.issuer.verify();
    machine.api.verify();
}

#[test]
fn the_profile_is_added_after_the_users_text() {
    let machine = Machine::usual();
    let mine = "# my own\n[profiles.mine] # stays\nbase_url = 'https://api.example.com'\ntoken = 'env:MINE'";
    fs::create_dir(machine.folder.path("config")).expect("the folder is ours");
    machine.folder.file("config/keyfob.toml", mine);
    machine.register("c1\"ient\\");
    machine.grant("c1\"ient\\", issued("first", 600));
    let done = machine.sign_in(&["--profile=tools"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(machine.file().starts_with(mine), "{}", machine.file());
    assert!(machine.file().contains("# "), "{}", machine.file());
    let list = machine.run(&["profile", "list"]).stdout;
    assert!(list.contains("mine") && list.contains("tools"), "{list}");
    let printed = machine.run(&["token", "--profile=tools"]);
    assert_eq!(printed.stdout, "first\n", "{printed:?}");
}

#[test]
fn a_name_that_is_taken_is_refused_and_nothing_is_registered() {
    let machine = Machine::usual();
    let mine = "[profiles.mine]\nbase_url = 'https://api.example.com'\ntoken = 'env:MINE'\n";
    fs::create_dir(machine.folder.path("config")).expect("the folder is ours");
    machine.folder.file("config/keyfob.toml", mine);
    for name in ["--profile=mine", "--profile=a b", "--profile="] {
        let done = machine.refused(&[name]);
        assert_eq!(done.code, 2, "{done:?}");
    }
    assert_eq!(machine.file(), mine);
    assert_eq!(machine.issuer.calls(), 0);
}

#[test]
fn the_server_is_confirmed_at_a_terminal_and_not_asked_before() {
    let machine = Machine::usual();
    let url = machine.url();
    let done = machine.run(&["login", &url]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains("--yes"), "{done:?}");
    assert!(done.stderr.contains(&machine.issuer.url()), "{done:?}");
    for answer in ["n\n", "\n", "yesno\n"] {
        let keyfob = machine.keyfob(&["login", &url]).at_terminal();
        let mut child = keyfob.stdin(Stdio::piped()).start();
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(answer.as_bytes()).expect("it reads");
        let done = crate::keyfob::finish(child);
        assert_eq!(done.code, 3, "{answer:?} {done:?}");
        assert!(done.stdout.contains("you did not agree"), "{done:?}");
    }
    assert_eq!(machine.issuer.calls(), 0);
    assert_eq!(machine.file(), "");
}

#[test]
fn an_answer_at_the_terminal_starts_the_sign_in() {
    let machine = Machine::usual();
    machine.register("c1ient");
    let arguments = ["login", &machine.url(), "--no-browser", "--timeout=2"];
    let keyfob = machine.keyfob(&arguments).at_terminal();
    let mut child = keyfob.stdin(Stdio::piped()).start();
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(b"y\n").expect("it reads");
    let done = crate::keyfob::finish(child);
    assert!(done.stdout.contains("not completed in time"), "{done:?}");
    assert_eq!(machine.registrations(), 1);
    assert_eq!(machine.file(), "");
}

#[test]
fn a_second_sign_in_uses_the_profile_and_leaves_the_file_as_it_is() {
    let machine = Machine::signed_in("c1ient");
    let file = machine.file();
    machine.grant("c1ient", issued("second", 600));
    let done = machine.sign_in(&[]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(machine.file(), file);
    let printed = machine.run(&["token", "--profile", &machine.profile()]);
    assert_eq!(printed.stdout, "second\n", "{printed:?}");
}

#[test]
fn an_api_with_several_servers_needs_a_choice() {
    let other = "https://login.example.com";
    let machine = Machine::usual();
    let several = json!({"authorization_servers": [other, machine.issuer.url()]});
    let api = Server::start();
    let challenge = format!("Bearer resource_metadata=\"{}\"", api.url_for("/doc"));
    let refusal = ScriptedResponse::unauthorized(&challenge);
    api.expect(Expect::get("/mcp").always(refusal));
    let usual = json!({"resource": api.url_for("/mcp")});
    api.expect(document("/doc", usual, &several));
    let url = api.url_for("/mcp");
    let done = machine.run(&["login", &url, "--yes"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains("--issuer") && done.stderr.contains(other));

    machine.register("c1ient");
    machine
        .issuer
        .expect(Expect::post("/token").respond(issued("first", 600)));
    let issuer = machine.issuer.url();
    let arguments = ["login", &url, "--issuer", &issuer, "--no-browser"];
    let mut sign_in = PendingSignIn::start(machine.keyfob(&arguments));
    get(&redirect_url(&sign_in.address(), "code=c0de"));
    let done = sign_in.finish();
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn what_an_api_or_its_server_names_cannot_be_used_against_the_person() {
    let nothing = json!({});
    for (resource, metadata, code, words) in [
        (
            json!({"resource": "https://evil.example/mcp"}),
            &nothing,
            3,
            "another resource",
        ),
        (
            json!({"authorization_servers": ["https://10.0.0.1"]}),
            &nothing,
            4,
            "another network",
        ),
        (
            json!({"authorization_servers": ["http://evil.example"]}),
            &nothing,
            4,
            "plain http",
        ),
        (
            json!({"dpop_bound_access_tokens_required": true}),
            &nothing,
            2,
            "dpop_key",
        ),
        (
            json!({"tls_client_certificate_bound_access_tokens": true}),
            &nothing,
            2,
            "certificate",
        ),
        (
            nothing.clone(),
            &json!({"code_challenge_methods_supported": null}),
            2,
            "PKCE",
        ),
        (
            nothing.clone(),
            &json!({"authorization_endpoint": "javascript:alert(1)"}),
            2,
            "signs in",
        ),
        (
            nothing.clone(),
            &json!({"token_endpoint": "https://169.254.169.254/"}),
            4,
            "another network",
        ),
    ] {
        let machine = Machine::new(&resource, metadata);
        let done = machine.refused(&[]);
        assert_eq!(done.code, code, "{resource} {metadata} {done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
        assert_eq!(machine.registrations(), 0);
        assert_eq!(machine.file(), "");
    }
}

#[test]
fn text_of_a_server_is_not_obeyed_by_the_terminal() {
    let resource = json!({"authorization_servers": ["https://a.example/\u{1b}[2J\u{202e}x", "\n\nkeyfob: fine"]});
    let machine = Machine::new(&resource, &json!({}));
    let done = machine.refused(&[]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(!done.stderr.contains(['\u{1b}', '\u{202e}']), "{done:?}");
    assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
}

#[test]
fn a_response_of_another_server_ends_the_sign_in() {
    let promised = json!({"authorization_response_iss_parameter_supported": true});
    for iss in ["", "&iss=https://evil.example"] {
        let machine = Machine::new(&json!({}), &promised);
        machine.register("c1ient");
        let mut sign_in = PendingSignIn::start(machine.login(&[]));
        get(&redirect_url(
            &sign_in.address(),
            &format!("code=c0de{iss}"),
        ));
        let done = sign_in.finish();
        assert_eq!(done.code, 3, "{done:?}");
        assert!(done.stderr.contains("`iss`"), "{done:?}");
        assert_eq!(machine.file(), "");
    }
}

#[test]
fn the_options_of_a_url_are_refused_with_a_name() {
    let machine = Machine::usual();
    for option in [
        "--yes",
        "--issuer=https://a.example",
        "--client-id=a",
        "--new-client",
    ] {
        let done = machine.run(&["login", "somewhere", option]);
        assert_eq!(done.code, 2, "{option}: {done:?}");
        assert!(done.complaint().contains("need a URL"), "{done:?}");
    }
}
