//! Each format with what can be wrong about it.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::*;
use crate::error::error::ErrorKind;
use crate::source::token_text::formats::CACHE_NEVER;
use crate::token::token::Expiry;

pub(super) const TIME: u64 = 1_893_456_000;
pub(super) const RFC_3339: &str = "2030-01-01T00:00:00Z";

pub(super) fn end() -> Expiry {
    Expiry::At(SystemTime::UNIX_EPOCH + Duration::from_secs(TIME))
}

fn token(output: impl ToString) -> Token {
    let output = output.to_string();
    parse(output.as_bytes()).unwrap_or_else(|error| panic!("{output}: {error}"))
}

pub(super) fn error(output: impl ToString) -> Error {
    let output = output.to_string();
    match parse(output.as_bytes()) {
        Ok(_) => panic!("a token of {output}"),
        Err(error) => error,
    }
}

fn headers(token: &Token) -> Vec<(String, String)> {
    let fields = token.headers().into_iter();
    let shown = |(name, value): (http::HeaderName, http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    fields.map(shown).collect()
}

/// The only header that carries the token, and its expiry.
pub(super) fn carried(output: impl ToString) -> (String, Expiry) {
    let token = token(output);
    let mut headers = headers(&token);
    assert_eq!(headers.len(), 1);
    let (name, value) = headers.remove(0);
    assert_eq!(name, "authorization");
    (value, token.expires())
}

pub(super) fn bearer(expiry: Expiry) -> (String, Expiry) {
    ("Bearer t0k".to_owned(), expiry)
}

#[test]
fn a_line_is_the_token() {
    for output in [
        "t0k",
        "t0k\n",
        "\u{feff}t0k\r\n",
        "  t0k  ",
        "\"t0k\"\n",
        "'t0k'\r\n",
    ] {
        assert_eq!(carried(output), bearer(Expiry::Unknown), "{output:?}");
    }
}

#[test]
fn t5_the_exp_of_a_jwt_is_a_hint_in_each_format_without_an_expiry() {
    // {"exp":1893456000}
    let jwt = "eyJhbGciOiJub25lIn0.eyJleHAiOjE4OTM0NTYwMDB9.c2ln";
    for output in [
        jwt.to_owned(),
        json!({ "token": jwt }).to_string(),
        format!("password={jwt}"),
    ] {
        let hint = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        assert_eq!(token(output).expires(), Expiry::Hint(hint));
    }
    let given = json!({ "access_token": jwt, "expires_in": 60 });
    assert_eq!(token(given).expires(), Expiry::In(Duration::from_secs(60)));
}

#[test]
fn text_that_is_not_a_token_is_refused() {
    for (output, word) in [
        ("", "empty"),
        (" \r\n", "empty"),
        ("null", "missing value"),
        ("\"undefined\"", "missing value"),
        ("{\"token\":\"None\"}", "missing value"),
        ("one\ntwo", "several lines"),
        ("please log in", "white space"),
        ("täken", "outside ASCII"),
        ("\"a\" \"b\"", "several JSON values"),
        ("\"\"", "empty"),
        ("\"open", "ends too early"),
    ] {
        let error = error(output);
        assert!(error.to_string().contains(word), "{output:?}: {error}");
    }
    let utf16 = parse(b"\xff\xfet\0k\0").unwrap_err();
    assert!(utf16.to_string().contains("not UTF-8"), "{utf16}");
}

#[test]
fn oauth_has_a_scheme_and_a_lifetime() {
    let lifetime = Expiry::In(Duration::from_secs(300));
    for kind in ["bearer", "Bearer", "BEARER"] {
        for seconds in [json!(300), json!("300")] {
            let output =
                json!({ "access_token": "t0k", "token_type": kind, "expires_in": seconds });
            assert_eq!(carried(output), bearer(lifetime));
        }
    }
    let output = json!({ "access_token": "t0k", "token_type": "Other", "id_token": "no" });
    assert_eq!(carried(output), ("Other t0k".into(), Expiry::Unknown));
    let kind = error(json!({ "access_token": "t0k", "token_type": "not a word" }));
    assert_eq!(kind.kind(), ErrorKind::Malformed);
}

#[test]
fn only_a_usual_type_becomes_the_scheme_of_a_sources_token() {
    for (token, kind) in [("access_token", "token_type"), ("accessToken", "tokenType")] {
        let read = |value: Value, type_use| {
            let response = json!({ "data": { token: "t0k", kind: value } }).to_string();
            let token = parse_as(response.as_bytes(), type_use)?;
            Ok::<_, Error>(headers(&token).remove(0).1)
        };
        for (value, sent) in [
            (json!("bearer"), "Bearer t0k"),
            (json!(""), "Bearer t0k"),
            (json!(" N_A "), "Bearer t0k"),
            (json!("n_a"), "Bearer t0k"),
            (Value::Null, "Bearer t0k"),
            (json!("Basic"), "Basic t0k"),
            (json!("token"), "token t0k"),
        ] {
            for type_use in [TypeUse::UsualScheme, TypeUse::AnyScheme] {
                assert_eq!(read(value.clone(), type_use).unwrap(), sent, "{value}");
            }
        }
        for value in ["BearerToken", "DPoP", "s3cr3t", "urn:x y"] {
            let error = read(json!(value), TypeUse::UsualScheme).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            let text = error.to_string();
            assert!(
                text.contains(&format!("`{kind}`")) && text.contains("`scheme`"),
                "{text}"
            );
            assert!(!text.contains(value), "{text}");
            let ignored = read(json!(value), TypeUse::Ignored);
            assert_eq!(ignored.unwrap(), "Bearer t0k");
        }
    }
}

#[test]
fn from_the_azure_cli_seconds_count_and_not_the_local_time() {
    for seconds in [json!(TIME), json!(TIME.to_string())] {
        let output = json!({
            "accessToken": "t0k", "expiresOn": "2001-01-01 00:00:00.000000",
            "expires_on": seconds, "tokenType": "Bearer", "tenant": "x",
        });
        assert_eq!(carried(output), bearer(end()));
    }
    let output = json!({ "accessToken": "t0k", "expiresOn": "2001-01-01 00:00:00.000000" });
    let local = jiff::civil::date(2001, 1, 1).at(0, 0, 0, 0);
    let local = jiff::tz::TimeZone::system().to_timestamp(local).unwrap();
    let local = SystemTime::try_from(local).unwrap();
    assert_eq!(carried(output), bearer(Expiry::At(local)));
    let with_zone = json!({ "token": "t0k", "expiresOn": RFC_3339 });
    assert_eq!(carried(with_zone), bearer(end()));
}

#[test]
fn kubernetes_has_the_token_in_its_status() {
    let credential = |status: Value| {
        json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status,
        })
    };
    let output = credential(json!({ "token": "t0k", "expirationTimestamp": RFC_3339 }));
    assert_eq!(carried(output), bearer(end()));
    let output = credential(json!({ "token": "t0k", "clientCertificateData": "PEM" }));
    assert_eq!(carried(output), bearer(Expiry::Unknown));
    let certificate = credential(json!({ "clientCertificateData": "PEM", "clientKeyData": "PEM" }));
    assert!(
        error(certificate)
            .to_string()
            .contains("client certificate")
    );
    assert!(
        error(credential(Value::Null))
            .to_string()
            .contains("without `status`")
    );
    assert!(error(credential(json!({}))).to_string().contains("`token`"));
}

