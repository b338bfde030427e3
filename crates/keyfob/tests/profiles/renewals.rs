//! What the renewals of a sign-in send, what a person is told, and where the server's metadata are kept.

use std::fs;
use std::time::{Duration, SystemTime};

use keyfob::clock::{Clock, SystemClock};
use keyfob::store::{Entry, import_entry};
use keyfob::{ErrorKind, Profile, Profiles, Token};
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::folder::Folder;

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// The profile `a` with these lines in its token table, and a store in the folder.
fn profile(folder: &Folder, lines: &str) -> Profile {
    let directory = folder.path("store");
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example/\"\n\
         [profiles.a.store]\nkind = \"file\"\ndirectory = \"{}\"\n\
         [profiles.a.token]\nclient_id = \"desktop\"\n{lines}",
        directory.display()
    );
    let profiles = Profiles::from_text(&text).expect("the file has no fault");
    profiles.get("a").expect("it is in the file").clone()
}

/// Stores a token that has expired, as a sign-in would have stored it.
#[expect(clippy::disallowed_methods, reason = "profiles use the system's clock")]
async fn sign_in(profile: &Profile, refresh_token: &str, scope: &str) {
    let now = SystemTime::now();
    let token = Token::new("first").and_then(|token| token.with_refresh_token(refresh_token));
    let token = token.expect("it is plain text").with_scope(scope);
    let entry = Entry::new(token.obtained_at(now).expires_at(now), now);
    let (store, key) = profile
        .store()
        .expect("it is configured")
        .expect("it is a file");
    let saved = store.replace(&key, &entry, Duration::from_secs(9)).await;
    saved.expect("the folder can be written");
}

fn token(fields: Value) -> ScriptedResponse {
    let mut token = json!({"access_token": "next", "token_type": "Bearer", "expires_in": 3600});
    for (name, value) in fields.as_object().expect("an object") {
        token[name] = value.clone();
    }
    ScriptedResponse::json(token)
}

/// The names of the form's parameters, in order.
fn parameters(received: &Received) -> Vec<String> {
    let form = url::form_urlencoded::parse(&received.body);
    form.map(|(name, _)| name.into_owned()).collect()
}

#[tokio::test]
async fn a_renewal_of_a_sign_in_sends_nothing_of_the_authorization_request() {
    for grant in ["authorization_code", "device_code"] {
        let (folder, server) = (Folder::new(), Server::start());
        let profile = profile(
            &folder,
            &format!(
                "grant = \"{grant}\"\ntoken_endpoint = \"{}\"\nscopes = [\"read\", \"write\"]\naudience = \"b\"\n\
                 resource = \"https://a.example/\"\nparameters = {{ prompt = \"login\", access_type = \"offline\" }}",
                server.url_for("/token"),
            ),
        );
        sign_in(&profile, "r1", "read").await;
        server.expect(
            Expect::post("/token")
                .form("refresh_token", "r1")
                .respond(token(json!({}))),
        );
        let tokens = profile.tokens().expect("it can be made");
        let renewed = tokens
            .get_valid_token()
            .await
            .expect("the server gives one");
        let sent = parameters(&server.received()[0]);
        assert_eq!(
            sent,
            ["grant_type", "refresh_token", "resource", "client_id"],
            "{grant}"
        );
        // RFC 6749 §6: without a scope in the response, it is the one that was granted first.
        assert_eq!(renewed.scope(), Some("read"));
    }
}

