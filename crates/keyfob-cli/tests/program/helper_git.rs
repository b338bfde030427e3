//! `keyfob helper git` speaks the protocol of git's credential helpers.

use std::collections::BTreeMap;

use keyfob_testkit::{TokenResponse, json};

use crate::keyfob::{Finished, Keyfob};
use crate::stored_tokens::{API, Machine};

#[test]
fn git_gets_a_user_and_a_password_with_an_expiry() {
    let machine = Machine::new(API, "");
    let given = get(&machine, "");
    assert_eq!(given["username"], "x-access-token");
    assert_eq!(given["password"], "token-1");
    let expiry: u64 = given["password_expiry_utc"].parse().expect("a number");
    assert!(expiry > 1_700_000_000, "{expiry}");
    assert_eq!(given.len(), 3, "{given:?}");
    let named = get(&machine, "username=alice\n");
    assert_eq!(named["username"], "alice");
    assert_eq!(machine.endpoint.calls(), 1);
}

#[test]
fn git_that_announces_authtype_gets_a_scheme_that_its_server_takes() {
    let machine = Machine::new(API, "");
    let given = get(&machine, "capability[]=authtype\n");
    assert_eq!(given["authtype"], "Bearer");
    assert_eq!(given["credential"], "token-1");
    assert_eq!(given["ephemeral"], "1");
    assert_eq!(given["capability[]"], "authtype");
    assert!(!given.contains_key("password"), "{given:?}");
    assert!(!given.contains_key("continue"), "{given:?}");
    let challenges = "capability[]=authtype\nwwwauth[]=Basic realm=\"x\"\n";
    let basic = get(&machine, challenges);
    assert_eq!(basic["authtype"], "Basic");
    // x-access-token:token-1
    assert_eq!(basic["credential"], "eC1hY2Nlc3MtdG9rZW46dG9rZW4tMQ==");
    let both = format!("{challenges}wwwauth[]=Bearer realm=\"x\"\n");
    assert_eq!(get(&machine, &both)["authtype"], "Bearer");
}

#[test]
fn t8_a_token_that_git_erases_is_renewed_only_if_it_is_the_current_one() {
    let machine = Machine::new(API, "");
    assert_eq!(get(&machine, "")["password"], "token-1");
    for _ in 0..3 {
        let done = git(&machine, "erase", "username=x\npassword=token-1\n");
        assert_eq!((done.code, &*done.stdout), (0, ""), "{done:?}");
        assert_eq!(get(&machine, "")["password"], "token-2");
    }
    assert_eq!(machine.endpoint.calls(), 2);
    for sent in [
        "authtype=Bearer\ncredential=token-2\n",
        // x-access-token:token-3
        "authtype=Basic\ncredential=eC1hY2Nlc3MtdG9rZW46dG9rZW4tMw==\n",
    ] {
        assert_eq!(git(&machine, "erase", sent).code, 0);
    }
    assert_eq!(get(&machine, "")["password"], "token-4");
    // A password that another helper or a person gave.
    assert_eq!(git(&machine, "erase", "password=other\n").code, 0);
    assert_eq!(git(&machine, "erase", "").code, 0);
    assert_eq!(machine.endpoint.calls(), 4);
}

#[test]
fn r3_a_token_that_is_rejected_is_renewed_in_the_same_run_of_git() {
    let machine = Machine::new(API, "");
    let can = "capability[]=authtype\ncapability[]=state\n";
    let first = get(&machine, can);
    assert_eq!(
        (&*first["credential"], &*first["continue"]),
        ("token-1", "1")
    );
    let state = &first["state[]"];
    assert!(!state.contains("token-1"), "{state}");
    let again = get(&machine, &format!("{can}state[]={state}\ncontinue=1\n"));
    assert_eq!(again["credential"], "token-2");
    assert!(!again.contains_key("continue"), "{again:?}");
    // Another run of git that got the same token, and is told later that it is not valid.
    let late = get(&machine, &format!("{can}state[]={state}\n"));
    assert_eq!(late["credential"], "token-2");
    assert_eq!(machine.endpoint.calls(), 2);
    // A new token that is rejected too is not renewed again.
    let state = &again["state[]"];
    let erased = format!("{can}state[]={state}\nauthtype=Bearer\ncredential=token-2\n");
    assert_eq!(git(&machine, "erase", &erased).code, 0);
    let third = git(&machine, "get", &format!("{can}state[]={state}\n"));
    assert_eq!(
        (third.code, &*third.stdout),
        (3, "quit=true\n"),
        "{third:?}"
    );
    assert_eq!(machine.endpoint.calls(), 2);
}

#[test]
fn r3_the_challenge_says_whether_a_renewal_helps() {
    let machine = Machine::new(API, "");
    assert_eq!(get(&machine, "")["password"], "token-1");
    let invalid = "wwwauth[]=Bearer error=\"invalid_token\"\n";
    assert_eq!(get(&machine, invalid)["password"], "token-2");
    let scope = "wwwauth[]=Bearer error=\"insufficient_scope\", scope=\"repo\"\n";
    assert_eq!(get(&machine, scope)["password"], "token-2");
    let erased = format!("password=token-2\n{scope}");
    assert_eq!(git(&machine, "erase", &erased).code, 0);
    assert_eq!(machine.endpoint.calls(), 2);
}

