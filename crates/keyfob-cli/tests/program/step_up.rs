//! Servers that ask for more than a valid token, and sign-ins that add to what was granted.

use keyfob_testkit::{Expect, ScriptedResponse, Server, json};
use url::Url;

use crate::keyfob::{Finished, Keyfob};
use crate::pending_sign_in::{PendingSignIn, get, parameter, redirect_url};
use crate::sign_in::Machine;

/// A token response with this scope.
fn token(text: &str, scope: &str) -> serde_json::Value {
    json!({
        "access_token": text,
        "token_type": "Bearer",
        "expires_in": 600,
        "refresh_token": format!("refresh-of-{text}"),
        "scope": scope,
    })
}

/// Signs in with these arguments and this token response, and returns the URL for the browser too.
fn login(machine: &Machine, arguments: &[&str], token: serde_json::Value) -> (Url, Finished) {
    machine.server.expect(
        Expect::post("/token")
            .form("grant_type", "authorization_code")
            .respond(ScriptedResponse::json(token)),
    );
    let arguments = [&["login", "--no-browser"], arguments].concat();
    let mut sign_in = PendingSignIn::start(machine.keyfob(&arguments));
    let url = sign_in.address();
    get(&redirect_url(&url, "code=c0de"));
    let done = sign_in.finish();
    assert_eq!(done.code, 0, "{done:?}");
    (url, done)
}

fn has_parameter(url: &Url, name: &str) -> bool {
    url.query_pairs().any(|(other, _)| other == name)
}

#[test]
fn a_login_with_a_scope_adds_to_what_was_granted_and_renewals_keep_it() {
    let machine = Machine::new("authorization_code");
    machine.sign_in(token("first", "read extra"));
    let scopes = ["--scope=admin", "--scope", "read write"];
    let (url, done) = login(&machine, &scopes, token("second", "read extra admin write"));
    assert_eq!(
        parameter(&url, "scope"),
        "read offline_access extra admin write"
    );
    assert_eq!(done.stdout, "signed in to a\n");
    assert!(!done.stderr.contains("did not grant"), "{done:?}");
    let status = machine.run(&["status"]).stdout;
    assert!(status.contains("read extra admin write"), "{status}");

    // B1: a renewal without a scope gets what was granted.
    let renewed = json!({"access_token": "third", "token_type": "Bearer", "expires_in": 600});
    machine.server.expect(
        Expect::post("/token")
            .form("grant_type", "refresh_token")
            .form("refresh_token", "refresh-of-second")
            .respond(ScriptedResponse::json(renewed)),
    );
    let done = machine.run(&["token", "--profile=a", "--renew"]);
    assert_eq!(done.stdout, "third\n", "{done:?}");
    let renewal = machine.posts("/token").pop().expect("it was sent");
    for name in ["scope", "acr_values", "max_age"] {
        assert_eq!(renewal.form_value(name), None);
    }
    let status = machine.run(&["status"]).stdout;
    assert!(status.contains("read extra admin write"), "{status}");
    machine.server.verify();
}

#[test]
fn a_login_for_another_authentication_keeps_the_granted_scopes() {
    let machine = Machine::new("authorization_code");
    machine.sign_in(token("first", "read extra"));
    let options = ["--acr-values", "phr phrh", "--max-age=0"];
    let (url, _) = login(&machine, &options, token("second", "read extra"));
    assert_eq!(parameter(&url, "scope"), "read offline_access extra");
    assert_eq!(parameter(&url, "acr_values"), "phr phrh");
    assert_eq!(parameter(&url, "max_age"), "0");
}

#[test]
fn a_plain_login_asks_for_the_profiles_scopes_and_says_what_is_gone() {
    let machine = Machine::new("authorization_code");
    machine.sign_in(token("first", "read admin"));
    let (url, done) = login(&machine, &[], token("second", "read"));
    assert_eq!(parameter(&url, "scope"), "read offline_access");
    assert!(!has_parameter(&url, "acr_values") && !has_parameter(&url, "max_age"));
    let words = "keyfob: the last sign-in also had the scope admin; to have it again, run: keyfob login a --scope admin\n";
    assert!(done.stderr.contains(words), "{done:?}");
}

