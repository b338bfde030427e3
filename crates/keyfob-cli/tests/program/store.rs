//! `keyfob store`: checks, changes and moves what the stores of profiles hold.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob_testkit::TokenEndpoint;

use crate::keyfob::{Finished, Folder, Keyfob};

/// A machine with the profiles `old` and `new`, whose stores are sealed files in the directories of these names.
struct Machine {
    folder: Folder,
    endpoint: TokenEndpoint,
}

impl Machine {
    fn new() -> Self {
        let (folder, endpoint) = (Folder::new(), TokenEndpoint::start());
        folder.file("key-1", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        folder.file("key-2", "MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let machine = Self { folder, endpoint };
        machine.configure("old", "key-1");
        let done = machine.run(&["token", "--profile=old"]);
        assert_eq!(done.stdout, "token-1\n", "{done:?}");
        machine
    }

    /// Writes the profiles. That of `old` has its store in this directory, and uses these keys.
    fn configure(&self, directory: &str, keys: &str) {
        let path = |name: &str| self.folder.path(name).display().to_string();
        let keys = keys.split(',');
        let keys: Vec<_> = keys.map(|key| format!("\"file:{}\"", path(key))).collect();
        let profile = |name: &str, directory: &str| {
            format!(
                "[profiles.{name}]\norigins = \"https://api.example.com\"\n[profiles.{name}.token]\n\
                 grant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"fleet\"\n\
                 [profiles.{name}.store]\nkind = \"file\"\ndirectory = \"{}\"\nkeys = [{}]\non_store_outage = \"fail\"\n",
                self.endpoint.url(),
                path(directory),
                keys.join(", ")
            )
        };
        let text = profile("old", directory) + &profile("new", "new");
        self.folder.file("keyfob.toml", &text);
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        self.folder.keyfob(arguments).run()
    }

    /// `keyfob store export` or `import` with the file `backup` and this key.
    fn archive(&self, command: &str, profile: &str, key: &str) -> Finished {
        let file = format!("--file={}", self.path("backup"));
        let key = format!("--sealing-key={}", self.path(key));
        self.run(&["store", command, profile, &file, &key])
    }
}

#[test]
fn the_sql_of_a_table_is_printed() {
    let done = Keyfob::new(["store", "sql", "--table=auth.tokens"]).run();
    assert_eq!(done.code, 0);
    let expected = "CREATE TABLE \"auth\".\"tokens\" (";
    assert!(done.stdout.contains(expected), "{done:?}");
    assert!(done.stdout.contains("GRANT SELECT, INSERT, UPDATE"));
}

#[test]
fn a_name_that_no_table_can_have_is_refused() {
    for name in ["", "a..b", ".a", "a.", "a.b.c", "a\nDROP TABLE users; --"] {
        let done = Keyfob::new(["store", "sql", "--table", name]).run();
        assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
        assert!(done.complaint().contains("--table "), "{done:?}");
    }
}

#[test]
fn a_store_is_checked_and_its_entries_are_named() {
    let machine = Machine::new();
    let done = machine.run(&["store", "check", "old"]);
    assert_eq!(done.code, 0, "{done:?}");
    let lines: Vec<_> = done.stdout.lines().collect();
    assert!(lines[0].starts_with("ok      round trip: "), "{done:?}");
    assert!(lines[1].starts_with("ok      "), "{done:?}");
    assert!(lines[1].ends_with(": can be opened"), "{done:?}");
    assert_eq!(lines.len(), 2, "its own entry is removed: {done:?}");
    machine.configure("old", "key-2");
    let done = machine.run(&["store", "check", "old"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stdout.contains("\nfailed  "), "{done:?}");
    assert!(done.stdout.contains("a key that was not given"), "{done:?}");
}

#[test]
fn s2_after_rotate_key_the_old_key_is_not_needed() {
    let machine = Machine::new();
    machine.configure("old", "key-2");
    let done = machine.run(&["store", "rotate-key", "old"]);
    assert_eq!(done.code, 1, "without the old key: {done:?}");
    assert!(done.stderr.contains("a key that was not given"), "{done:?}");
    machine.configure("old", "key-2,key-1");
    let done = machine.run(&["store", "rotate-key", "old"]);
    assert_eq!(done.stdout, "1 token is sealed with the first key\n");
    machine.configure("old", "key-2");
    let done = machine.run(&["token", "--profile=old"]);
    assert_eq!(done.stdout, "token-1\n", "{done:?}");
    assert_eq!(machine.endpoint.calls(), 1);
}

#[test]
fn s2_an_export_is_sealed_and_a_wrong_key_imports_nothing() {
    let machine = Machine::new();
    let done = machine.archive("export", "old", "key-1");
    assert_eq!(done.stdout, "1 token is exported\n", "{done:?}");
    let text = fs::read_to_string(machine.path("backup")).unwrap();
    assert!(!text.contains("token-1") && !format!("{done:?}").contains("token-1"));
    let again = machine.archive("export", "old", "key-1");
    assert_eq!(again.code, 1, "the only copy is not replaced: {again:?}");
    let wrong = machine.archive("import", "new", "key-2");
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let place = machine.path("key-2");
    let problem = format!("is sealed with another key than the one in {place}");
    assert!(wrong.complaint().contains(&problem), "{wrong:?}");
    assert!(!fs::exists(machine.path("new")).unwrap());
    let done = machine.archive("import", "new", "key-1");
    assert_eq!(done.stdout, "1 token is imported\n", "{done:?}");
    let again = machine.archive("import", "new", "key-1");
    assert_eq!(
        again.stdout, "0 tokens are imported\n",
        "tokens of the store stay"
    );
    assert!(
        again.stderr.contains("the store has a token already"),
        "{again:?}"
    );
    machine.configure("new", "key-1");
    let done = machine.run(&["token", "--profile=old"]);
    assert_eq!(done.stdout, "token-1\n", "{done:?}");
}

#[test]
fn s2_a_part_of_an_export_is_not_taken_for_the_whole() {
    let machine = Machine::new();
    machine.archive("export", "old", "key-1");
    let text = fs::read_to_string(machine.path("backup")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let [head, entry, end] = lines[..] else {
        panic!("{text}");
    };
    assert!(end.starts_with("end "), "{text}");
    let file = machine.path("backup");
    let changed = format!("{file} is not complete or was changed");
    let newer = format!("{file} was written by a newer version of keyfob");
    let other = format!("{file} is not what `keyfob store export` writes");
    for (part, problem) in [
        (format!("{head}\n{entry}\n"), &changed),
        (format!("{head}\n{end}\n"), &changed),
        (format!("{head}\n{entry}\n{entry}\n{end}\n"), &changed),
        (format!("{head}\n"), &changed),
        (format!("{head}\n{entry}\n{end}"), &changed),
        (text[..text.len() - 20].to_owned(), &changed),
        (text.replace('\n', "\r\n"), &changed),
        (text[..14].to_owned(), &changed),
        (head.to_owned(), &changed),
        (text.replace("export-1", "export-99"), &newer),
        (String::new(), &other),
        (entry.to_owned(), &other),
    ] {
        machine.folder.file("backup", &part);
        let done = machine.archive("import", "new", "key-1");
        assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
        assert!(done.complaint().contains(problem), "{done:?}");
        assert!(!fs::exists(machine.path("new")).unwrap(), "{part}");
    }
}

/// The version in the first line is that of the seals, too: an error of a seal never means a newer version.
#[test]
fn the_seals_of_an_export_have_the_format_of_its_version() {
    let machine = Machine::new();
    machine.archive("export", "old", "key-1");
    let text = fs::read_to_string(machine.path("backup")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "keyfob-export-1");
    for line in &lines[1..] {
        let (_, sealed) = line.split_once(' ').unwrap();
        let sealed = STANDARD.decode(sealed).unwrap();
        assert!(sealed.starts_with(b"keyfob-sealed-3\n"), "{line}");
    }
}

#[test]
fn an_export_that_is_killed_leaves_no_part_of_the_file() {
    let machine = Machine::new();
    let file = format!("--file={}", machine.path("backup"));
    let key = format!("--sealing-key={}", machine.path("key-1"));
    let arguments = ["store", "export", "old", &file, &key];
    let export = machine.folder.keyfob(&arguments);
    let mut killed = export.killed_when_it_writes_a_file().start();
    assert!(!killed.wait().unwrap().success());
    assert!(!fs::exists(machine.path("backup")).unwrap());
    let done = machine.archive("export", "old", "key-1");
    assert_eq!(done.stdout, "1 token is exported\n", "{done:?}");
}

#[test]
fn an_export_that_cannot_be_written_leaves_no_file_behind() {
    let machine = Machine::new();
    let file = format!("--file={}", machine.path("backup"));
    let key = format!("--sealing-key={}", machine.path("key-1"));
    let export = machine
        .folder
        .keyfob(&["store", "export", "old", &file, &key]);
    let full = export.with_no_space_for_files().run();
    assert_eq!((full.code, &*full.stdout), (1, ""), "{full:?}");
    assert!(full.complaint().contains("cannot be written"), "{full:?}");
    assert!(!fs::exists(machine.path("backup")).unwrap());
    let done = machine.archive("export", "old", "key-1");
    assert_eq!(done.stdout, "1 token is exported\n", "{done:?}");
}

/// The output of a migration that moved tokens of these profiles.
fn moved(counts: &str, to: &str, profiles: &str) -> String {
    format!(
        "{counts}in keyfob.toml, give the new `store` to {profiles}: a token stays that of its profile, and {to} only names the store\n"
    )
}

#[test]
fn t9_a_migrated_token_is_used_from_the_new_store_and_not_from_the_old() {
    let machine = Machine::new();
    let done = machine.run(&["store", "migrate", "old", "new"]);
    assert_eq!(
        done.stdout,
        moved("1 token is moved\n", "new", "old"),
        "{done:?}"
    );
    let refused = machine.run(&["token", "--profile=old"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    let place = machine.path("new");
    assert!(refused.stderr.contains(&place), "{refused:?}");
    machine.configure("new", "key-1");
    let done = machine.run(&["token", "--profile=old"]);
    assert_eq!(done.stdout, "token-1\n", "{done:?}");
    assert_eq!(machine.endpoint.calls(), 1);
    let same = machine.run(&["store", "migrate", "old", "new"]);
    assert_eq!(same.code, 2, "{same:?}");
}

#[test]
fn t9_a_migration_and_what_follows_it_can_be_repeated_without_a_failure() {
    let machine = Machine::new();
    let run = |arguments: &[&str]| {
        let done = machine.run(arguments);
        assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
        done.stdout
    };
    run(&["store", "migrate", "old", "new"]);
    let again = run(&["store", "migrate", "old", "new"]);
    let before = |place: &str| format!("1 token was moved before, to {}\n", machine.path(place));
    let counted = format!("0 tokens are moved\n{}", before("new"));
    assert_eq!(again, moved(&counted, "new", "old"));
    let sealed = run(&["store", "rotate-key", "old"]);
    let expected = "0 tokens are sealed with the first key\n";
    assert_eq!(sealed, format!("{expected}{}", before("new")));
    let checked = run(&["store", "check", "old"]);
    let line = checked.lines().nth(1).unwrap();
    assert!(line.starts_with("moved   "), "{checked}");
    assert!(line.contains(&machine.path("new")), "{checked}");
    // A marker that names another store than the one that is asked for.
    let text = fs::read_to_string(machine.path("keyfob.toml")).unwrap();
    let other = text.replace(&machine.path("new"), &machine.path("newest"));
    machine.folder.file("keyfob.toml", &other);
    let elsewhere = run(&["store", "migrate", "old", "new"]);
    assert_eq!(elsewhere, counted, "it is no advice to use that store");
    let (file, key) = (machine.path("backup"), machine.path("key-1"));
    let export = [
        "store",
        "export",
        "old",
        "--file",
        &file,
        "--sealing-key",
        &key,
    ];
    assert_eq!(
        run(&export),
        format!("0 tokens are exported\n{}", before("new"))
    );
}

#[test]
fn t9_a_migration_names_the_profiles_that_need_the_new_store() {
    for (kept, names) in [
        (&["billing", "reports"][..], "billing, old"),
        // Its profile may be in the file of another machine.
        (
            &["reports"],
            "old, each other profile whose token was moved",
        ),
    ] {
        let machine = Machine::new();
        let text = fs::read_to_string(machine.path("keyfob.toml")).unwrap();
        let (old, _) = text.split_once("[profiles.new]").unwrap();
        let configure = |others: &[&str]| {
            let profile = |name: &&str| old.replace("profiles.old", &format!("profiles.{name}"));
            let others: String = others.iter().map(profile).collect();
            machine
                .folder
                .file("keyfob.toml", &format!("{text}{others}"));
        };
        configure(&["billing"]);
        machine.run(&["token", "--profile=billing"]);
        configure(kept);
        let done = machine.run(&["store", "migrate", "old", "new"]);
        let expected = moved("2 tokens are moved\n", "new", names);
        assert_eq!((done.code, done.stdout), (0, expected));
    }
}

#[test]
fn t9_tokens_that_were_migrated_can_be_migrated_back() {
    let machine = Machine::new();
    // On the way back, the profile has the right store already.
    for (from, to, expected) in [
        ("old", "new", moved("1 token is moved\n", "new", "old")),
        ("new", "old", "1 token is moved\n".to_owned()),
    ] {
        let done = machine.run(&["store", "migrate", from, to]);
        assert_eq!(done.stdout, expected, "{done:?}");
    }
    let done = machine.run(&["token", "--profile=old"]);
    assert_eq!(done.stdout, "token-1\n", "{done:?}");
    assert_eq!(machine.endpoint.calls(), 1);
}

/// As after a migration that was killed between its two saves.
#[test]
fn t9_a_token_that_was_renewed_after_an_interrupted_migration_can_be_migrated() {
    let machine = Machine::new();
    machine.archive("export", "old", "key-1");
    machine.archive("import", "new", "key-1");
    let renewed = machine.run(&["token", "--profile=old", "--renew"]);
    assert_eq!(renewed.stdout, "token-2\n", "{renewed:?}");
    let done = machine.run(&["store", "migrate", "old", "new"]);
    assert_eq!((done.code, &*done.stdout), (1, "0 tokens are moved\n"));
    for part in [
        "the one in the old store is newer, by ",
        "`keyfob store migrate --keep-newer`",
    ] {
        assert!(done.stderr.contains(part), "{done:?}");
    }
    assert!(!done.stderr.contains("forget"), "{done:?}");
    let status = machine.run(&["status"]).stdout;
    for directory in ["old", "new"] {
        let note = format!("  in {}  ", machine.path(directory));
        assert_eq!(status.matches(&note).count(), 1, "{status}");
    }
    let kept = machine.run(&["token", "--profile=old"]);
    assert_eq!(kept.stdout, "token-2\n", "{kept:?}");
    let done = machine.run(&["store", "migrate", "old", "new", "--keep-newer"]);
    let expected = moved("1 token is moved\n", "new", "old");
    assert_eq!((done.code, &*done.stdout), (0, &*expected), "{done:?}");
    machine.configure("new", "key-1");
    let moved = machine.run(&["token", "--profile=old"]);
    assert_eq!(moved.stdout, "token-2\n", "{moved:?}");
    assert_eq!(machine.endpoint.calls(), 2);
}

#[test]
fn t9_a_migration_to_the_same_store_under_another_name_is_refused() {
    let machine = Machine::new();
    let text = fs::read_to_string(machine.path("keyfob.toml")).unwrap();
    let other = text.replace(&machine.path("new"), &format!("{}/", machine.path("old")));
    machine.folder.file("keyfob.toml", &other);
    let files = || fs::read_dir(machine.path("old")).unwrap().count();
    let before = files();
    let done = machine.run(&["store", "migrate", "old", "new"]);
    assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
    let problem = "both profiles use the same store";
    assert!(done.complaint().contains(problem), "{done:?}");
    assert_eq!(files(), before, "nothing is left behind");
}

#[test]
fn a_migration_leaves_nothing_but_tokens_in_the_new_store() {
    let machine = Machine::new();
    machine.run(&["store", "migrate", "old", "new"]);
    let names = |directory: &str| {
        let files = fs::read_dir(machine.path(directory)).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("new"), names("old"));
}

#[test]
fn rotate_key_refuses_a_store_whose_tokens_are_not_sealed() {
    let machine = Machine::new();
    let text = fs::read_to_string(machine.path("keyfob.toml")).unwrap();
    let plain = text.lines().filter(|line| !line.starts_with("keys = "));
    let plain = plain.collect::<Vec<_>>().join("\n");
    machine.folder.file("keyfob.toml", &plain);
    let done = machine.run(&["store", "rotate-key", "old"]);
    assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
    let problem = "the store of old has no `keys`, so its tokens are not sealed";
    assert!(done.stderr.contains(problem), "{done:?}");
}
