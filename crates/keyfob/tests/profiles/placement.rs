//! Where in a request a profile's token goes, of which kind it is, and which statuses reject it.

use std::fs;

use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use keyfob::http::StatusCode;
use keyfob::{ErrorKind, Profiles, TokenCache};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::file_errors::faults;
use crate::folder::Folder;
use crate::grants::private_key;

fn tokens(lines: &str) -> TokenCache {
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example/fhir\"\nstore = \"memory\"\n[profiles.a.token]\n{lines}"
    );
    let profiles = Profiles::from_text(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let tokens = profiles.get("a").and_then(|a| a.tokens());
    tokens.expect("it can be made")
}

/// The header field of a profile's first token.
fn field(lines: &str) -> (String, String) {
    let tokens = tokens(lines);
    tokens
        .authenticate_blocking()
        .expect("the server gives one");
    let lease = tokens.current().expect("it was fetched");
    let (name, value) = lease.token().headers().remove(0);
    (
        name.to_string(),
        value.to_str().expect("it is ASCII").to_owned(),
    )
}

#[test]
fn header_scheme_and_token_type_apply_to_the_token_of_each_grant() {
    let folder = Folder::new();
    let secret = folder.file("secret", "s3cret");
    let stored = format!("\"file:{}\"", secret.display());
    let pem = private_key(&folder, &ECDSA_P384_SHA384_FIXED_SIGNING);
    let pem = format!("\"file:{}\"", pem.display());
    let grants = [
        ("client_credentials", format!("client_secret = {stored}")),
        ("refresh_token", format!("refresh_token = {stored}")),
        ("jwt_bearer", format!("assertion = {stored}")),
        ("jwt_bearer", format!("private_key = {pem}")),
        (
            "token_exchange",
            format!("subject_token = {stored}\nsubject_token_type = \"jwt\""),
        ),
        ("smart_backend_services", format!("private_key = {pem}")),
    ];
    let places = [
        (
            "header = \"x-amz-access-token\"",
            "x-amz-access-token",
            "one",
        ),
        (
            "scheme = \"Zoho-oauthtoken\"",
            "authorization",
            "Zoho-oauthtoken one",
        ),
        ("token_type = \"Odd\"", "authorization", "Odd one"),
        ("token_type = \"Odd\"\nheader = \"x-key\"", "x-key", "one"),
        (
            "token_type = \"Odd\"\nscheme = \"Other\"",
            "authorization",
            "Other one",
        ),
    ];
    for (grant, keys) in &grants {
        for (place, name, value) in places {
            let is_smart = *grant == "smart_backend_services";
            // SMART allows bearer tokens only.
            if is_smart && place.contains("token_type") {
                continue;
            }
            let odd = place.contains("token_type");
            let server = Server::start();
            let token_type = if odd { "N_A" } else { "Bearer" };
            server.expect(Expect::post("/token").respond(ScriptedResponse::json(
                json!({"access_token": "one", "token_type": token_type, "expires_in": 60}),
            )));
            server.expect(
                Expect::get("/.well-known/smart-configuration")
                    .respond(ScriptedResponse::json(
                        json!({"token_endpoint": server.url_for("/token")}),
                    ))
                    .times(usize::from(is_smart)),
            );
            let at = match is_smart {
                true => format!("fhir_server = \"{}\"", server.url()),
                false => format!("token_endpoint = \"{}\"", server.url_for("/token")),
            };
            let lines = format!("grant = \"{grant}\"\nclient_id = \"a\"\n{at}\n{keys}\n{place}");
            assert_eq!(
                field(&lines),
                (name.to_owned(), value.to_owned()),
                "{lines}"
            );
        }
    }
}

#[test]
fn the_type_in_a_token_file_matters_only_if_the_profile_has_no_place() {
    let folder = Folder::new();
    let text = r#"{"access_token":"t","token_type":"BearerToken"}"#;
    let file = folder.file("token", text);
    let server = Server::start();
    let get = || Expect::get("/token").respond(ScriptedResponse::text(text));
    for source in [
        format!("source = \"file:{}\"", file.display()),
        format!("source = \"command:cat {}\"", file.display()),
        format!("source = \"http\"\nurl = \"{}\"", server.url_for("/token")),
    ] {
        let is_http = usize::from(source.contains("http"));
        server.expect(get().times(3 * is_http));
        let without = tokens(&source).authenticate_blocking().unwrap_err();
        assert_eq!(without.kind(), ErrorKind::Malformed, "{source}");
        let message = without.to_string();
        assert!(
            message.contains("`token_type`") && message.contains("`scheme`"),
            "{message}"
        );
        for (place, name, value) in [
            ("scheme = \"Bearer\"", "authorization", "Bearer t"),
            ("header = \"x-key\"", "x-key", "t"),
        ] {
            let sent = field(&format!("{source}\n{place}"));
            assert_eq!(sent, (name.to_owned(), value.to_owned()));
        }
    }
}

#[test]
fn the_type_of_a_token_that_is_only_exchanged_does_not_matter() {
    let folder = Folder::new();
    let text = r#"{"access_token":"inner","token_type":"urn:ietf:params:oauth:token-type:jwt"}"#;
    let file = folder.file("token", text);
    let server = Server::start();
    server.expect(Expect::get("/inner").respond(ScriptedResponse::text(text)));
    let inner = server.url_for("/inner");
    for subject in [
        format!("\"file:{}\"", file.display()),
        format!("{{ source = \"http\", url = \"{inner}\" }}"),
    ] {
        server.expect(Expect::post("/token").respond(ScriptedResponse::json(
            json!({"access_token": "outer", "token_type": "N_A", "expires_in": 60}),
        )));
        let endpoint = server.url_for("/token");
        let sent = field(&format!(
            "grant = \"token_exchange\"\nclient_id = \"a\"\ntoken_endpoint = \"{endpoint}\"\n\
             token_type = \"Bearer\"\nsubject_token = {subject}\nsubject_token_type = \"jwt\""
        ));
        assert_eq!(sent.1, "Bearer outer", "{subject}");
    }
}

