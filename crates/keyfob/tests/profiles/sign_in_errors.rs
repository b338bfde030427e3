//! Errors of the keys of a sign-in.

use keyfob::Profiles;

use crate::file_errors::{assert_fault, with_token};
use crate::folder::Folder;

/// A file with a sign-in whose further keys begin on line 7.
fn with_sign_in(server: &str, lines: &str) -> String {
    with_token(&format!(
        "grant = \"authorization_code\"\n{server}\nclient_id = \"a\"\n{lines}"
    ))
}

#[test]
fn a_redirect_uri_must_be_on_loopback() {
    let issuer = "issuer = \"https://i.example\"";
    for wrong in ["https://127.0.0.1/", "http://i.example/back", "back"] {
        assert_fault(
            &with_sign_in(issuer, &format!("redirect_uri = \"{wrong}\"")),
            "7:16",
            &["`redirect_uri` must be plain http to this machine"],
        );
    }
    for right in ["http://127.0.0.1/back", "http://localhost:8400/"] {
        let text = with_sign_in(issuer, &format!("redirect_uri = \"{right}\""));
        Profiles::from_text(&text).expect("it is to this machine");
    }
}

#[test]
fn endpoints_belong_to_a_token_endpoint_and_not_to_an_issuer() {
    for key in [
        "authorization_endpoint",
        "device_authorization_endpoint",
        "revocation_endpoint",
    ] {
        let line = format!("{key} = \"https://i.example/x\"");
        assert_fault(
            &with_sign_in("issuer = \"https://i.example\"", &line),
            "7:1",
            &[key, "goes with `token_endpoint` only"],
        );
        let text = with_sign_in("token_endpoint = \"https://i.example/token\"", &line);
        Profiles::from_text(&text).expect("it stands where it should");
    }
}

#[test]
fn the_command_in_an_error_names_the_file_that_the_profile_is_from() {
    let folder = Folder::new();
    let text = with_sign_in("issuer = \"https://i.example\"", "");
    let text = text.replace("[profiles.a]", "[profiles.a]\nstore = \"memory\"");
    let file = folder.file("other file.toml", &text);
    let profiles = Profiles::from_file(&file).expect("the file has no fault");
    let tokens = profiles.get("a").and_then(|profile| profile.tokens());
    let tokens = tokens.expect("it can be made");
    let error = tokens.get_valid_token_blocking();
    let error = error.expect_err("there is no sign-in").to_string();
    let command = format!("run `keyfob login a --config '{}'`", file.display());
    assert!(error.contains(&command), "{error}");
}