#[test]
fn a_scope_that_the_server_does_not_grant_is_reported() {
    let machine = Machine::new("authorization_code");
    let (_, done) = login(
        &machine,
        &["--scope=admin write"],
        token("first", "read write"),
    );
    assert!(
        done.stderr
            .contains("the server did not grant the scope admin\n"),
        "{done:?}"
    );
}

#[test]
fn a_login_with_a_scope_that_fails_leaves_the_last_one_as_it_was() {
    let machine = Machine::new("authorization_code");
    machine.sign_in(token("first", "read"));
    let login = machine.keyfob(&["login", "--no-browser", "--scope=admin"]);
    let mut sign_in = PendingSignIn::start(login);
    get(&redirect_url(&sign_in.address(), "error=access_denied"));
    assert_eq!(sign_in.finish().code, 3);
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "first\n");
    let status = machine.run(&["status"]).stdout;
    assert!(
        status.contains(" read ") && !status.contains("admin "),
        "{status}"
    );
}

#[test]
fn a_sign_in_with_a_code_asks_for_more_too() {
    let machine = Machine::new("device_code");
    for _ in 0..2 {
        machine.server.expect(
            Expect::post("/device").respond(ScriptedResponse::json(json!({
                "device_code": "d3v1ce",
                "user_code": "WDJB-MJHT",
                "verification_uri": "https://login.example.com/device",
                "expires_in": 600,
                "interval": 1,
            }))),
        );
        let granted = ScriptedResponse::json(token("first", "read extra"));
        machine
            .server
            .expect(Expect::post("/token").respond(granted));
    }
    assert_eq!(machine.run(&["login"]).code, 0);
    let more = ["login", "--scope=admin", "--acr-values=phr", "--max-age=60"];
    assert_eq!(machine.run(&more).code, 0);
    let requests = machine.posts("/device");
    let values = |name| requests.iter().map(move |request| request.form_value(name));
    let owned = |text: &str| Some(text.to_owned());
    let scopes = [
        owned("read offline_access"),
        owned("read offline_access extra admin"),
    ];
    assert!(values("scope").eq(scopes));
    assert!(values("acr_values").eq([None, owned("phr")]));
    assert!(values("max_age").eq([None, owned("60")]));
}