#[tokio::test]
async fn a_refresh_token_grant_asks_for_what_was_granted() {
    let google = "openid https://www.googleapis.com/auth/userinfo.email";
    for (scopes, granted, asked) in [
        (r#"["read", "write"]"#, "read", "read"),
        (r#"["read"]"#, "read write", "read"),
        // Under another name, and never in the scopes of an access token.
        (r#"["openid", "email"]"#, google, google),
        (
            r#"["read", "offline_access"]"#,
            "read",
            "read offline_access",
        ),
        (
            r#"["read", "mail", "offline_access"]"#,
            "read",
            "read offline_access",
        ),
    ] {
        let (folder, server) = (Folder::new(), Server::start());
        let first = folder.file("refresh", "r1");
        let lines = format!(
            "grant = \"refresh_token\"\ntoken_endpoint = \"{}\"\nrefresh_token = \"file:{}\"\nscopes = {scopes}",
            server.url_for("/token"),
            first.display()
        );
        let profile = profile(&folder, &lines);
        let response = token(json!({"refresh_token": "r2", "scope": granted}));
        server.expect(Expect::post("/token").always(response));
        let tokens = profile.tokens().expect("it can be made");
        for _ in 0..3 {
            tokens.renew().await.expect("the server gives one");
        }
        for received in &server.received()[1..] {
            assert_eq!(received.form_value("scope").as_deref(), Some(asked));
        }
    }
}

#[tokio::test]
async fn the_next_run_is_told_what_was_refused_and_a_corrected_client_is_tried_at_once() {
    let (folder, server) = (Folder::new(), Server::start());
    let lines = format!(
        "grant = \"device_code\"\ntoken_endpoint = \"{}\"\ndevice_authorization_endpoint = \"{}\"\nclient_secret = \"file:{}\"",
        server.url_for("/token"),
        server.url_for("/device"),
        folder.file("secret", "typo").display(),
    );
    sign_in(&profile(&folder, &lines), "r1", "read").await;
    // Each run reads the file anew, and remembers nothing of the run before.
    let run = || async {
        let tokens = profile(&folder, &lines).tokens();
        tokens.expect("it can be made").get_valid_token().await
    };
    let refusal = |code: &str, status| {
        let response = ScriptedResponse::json(json!({"error": code})).with_status(status);
        server.expect(Expect::post("/token").respond(response));
    };
    refusal("invalid_client", 401);
    let error = run().await.expect_err("the secret is wrong");
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.to_string();
    assert!(
        text.contains("check `client_id`") && !text.contains("login"),
        "{text}"
    );

    folder.file("secret", "right");
    refusal("interaction_required", 400);
    let error = run().await.expect_err("the person has to sign in again");
    assert!(error.to_string().contains("keyfob login a"), "{error}");

    // Not asked again for a while.
    let error = run().await.expect_err("the person has not signed in");
    assert_eq!(server.calls(), 2);
    let text = error.to_string();
    for words in [
        "keyfob login a",
        "`interaction_required`",
        "(the response at 2",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_check_and_the_store_know_the_granted_scopes() {
    let (folder, server) = (Folder::new(), Server::start());
    let lines = format!(
        "grant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nscopes = [\"read\", \"write\"]",
        server.url_for("/token"),
    );
    let profile = profile(&folder, &lines);
    for (response, granted) in [
        (json!({"scope": "read"}), "read"),
        (json!({}), "read write"),
    ] {
        server.expect(Expect::post("/token").respond(token(response)));
        let findings = profile.check().await;
        let last = findings.last().expect("a token was fetched");
        let found = last.outcome().expect("the server gives one");
        assert!(
            found.ends_with(&format!("with the scopes {granted}")),
            "{found}"
        );
        let (store, _) = profile
            .store()
            .expect("it is configured")
            .expect("it is a file");
        let listed = store.list().await.expect("the folder can be read");
        assert_eq!(listed[0].scope.as_deref(), Some(granted));
    }
}

#[tokio::test]
async fn t9_what_the_error_advises_after_a_lost_response_works() {
    for grant in ["device_code", "refresh_token"] {
        let (folder, server) = (Folder::new(), Server::start());
        let first = folder.file("refresh", "r1");
        let lines = format!(
            "grant = \"{grant}\"\ntoken_endpoint = \"{}\"\n{}",
            server.url_for("/token"),
            match grant {
                "refresh_token" => format!("refresh_token = \"file:{}\"", first.display()),
                _ => String::new(),
            }
        );
        let grace = "issuer_grace = 0.001\n[profiles.a.token]";
        let directory = folder.path("store");
        let text = format!(
            "[profiles.a]\nbase_url = \"https://a.example/\"\n[profiles.a.store]\nkind = \"file\"\ndirectory = \"{}\"\n\
             {grace}\nclient_id = \"desktop\"\n{lines}",
            directory.display()
        );
        let profiles = Profiles::from_text(&text).expect("the file has no fault");
        let profile = profiles.get("a").expect("it is in the file");
        sign_in(profile, "r1", "read").await;
        let response = token(json!({"refresh_token": "lost"})).cut_body_after(9);
        server.expect(
            Expect::post("/token")
                .form("refresh_token", "r1")
                .respond(response),
        );
        // Each run reads the file anew, and remembers nothing of the run before.
        let run = || async {
            let profiles = Profiles::from_text(&text).expect("the file has no fault");
            let tokens = profiles.get("a").and_then(Profile::tokens);
            tokens.expect("it can be made").get_valid_token().await
        };
        run().await.expect_err("the response was lost");
        // The grace is a millisecond, and the coarse clock of the system moves in steps of a few.
        SystemClock.sleep(Duration::from_millis(50)).await;

        let error = run().await.expect_err("the refresh token may be used up");
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert_eq!(server.calls(), 1, "it is not sent again");
        match grant {
            "refresh_token" => {
                let advice = format!(
                    "put a new refresh token into the file {} and run `keyfob forget a`",
                    first.display()
                );
                assert!(error.to_string().contains(&advice), "{error}");
                fs::write(&first, "r2").expect("the folder is ours");
                let (store, key) = profile
                    .store()
                    .expect("it is configured")
                    .expect("it is a file");
                let forgotten = store.forget(&key, Duration::from_secs(9)).await;
                assert!(forgotten.expect("the folder can be written"));
            }
            _ => {
                assert!(
                    error.to_string().contains("run `keyfob login a`"),
                    "{error}"
                );
                sign_in(profile, "r2", "read").await;
            }
        }
        server.expect(
            Expect::post("/token")
                .form("refresh_token", "r2")
                .respond(token(json!({}))),
        );
        assert_eq!(run().await.expect("the sign-in is new").expose(), "next");
        server.verify();
    }
}

#[tokio::test]
async fn t9_a_sign_in_that_was_removed_is_not_written_back() {
    let (folder, server) = (Folder::new(), Server::start());
    let lines = format!(
        "grant = \"device_code\"\ntoken_endpoint = \"{}\"",
        server.url_for("/token")
    );
    let profile = profile(&folder, &lines);
    let renewals = |refresh_token: &'static str, next: &str| {
        server.expect(
            Expect::post("/token")
                .form("refresh_token", refresh_token)
                .respond(token(json!({"refresh_token": next}))),
        );
    };
    sign_in(&profile, "r1", "read").await;
    let tokens = profile.tokens().expect("it can be made");
    renewals("r1", "r2");
    tokens.renew().await.expect("the sign-in is new");

    let stored = profile.store().expect("it is configured");
    let (store, key) = stored.expect("it is a file");
    let forgotten = store.forget(&key, Duration::from_secs(9)).await;
    assert!(forgotten.expect("the folder can be written"));
    for _ in 0..2 {
        let error = tokens.renew().await.expect_err("the sign-in has ended");
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert_eq!(
            error.to_string(),
            "the stored sign-in was removed; run `keyfob login a`"
        );
    }
    assert_eq!(server.calls(), 1, "the refresh token is not sent");
    assert!(store.list().await.expect("it can be read").is_empty());

    sign_in(&profile, "r3", "read").await;
    renewals("r3", "r4");
    tokens.renew().await.expect("the sign-in is new");
    server.verify();
}

fn metadata(server: &Server, token_endpoint: String) -> ScriptedResponse {
    ScriptedResponse::json(json!({"issuer": server.url(), "token_endpoint": token_endpoint}))
}

/// One run of a program: all that it knows is in its file and in its store.
async fn run(folder: &Folder, issuer: &Server) -> Result<(), keyfob::Error> {
    let lines = format!(
        "grant = \"client_credentials\"\nissuer = \"{}\"",
        issuer.url()
    );
    let tokens = profile(folder, &lines).tokens().expect("it can be made");
    tokens.renew().await.map(drop)
}

/// The file with the metadata.
fn note(folder: &Folder) -> std::path::PathBuf {
    let files = fs::read_dir(folder.path("store")).expect("a run has made it");
    let mut paths = files.map(|file| file.expect("it can be listed").path());
    let note = paths.find(|path| path.extension().is_some_and(|kind| kind == "note"));
    note.expect("a run has written it")
}

#[tokio::test]
async fn the_metadata_of_a_server_are_fetched_once_for_many_runs() {
    let (folder, server) = (Folder::new(), Server::start());
    let document = metadata(&server, server.url_for("/token"));
    server.expect(Expect::get(METADATA).respond(document));
    server.expect(Expect::post("/token").always(token(json!({}))));
    for _ in 0..3 {
        run(&folder, &server).await.expect("the server responds");
    }
    server.verify();
}

#[tokio::test]
async fn metadata_that_may_not_be_stored_are_not() {
    let (folder, server) = (Folder::new(), Server::start());
    let document = metadata(&server, server.url_for("/token")).header("cache-control", "no-store");
    server.expect(
        Expect::get(METADATA)
            .respond(document.clone())
            .respond(document),
    );
    server.expect(Expect::post("/token").always(token(json!({}))));
    for _ in 0..2 {
        run(&folder, &server).await.expect("the server responds");
    }
    server.verify();
}

/// Makes the stored metadata older, by changing the file.
fn age(folder: &Folder, seconds: u64) {
    let path = note(folder);
    let text = fs::read(&path).expect("it can be read");
    let mut note: Value = serde_json::from_slice(&text).expect("it is JSON");
    let fetched = note["fetched"].as_u64().expect("a time");
    note["fetched"] = json!(fetched - seconds);
    fs::write(&path, note.to_string()).expect("the folder is ours");
}

#[tokio::test]
async fn stored_metadata_end_with_their_lifetime_and_when_they_lead_to_a_failure() {
    let (folder, server, moved) = (Folder::new(), Server::start(), Server::start());
    let old = metadata(&server, server.url_for("/token"));
    let new = metadata(&server, moved.url_for("/token"));
    server.expect(
        Expect::get(METADATA)
            .respond(old.clone())
            .respond(old)
            .respond(new),
    );
    server.expect(
        Expect::post("/token")
            .respond(token(json!({})))
            .respond(token(json!({})))
            .always(ScriptedResponse::status(404)),
    );
    moved.expect(Expect::post("/token").respond(token(json!({}))));
    run(&folder, &server).await.expect("the metadata are new");
    age(&folder, 3601);
    run(&folder, &server)
        .await
        .expect("the metadata are fetched again");
    age(&folder, 61);
    run(&folder, &server)
        .await
        .expect("the endpoint has moved, and the same run finds it");
    server.verify();
    moved.verify();
}

#[tokio::test]
async fn s2_stored_metadata_that_others_could_have_written_are_not_used() {
    let (folder, server, evil) = (Folder::new(), Server::start(), Server::start());
    let document = metadata(&server, server.url_for("/token"));
    server.expect(Expect::get(METADATA).always(document));
    server.expect(Expect::post("/token").always(token(json!({}))));
    run(&folder, &server).await.expect("the server responds");
    let path = note(&folder);
    let text = fs::read_to_string(&path).expect("it can be read");
    for (change, text) in [
        (
            "another issuer",
            text.replace(
                &format!("\"issuer\":\"{}\"", server.url()),
                &format!("\"issuer\":\"{}\"", evil.url()),
            ),
        ),
        (
            "another server",
            text.replace("issuer http", "issuer https"),
        ),
        ("a future", text.replace("\"fetched\":1", "\"fetched\":9")),
        ("half a file", text[..text.len() / 2].to_owned()),
        ("nothing", String::new()),
    ] {
        let before = server.calls();
        fs::write(&path, text).expect("the folder is ours");
        run(&folder, &server).await.expect("the server responds");
        assert_eq!(
            server.calls() - before,
            2,
            "{change}: the metadata are fetched again"
        );
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = fs::Permissions::from_mode(0o666);
        fs::set_permissions(&path, open).expect("the folder is ours");
        let before = server.calls();
        run(&folder, &server).await.expect("the server responds");
        assert_eq!(
            server.calls() - before,
            2,
            "a file that others can write is not read"
        );
    }
    assert_eq!(evil.calls(), 0);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "profiles use the system's clock")]
async fn an_import_fails_for_a_token_that_the_store_of_a_profile_does_not_keep() {
    let folder = Folder::new();
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example/\"\ntoken = \"command:true\"\n\
         [profiles.a.store]\nkind = \"file\"\ndirectory = {:?}",
        folder.path("store")
    );
    let profiles = Profiles::from_text(&text).unwrap();
    let (store, key) = profiles.get("a").unwrap().store().unwrap().unwrap();
    let (now, wait) = (SystemTime::now(), Duration::from_secs(9));
    let without_expiry = Entry::new(Token::new("t").unwrap(), now);
    let fault = import_entry(&*store, &key, without_expiry, wait).await;
    let shown = fault.unwrap_err().to_string();
    assert!(shown.contains("did not keep the token"), "{shown}");
    let token = Token::new("t").unwrap().expires_in(Duration::from_secs(60));
    let entry = || Entry::new(token.clone(), now);
    assert!(import_entry(&*store, &key, entry(), wait).await.unwrap());
    // What the store has stays.
    assert!(!import_entry(&*store, &key, entry(), wait).await.unwrap());
}
