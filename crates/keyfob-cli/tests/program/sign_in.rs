//! People sign in, with a browser or a code.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use keyfob_testkit::{Expect, Received, ScriptedResponse, Server, json};

use crate::keyfob::{Finished, Folder, Keyfob, finish};
use crate::pending_sign_in::{PendingSignIn, get, parameter, redirect_url};
use crate::waiting::wait_until;

/// A profile file and a state directory for one test, with a profile `a` whose token comes from this server.
pub(crate) struct Machine {
    pub(crate) folder: Folder,
    pub(crate) server: Server,
}

impl Machine {
    pub(crate) fn new(grant: &str) -> Self {
        let (folder, server) = (Folder::new(), Server::start());
        let issuer = server.url();
        folder.file("keyfob.toml", &profile("a", grant, &issuer));
        server.expect(
            Expect::get("/.well-known/oauth-authorization-server").always(ScriptedResponse::json(
                json!({
                    "issuer": issuer,
                    "authorization_endpoint": server.url_for("/authorize"),
                    "device_authorization_endpoint": server.url_for("/device"),
                    "token_endpoint": server.url_for("/token"),
                    "revocation_endpoint": server.url_for("/revoke"),
                }),
            )),
        );
        Self { folder, server }
    }

    pub(crate) fn keyfob(&self, arguments: &[&str]) -> Keyfob {
        let path = |name: &str| self.folder.path(name).display().to_string();
        Keyfob::new(arguments)
            .env("KEYFOB_CONFIG", &path("keyfob.toml"))
            .env("XDG_STATE_HOME", &path("state"))
            // A test can put its own browser there.
            .env("PATH", &path("bin"))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.keyfob(arguments).run()
    }

    /// Signs in with a browser and this token response.
    pub(crate) fn sign_in(&self, token: serde_json::Value) {
        self.server.expect(
            Expect::post("/token")
                .form("grant_type", "authorization_code")
                .respond(ScriptedResponse::json(token)),
        );
        let mut sign_in = PendingSignIn::start(self.keyfob(&["login", "--no-browser"]));
        let url = sign_in.address();
        get(&redirect_url(&url, "code=c0de"));
        assert_eq!(sign_in.finish().code, 0);
    }

    pub(crate) fn posts(&self, path: &str) -> Vec<Received> {
        let received = self.server.received().into_iter();
        received.filter(|received| received.path == path).collect()
    }
}

pub(crate) fn profile(name: &str, grant: &str, issuer: &str) -> String {
    format!(
        "[profiles.{name}]\nbase_url = \"https://api.example.com\"\n[profiles.{name}.token]\ngrant = \"{grant}\"\n\
         issuer = \"{issuer}\"\nclient_id = \"reports\"\nscopes = \"read offline_access\"\n"
    )
}

pub(crate) fn token(text: &str, expires_in: u64) -> serde_json::Value {
    json!({
        "access_token": text,
        "token_type": "Bearer",
        "expires_in": expires_in,
        "refresh_token": format!("refresh-of-{text}"),
    })
}

#[test]
fn a_sign_in_with_a_browser_is_stored_and_renewed_without_a_person() {
    let machine = Machine::new("authorization_code");
    machine.sign_in(token("first", 0));
    machine.server.expect(
        Expect::post("/token")
            .form("grant_type", "refresh_token")
            .form("refresh_token", "refresh-of-first")
            .respond(ScriptedResponse::json(token("second", 600))),
    );
    for _ in 0..2 {
        let done = machine.run(&["token", "--profile=a"]);
        assert_eq!((done.code, &*done.stdout), (0, "second\n"), "{done:?}");
    }
    let status = machine.run(&["status"]).stdout;
    assert!(status.contains("with refresh token"), "{status}");
    machine.server.verify();
}

#[test]
fn s1_a_sign_in_prints_the_address_and_no_token() {
    let machine = Machine::new("authorization_code");
    machine
        .server
        .expect(Expect::post("/token").respond(ScriptedResponse::json(token("s3cr3t", 600))));
    let mut sign_in = PendingSignIn::start(machine.keyfob(&["login", "--no-browser"]));
    let url = sign_in.address();
    assert!(
        url.as_str()
            .starts_with(&machine.server.url_for("/authorize?"))
    );
    assert_eq!(parameter(&url, "scope"), "read offline_access");
    let page = get(&redirect_url(&url, "code=c0de"));
    assert!(page.contains("You are signed in"), "{page}");
    let done = sign_in.finish();
    assert_eq!((done.code, &*done.stdout), (0, "signed in to a\n"));
    assert!(!format!("{done:?}").contains("s3cr3t"), "{done:?}");
    assert!(!format!("{done:?}").contains("c0de"), "{done:?}");
}