#[test]
fn a_pushed_request_has_to_be_opened_in_time_and_the_program_says_so() {
    let machine = Machine::new("authorization_code");
    let server = Server::start();
    let text = format!(
        "[profiles.a]\nbase_url = \"https://api.example.com\"\n[profiles.a.token]\ngrant = \"authorization_code\"\n\
         client_id = \"a\"\ntoken_endpoint = \"{}\"\nauthorization_endpoint = \"{}\"\n\
         pushed_authorization_request_endpoint = \"{}\"\n",
        server.url_for("/token"),
        server.url_for("/authorize"),
        server.url_for("/push")
    );
    machine.folder.file("keyfob.toml", &text);
    let reference = json!({"request_uri": "urn:example:1", "expires_in": 60});
    server.expect(Expect::post("/push").respond(ScriptedResponse::json(reference)));
    let done = machine.run(&["login", "--no-browser", "--timeout=0.5", "--scope=admin"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(
        done.stderr.contains("request_uri=urn%3Aexample%3A1"),
        "{done:?}"
    );
    let limits = ["within 60 s:", "within 59 s:"];
    assert!(
        limits.iter().any(|limit| done.stderr.contains(limit)),
        "{done:?}"
    );
    let pushed = server.received().pop().expect("it was pushed");
    assert_eq!(pushed.form_value("scope").as_deref(), Some("admin"));
}

/// A machine with a sign-in for an API that refuses each request with these challenges.
fn refused(status: u16, challenges: &[&str]) -> (Machine, Server) {
    let (machine, api) = (Machine::new("authorization_code"), Server::start());
    let issuer = machine.server.url();
    let text = format!(
        "[profiles.a]\nbase_url = \"{}\"\n[profiles.a.token]\ngrant = \"authorization_code\"\nissuer = \"{issuer}\"\n\
         client_id = \"reports\"\nscopes = \"read\"\n",
        api.url()
    );
    machine.folder.file("keyfob.toml", &text);
    machine.sign_in(token("first", "read"));
    let response = challenges.iter().fold(
        ScriptedResponse::status(status).body("no"),
        |response, challenge| response.header("www-authenticate", challenge),
    );
    api.expect(Expect::get("/data").always(response));
    (machine, api)
}

#[test]
fn r3_a_request_says_what_the_server_asks_for_and_what_to_run() {
    for (status, challenges, words) in [
        (
            403,
            &["Bearer error=\"insufficient_scope\", scope=\"read admin\""][..],
            "the server asks for the scopes read admin; run: keyfob login a --scope 'read admin'",
        ),
        (
            401,
            &[
                "Bearer error=\"insufficient_user_authentication\", acr_values=\"phr\", max_age=\"300\"",
            ],
            "the server asks for a sign-in of the class phr in the last 300 s; run: keyfob login a --acr-values phr \
             --max-age 300",
        ),
        (
            401,
            &[
                "Basic realm=\"x\"",
                "DPoP error=\"insufficient_user_authentication\"",
            ],
            "the server asks for a new or stronger sign-in; run: keyfob login a --max-age 0",
        ),
        (
            403,
            &["Bearer error=\"insufficient_scope\""],
            "the server asks for more scopes, and does not name them; find their names in the documentation of the \
             server, and run: keyfob login a --scope SCOPE",
        ),
        (
            403,
            &["Bearer error=\"insufficient_scope\", scope=\"$(reboot) a;b \u{202e} \u{9b}2J\""],
            "the server asks for the scopes $(reboot) a;b; run: keyfob login a --scope '$(reboot) a;b'",
        ),
    ] {
        let (machine, api) = refused(status, challenges);
        let done = machine.run(&["request", "--profile=a", "data"]);
        assert_eq!((done.code, &*done.stdout), (0, "no"), "{done:?}");
        assert_eq!(done.complaint(), format!("keyfob: {words}"));
        assert_eq!(api.calls(), 1, "it was not sent again");
        assert_eq!(
            machine.posts("/token").len(),
            1,
            "the token was not renewed"
        );
    }
}

#[test]
fn the_exit_code_depends_on_the_options_and_not_on_the_challenge() {
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"admin\"";
    let (machine, _api) = refused(403, &[challenge]);
    let done = machine.run(&["request", "--fail", "--profile=a", "data"]);
    assert_eq!(done.code, 22, "{done:?}");
    assert!(
        done.stderr.contains("keyfob login a --scope admin"),
        "{done:?}"
    );
    let done = machine.run(&["request", "--silent", "--profile=a", "data"]);
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    let config = machine.folder.path("keyfob.toml").display().to_string();
    let done = machine.run(&["request", "--config", &config, "--profile=a", "data"]);
    let command = format!("keyfob login a --config {config} --scope admin");
    assert!(done.stderr.contains(&command), "{done:?}");
}

#[test]
fn without_a_sign_in_only_what_the_server_asks_for_is_said() {
    let api = Server::start();
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"admin\"";
    let response = ScriptedResponse::status(403).header("www-authenticate", challenge);
    api.expect(Expect::get("/data").always(response));
    let done = Keyfob::request([api.url_for("/data")]).run();
    assert_eq!(
        done.complaint(),
        "keyfob: the server asks for the scope admin"
    );

    let machine = Machine::new("authorization_code");
    let text = format!(
        "[profiles.b]\nbase_url = \"{}\"\ntoken = \"env:TOKEN\"\n",
        api.url()
    );
    machine.folder.file("keyfob.toml", &text);
    let request = machine.keyfob(&["request", "--profile=b", "data"]);
    let done = request.env("TOKEN", "t0ken").run();
    let complaint = done.complaint();
    assert!(
        complaint.contains("the scope admin; the token of the profile b comes from"),
        "{complaint}"
    );
}

#[test]
fn r1_a_server_that_did_not_get_the_token_cannot_ask_for_more() {
    let (machine, api) = refused(403, &[]);
    let evil = Server::start();
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"everything\"";
    let response = ScriptedResponse::status(403).header("www-authenticate", challenge);
    evil.expect(Expect::get("/").respond(response));
    api.expect(Expect::get("/away").respond(ScriptedResponse::redirect(307, &evil.url_for("/"))));
    let done = machine.run(&["request", "--profile=a", "away"]);
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
}
