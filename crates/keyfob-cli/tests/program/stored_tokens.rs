//! Stored tokens: one fetch for many runs; listed and forgotten.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyfob_testkit::{Expect, ScriptedResponse, Server, TokenEndpoint, TokenResponse, json};

use crate::keyfob::{Finished, Folder, Keyfob, finish};

/// A profile file and a state directory for one test.
pub(crate) struct Machine {
    pub(crate) folder: Folder,
    pub(crate) endpoint: TokenEndpoint,
}

impl Machine {
    /// With a profile `a` for this API. Its token endpoint issues `token-1`, `token-2` and so on.
    pub(crate) fn new(api: &str, keys: &str) -> Self {
        Self::with(api, keys, "")
    }

    /// The same with these keys in the table of the token.
    pub(crate) fn with_token_keys(api: &str, keys: &str) -> Self {
        Self::with(api, "", keys)
    }

    fn with(api: &str, keys: &str, token_keys: &str) -> Self {
        let (folder, endpoint) = (Folder::new(), TokenEndpoint::start());
        folder.file("secret", "s3cret");
        let secret = folder.path("secret");
        let file = format!(
            "[profiles.a]\nbase_url = \"{api}\"\n{keys}\n[profiles.a.token]\ngrant = \"client_credentials\"\n\
             token_endpoint = \"{}\"\nclient_id = \"reports\"\nclient_secret = \"file:{}\"\nscopes = \"read\"\n{token_keys}\n",
            endpoint.url(),
            secret.display()
        );
        folder.file("keyfob.toml", &file);
        Self { folder, endpoint }
    }

    pub(crate) fn keyfob(&self, arguments: &[&str]) -> Keyfob {
        self.on(Keyfob::new(arguments))
    }

    /// The run with the settings of this machine.
    pub(crate) fn on(&self, keyfob: Keyfob) -> Keyfob {
        let path = |name: &str| self.folder.path(name).display().to_string();
        keyfob
            .env("KEYFOB_CONFIG", &path("keyfob.toml"))
            .env("XDG_STATE_HOME", &path("state"))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.keyfob(arguments).run()
    }
}

pub(crate) const API: &str = "https://api.example.com";

#[test]
fn a_second_run_fetches_no_token() {
    let machine = Machine::new(API, "");
    for _ in 0..3 {
        let done = machine.run(&["token", "--profile=a"]);
        assert_eq!((done.code, &*done.stdout), (0, "token-1\n"), "{done:?}");
    }
    assert_eq!(machine.endpoint.calls(), 1);
    // It works also without the server.
    let Machine { folder, endpoint } = machine;
    drop(endpoint);
    let machine = Machine {
        folder,
        endpoint: TokenEndpoint::start(),
    };
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "token-1\n");
}

#[test]
fn status_and_check_show_the_scopes_that_the_server_granted() {
    let machine = Machine::new(API, "");
    let granted = TokenResponse::token().field("scope", json!("read:own offline_access"));
    machine.endpoint.always(granted);
    let checked = machine.run(&["profile", "check", "a"]);
    assert!(
        checked
            .stdout
            .contains("with the scopes read:own offline_access\n"),
        "{checked:?}"
    );
    let listed = machine.run(&["status"]);
    let line = listed.stdout.lines().nth(1).unwrap_or_default();
    assert!(
        listed.stdout.contains("SCOPES") && line.contains("read:own offline_access"),
        "{listed:?}"
    );
}

#[test]
fn each_run_fetches_a_token_that_is_only_in_memory() {
    let machine = Machine::new(API, "store = \"memory\"");
    for token in ["token-1\n", "token-2\n"] {
        assert_eq!(machine.run(&["token", "--profile=a"]).stdout, token);
    }
    assert!(!machine.folder.path("state").exists());
}

#[test]
fn the_profile_can_name_the_directory() {
    let elsewhere = Folder::new();
    let store = format!(
        "store = {{ kind = \"file\", directory = \"{}\" }}",
        elsewhere.path("store").display()
    );
    let machine = Machine::new(API, &store);
    assert_eq!(machine.run(&["token", "--profile=a"]).code, 0);
    assert!(!machine.folder.path("state").exists());
    assert!(fs::read_dir(elsewhere.path("store")).is_ok_and(|files| files.count() > 0));
    let listed = machine.run(&["status"]);
    assert!(listed.stdout.contains("\na "), "{listed:?}");
}

