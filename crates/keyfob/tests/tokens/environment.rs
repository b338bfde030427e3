//! The token in an environment variable.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime};

use keyfob::{EnvToken, Error, ErrorKind, Token, TokenCache};

use crate::own_process::run_alone;

const VARIABLE: &str = "KEYFOB_TEST_TOKEN";

fn read(variable: &str) -> Result<Token, Error> {
    TokenCache::new(EnvToken::new(variable)).get_valid_token_blocking()
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let error = read("KEYFOB_NOT_SET").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("KEYFOB_NOT_SET is not set"));
}

#[test]
fn the_token_of_a_variable_is_trimmed_and_the_expiry_of_a_jwt_is_read() {
    run_alone(
        "environment::alone_a_jwt_is_read",
        // {"exp":4102444800}
        &[(
            VARIABLE,
            OsStr::new(" eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln\n"),
        )],
    );
}

#[test]
#[ignore = "needs a variable; run by the test above"]
fn alone_a_jwt_is_read() {
    let token = read(VARIABLE).unwrap();
    assert_eq!(
        token.expose(),
        "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln"
    );
    let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    assert_eq!(token.expires(), keyfob::Expiry::Hint(expiry));
}

#[test]
fn a_variable_with_only_white_space_is_no_token() {
    run_alone(
        "environment::alone_white_space_is_no_token",
        &[(VARIABLE, OsStr::new(" \n"))],
    );
}

#[test]
#[ignore = "needs a variable; run by the test above"]
fn alone_white_space_is_no_token() {
    let error = read(VARIABLE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("KEYFOB_TEST_TOKEN is empty"));
}

#[cfg(unix)]
#[test]
fn s1_a_variable_that_is_not_text_is_named_and_not_quoted() {
    use std::os::unix::ffi::OsStrExt;

    run_alone(
        "environment::alone_invalid_text_is_not_quoted",
        &[(VARIABLE, OsStr::from_bytes(b"hush\xff"))],
    );
}

#[test]
#[ignore = "needs a variable; run by the test above"]
fn alone_invalid_text_is_not_quoted() {
    let error = read(VARIABLE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("KEYFOB_TEST_TOKEN is not text"));
    assert!(!format!("{error:?}").contains("hush"));
}

#[test]
fn s1_a_secret_in_place_of_the_name_of_a_variable_is_not_shown() {
    for secret in [
        "sk-live-51H8xYt",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "correct horse",
        "p4ss-word!",
    ] {
        let error = read(secret).unwrap_err();
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
}

#[test]
fn a_variable_is_read_like_the_output_of_a_command_or_named_in_the_error() {
    for (test, text) in [
        (
            "environment::alone_json_is_read",
            "{\"token\":\"t0k\",\"expires_in\":60}",
        ),
        ("environment::alone_a_missing_value_is_named", "null"),
    ] {
        run_alone(test, &[(VARIABLE, OsStr::new(text))]);
    }
}

#[test]
#[ignore = "needs a variable; run by the test above"]
fn alone_json_is_read() {
    let token = read(VARIABLE).unwrap();
    assert_eq!(token.expose(), "t0k");
    assert_eq!(token.expires(), keyfob::Expiry::In(Duration::from_secs(60)));
}

#[test]
#[ignore = "needs a variable; run by the test above"]
fn alone_a_missing_value_is_named() {
    let error = read(VARIABLE).unwrap_err().to_string();
    assert!(
        error.contains(VARIABLE) && error.contains("`null`"),
        "{error}"
    );
}
