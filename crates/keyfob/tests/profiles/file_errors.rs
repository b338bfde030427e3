//! All errors of a file are reported at once, with line and column, and without values.

use std::fs;

use keyfob::{ErrorKind, Profiles};

use crate::folder::Folder;

/// A file with one profile whose `token` table begins on line 4.
pub(crate) fn with_token(lines: &str) -> String {
    format!("[profiles.a]\norigins = [\"https://a.example\"]\n[profiles.a.token]\n{lines}\n")
}

/// A file with one profile whose further keys begin on line 4.
pub(crate) fn with_keys(lines: &str) -> String {
    format!("[profiles.a]\ntoken = \"env:A\"\norigins = [\"https://a.example\"]\n{lines}\n")
}

/// A file with one grant whose further keys begin on line 7.
fn with_grant(lines: &str) -> String {
    with_token(&format!(
        "grant = \"client_credentials\"\nissuer = \"https://i.example\"\nclient_id = \"a\"\n{lines}"
    ))
}

#[track_caller]
pub(crate) fn faults(text: &str) -> Vec<String> {
    let error = Profiles::from_text(text).expect_err("the file has a fault");
    assert_eq!(error.kind(), ErrorKind::Input);
    error.to_string().lines().map(str::to_owned).collect()
}

/// Checks that a text has one error, at this line and column and with this message.
#[track_caller]
pub(crate) fn assert_fault(text: &str, place: &str, words: &[&str]) {
    let faults = faults(text);
    let [fault] = faults.as_slice() else {
        panic!("{faults:#?}");
    };
    assert!(
        fault.starts_with(&format!("keyfob.toml:{place}: ")),
        "{fault}"
    );
    for word in words {
        assert!(fault.contains(word), "{word}: {fault}");
    }
    assert!(!fault.contains("s3cret"), "{fault}");
}

#[test]
fn an_unknown_key_is_located_and_a_similar_one_suggested() {
    assert_fault(
        &with_grant("client-secret = \"env:A\""),
        "7:1",
        &[
            "unknown key `client-secret`",
            "did you mean `client_secret`?",
        ],
    );
    assert_fault(
        &with_grant("scope = \"a\""),
        "7:1",
        &["did you mean `scopes`?"],
    );
    assert_fault(
        &with_keys("base = \"https://a.example\""),
        "4:1",
        &["did you mean `base_url`?"],
    );
    assert_fault(
        &with_keys("colour = \"s3cret\""),
        "4:1",
        &["unknown key `colour`"],
    );
    assert_fault(
        "[profile.a]\n",
        "1:2",
        &["unknown key `profile`", "did you mean `profiles`?"],
    );
    assert_fault(
        &with_keys("[profiles.a.retry]\nattempt = 3"),
        "5:1",
        &["`attempts`"],
    );
    assert_fault(
        &with_keys("store = { kind = \"file\", path = \"/x\" }"),
        "4:26",
        &["unknown key `path`"],
    );
}

#[test]
fn a_key_of_another_grant_is_reported_as_such() {
    assert_fault(
        &with_grant("subject_token = \"env:A\""),
        "7:1",
        &["`subject_token` does not go with"],
    );
    assert_fault(
        &with_token("source = \"env:A\"\nclient_id = \"a\""),
        "5:1",
        &["`client_id` does not go with"],
    );
}

#[test]
fn an_unknown_grant_is_located_and_the_known_ones_are_named() {
    let text = with_token("grant = \"client_credential\"");
    let words = [
        "unknown grant",
        "did you mean `client_credentials`?",
        "`device_code`",
    ];
    assert_fault(&text, "4:9", &words);
}