#[test]
fn s2_entries_are_sealed_with_the_key_that_the_profile_names() {
    let keys = Folder::new();
    let key = keys.file("key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    let store = format!(
        "store = {{ kind = \"file\", keys = \"file:{}\" }}",
        key.display()
    );
    let machine = Machine::new(API, &store);
    for _ in 0..2 {
        assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "token-1\n");
    }
    let files = fs::read_dir(machine.folder.path("state").join("keyfob")).expect("it is there");
    for file in files {
        let bytes = fs::read(file.expect("it is there").path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("token-1"));
    }
    let listed = machine.run(&["status"]);
    assert!(listed.stdout.contains("\na        valid"), "{listed:?}");
    fs::remove_file(key).expect("it is there");
    let done = machine.run(&["token", "--profile=a", "--format=plain"]);
    assert!(!done.stdout.contains("token-1"), "{done:?}");
}

#[test]
fn t9_each_run_uses_the_refresh_token_of_the_run_before() {
    let (folder, server) = (Folder::new(), Server::start());
    let exchange = |used: &str, next: &str| {
        Expect::post("/token")
            .form("refresh_token", used)
            .respond(ScriptedResponse::json(json!({
                "access_token": used, "token_type": "Bearer", "expires_in": 3600, "refresh_token": next,
            })))
    };
    server.expect(exchange("r1", "r2"));
    server.expect(exchange("r2", "r3"));
    let first = folder.file("first", "r1");
    let file = format!(
        "[profiles.a]\norigins = \"{API}\"\n[profiles.a.token]\ngrant = \"refresh_token\"\nclient_id = \"a\"\n\
         token_endpoint = \"{}\"\nrefresh_token = \"file:{}\"\n",
        server.url_for("/token"),
        first.display()
    );
    let config = folder.file("keyfob.toml", &file).display().to_string();
    let run = |arguments: &[&str]| {
        Keyfob::new(arguments)
            .env("KEYFOB_CONFIG", &config)
            .env(
                "XDG_STATE_HOME",
                &folder.path("state").display().to_string(),
            )
            .run()
    };
    assert_eq!(run(&["token", "--profile=a"]).stdout, "r1\n");
    fs::remove_file(first).expect("it is there");
    let done = run(&["profile", "check", "a"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(run(&["token", "--profile=a"]).stdout, "r2\n");
    server.verify();
}

#[test]
fn a_changed_profile_gets_a_new_token() {
    let machine = Machine::new(API, "");
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "token-1\n");
    let path = machine.folder.path("keyfob.toml");
    let changed =
        fs::read_to_string(&path).expect("it is there") + "parameters = { tenant = \"t\" }\n";
    fs::write(&path, changed).expect("the folder is ours");
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "token-2\n");
}

#[test]
fn t1_processes_that_start_together_fetch_once() {
    let machine = Machine::new(API, "");
    machine
        .endpoint
        .next(TokenResponse::token().after(Duration::from_millis(200)));
    let started: Vec<_> = (0..10)
        .map(|_| machine.keyfob(&["token", "--profile=a"]).start())
        .collect();
    for child in started {
        let done = finish(child);
        assert_eq!((done.code, &*done.stdout), (0, "token-1\n"), "{done:?}");
    }
    assert_eq!(machine.endpoint.calls(), 1);
}

#[test]
fn t8_a_stored_token_that_is_rejected_is_replaced_for_later_runs() {
    let api = Server::start();
    api.expect(
        Expect::get("/x")
            .bearer("token-1")
            .respond(ScriptedResponse::text("one")),
    );
    api.expect(
        Expect::get("/x")
            .bearer("token-1")
            .respond(ScriptedResponse::status(401)),
    );
    api.expect(
        Expect::get("/x")
            .bearer("token-2")
            .respond(ScriptedResponse::text("two"))
            .times(2),
    );
    let machine = Machine::new(&api.url(), "");
    let bodies: Vec<_> = (0..3)
        .map(|_| {
            machine
                .run(&["request", "--profile=a", "x", "--fail"])
                .stdout
        })
        .collect();
    assert_eq!(bodies, ["one", "two", "two"]);
    assert_eq!(machine.endpoint.calls(), 2);
    api.verify();
}