#[test]
fn s1_the_browser_gets_a_private_page_and_no_state_in_its_arguments() {
    let machine = Machine::new("authorization_code");
    machine
        .server
        .expect(Expect::post("/token").respond(ScriptedResponse::json(token("first", 600))));
    let opened = machine.folder.path("opened");
    fs::create_dir(machine.folder.path("bin")).expect("the folder can be written");
    let lines = format!("echo \"$1\" > '{}'", opened.display());
    machine.folder.script("bin/xdg-open", &lines);
    let mut sign_in = PendingSignIn::start(machine.keyfob(&["login"]));
    let url = sign_in.address();
    let seen = wait_until("the browser is opened", || {
        let text = fs::read_to_string(&opened).ok()?;
        text.ends_with('\n').then_some(text)
    });
    let page = Path::new(seen.trim_end());
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there during the sign-in");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(page), 0o600);
    assert_eq!(mode(page.parent().expect("it is in a directory")), 0o700);
    assert!(!seen.contains(&parameter(&url, "state")), "{seen}");
    let html = fs::read_to_string(page).expect("it is ours");
    let escaped = url.as_str().replace('&', "&amp;");
    assert!(
        html.contains(&format!("content=\"0; url={escaped}\"")),
        "{html}"
    );

    get(&redirect_url(&url, "code=c0de"));
    assert_eq!(sign_in.finish().code, 0);
    assert!(!page.exists());
    assert!(page.parent().is_some_and(|directory| !directory.exists()));
}

#[test]
fn a_person_can_paste_the_address_of_a_browser_on_another_machine() {
    let machine = Machine::new("authorization_code");
    machine.server.expect(
        Expect::post("/token")
            .form("code", "c0de")
            .respond(ScriptedResponse::json(token("first", 600))),
    );
    let keyfob = machine.keyfob(&["login", "--no-browser"]);
    let mut sign_in = PendingSignIn::start(keyfob.stdin(Stdio::piped()));
    let url = sign_in.address();
    let mut terminal = sign_in.child.stdin.take().expect("it is piped");
    let other = "http://127.0.0.1/callback?state=other&code=c0de";
    let address = redirect_url(&url, "code=c0de");
    let (uri, query) = address.split_once('?').expect("it has a query");
    let (state, code) = query.split_once('&').expect("it has both");
    writeln!(terminal, "\n{other}").expect("it reads");
    terminal.write_all(b"\xff\xfe\n").expect("it reads");
    // An address that was wrapped.
    writeln!(terminal, "{uri}?{code}\n&{state}").expect("it reads");
    writeln!(terminal, "{address}").expect("it reads");
    let done = sign_in.finish();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stderr.contains("not a response of this sign-in"),
        "{done:?}"
    );
    assert!(!done.stderr.contains("c0de"), "{done:?}");
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "first\n");
}

#[test]
fn an_address_that_the_terminal_cuts_can_be_opened_on_this_machine() {
    let machine = Machine::new("authorization_code");
    let code = "c".repeat(5000);
    machine.server.expect(
        Expect::post("/token")
            .form("code", &code)
            .respond(ScriptedResponse::json(token("first", 600))),
    );
    // `script` and the program are not in the machine's own folder.
    let path = std::env::var("PATH").expect("it is set");
    let keyfob = machine.keyfob(&["login", "--no-browser"]);
    let keyfob = keyfob.env("PATH", &path).at_terminal();
    let mut child = keyfob.stdin(Stdio::piped()).start();
    let mut keyboard = child.stdin.take().expect("it is piped");
    let mut screen = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line_with = |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            let read = screen.read_line(&mut line).expect("it is text");
            assert!(read > 0, "it ended");
        }
        line
    };
    let url: url::Url = line_with("/authorize?").trim().parse().expect("it is one");
    line_with("Paste the address");
    let address = redirect_url(&url, &format!("code={code}"));
    writeln!(keyboard, "{address}").expect("it reads");
    line_with("4095 characters");
    get(&address);
    line_with("signed in to a");
    assert_eq!(finish(child).code, 0);
}

#[test]
fn a_sign_in_with_a_code_shows_the_page_and_the_code_and_waits() {
    for arguments in [&["login", "a"][..], &["login", "--profile=b", "--device"]] {
        let machine = Machine::new("device_code");
        let browser = profile("b", "authorization_code", &machine.server.url());
        let both = profile("a", "device_code", &machine.server.url()) + &browser;
        machine.folder.file("keyfob.toml", &both);
        machine.server.expect(
            Expect::post("/device").respond(ScriptedResponse::json(json!({
                "device_code": "d3v1ce",
                "user_code": "WDJB-MJHT",
                "verification_uri": "https://login.example.com/device",
                "verification_uri_complete": "https://login.example.com/device?user_code=WDJB-MJHT",
                "expires_in": 600,
                "interval": 1,
            }))),
        );
        let pending =
            ScriptedResponse::json(json!({"error": "authorization_pending"})).with_status(400);
        machine.server.expect(
            Expect::post("/token")
                .form("device_code", "d3v1ce")
                .respond(pending)
                .respond(ScriptedResponse::json(token("first", 600))),
        );
        let mut sign_in = PendingSignIn::start(machine.keyfob(arguments));
        assert_eq!(sign_in.shown(), "https://login.example.com/device");
        assert_eq!(sign_in.shown(), "WDJB-MJHT");
        assert_eq!(
            sign_in.shown(),
            "https://login.example.com/device?user_code=WDJB-MJHT"
        );
        let done = sign_in.finish();
        assert_eq!(done.code, 0, "{done:?}");
        assert!(!format!("{done:?}").contains("d3v1ce"), "{done:?}");
        let name = if arguments.contains(&"a") { "a" } else { "b" };
        let printed = machine.run(&["token", "--profile", name]);
        assert_eq!(printed.stdout, "first\n", "{printed:?}");
        machine.server.verify();
    }
}

