//! `keyfob helper` speaks the protocols of docker, terraform, bazel, cargo, kubectl, rclone and curl.

use keyfob_testkit::{TokenResponse, json};
use serde_json::Value;

use crate::keyfob::{Finished, Keyfob};
use crate::stored_tokens::{API, Machine};

#[test]
fn docker_gets_a_user_and_a_secret_for_each_form_of_the_server() {
    let machine = Machine::new(API, "");
    for server in [
        "api.example.com",
        "https://api.example.com",
        "https://api.example.com/v1/\n",
    ] {
        let given = object(&docker(&machine, "get", server));
        assert_eq!(
            given,
            json!({"ServerURL": server.trim(), "Username": "oauth2accesstoken", "Secret": "token-1"})
        );
    }
    let arguments = ["helper", "docker", "--username=<token>", "get"];
    let given = object(&machine.keyfob(&arguments).run_with("api.example.com"));
    assert_eq!(given["Username"], "<token>");
    let listed = object(&machine.run(&["helper", "docker", "list"]));
    assert_eq!(listed, json!({"api.example.com": "oauth2accesstoken"}));
    assert_eq!(machine.endpoint.calls(), 1);
}

#[test]
fn r1_docker_is_told_that_there_is_nothing_for_other_servers() {
    let machine = Machine::new(API, "");
    for server in [
        "other.example.com",
        "api.example.com:8443",
        "http://other.example.com",
        "api.example.com@evil.example",
        "a\nb",
    ] {
        let done = docker(&machine, "get", server);
        assert_eq!(
            (done.code, &*done.stdout, &*done.stderr),
            (1, "credentials not found in native keychain\n", ""),
            "{server}"
        );
        assert_eq!(docker(&machine, "erase", server).code, 0);
    }
    assert_eq!(machine.endpoint.calls(), 0);
}

#[test]
fn docker_reads_failures_from_standard_output() {
    let machine = Machine::new(API, "");
    machine
        .endpoint
        .always(TokenResponse::error("invalid_client"));
    for (operation, input) in [
        ("get", "api.example.com"),
        ("get", ""),
        ("get", "http://api.example.com"),
        ("store", "{}"),
        ("nonsense", ""),
    ] {
        let done = docker(&machine, operation, input);
        assert_eq!((done.code, &*done.stderr), (1, ""), "{done:?}");
        assert!(done.stdout.len() > 1, "{done:?}");
        assert!(!done.stdout.contains("not found in native"), "{done:?}");
    }
}

#[test]
fn docker_stores_nothing_but_what_it_got_and_erases_by_a_renewal() {
    let machine = Machine::new(API, "");
    let store = |secret: &str| {
        let request = json!({"ServerURL": "api.example.com", "Username": "x", "Secret": secret});
        docker(&machine, "store", &request.to_string())
    };
    assert_eq!(store("token-1").code, 0);
    let refused = store("s3cret");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.contains("profile a"), "{refused:?}");
    assert!(!refused.stdout.contains("s3cret"), "{refused:?}");
    assert_eq!(docker(&machine, "erase", "api.example.com").code, 0);
    assert_eq!(
        object(&docker(&machine, "get", "api.example.com"))["Secret"],
        "token-2"
    );
}

#[test]
fn terraform_gets_a_token_or_an_empty_object() {
    let machine = Machine::new(API, "");
    let terraform = |operation: &str, host: &str| {
        machine
            .keyfob(&["helper", "terraform", operation, host])
            .run_with("{\"token\":\"x\"}")
    };
    assert_eq!(
        terraform("get", "api.example.com").stdout,
        "{\"token\":\"token-1\"}\n"
    );
    for other in [
        "other.example.com",
        "api.example.com:8443",
        "api.example.com/x",
        "-",
    ] {
        assert_eq!(terraform("get", other).stdout, "{}\n", "{other}");
    }
    for host in ["api.example.com", "other.example.com"] {
        let stored = terraform("store", host);
        assert_eq!((stored.code, &*stored.stdout), (2, ""), "{stored:?}");
        assert!(
            stored.complaint().contains("nothing was stored"),
            "{stored:?}"
        );
    }
    assert_eq!(terraform("forget", "other.example.com").code, 0);
    assert_eq!(terraform("forget", "api.example.com").code, 0);
    assert_eq!(
        terraform("get", "api.example.com").stdout,
        "{\"token\":\"token-2\"}\n"
    );
    assert_eq!(terraform("nonsense", "api.example.com").code, 2);
}