#[test]
fn s1_a_secret_in_plain_text_is_located_and_not_quoted() {
    let words = ["is a secret", "`env:NAME`", "`command:"];
    for (text, place) in [
        (with_grant("client_secret = \"s3cret\""), "7:17"),
        (with_grant("client_secret = \"pa:s3cret\""), "7:17"),
        (
            with_grant("private_key = \"\"\"-----BEGIN s3cret\"\"\""),
            "7:15",
        ),
        (with_token("source = \"s3cret\""), "4:10"),
        (
            "[profiles.a]\norigins = \"https://a.example\"\ntoken = \"s3cret\"".into(),
            "3:9",
        ),
        (with_grant("client_secret = 5"), "7:17"),
    ] {
        assert_fault(&text, place, &words);
    }
    assert_fault(
        &with_grant("parameters = { password = \"s3cret\" }"),
        "7:16",
        &["`password` does not belong"],
    );
    assert_fault(
        &with_keys("base_url = \"https://me:s3cret@a.example\""),
        "4:12",
        &["a secret must not be in this file"],
    );
    assert_fault(
        &with_grant("client_secret = \"env:$s3cret\""),
        "7:17",
        &["without `$`"],
    );
}

#[test]
fn a_wrong_type_is_located() {
    for (text, place, word) in [
        (with_keys("timeout = \"s3cret\""), "4:11", "seconds"),
        (with_keys("timeout = 0"), "4:11", "above 0"),
        (with_keys("timeout = nan"), "4:11", "above 0"),
        (with_keys("redirects = 1000"), "4:13", "from 0 to 100"),
        (with_keys("redirects = \"2\""), "4:13", "a whole number"),
        (with_keys("base_url = 5"), "4:12", "text in quotes"),
        (with_keys("base_url = \"\""), "4:12", "is empty"),
        (
            with_keys("base_url = \"a.example/s3cret\""),
            "4:12",
            "not a complete URL",
        ),
        (
            with_keys("base_url = \"ftp://a.example\""),
            "4:12",
            "neither http nor https",
        ),
        (with_keys("retry = 5"), "4:9", "a table"),
        (
            with_keys("retry = { also = [404, 200] }"),
            "4:24",
            "from 400 to 599",
        ),
        (with_keys("store = \"disk\""), "4:9", "`memory`, `file`"),
        (
            with_keys("allow_plain_http = \"http://b.example/x\""),
            "4:20",
            "host and port only",
        ),
        (with_grant("dpop_key = true"), "7:12", "is a secret"),
        (with_grant("scopes = [\"a\", 5]"), "7:16", "text in quotes"),
        (
            with_grant("scopes = { a = 1 }"),
            "7:10",
            "text in quotes, or a list",
        ),
    ] {
        assert_fault(&text, place, &[word]);
    }
}

#[test]
fn a_missing_key_is_reported_where_it_belongs() {
    assert_fault(
        "[profiles.a]\ntoken = \"env:A\"",
        "1:11",
        &["names no server", "`origins`"],
    );
    assert_fault(
        "[profiles.a]\norigins = \"https://a.example\"",
        "1:11",
        &["`token` is missing"],
    );
    assert_fault(&with_token(""), "3:13", &["`source`", "`grant`"]);
    assert_fault(
        &with_token("grant = \"client_credentials\"\nissuer = \"https://i.example\""),
        "3:13",
        &["`client_id` is missing"],
    );
    assert_fault(
        &with_token("grant = \"client_credentials\"\nclient_id = \"a\""),
        "3:13",
        &["`issuer`", "`token_endpoint`"],
    );
    assert_fault(
        &with_grant("client_authentication = \"private_key_jwt\""),
        "3:13",
        &["`private_key` is missing"],
    );
}