#[test]
fn the_token_of_a_command_is_stored_only_if_it_has_an_expiry() {
    for (printed, runs) in [
        ("t0ken", 2),
        (
            r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}"#,
            1,
        ),
    ] {
        let folder = Folder::new();
        let count = folder.path("count");
        folder.script(
            "helper",
            &format!("echo >> '{}'; echo '{printed}'", count.display()),
        );
        let file = format!(
            "[profiles.a]\norigins = \"{API}\"\ntoken = \"command:{}\"\n",
            folder.path("helper").display()
        );
        let config = folder.file("keyfob.toml", &file).display().to_string();
        for _ in 0..2 {
            let done = Keyfob::new(["token", "--profile=a", "--config", &config])
                .env(
                    "XDG_STATE_HOME",
                    &folder.path("state").display().to_string(),
                )
                .run();
            assert_eq!((done.code, &*done.stdout), (0, "t0ken\n"), "{done:?}");
        }
        let lines = fs::read_to_string(count).expect("the helper was run");
        assert_eq!(lines.len(), runs, "{printed}");
    }
}

#[test]
fn s1_the_status_shows_stored_tokens_and_no_secret() {
    let machine = Machine::new(API, "");
    let nothing = machine.run(&["status"]);
    assert_eq!((nothing.code, &*nothing.stdout), (0, ""), "{nothing:?}");
    machine.run(&["token", "--profile=a"]);
    let listed = machine.run(&["status"]);
    assert_eq!((listed.code, &*listed.stderr), (0, ""), "{listed:?}");
    let [titles, row] = listed.stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{listed:?}");
    };
    assert!(titles.starts_with("PROFILE  TOKEN  AGE"), "{listed:?}");
    assert!(row.starts_with("a        valid"), "{listed:?}");
    for word in ["client=reports", "scope=read", "in 59 min"] {
        assert!(row.contains(word), "{word}: {listed:?}");
    }
    for secret in ["token-1", "s3cret"] {
        assert!(!listed.stdout.contains(secret), "{listed:?}");
    }
}

#[test]
fn t2_later_runs_obey_and_show_a_pause_that_a_server_asked_for() {
    let machine = Machine::new(API, "");
    let away = ScriptedResponse::too_many_requests("60");
    machine.endpoint.always(TokenResponse::other(away));
    assert_eq!(machine.run(&["token", "--profile=a"]).code, 3);
    let listed = machine.run(&["status"]);
    assert!(
        listed.stdout.contains("last error: unavailable"),
        "{listed:?}"
    );
}

#[test]
fn one_token_or_all_of_them_can_be_forgotten() {
    let machine = Machine::new(API, "");
    machine.run(&["token", "--profile=a"]);
    let forgotten = machine.run(&["forget", "a"]);
    assert_eq!(
        (forgotten.code, &*forgotten.stdout),
        (0, "the token of a is forgotten\n")
    );
    assert_eq!(machine.run(&["status"]).stdout, "");
    assert_eq!(
        machine.run(&["forget", "a"]).stdout,
        "no token of a was stored\n"
    );
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "token-2\n");
    // The token of a profile that no longer exists is listed and forgotten too.
    machine.folder.file("keyfob.toml", "");
    assert!(machine.run(&["status"]).stdout.contains("\n- "));
    assert_eq!(
        machine.run(&["forget", "--all"]).stdout,
        "1 token is forgotten\n"
    );
    assert_eq!(machine.run(&["status"]).stdout, "");
    assert_eq!(machine.run(&["forget"]).code, 2);
    assert_eq!(machine.run(&["forget", "a"]).code, 2);
}