#[test]
fn r1_a_server_that_no_profile_is_for_gets_no_opinion() {
    let machine = Machine::new(API, "");
    for request in [
        "protocol=https\nhost=other.example.com\n\n",
        "protocol=https\nhost=api.example.com:8443\n\n",
        "protocol=https\nhost=api.example.com.evil.example\n\n",
        "protocol=ssh\nhost=api.example.com\n\n",
        "protocol=https\n\n",
        "",
    ] {
        for operation in ["get", "erase", "store"] {
            let arguments = ["helper", "git", "--profile=a", operation];
            let done = machine.keyfob(&arguments).run_with(request);
            assert_eq!(
                (done.code, &*done.stdout, &*done.stderr),
                (0, "", ""),
                "{request:?}"
            );
        }
    }
    assert_eq!(machine.endpoint.calls(), 0);
}

#[test]
fn r2_git_is_told_to_stop_if_there_is_no_token() {
    let machine = Machine::new(API, "");
    machine
        .endpoint
        .always(TokenResponse::error("invalid_client"));
    let done = git(&machine, "get", "");
    assert_eq!((done.code, &*done.stdout), (3, "quit=true\n"), "{done:?}");
    assert!(done.complaint().contains("token"), "{done:?}");
    let plain = machine
        .keyfob(&["helper", "git", "get"])
        .run_with("protocol=http\nhost=api.example.com\n\n");
    assert_eq!(
        (plain.code, &*plain.stdout),
        (4, "quit=true\n"),
        "{plain:?}"
    );
    for injected in [
        "protocol=https\nhost=api.example.com\0\n",
        "url=https://a%0ahost=b/\n",
        "x\n",
    ] {
        let done = machine.keyfob(&["helper", "git", "get"]).run_with(injected);
        assert_eq!((done.code, &*done.stdout), (2, "quit=true\n"), "{done:?}");
    }
}

#[test]
fn the_path_chooses_among_profiles_of_one_server() {
    let folder = crate::keyfob::Folder::new();
    folder.file(
        "keyfob.toml",
        "[profiles.one]\nbase_url = 'https://git.example.com/one'\ntoken = 'env:ONE'\n\
         [profiles.two]\nbase_url = 'https://git.example.com/two'\ntoken = 'env:TWO'\n",
    );
    let config = folder.path("keyfob.toml").display().to_string();
    let get = |path: &str| {
        let keyfob = Keyfob::new(["helper", "git", "get"]);
        let keyfob = keyfob
            .env("KEYFOB_CONFIG", &config)
            .env("ONE", "t1")
            .env("TWO", "t2");
        keyfob.run_with(&format!(
            "protocol=https\nhost=git.example.com\npath={path}\n\n"
        ))
    };
    assert!(get("one/a.git").stdout.contains("password=t1\n"));
    assert!(get("two/a.git").stdout.contains("password=t2\n"));
    let unclear = get("");
    assert_eq!(
        (unclear.code, &*unclear.stdout),
        (2, "quit=true\n"),
        "{unclear:?}"
    );
}

#[test]
fn git_asks_for_other_operations_too() {
    let machine = Machine::new(API, "");
    let capabilities = machine.run(&["helper", "git", "capability"]);
    assert_eq!(
        capabilities.stdout,
        "version 0\ncapability authtype\ncapability state\n"
    );
    for operation in ["store", "nonsense"] {
        let done = git(&machine, operation, "username=x\npassword=s3cret\n");
        assert_eq!(
            (done.code, &*done.stdout, &*done.stderr),
            (0, "", ""),
            "{done:?}"
        );
    }
    assert_eq!(machine.endpoint.calls(), 0);
}

#[test]
fn a_user_and_a_password_of_a_profile_stay_those() {
    let folder = crate::keyfob::Folder::new();
    folder.file(
        "keyfob.toml",
        "[profiles.a]\nbase_url = 'https://api.example.com'\n[profiles.a.token]\nuser = 'me'\npassword = 'env:PW'\n",
    );
    let config = folder.path("keyfob.toml").display().to_string();
    let get = |more: &str| {
        let keyfob = Keyfob::new(["helper", "git", "get"]).env("KEYFOB_CONFIG", &config);
        keyfob
            .env("PW", "p:w")
            .run_with(&format!("{SERVER}{more}\n"))
            .stdout
    };
    assert_eq!(get(""), "username=me\npassword=p:w\n");
    assert_eq!(get("username=other\n"), "");
    let with = get("capability[]=authtype\ncapability[]=state\n");
    assert!(
        with.contains("authtype=Basic\ncredential=bWU6cDp3\n"),
        "{with}"
    );
    assert!(!with.contains("continue"), "{with}");
}

#[test]
fn a_link_for_git_is_the_same_helper() {
    let machine = Machine::new(API, "");
    machine
        .endpoint
        .next(TokenResponse::token().field("expires_in", json!(600)));
    let keyfob = Keyfob::linked("/usr/bin/git-credential-keyfob-a", ["get"]);
    let done = machine.on(keyfob).run_with(&format!("{SERVER}\n"));
    assert!(done.stdout.contains("password=token-1\n"), "{done:?}");
}

/// The attributes that git gets, each name once.
fn get(machine: &Machine, more: &str) -> BTreeMap<String, String> {
    let done = git(machine, "get", more);
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    let lines = done.stdout.lines();
    lines
        .map(|line| line.split_once('=').expect("name=value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn git(machine: &Machine, operation: &str, more: &str) -> Finished {
    let keyfob = machine.keyfob(&["helper", "git", operation]);
    keyfob.run_with(&format!("{SERVER}{more}\n"))
}

const SERVER: &str = "protocol=https\nhost=api.example.com\n";
