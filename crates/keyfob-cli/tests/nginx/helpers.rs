//! Tokens from a real helper, in each format that credential helpers print.

use crate::keyfob::{Folder, Keyfob};
use crate::server::Nginx;

#[test]
fn every_format_of_a_helper_is_understood() {
    let nginx = Nginx::start();
    let folder = Folder::new();
    for (name, printed) in FORMATS {
        let helper = folder.script(name, &format!("cat <<'END'\n{printed}\nEND"));
        let done = Keyfob::new(["request", &nginx.url("/ok"), "--token-command", &helper]).run();
        assert_eq!(
            (done.code, &*done.stdout, &*done.stderr),
            (0, "ok\n", ""),
            "{name}"
        );
    }
    let accepted = "here GET /ok 200 [Bearer good-1]".to_owned();
    assert_eq!(nginx.requests(), vec![accepted; FORMATS.len()]);
}

#[test]
fn a_helper_gets_the_words_of_its_command_line() {
    let nginx = Nginx::start();
    let folder = Folder::new();
    let helper = folder.script("helper", r#"test "$#:$1:$2" = "2:a b:c" && echo good-1"#);
    let command = format!("{helper} 'a b' \"c\"");
    let done = Keyfob::new(["request", &nginx.url("/ok"), "--token-command", &command]).run();
    assert_eq!((done.code, &*done.stdout), (0, "ok\n"), "{done:?}");
}

#[test]
fn a_helper_that_fails_is_reported_and_nothing_is_sent() {
    let nginx = Nginx::start();
    let folder = Folder::new();
    let helper = folder.script("helper", "echo 'please log in first' >&2; exit 1");
    let done = Keyfob::new(["request", &nginx.url("/ok"), "--token-command", &helper]).run();
    assert_eq!((done.code, &*done.stdout), (3, ""));
    assert!(done.complaint().contains("please log in first"), "{done:?}");
    assert_eq!(nginx.requests(), [""; 0]);
}

const FORMATS: [(&str, &str); 13] = [
    ("plain", "good-1"),
    (
        "bazel",
        r#"{"headers":{"Authorization":["Bearer good-1"]},"expires":"2100-01-02T03:04:05Z"}"#,
    ),
    (
        "kubernetes",
        r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"good-1","expirationTimestamp":"2100-01-02T03:04:05Z"}}"#,
    ),
    (
        "kubernetes-v1beta1",
        r#"{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"good-1"}}"#,
    ),
    (
        "google",
        r#"{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:jwt","id_token":"good-1","expiration_time":4102444800}"#,
    ),
    (
        "git",
        "protocol=https\nhost=api.example.com\nauthtype=Bearer\ncredential=good-1",
    ),
    (
        "git-password",
        "username=me\npassword=good-1\npassword_expiry_utc=4102444800",
    ),
    (
        "docker",
        r#"{"ServerURL":"https://api.example.com","Username":"<token>","Secret":"good-1"}"#,
    ),
    (
        "cargo",
        "{\"v\":[1]}\n{\"Ok\":{\"kind\":\"get\",\"token\":\"Bearer good-1\",\"cache\":\"session\",\"operation_independent\":true}}",
    ),
    ("terraform", r#"{"token":"good-1"}"#),
    (
        "azure",
        r#"{"accessToken":"good-1","expires_on":4102444800,"expiresOn":"2100-01-01 00:00:00.000000","tokenType":"Bearer"}"#,
    ),
    ("azure-query", r#""good-1""#),
    (
        "oauth",
        r#"{"access_token":"good-1","token_type":"Bearer","expires_in":3600,"refresh_token":"r"}"#,
    ),
];
