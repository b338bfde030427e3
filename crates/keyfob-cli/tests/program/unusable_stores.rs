//! Stores that cannot be used, next to others that can.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keyfob_testkit::{Expect, ScriptedResponse, Server, TokenEndpoint, json};

use crate::keyfob::{Finished, Folder, Keyfob};

/// A machine on which the profiles `a` and `b` have a token in the default store.
struct Machine {
    folder: Folder,
    endpoint: TokenEndpoint,
}

impl Machine {
    fn new() -> Self {
        let (folder, endpoint) = (Folder::new(), TokenEndpoint::start());
        let machine = Self { folder, endpoint };
        machine.configure("");
        for name in ["a", "b"] {
            let done = machine.run(&["token", name]);
            assert_eq!(done.code, 0, "{done:?}");
        }
        machine
    }

    /// Writes the profiles `a` and `b`, and these ones.
    fn configure(&self, more: &str) {
        let (a, b) = (self.profile("a", ""), self.profile("b", ""));
        self.folder.file("keyfob.toml", &(a + &b + more));
    }

    fn profile(&self, name: &str, store: &str) -> String {
        format!(
            "[profiles.{name}]\norigins = \"https://api.example.com\"\n{store}\n[profiles.{name}.token]\n\
             grant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"{name}\"\n",
            self.endpoint.url()
        )
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        self.folder.keyfob(arguments).run()
    }
}

#[test]
fn one_store_that_cannot_be_used_hides_no_other() {
    let machine = Machine::new();
    // Nothing listens at this port.
    let url = "redis://127.0.0.1:9";
    let url = machine.folder.file("url", url).display().to_string();
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let key = machine.folder.file("key", key).display().to_string();
    let redis =
        format!("store = {{ kind = \"redis\", url = \"file:{url}\", keys = \"file:{key}\" }}");
    let sealed = format!(
        "store = {{ kind = \"file\", directory = \"{}\", keys = \"env:KEYFOB_TEST_UNSET\" }}",
        machine.path("sealed")
    );
    let profiles = [
        machine.profile("c", &redis),
        machine.profile("d", &redis),
        machine.profile("e", &sealed),
    ];
    machine.configure(&profiles.concat());

    let complains = |done: &Finished| {
        assert_eq!(done.code, 1, "{done:?}");
        let lines: Vec<_> = done.stderr.lines().collect();
        // The profiles that share a store share its line.
        assert_eq!(lines.len(), 2, "{done:?}");
        for words in [&*format!("the file {url}"), "KEYFOB_TEST_UNSET"] {
            assert!(lines.iter().any(|line| line.contains(words)), "{done:?}");
        }
        assert!(done.stderr.contains("Redis"), "{done:?}");
    };
    let listed = machine.run(&["status"]);
    complains(&listed);
    for row in ["\na ", "\nb "] {
        assert!(listed.stdout.contains(row), "{listed:?}");
    }
    let listed = machine.run(&["status", "--json"]);
    complains(&listed);
    let output: serde_json::Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
    assert_eq!(output["tokens"].as_array().map(Vec::len), Some(2));
    let forgotten = machine.run(&["forget", "--all"]);
    complains(&forgotten);
    assert_eq!(forgotten.stdout, "2 tokens are forgotten\n");
    let listed = machine.run(&["status", "--json"]);
    complains(&listed);
    let output: serde_json::Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
    assert_eq!(output, json!({"tokens": []}));
    // It is not known that nothing was stored.
    complains(&machine.run(&["status"]));
    let forgotten = machine.run(&["forget", "--all"]);
    complains(&forgotten);
    assert_eq!(forgotten.stdout, "0 tokens are forgotten\n");
}

