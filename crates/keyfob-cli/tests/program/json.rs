//! `--json` of the commands that list or check something, and what they print when there is nothing to list.

use std::collections::BTreeSet;

use keyfob_testkit::{TokenResponse, json};
use serde_json::Value;

use crate::keyfob::{Finished, Folder, Keyfob};
use crate::stored_tokens::{API, Machine};

#[test]
fn the_json_of_status_and_profiles_has_the_documented_fields() {
    let machine = Machine::new(API, "");
    let granted = TokenResponse::token().field("scope", json!("read write"));
    machine.endpoint.always(granted);
    let check = document(&machine.run(&["profile", "check", "a", "--json"]));
    let list = document(&machine.run(&["profile", "list", "--json"]));
    let status = document(&machine.run(&["status", "--json"]));
    for (row, value) in [
        ("`status`", &status),
        ("each of `tokens`", &status["tokens"][0]),
        ("`profile list`", &list),
        ("each of `profiles`", &list["profiles"][0]),
        ("`profile check`", &check),
        ("each of `steps`", &check["steps"][0]),
    ] {
        assert_eq!(fields(value), documented(row), "{row}");
    }
    let token = &status["tokens"][0];
    assert_eq!(
        (&token["profile"], &token["token"]),
        (&json!("a"), &json!("valid"))
    );
    assert_eq!(token["scopes"], json!(["read", "write"]));
    assert!(
        token["age_seconds"].is_u64() && token["expires_in_seconds"].is_u64(),
        "{token}"
    );
    for time in ["obtained", "expires"] {
        let text = token[time].as_str().unwrap_or_default();
        assert!(text.len() == 20 && text.ends_with('Z'), "{token}");
    }
    assert_eq!(list["profiles"][0]["servers"], json!([API]));
    assert_eq!(check["steps"][0]["works"], true);
}

#[test]
fn s1_no_json_holds_a_secret() {
    let machine = Machine::new(API, "");
    machine.run(&["token", "--profile=a"]);
    for arguments in [
        &["status"][..],
        &["profile", "list"],
        &["profile", "check", "a"],
    ] {
        let done = machine.keyfob(arguments).args(["--json"]).run();
        assert!(
            !done.stdout.contains("token-1") && !done.stdout.contains("s3cret"),
            "{done:?}"
        );
    }
}

#[test]
fn a_failed_check_is_json_too_and_keeps_its_exit_code() {
    let machine = Machine::new(API, "");
    machine
        .endpoint
        .always(TokenResponse::error("invalid_client"));
    let plain = machine.run(&["profile", "check", "a"]);
    let done = machine.run(&["profile", "check", "a", "--json"]);
    assert!(done.code != 0 && done.code == plain.code, "{done:?}");
    let check: Value = serde_json::from_str(&done.stdout).expect("it is JSON");
    let steps = check["steps"].as_array().expect("it is a list");
    let failed = steps.iter().find(|step| step["works"] == false);
    let error = failed.and_then(|step| step["error"].as_str());
    assert!(
        error.is_some_and(|error| error.contains("invalid_client")),
        "{check}"
    );
}

#[test]
fn where_there_is_nothing_the_next_command_is_named() {
    let folder = Folder::new();
    let empty = folder.file("empty.toml", "").display().to_string();
    let state = folder.path("state").display().to_string();
    let missing = [
        (
            &["profile", "list"][..],
            0,
            "does not exist; `keyfob profile add NAME` adds one",
        ),
        (&["status"], 0, "no token is stored; "),
        (
            &["login"],
            2,
            "does not exist; `keyfob profile add NAME` adds one, and `keyfob login URL`",
        ),
        (&["logout"], 2, "`keyfob profile add NAME`"),
        (&["logout", "x"], 2, "`keyfob profile add NAME`"),
        (&["profile", "check", "x"], 2, "`keyfob profile add NAME`"),
        (&["forget", "x"], 2, "`keyfob profile add NAME`"),
        (&["store", "check", "x"], 2, "`keyfob profile add NAME`"),
        (&["token", "--profile=x"], 2, "`keyfob profile add NAME`"),
    ];
    for (arguments, code, hint) in missing {
        // Other tests have tokens in the folder that they share.
        let done = Keyfob::new(arguments).env("XDG_STATE_HOME", &state).run();
        assert_eq!((done.code, &*done.stdout), (code, ""), "{done:?}");
        assert!(done.complaint().contains(hint), "{done:?}");
        // A hint is a notice, and can be left out. An error cannot.
        let quiet = Keyfob::new(arguments).args(["--quiet"]);
        let quiet = quiet.env("XDG_STATE_HOME", &state).run();
        assert_eq!(quiet.stderr.is_empty(), code == 0, "{quiet:?}");
    }
    let done = Keyfob::new(["profile", "list", "--config", &empty]).run();
    assert!(
        done.complaint()
            .contains("has no profile; `keyfob profile add NAME`"),
        "{done:?}"
    );
    let machine = Machine::new(API, "");
    let done = machine.run(&["status"]);
    assert!(
        done.complaint().contains("`keyfob token --profile NAME`"),
        "{done:?}"
    );
    assert_eq!(
        machine.run(&["forget", "--all"]).stdout,
        "no token was stored\n"
    );
    let none = document(&machine.run(&["status", "--json"]));
    assert_eq!(none, json!({"tokens": []}));
}

#[test]
fn name_and_profile_mean_the_same_and_one_of_them_is_enough() {
    let machine = Machine::new(API, "");
    machine.run(&["token", "--profile=a"]);
    for arguments in [
        &["token"][..],
        &["profile", "check"],
        &["store", "check"],
        &["forget"],
    ] {
        let run = |more: &[&str]| machine.keyfob(arguments).args(more).run();
        let (by_name, by_option) = (run(&["a"]), run(&["--profile", "a"]));
        assert_eq!(
            (by_name.code, by_option.code),
            (0, 0),
            "{by_name:?} {by_option:?}"
        );
        assert_eq!(run(&["a", "--profile=a"]).code, 2, "{arguments:?}");
        assert_eq!(run(&[]).code, 2, "{arguments:?}");
    }
}

fn document(done: &Finished) -> Value {
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    serde_json::from_str(&done.stdout).expect("it is JSON")
}

fn fields(value: &Value) -> BTreeSet<String> {
    let object = value.as_object().expect("it is an object");
    object.keys().cloned().collect()
}

/// The fields that README.md lists for this output: the words in backquotes, outside parentheses.
fn documented(row: &str) -> BTreeSet<String> {
    let readme = include_str!("../../README.md");
    let start = format!("| {row} | ");
    let cell = readme.lines().find_map(|line| line.strip_prefix(&*start));
    let mut depth = 0;
    let cell = cell.expect("README.md has the row").chars().filter(|&c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    let cell: String = cell.collect();
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