#[test]
fn a_grant_has_what_it_needs_and_nothing_else() {
    let client = "issuer = \"https://i.example\"\nclient_id = \"a\"\n";
    let grant = |name: &str, more: &str| with_token(&format!("grant = \"{name}\"\n{client}{more}"));
    for (text, place, word) in [
        (
            grant("refresh_token", ""),
            "3:13",
            "`refresh_token` is missing",
        ),
        (grant("jwt_bearer", ""), "3:13", "no assertion"),
        (grant("custom", ""), "3:13", "`grant_type` is missing"),
        (
            grant(
                "custom",
                "grant_type = \"a\"\nsecret_parameters = { scope = \"env:A\" }",
            ),
            "8:23",
            "has its own key",
        ),
        (
            grant(
                "custom",
                "grant_type = \"a\"\nparameters = { b = \"c\" }\nsecret_parameters = { b = \"env:A\" }",
            ),
            "9:23",
            "is in `parameters` too",
        ),
        (
            grant(
                "custom",
                "grant_type = \"a\"\nsecret_parameters = { b = \"s3cret\" }",
            ),
            "8:27",
            "is a secret",
        ),
        (
            grant("device_code", "secret_parameters = { b = \"env:A\" }"),
            "7:1",
            "`secret_parameters` does not go with",
        ),
        (
            grant("token_exchange", ""),
            "3:13",
            "`subject_token` is missing",
        ),
        (
            grant("jwt_bearer", "assertion = \"file:/a\"\nsubject = \"b\""),
            "8:1",
            "`subject` does not go with",
        ),
        (
            with_token(
                "grant = \"smart_backend_services\"\nclient_id = \"a\"\nprivate_key = \"file:/a\"",
            ),
            "3:13",
            "`fhir_server`",
        ),
        (
            with_token(
                "grant = \"smart_backend_services\"\nclient_id = \"a\"\nfhir_server = \"https://f.example\"",
            ),
            "3:13",
            "`private_key` is missing",
        ),
    ] {
        assert_fault(&text, place, &[word]);
    }
    for text in [
        grant("jwt_bearer", "private_key = \"file:/a\"\nsubject = \"b\""),
        grant(
            "token_exchange",
            "subject_token = \"file:/a\"\nsubject_token_type = \"jwt\"",
        ),
        grant("device_code", ""),
        grant("authorization_code", "scopes = \"openid profile\""),
    ] {
        Profiles::from_text(&text).expect("nothing is missing");
    }
}

#[test]
fn a_store_has_what_it_needs_and_nothing_else() {
    let redis = "store = { kind = \"redis\", ";
    for (text, place, word) in [
        (with_keys("store = \"redis\""), "4:9", "needs a table"),
        (with_keys("store = \"postgres\""), "4:9", "needs a table"),
        (
            with_keys("store = { kind = \"postgres\", url = \"env:A\" }"),
            "4:1",
            "`keys` is missing",
        ),
        (
            with_keys(
                "store = { kind = \"postgres\", url = \"postgres://a:s3cret@b\", keys = \"env:A\" }",
            ),
            "4:36",
            "is a secret",
        ),
        (
            with_keys(&format!(
                "{redis}url = \"env:A\", keys = \"env:B\", table = \"t\" }}"
            )),
            "4:58",
            "`table` does not go with",
        ),
        (
            with_keys(
                "store = { kind = \"postgres\", url = \"env:A\", keys = \"env:B\", table = \"a.\" }",
            ),
            "4:69",
            "`table` is not the name of a table",
        ),
        (
            with_keys(
                "store = { kind = \"postgres\", url = \"env:A\", keys = \"env:B\", table = \"a\\nb\" }",
            ),
            "4:69",
            "`table` has a control character",
        ),
        (
            with_keys(&format!("{redis}url = \"env:A\" }}")),
            "4:1",
            "`keys` is missing",
        ),
        (
            with_keys(&format!("{redis}keys = \"env:A\" }}")),
            "4:1",
            "`url` is missing",
        ),
        (
            with_keys(&format!(
                "{redis}keys = \"env:A\", url = \"redis://:s3cret@a\" }}"
            )),
            "4:49",
            "is a secret",
        ),
        (
            with_keys(&format!(
                "{redis}url = \"env:A\", keys = [\"env:A\", \"s3cret\"] }}"
            )),
            "4:59",
            "is a secret",
        ),
        (
            with_keys("store = { kind = \"file\", lease = 5 }"),
            "4:26",
            "`lease` does not go with",
        ),
        (
            with_keys("store = { kind = \"file\", directory = \"here\" }"),
            "4:38",
            "in full",
        ),
        (
            with_keys("store = { kind = \"file\", on_store_outage = \"wait\" }"),
            "4:44",
            "`fetch_locally`, `fail`",
        ),
    ] {
        assert_fault(&text, place, &[word]);
    }
    for text in [
        "store = { kind = \"file\", keys = \"file:/k\", issuer_grace = 5, on_store_outage = \"fail\" }",
        "store = { kind = \"redis\", url = \"env:A\", keys = [\"env:A\", \"env:B\"], prefix = \"p\", lease = 5 }",
        "store = { kind = \"postgres\", url = \"env:A\", keys = \"env:A\", table = \"a.t\", lease = 5 }",
    ] {
        Profiles::from_text(&with_keys(text)).expect("nothing is missing");
    }
}