#[test]
fn a_refused_sign_in_has_exit_code_3_and_keeps_the_old_token() {
    let machine = Machine::new("authorization_code");
    machine.sign_in(token("first", 600));
    let mut sign_in = PendingSignIn::start(machine.keyfob(&["login", "--no-browser"]));
    let page = get(&redirect_url(&sign_in.address(), "error=access_denied"));
    assert!(page.contains("The sign-in was denied."), "{page}");
    let done = sign_in.finish();
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("`access_denied`"), "{done:?}");
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "first\n");
}

#[test]
fn the_option_limits_how_long_the_program_waits_for_a_sign_in() {
    let machine = Machine::new("authorization_code");
    let done = machine.run(&["login", "--no-browser", "--timeout=0.1"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(
        done.stderr
            .contains("keyfob: the sign-in was not completed in time"),
        "{done:?}"
    );
}

#[test]
fn a_token_without_a_refresh_token_is_reported() {
    let machine = Machine::new("authorization_code");
    let mut without = token("first", 600);
    without["refresh_token"] = json!(null);
    machine
        .server
        .expect(Expect::post("/token").respond(ScriptedResponse::json(without)));
    let mut sign_in = PendingSignIn::start(machine.keyfob(&["login", "--no-browser"]));
    get(&redirect_url(&sign_in.address(), "code=c0de"));
    let done = sign_in.finish();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("offline_access"), "{done:?}");
}

#[test]
fn after_the_server_ends_a_sign_in_the_error_says_how_to_sign_in_again() {
    let machine = Machine::new("authorization_code");
    let none = machine.run(&["token", "--profile=a"]);
    assert_eq!(none.code, 3);
    assert!(none.complaint().contains("`keyfob login a`"), "{none:?}");

    machine.sign_in(token("first", 0));
    let refusal = ScriptedResponse::json(json!({"error": "invalid_grant"})).with_status(400);
    machine.server.expect(
        Expect::post("/token")
            .form("grant_type", "refresh_token")
            .respond(refusal),
    );
    let ended = machine.run(&["token", "--profile=a"]);
    assert_eq!(ended.code, 3);
    assert!(ended.complaint().contains("`keyfob login a`"), "{ended:?}");
    assert!(ended.complaint().contains("`invalid_grant`"), "{ended:?}");

    machine.sign_in(token("second", 600));
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "second\n");
}

#[test]
fn the_command_to_sign_in_names_the_file_that_the_run_named() {
    let machine = Machine::new("authorization_code");
    let text = profile("other", "authorization_code", &machine.server.url());
    let file = machine.folder.file("other file.toml", &text);
    let file = file.display().to_string();
    let login = format!("`keyfob login other --config '{file}'`");
    for arguments in [
        &["token", "other"][..],
        &["logout", "other"],
        &["helper", "curl", "https://api.example.com/x"],
        &["profile", "check", "other"],
    ] {
        let done = machine.keyfob(arguments).args(["--config", &file]).run();
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(said.contains(&login), "{arguments:?}: {done:?}");
    }
}

#[test]
fn the_profile_may_be_omitted_if_only_one_has_a_sign_in() {
    let machine = Machine::new("authorization_code");
    let issuer = machine.server.url();
    let both = profile("a", "authorization_code", &issuer) + &profile("b", "device_code", &issuer);
    let other = "[profiles.c]\nbase_url = \"https://api.example.com\"\ntoken = \"env:TOKEN\"\n";
    for (file, arguments, message) in [
        (&*both, &["login"][..], "name one of a, b"),
        (other, &["login"], "has a sign-in"),
        (other, &["logout", "c"], "the profile c has no sign-in"),
        (&both, &["login", "d"], "no profile \"d\""),
    ] {
        machine.folder.file("keyfob.toml", file);
        let done = machine.run(arguments);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.complaint().contains(message), "{done:?}");
    }
    assert_eq!(machine.server.calls(), 0);
}

#[test]
fn a_sign_in_that_would_not_be_stored_is_refused() {
    let machine = Machine::new("authorization_code");
    let issuer = machine.server.url();
    let file = profile("a", "authorization_code", &issuer)
        .replace("base_url", "store = \"memory\"\nbase_url");
    machine.folder.file("keyfob.toml", &file);
    let done = machine.run(&["login"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.complaint().contains("memory only"), "{done:?}");
    assert_eq!(machine.server.calls(), 0);
}
