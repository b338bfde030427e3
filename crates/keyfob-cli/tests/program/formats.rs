//! `keyfob token` prints tokens for other programs.

use keyfob_testkit::json;

use crate::keyfob::{Finished, Folder, Keyfob};

#[test]
fn a_token_is_printed_in_each_format() {
    let folder = Folder::new();
    let helper = folder.script("helper", &format!("echo '{OAUTH}'"));
    let print = |format| token(&["--token-command", &helper, "--format", format]);

    assert_eq!(print("plain").stdout, "t0ken\n");
    assert_eq!(print("header").stdout, "authorization: Bearer t0ken\n");
    let printed = object(&print("json"));
    assert_eq!(printed["access_token"], "t0ken");
    assert_eq!(printed["token_type"], "Bearer");
    assert!(
        printed["expires_in"]
            .as_u64()
            .is_some_and(|left| (3590..=3600).contains(&left))
    );
    let printed = object(&print("bazel"));
    assert_eq!(
        printed["headers"],
        json!({"Authorization": ["Bearer t0ken"]})
    );
    assert_is_time(&printed["expires"]);
    let printed = object(&print("k8s"));
    assert_eq!(printed["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(printed["kind"], "ExecCredential");
    assert_eq!(printed["status"]["token"], "t0ken");
    assert_is_time(&printed["status"]["expirationTimestamp"]);
}

#[test]
fn keyfob_reads_what_another_keyfob_prints() {
    let keyfob = env!("CARGO_BIN_EXE_keyfob");
    for format in ["plain", "json", "bazel", "k8s"] {
        let inner = format!("{keyfob} token --token-env T --format {format}");
        let done = Keyfob::new(["token", "--token-command", &inner])
            .env("T", "t0ken")
            .run();
        assert_eq!(done.stdout, "t0ken\n", "{format}: {done:?}");
    }
}

#[test]
fn a_token_without_an_expiry_is_printed_without_one() {
    let folder = Folder::new();
    let file = folder.file("token", " t0ken\n");
    let print = |format| {
        let file = file.to_str().expect("a plain path");
        object(&token(&["--token-file", file, "--format", format]))
    };
    assert_eq!(
        print("json"),
        json!({"access_token": "t0ken", "token_type": "Bearer"})
    );
    assert_eq!(
        print("bazel"),
        json!({"headers": {"Authorization": ["Bearer t0ken"]}})
    );
    assert_eq!(print("k8s")["status"], json!({"token": "t0ken"}));
}

#[test]
fn kubernetes_gets_the_version_that_it_requests() {
    let requested = |version: &str| {
        Keyfob::new(["token", "--format", "k8s"])
            .env("KEYFOB_TOKEN", "t0ken")
            .env(
                "KUBERNETES_EXEC_INFO",
                &json!({"apiVersion": version, "kind": "ExecCredential"}).to_string(),
            )
            .run()
    };
    let beta = "client.authentication.k8s.io/v1beta1";
    assert_eq!(object(&requested(beta))["apiVersion"], beta);
    let unknown = requested("client.authentication.k8s.io/v9");
    assert_eq!((unknown.code, &*unknown.stdout), (2, ""));
}

#[test]
fn the_environment_names_the_source_if_no_option_does() {
    let print = |name, value: &str| Keyfob::new(["token"]).env(name, value).run().stdout;
    assert_eq!(print("KEYFOB_TOKEN", "one"), "one\n");
    assert_eq!(print("KEYFOB_TOKEN_COMMAND", "echo 'two'"), "two\n");
    let option = Keyfob::new(["token", "--token-command", "echo three"]);
    assert_eq!(option.env("KEYFOB_TOKEN", "one").run().stdout, "three\n");
}

fn token(options: &[&str]) -> Finished {
    let done = Keyfob::new(["token"].iter().chain(options)).run();
    assert_eq!(done.code, 0, "{done:?}");
    done
}

fn object(done: &Finished) -> serde_json::Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

fn assert_is_time(time: &serde_json::Value) {
    let time = time.as_str().expect("a time");
    assert!(
        time.len() == "2026-01-02T03:04:05Z".len() && time.ends_with('Z'),
        "{time}"
    );
}

const OAUTH: &str = r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}"#;