#[test]
fn keys_that_exclude_each_other_are_reported() {
    assert_fault(
        &with_token("source = \"env:A\"\ngrant = \"client_credentials\""),
        "5:1",
        &["`source` and `grant`"],
    );
    assert_fault(
        &with_grant("token_endpoint = \"https://i.example/t\""),
        "7:1",
        &["`issuer` and `token_endpoint`"],
    );
    assert_fault(
        &with_token("source = \"env:A\"\nheader = \"x-api-key\"\nscheme = \"Basic\""),
        "6:1",
        &["`header` and `scheme`"],
    );
}

#[test]
fn all_errors_are_reported_at_once_in_the_order_of_the_file() {
    let text = with_grant("client_secret = \"s3cret\"\nscope = \"a\"\n[profiles.b]\ntimeout = -1");
    let places: Vec<String> = faults(&text)
        .iter()
        .map(|fault| fault.split(": ").next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        places,
        [
            "keyfob.toml:7:17",
            "keyfob.toml:8:1",
            "keyfob.toml:9:11",
            "keyfob.toml:9:11",
            "keyfob.toml:10:11",
        ]
    );
}

#[test]
fn invalid_toml_is_located_and_not_quoted() {
    for (text, place) in [
        ("[profiles.a\n", "1:12"),
        ("[profiles.a]\ntoken = s3cret\n", "2:9"),
        ("[profiles.a]\ntoken = \"s3cret\n", "2:16"),
        ("a = 1\na = 2\n", "2:1"),
    ] {
        let faults = faults(text);
        assert!(
            faults[0].starts_with(&format!("keyfob.toml:{place}: this is not TOML: ")),
            "{faults:?}"
        );
        assert!(!faults.concat().contains("s3cret"), "{faults:?}");
    }
}

#[test]
fn a_profile_name_has_only_plain_characters() {
    let text = "[profiles.\"a b\"]\norigins = \"https://a.example\"\ntoken = \"env:A\"";
    assert_fault(text, "1:11", &["letters, digits"]);
}

#[test]
fn an_error_names_the_file_and_a_missing_file_is_an_error() {
    let folder = Folder::new();
    let path = folder.file("faulty.toml", "x = 1");
    let error = Profiles::from_file(&path).expect_err("`x` is no key");
    assert!(
        error
            .to_string()
            .starts_with(&format!("{}:1:1: ", path.display())),
        "{error}"
    );
    let missing = folder.path("missing.toml");
    let error = Profiles::from_file(&missing).expect_err("it is missing");
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains("missing.toml does not exist"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_every_user_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.file("writable.toml", "");
    assert!(Profiles::from_file(&path).is_ok());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let error = Profiles::from_file(&path).expect_err("others can write it");
    assert!(error.to_string().contains("chmod go-w"), "{error}");
}