#[test]
fn an_entry_that_cannot_be_forgotten_keeps_no_other() {
    for broken in 0..2 {
        let machine = Machine::new();
        let store = machine.folder.path("state").join("keyfob");
        let files = fs::read_dir(&store).expect("it is there");
        let files = files.map(|file| file.expect("it is there").path());
        let mut locks: Vec<_> = files
            .filter(|file| file.extension().is_some_and(|kind| kind == "token"))
            .map(|file| file.with_extension("lock"))
            .collect();
        locks.sort();
        assert_eq!(locks.len(), 2);
        // A directory cannot be locked.
        _ = fs::remove_file(&locks[broken]);
        fs::create_dir(&locks[broken]).expect("the store is ours");
        let done = machine.run(&["forget", "--all"]);
        assert_eq!(
            (done.code, &*done.stdout),
            (1, "1 token is forgotten\n"),
            "{done:?}"
        );
        assert!(done.complaint().contains("client="), "{done:?}");
        let listed = machine.run(&["status", "--json"]).stdout;
        let output: serde_json::Value = serde_json::from_str(&listed).expect("it is JSON");
        assert_eq!(output["tokens"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn s2_a_store_that_others_could_write_is_named_and_nothing_of_it_is_listed() {
    let machine = Machine::new();
    let store = machine.folder.path("state").join("keyfob");
    let set_mode = |mode| fs::set_permissions(&store, fs::Permissions::from_mode(mode));
    set_mode(0o755).expect("it is ours");
    for arguments in [&["status"][..], &["status", "--json"], &["forget", "--all"]] {
        let done = machine.run(arguments);
        assert_eq!(done.code, 1, "{done:?}");
        let named = format!("the token store's {} is open to", store.display());
        assert!(done.complaint().contains(&named), "{done:?}");
        assert!(!done.stdout.contains("cannot be read"), "{done:?}");
    }
    set_mode(0o700).expect("it is ours");
    let forgotten = machine.run(&["forget", "--all"]);
    assert_eq!(forgotten.stdout, "2 tokens are forgotten\n");
}

/// A machine on which a person has signed in to the profile `a` with a code. The profile `b` has another store.
struct SignedIn {
    folder: Folder,
    server: Server,
}

impl SignedIn {
    fn new() -> Self {
        let (folder, server) = (Folder::new(), Server::start());
        let authorization = json!({
            "device_code": "d3v1ce", "user_code": "u", "verification_uri": server.url(), "expires_in": 60, "interval": 1,
        });
        let token = json!({"access_token": "t", "token_type": "Bearer", "refresh_token": "r"});
        for (path, response) in [("/device", authorization), ("/token", token)] {
            server.expect(Expect::post(path).always(ScriptedResponse::json(response)));
        }
        folder.file("key-1", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        folder.file("key-2", "MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let machine = Self { folder, server };
        machine.configure("key-1");
        let done = machine.login().run();
        assert_eq!(done.code, 0, "{done:?}");
        machine
    }

    fn configure(&self, key: &str) {
        let profile = |name: &str| {
            format!(
                "[profiles.{name}]\norigins = \"https://api.example.com\"\n[profiles.{name}.token]\n\
                 grant = \"device_code\"\nclient_id = \"a\"\ntoken_endpoint = \"{}\"\n\
                 device_authorization_endpoint = \"{}\"\n[profiles.{name}.store]\nkind = \"file\"\n\
                 directory = \"{}\"\nkeys = \"file:{}\"\n",
                self.server.url_for("/token"),
                self.server.url_for("/device"),
                self.folder.path(&format!("store-of-{name}")).display(),
                self.folder.path(key).display(),
            )
        };
        let text = profile("a") + &profile("b");
        self.folder.file("keyfob.toml", &text);
    }

    fn login(&self) -> Keyfob {
        self.folder.keyfob(&["login", "a"])
    }

    fn sign_ins(&self) -> usize {
        let received = self.server.received().into_iter();
        received.filter(|request| request.path == "/device").count()
    }

    /// Writes this in place of the entry.
    fn overwrite(&self, text: &str) {
        let files = fs::read_dir(self.folder.path("store-of-a")).expect("it is there");
        let mut files = files.map(|file| file.expect("it is there").path());
        let entry = files.find(|file| file.extension().is_some_and(|kind| kind == "token"));
        fs::write(entry.expect("it is there"), text).expect("it is ours");
    }
}

#[test]
fn a_person_signs_in_only_if_the_stored_token_can_be_replaced() {
    type Spoil = fn(&SignedIn);
    let cases: [(Spoil, &str); 3] = [
        (
            |machine| machine.overwrite("keyfob-sealed-4\nrest"),
            "upgrade this one: ",
        ),
        (
            |machine| machine.configure("key-2"),
            "add it as an old key: ",
        ),
        (
            |machine| {
                let done = machine.folder.keyfob(&["store", "migrate", "a", "b"]);
                assert_eq!(done.run().code, 0);
            },
            "use that store, or forget the token here",
        ),
    ];
    for (spoil, advice) in cases {
        let machine = SignedIn::new();
        spoil(&machine);
        let done = machine.login().run();
        assert_eq!((done.code, &*done.stdout), (3, ""), "{done:?}");
        assert!(done.complaint().contains(advice), "{done:?}");
        assert!(done.complaint().contains("forget"), "{done:?}");
        assert_eq!(machine.sign_ins(), 1);
        let forgotten = machine.folder.keyfob(&["forget", "a"]).run();
        assert_eq!(forgotten.code, 0, "{forgotten:?}");
        let done = machine.login().run();
        assert_eq!(done.stdout, "signed in to a\n", "{done:?}");
    }
}

#[test]
fn a_person_signs_in_in_place_of_a_damaged_token() {
    let machine = SignedIn::new();
    machine.overwrite("no entry");
    let done = machine.login().run();
    assert_eq!(done.stdout, "signed in to a\n", "{done:?}");
}

#[test]
fn a_person_signs_in_only_if_a_token_can_be_written() {
    let machine = SignedIn::new();
    for is_stored in [true, false] {
        let before = machine.sign_ins();
        let done = machine.login().with_no_space_for_files().run();
        assert_eq!((done.code, &*done.stdout), (3, ""), "{done:?}");
        assert!(done.complaint().contains("cannot be written"), "{done:?}");
        assert_eq!(machine.sign_ins(), before);
        let forgotten = machine.folder.keyfob(&["forget", "a"]).run().stdout;
        let expected = match is_stored {
            true => "the token of a is forgotten\n",
            false => "no token of a was stored\n",
        };
        assert_eq!(forgotten, expected);
    }
}