#[test]
fn bazel_helpers_may_set_any_headers() {
    let output = r#"{"headers":{"X-First":["one two","three"],"authorization":["Bearer t0k"],
        "Cookie":["a=b; c=d"]},"expires":"2030-01-01T00:00:00Z","more":1}"#;
    let token = token(output);
    assert_eq!(token.expires(), end());
    assert_eq!(token.expose(), "t0k");
    let expected = [
        ("authorization", "Bearer t0k"),
        ("x-first", "one two"),
        ("x-first", "three"),
        ("cookie", "a=b; c=d"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(headers(&token), expected);
}

#[test]
fn without_authorization_the_first_header_is_the_token() {
    let token = token(r#"{"headers":{"Z-Key":["a b"],"A-Key":["c"]}}"#);
    assert_eq!(token.expose(), "a b");
    let expected = [("z-key", "a b"), ("a-key", "c")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(headers(&token), expected);
}

#[test]
fn s3_bad_headers_are_refused_without_being_quoted() {
    for headers in [
        json!({ "Authorization": ["Bearer s3cr3t", "Bearer s3cr3t"] }),
        json!({ "Authorization": ["Bearer s3cr3t"], "authorization": ["Bearer s3cr3t"] }),
        json!({ "Authorization": "Bearer s3cr3t" }),
        json!({ "Authorization": [1] }),
        json!({ "Authorization": [""] }),
        json!({ "Authorization": ["Bearer s3cr3t\r\nX: y"] }),
        json!({ "Content-Length": ["s3cr3t"] }),
        json!({ "Host": ["s3cr3t"] }),
        json!({ "no name": ["s3cr3t"] }),
        json!(["s3cr3t"]),
    ] {
        let error = error(json!({ "headers": headers }));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{headers}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[test]
fn r2_a_helper_without_a_credential_is_an_error() {
    for output in [
        "{}",
        r#"{"headers":{}}"#,
        r#"{"headers":{"Authorization":[]}}"#,
        "protocol=https\nhost=example.com\n",
        "password=\n",
        r#"{"Err":{"kind":"not-found"}}"#,
        r#"{"access_token":null,"expires_in":300}"#,
        r#"{"accessToken":null}"#,
        r#"{"data":{"token":null}}"#,
        r#"{"error":null,"access_token":null}"#,
    ] {
        let error = error(output);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{output}");
        assert!(error.to_string().contains("no credential"), "{error}");
    }
}

#[test]
fn git_has_a_scheme_and_credential_or_a_password() {
    let output = format!("username=bob\r\npassword=t0k\r\npassword_expiry_utc={TIME}\r\n");
    assert_eq!(carried(output), bearer(end()));
    let output = "capability[]=authtype\nauthtype=Basic\ncredential=Ym9iOnB3\npassword=x\n";
    assert_eq!(carried(output), ("Basic Ym9iOnB3".into(), Expiry::Unknown));
    assert_eq!(carried("password=a=b=").0, "Bearer a=b=");
    assert_eq!(carried("password=old\npassword=new").0, "Bearer new");
    // This is base64, not a line of git.
    assert_eq!(carried("dGVzdA==").0, "Bearer dGVzdA==");
}

#[test]
fn cargo_has_a_whole_authorization_value() {
    let answer = |fields: Value| format!("{{\"v\":[1]}}\r\n{}\r\n", json!({ "Ok": fields }));
    let output =
        json!({ "kind": "get", "token": "Bearer t0k", "cache": "expires", "expiration": TIME });
    assert_eq!(carried(answer(output)), bearer(end()));
    let output = answer(json!({ "kind": "get", "token": "raw", "cache": "session" }));
    assert_eq!(carried(output), ("raw".into(), Expiry::Unknown));
    let never = token(json!({ "Ok": { "kind": "get", "token": "raw", "cache": "never" } }));
    assert_eq!(never.recheck(), Some(CACHE_NEVER));
    let other = error(answer(json!({ "kind": "login" })));
    assert_eq!(other.kind(), ErrorKind::Malformed);
}

#[test]
fn failures_that_cargo_reports_keep_their_kind() {
    for (kind, expected) in [
        ("not-found", ErrorKind::Unavailable),
        ("url-not-supported", ErrorKind::Refused),
        ("operation-not-supported", ErrorKind::Refused),
        ("other", ErrorKind::Unavailable),
        ("s3cr3t", ErrorKind::Unavailable),
    ] {
        let output = json!({ "Err": { "kind": kind, "message": "s3cr3t" } });
        let error = error(format!("{{\"v\":[1]}}\n{output}"));
        assert_eq!(error.kind(), expected, "{kind}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[test]
fn google_has_an_id_token_or_reports_a_failure() {
    let output = json!({
        "version": 1, "success": true, "id_token": "t0k", "expiration_time": TIME,
        "token_type": "urn:ietf:params:oauth:token-type:jwt",
    });
    assert_eq!(carried(output), bearer(end()));
    let failure = json!({ "version": 1, "success": false, "code": "401", "message": "s3cr3t" });
    let reported = error(&failure);
    assert_eq!(reported.kind(), ErrorKind::Unavailable);
    assert!(!reported.to_string().contains("s3cr3t"), "{reported}");
    let saml = error(json!({ "success": true, "saml_response": "x" }));
    assert!(saml.to_string().contains("SAML"), "{saml}");
    let other = error(json!({ "success": true, "token": "t0k" }));
    assert!(
        other
            .to_string()
            .contains("Google executable (`success`), which needs `id_token`"),
        "{other}"
    );
}

#[test]
fn docker_and_terraform_have_a_secret() {
    let output = json!({ "ServerURL": "https://x", "Username": "bob", "Secret": "t0k" });
    assert_eq!(carried(output), bearer(Expiry::Unknown));
    assert_eq!(carried(json!({ "token": "t0k" })), bearer(Expiry::Unknown));
}

#[test]
fn aws_keys_are_detected_and_refused() {
    let error = error(json!({
        "Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s3cr3t", "SessionToken": "s3cr3t",
    }));
    assert!(error.to_string().contains("SigV4"), "{error}");
}

#[test]
fn failures_on_stdout_are_found_with_any_exit_status() {
    for output in [
        "credentials not found in native keychain\n",
        r#"{"Err":{"kind":"not-found"}}"#,
        r#"{"success":false}"#,
    ] {
        assert!(reported_failure(output.as_bytes()).is_some(), "{output}");
    }
    for output in ["", "t0k", "{", r#"{"success":true}"#, "[]"] {
        assert!(reported_failure(output.as_bytes()).is_none(), "{output}");
    }
}

#[test]
fn an_error_response_shows_its_code_if_it_is_a_word() {
    for (code, shown) in [
        ("invalid_grant", "`invalid_grant`"),
        ("s3cr3t", "endpoint;"),
        ("two words", "endpoint;"),
    ] {
        let response =
            json!({ "error": code, "error_description": "s3cr3t", "access_token": null });
        for error in [
            error(&response),
            error(json!({ "data": response })),
            reported_failure(response.to_string().as_bytes()).unwrap(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let text = error.to_string();
            assert!(
                text.contains("error response") && text.contains(shown),
                "{text}"
            );
            assert!(!text.contains("s3cr3t"), "{text}");
        }
    }
    assert_eq!(
        carried(json!({ "error": "x", "token": "t0k" })).0,
        "Bearer t0k"
    );
}

#[test]
fn the_order_of_the_table_decides_between_formats() {
    let output = json!({ "token": "t", "accessToken": "a", "access_token": "o" });
    assert_eq!(carried(output).0, "Bearer o");
    let output = json!({ "token": "t", "accessToken": "a" });
    assert_eq!(carried(output).0, "Bearer a");
    let output = json!({ "token": "t", "access_token": null });
    assert_eq!(carried(output).0, "Bearer t");
}

#[test]
fn json_in_an_unknown_format_shows_names_and_no_value() {
    let output = json!({
        "data": "s3cr3t", "s3cr3t": 1, "a b": 2, "lease_id": 3, "a_name_that_is_very_long_indeed": 4,
    });
    let shown = error(output).to_string();
    assert!(
        shown.contains("with the fields `data`, `lease_id`;"),
        "{shown}"
    );
    assert!(
        shown.contains("`access_token`")
            && !shown.contains("s3cr3t")
            && !shown.contains("very_long"),
        "{shown}"
    );
    for output in [
        "[1]",
        "[]",
        "{\"a\":1}{\"b\":2}",
        "{\"v\":[1]} 3",
        "{]",
        "{\"token\":",
    ] {
        assert_eq!(error(output).kind(), ErrorKind::Malformed, "{output}");
    }
}

#[test]
fn a_field_that_occurs_twice_is_refused() {
    for output in [
        r#"{"token":"a","token":"b"}"#,
        r#"{"headers":{"X":["a"],"X":["b"]}}"#,
    ] {
        let error = error(output);
        assert!(error.to_string().contains("twice"), "{error}");
    }
}