#[test]
fn the_tokens_of_links_are_listed_and_forgotten_with_their_profile() {
    let (folder, server) = (Folder::new(), Server::start());
    let issued = AtomicUsize::new(0);
    server.expect(Expect::any().respond_with(move |_| {
        let number = issued.fetch_add(1, Ordering::Relaxed);
        ScriptedResponse::json(json!({"access_token": format!("t{number}"), "expires_in": 3600}))
    }));
    let grant = |link: &str| {
        format!(
            "{{ grant = \"client_credentials\", token_endpoint = \"{}\", client_assertion = {link} }}",
            server.url_for("/token")
        )
    };
    let login = format!(
        "{{ source = \"http\", url = \"{}\", token_pointer = \"/access_token\" }}",
        server.url_for("/login")
    );
    // The other profile is stored by itself, and so are both links of `a`.
    folder.file(
        "keyfob.toml",
        &format!(
            "[profiles.a]\nbase_url = \"{API}\"\nstore = \"file\"\ntoken = {}\n\
             [profiles.b]\nbase_url = \"{API}/b\"\nstore = \"file\"\ntoken = {}\n\
             [profiles.login]\norigins = []\nstore = \"file\"\ntoken = {login}\n",
            grant(&grant(&login)),
            grant("\"profile:login\""),
        ),
    );
    let machine = Machine {
        folder,
        endpoint: TokenEndpoint::start(),
    };
    for name in ["a", "b"] {
        let done = machine.run(&["token", "--profile", name]);
        assert_eq!(done.code, 0, "{done:?}");
    }
    let names = || {
        let listed = machine.run(&["status"]).stdout;
        let lines = listed.lines().skip(1);
        let names = lines.map(|line| line.split(' ').next().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>()
    };
    let links = [
        "a",
        "a.client_assertion",
        "a.client_assertion.client_assertion",
    ];
    assert_eq!(names(), [&links[..], &["b", "login"]].concat());
    machine.run(&["forget", "a"]);
    assert_eq!(names(), ["b", "login"]);
    machine.run(&["forget", "b"]);
    assert_eq!(names(), ["login"]);
    machine.run(&["token", "--profile=a"]);
    assert_eq!(
        machine.run(&["forget", "--all"]).stdout,
        "4 tokens are forgotten\n"
    );
}

#[test]
fn a_logout_removes_the_tokens_of_links_too() {
    let (folder, server) = (Folder::new(), Server::start());
    for (path, response) in [
        ("/login", json!({"token": "jwt", "expires_in": 3600})),
        (
            "/device",
            json!({
                "device_code": "d3v1ce", "user_code": "u", "verification_uri": server.url(), "expires_in": 60, "interval": 0,
            }),
        ),
        (
            "/token",
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r"}),
        ),
    ] {
        server.expect(Expect::post(path).always(ScriptedResponse::json(response)));
    }
    server.expect(Expect::post("/revoke").always(ScriptedResponse::text("")));
    folder.file(
        "keyfob.toml",
        &format!(
            "[profiles.a]\nbase_url = \"{API}\"\nstore = \"file\"\n[profiles.a.token]\ngrant = \"device_code\"\n\
             client_id = \"a\"\ntoken_endpoint = \"{}\"\ndevice_authorization_endpoint = \"{}\"\n\
             revocation_endpoint = \"{}\"\n\
             client_assertion = {{ source = \"http\", url = \"{}\", json = {{ role = \"ci\" }}, token_pointer = \"/token\" }}\n",
            server.url_for("/token"),
            server.url_for("/device"),
            server.url_for("/revoke"),
            server.url_for("/login"),
        ),
    );
    let machine = Machine {
        folder,
        endpoint: TokenEndpoint::start(),
    };
    let done = machine.run(&["login", "a"]);
    assert_eq!(done.code, 0, "{done:?}");
    let listed = machine.run(&["status"]).stdout;
    assert!(
        listed.contains("\na ") && listed.contains("\na.client_assertion "),
        "{listed}"
    );
    let done = machine.run(&["logout", "a"]);
    assert_eq!(
        (done.code, &*done.stdout),
        (0, "signed out of a\n"),
        "{done:?}"
    );
    assert_eq!(machine.run(&["status"]).stdout, "");
}

#[test]
fn a_check_fetches_a_new_token_and_stores_it() {
    let machine = Machine::new(API, "");
    machine.run(&["token", "--profile=a"]);
    let done = machine.run(&["profile", "check", "a"]);
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    for line in [
        "ok      the secret `client_secret` is in the file",
        "ok      the server http://",
        "ok      a new token came from client_credentials at http://",
    ] {
        assert!(done.stdout.contains(line), "{done:?}");
    }
    assert!(
        !done.stdout.contains("token-2") && !done.stdout.contains("s3cret"),
        "{done:?}"
    );
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "token-2\n");
    fs::remove_file(machine.folder.path("secret")).expect("it is there");
    let done = machine.run(&["profile", "check", "a"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(
        done.stdout.contains("failed  the secret `client_secret`: "),
        "{done:?}"
    );
    assert!(!done.stdout.contains("a new token"), "{done:?}");
}