#[test]
fn a_token_that_is_bound_to_a_key_has_no_other_place() {
    for place in ["header = \"x-key\"", "scheme = \"Other\""] {
        let found = faults(&format!(
            "[profiles.a]\nbase_url = \"https://a.example\"\n[profiles.a.token]\ngrant = \"client_credentials\"\n\
             token_endpoint = \"https://b.example\"\nclient_id = \"a\"\ndpop_key = \"env:KEY\"\n{place}\n"
        ));
        assert!(
            found.len() == 1 && found[0].contains("does not go with"),
            "{found:?}"
        );
    }
}

#[test]
fn an_api_key_goes_into_its_header() {
    let folder = Folder::new();
    let key = folder.file("key", "s3cret");
    let preset = format!("preset = \"api_key\"\nkey = \"file:{}\"", key.display());
    for (place, name, value) in [
        ("", "x-api-key", "s3cret"),
        ("header = \"X-Tracker-Key\"", "x-tracker-key", "s3cret"),
        ("scheme = \"ApiKey\"", "authorization", "ApiKey s3cret"),
    ] {
        let sent = field(&format!("{preset}\n{place}"));
        assert_eq!(sent, (name.to_owned(), value.to_owned()));
    }
}

#[test]
fn a_user_and_a_password_are_sent_as_basic_and_read_again() {
    let folder = Folder::new();
    let (user, password) = (
        folder.file("user", "Aladdin\n"),
        folder.file("password", "first"),
    );
    for user in [format!("file:{}", user.display()), "Aladdin".to_owned()] {
        fs::write(&password, "first").unwrap();
        let tokens = tokens(&format!(
            "user = \"{user}\"\npassword = \"file:{}\"",
            password.display()
        ));
        let sent = || {
            let token = tokens.current().unwrap().token().clone();
            token.headers()[0].1.to_str().unwrap().to_owned()
        };
        tokens.authenticate_blocking().unwrap();
        assert_eq!(sent(), "Basic QWxhZGRpbjpmaXJzdA==");
        fs::write(&password, "open sesame").unwrap();
        tokens.renew_blocking().unwrap();
        assert_eq!(sent(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}

#[test]
fn a_basic_credential_may_have_another_header_or_scheme_and_no_password() {
    let folder = Folder::new();
    let key = folder.file("key", "id:key");
    let user = folder.file("user", "id");
    let (key, user) = (key.display(), user.display());
    let lines = format!("user = \"file:{user}\"");
    assert_eq!(field(&lines).1, "Basic aWQ6");
    let lines = "user = \"id\"\npassword = \"command:printf key\"\nscheme = \"ApiKey\"";
    assert_eq!(field(lines).1, "ApiKey aWQ6a2V5");
    let tokens = tokens(&format!("user = \"file:{key}\"\npassword = \"file:{key}\""));
    let error = tokens.authenticate_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("colon"), "{error}");
    assert!(
        error.to_string().contains("the user in the file"),
        "{error}"
    );
    assert!(!error.to_string().contains("id:key"), "{error}");
}

#[test]
fn s1_a_user_alone_and_a_plain_password_are_refused() {
    for (lines, words) in [
        ("user = \"s3cret\"", "`user` is a secret"),
        (
            "user = \"a\"\npassword = \"s3cret\"",
            "`password` is a secret",
        ),
        ("password = \"env:P\"", "has no source"),
        (
            "user = \"a\"\npassword = \"env:P\"\nsource = \"env:T\"",
            "does not go with",
        ),
    ] {
        let found = faults(&format!(
            "[profiles.a]\nbase_url = \"https://a.example\"\n[profiles.a.token]\n{lines}\n"
        ));
        assert!(found[0].contains(words), "{found:?}");
        assert!(!found.concat().contains("s3cret"), "{found:?}");
    }
}

#[tokio::test]
async fn r3_statuses_that_the_profile_names_renew_the_token() {
    let (folder, server) = (Folder::new(), Server::start());
    let count = folder.file("count", "");
    let script = folder.file(
        "script",
        &format!("echo >> {0}; echo t$(wc -l < {0})", count.display()),
    );
    for (token, status) in [("t1", 200), ("t1", 403), ("t2", 498), ("t2", 200)] {
        server.expect(
            Expect::post("/x")
                .bearer(token)
                .respond(ScriptedResponse::status(status)),
        );
    }
    let text = format!(
        "[profiles.a]\nbase_url = \"{}\"\nstore = \"memory\"\nrejected_statuses = [403, 498]\ntoken = \"command:sh {}\"",
        server.url(),
        script.display()
    );
    let profiles = Profiles::from_text(&text).unwrap();
    let profile = profiles.get("a").unwrap();
    let statuses = profile.rejected_statuses().iter().map(StatusCode::as_u16);
    assert!(statuses.eq([403, 498]));
    let session = profile.session().unwrap();
    // Sent once more: the second rejection is the caller's.
    for status in [200, 498, 200] {
        assert_eq!(session.post("x").send().await.unwrap().status(), status);
    }
    server.verify();
}

#[test]
fn a_status_that_is_no_error_cannot_mean_a_rejected_token() {
    for line in ["rejected_statuses = 302", "rejected_statuses = [403, 600]"] {
        let found = faults(&format!(
            "[profiles.a]\nbase_url = \"https://a.example\"\ntoken = \"env:T\"\n{line}\n"
        ));
        assert!(found[0].contains("400 to 599"), "{found:?}");
    }
}