#[test]
fn bazel_gets_headers_or_an_empty_object() {
    let machine = Machine::new(API, "");
    let bazel = |uri: &str| {
        let request = json!({"uri": uri, "extra": {}}).to_string();
        machine
            .keyfob(&["helper", "bazel", "get"])
            .run_with(&request)
    };
    let given = object(&bazel("https://api.example.com/cas/x"));
    assert_eq!(
        given["headers"],
        json!({"Authorization": ["Bearer token-1"]})
    );
    let expires = given["expires"].as_str().expect("a time");
    assert!(
        expires.ends_with('Z') && !expires.contains('.'),
        "{expires}"
    );
    assert_eq!(object(&bazel("grpcs://api.example.com")), given);
    for other in ["https://other.example.com/", "x", ""] {
        assert_eq!(object(&bazel(other)), json!({}), "{other}");
    }
    let odd = machine.keyfob(&["helper", "bazel", "get"]).run_with("[]");
    assert_eq!((odd.code, &*odd.stdout), (2, ""), "{odd:?}");
    assert_eq!(machine.run(&["helper", "bazel", "put"]).code, 2);
}

#[test]
fn cargo_holds_a_conversation_in_lines() {
    let machine = Machine::new(API, "");
    let index = "sparse+https://api.example.com/index/";
    let ask = |kind: &str, index: &str| json!({"v": 1, "kind": kind, "operation": "read", "registry": {"index-url": index, "name": "mine"}, "args": []});
    let mut with_token = ask("login", index);
    with_token["token"] = json!("s3cret");
    let mut version_2 = ask("get", index);
    version_2["v"] = json!(2);
    let mut rejected = ask("get", index);
    rejected["registry"]["headers"] = json!(["WWW-Authenticate: Bearer error=\"invalid_token\""]);
    let mut other_profile = ask("get", index);
    other_profile["args"] = json!(["--profile", "b"]);
    let mut odd_words = ask("get", index);
    odd_words["args"] = json!(["--nonsense"]);
    let lines = [
        ask("get", index),
        ask("get", "sparse+https://other.example.com/"),
        ask("get", "registry+https://api.example.com/git/index"),
        ask("future", index),
        rejected,
        ask("logout", index),
        ask("login", index),
        with_token,
        version_2,
        other_profile,
        odd_words,
        ask("get", index),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let keyfob = machine.on(Keyfob::linked(
        "cargo-credential-keyfob",
        ["--cargo-plugin"],
    ));
    let done = keyfob.run_with(&input);
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    let answers: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(answers[0], json!({"v": [1]}));
    let got = &answers[1]["Ok"];
    assert_eq!(got["kind"], "get");
    assert_eq!(
        (&got["token"], &got["cache"]),
        (&json!("Bearer token-1"), &json!("expires"))
    );
    assert!(
        got["expiration"].is_u64() && got["operation_independent"] == true,
        "{got}"
    );
    assert_eq!(answers[2], json!({"Err": {"kind": "url-not-supported"}}));
    assert_eq!(answers[3]["Ok"]["token"], "Bearer token-1");
    assert_eq!(
        answers[4],
        json!({"Err": {"kind": "operation-not-supported"}})
    );
    assert_eq!(answers[5]["Ok"]["token"], "Bearer token-2");
    assert_eq!(answers[6], json!({"Ok": {"kind": "logout"}}));
    assert_eq!(answers[7], json!({"Ok": {"kind": "login"}}));
    for failed in &answers[8..12] {
        assert_eq!(failed["Err"]["kind"], "other", "{failed}");
        assert!(!failed.to_string().contains("s3cret"), "{failed}");
    }
    assert_eq!(answers[12]["Ok"]["token"], "Bearer token-3");
    assert_eq!(answers.len(), 13);
    assert_eq!(machine.endpoint.calls(), 3);
}

#[test]
fn cargo_is_told_why_there_is_no_token() {
    let machine = Machine::new(API, "");
    machine
        .endpoint
        .always(TokenResponse::error("invalid_client"));
    let request = json!({"v": 1, "kind": "get", "registry": {"index-url": "sparse+https://api.example.com/"}});
    let done = machine
        .keyfob(&["helper", "cargo", "--cargo-plugin"])
        .run_with(&format!("{request}\n"));
    let answer: Value =
        serde_json::from_str(done.stdout.lines().nth(1).expect("two lines")).expect("JSON");
    assert_eq!(answer["Err"]["kind"], "other", "{answer}");
    assert!(
        answer["Err"]["message"]
            .as_str()
            .is_some_and(|text| text.len() > 10),
        "{answer}"
    );
}

#[test]
fn kubectl_gets_a_token_for_the_cluster_that_it_names() {
    let machine = Machine::new(API, "");
    let given = object(&kubectl(&machine, "v1beta1", API));
    assert_eq!(given["apiVersion"], "client.authentication.k8s.io/v1beta1");
    assert_eq!(given["status"]["token"], "token-1");
    assert!(
        given["status"]["expirationTimestamp"].is_string(),
        "{given}"
    );
    let other = kubectl(&machine, "v1", "https://other.example.com");
    assert_eq!((other.code, &*other.stdout), (4, ""), "{other:?}");
    let unnamed = machine.run(&["helper", "kubectl", "--profile=a"]);
    assert_eq!((unnamed.code, &*unnamed.stdout), (2, ""), "{unnamed:?}");
    assert!(
        unnamed.complaint().contains("provideClusterInfo"),
        "{unnamed:?}"
    );
    assert_eq!(kubectl(&machine, "v9", API).code, 2);
}

#[test]
fn r3_a_program_that_asks_again_has_had_its_token_rejected() {
    let machine = Machine::new(API, "");
    // The token that replaced another one is new, and was not rejected.
    for token in ["token-1", "token-2", "token-2", "token-2"] {
        assert_eq!(
            object(&kubectl(&machine, "v1", API))["status"]["token"],
            token
        );
    }
    make_records_older(&machine);
    for token in ["token-3", "token-3"] {
        assert_eq!(
            object(&kubectl(&machine, "v1", API))["status"]["token"],
            token
        );
    }
    // Another URL is another question of the same program.
    let url = "https://api.example.com/dav";
    for token in ["token-3\n", "token-4\n", "token-4\n"] {
        assert_eq!(machine.run(&["helper", "rclone", url]).stdout, token);
    }
    // Without a new token, one that has not expired is still given.
    machine
        .endpoint
        .always(TokenResponse::error("temporarily_unavailable"));
    let replaced = kubectl(&machine, "v1", API);
    assert_eq!(object(&replaced)["status"]["token"], "token-4");
    make_records_older(&machine);
    let kept = kubectl(&machine, "v1", API);
    assert!(
        kept.code == 0 && kept.stdout.contains("\"token-4\""),
        "{kept:?}"
    );
    assert!(kept.stderr.contains("renewal failed"), "{kept:?}");
    // A field without a value is left out, and one with a value has no form of the source code.
    assert!(kept.stderr.contains(" pause="), "{kept:?}");
    assert!(!kept.stderr.contains("Some("), "{kept:?}");
}

#[test]
fn r2_curl_gets_its_url_only_with_a_token() {
    let machine = Machine::new(API, "");
    let done = machine.run(&["helper", "curl", "https://api.example.com/a\"b?c=d"]);
    assert_eq!(
        done.stdout,
        "header = \"authorization: Bearer token-1\"\ngloboff\nurl = \"https://api.example.com/a%22b?c=d\"\n"
    );
    for url in ["https://other.example.com/", "http://api.example.com/"] {
        let done = machine.run(&["helper", "curl", "--profile=a", url]);
        assert_eq!((done.code, &*done.stdout), (4, ""), "{done:?}");
    }
    assert_eq!(machine.run(&["helper", "curl", "api.example.com"]).code, 2);
}

#[test]
fn r2_a_token_that_is_bound_to_a_key_is_given_to_no_program() {
    let machine = Machine::with_token_keys(API, "dpop_key = \"file:/nowhere\"");
    for arguments in [
        &["helper", "terraform", "get", "api.example.com"][..],
        &["helper", "curl", API],
    ] {
        let done = machine.run(arguments);
        assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
        assert!(done.complaint().contains("DPoP"), "{done:?}");
    }
}

#[test]
fn each_helper_says_how_to_sign_in() {
    let machine = crate::sign_in::Machine::new("authorization_code");
    let git = machine
        .keyfob(&["helper", "git", "get"])
        .run_with("protocol=https\nhost=api.example.com\n\n");
    assert_eq!((git.code, &*git.stdout), (3, "quit=true\n"), "{git:?}");
    assert!(git.complaint().contains("keyfob login a"), "{git:?}");
    let docker = machine
        .keyfob(&["helper", "docker", "get"])
        .run_with("api.example.com");
    assert!(
        docker.code == 1 && docker.stdout.contains("keyfob login a"),
        "{docker:?}"
    );
    for arguments in [
        &["helper", "terraform", "get", "api.example.com"][..],
        &["helper", "curl", API],
        &["helper", "rclone", API],
    ] {
        let done = machine.run(arguments);
        assert_eq!((done.code, &*done.stdout), (3, ""), "{done:?}");
        assert!(done.complaint().contains("keyfob login a"), "{done:?}");
    }
}

fn docker(machine: &Machine, operation: &str, input: &str) -> Finished {
    machine
        .keyfob(&["helper", "docker", operation])
        .run_with(input)
}

/// As if what the programs got was given to them two minutes ago.
fn make_records_older(machine: &Machine) {
    let folder = machine.folder.path("state").join("keyfob-helper");
    for record in std::fs::read_dir(folder).expect("there are records") {
        let path = record.expect("it can be listed").path();
        let record = std::fs::File::options().write(true).open(path);
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(120);
        record
            .and_then(|record| record.set_modified(then))
            .expect("it is ours");
    }
}

fn kubectl(machine: &Machine, version: &str, server: &str) -> Finished {
    let info = json!({
        "apiVersion": format!("client.authentication.k8s.io/{version}"),
        "kind": "ExecCredential",
        "spec": {"interactive": false, "cluster": {"server": server}},
    });
    let keyfob = machine.keyfob(&["helper", "kubectl"]);
    keyfob.env("KUBERNETES_EXEC_INFO", &info.to_string()).run()
}

fn object(done: &Finished) -> Value {
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}
