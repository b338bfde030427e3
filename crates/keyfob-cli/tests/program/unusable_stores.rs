//! Stores that cannot be used, next to others that can.

use std::fs;

use keyfob_testkit::{TokenEndpoint, json};

use crate::keyfob::{Finished, Folder};

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
