//! Tokens that are fetched with other tokens: nested tables, references to profiles, and presets.

use std::time::{Duration, SystemTime};

use keyfob::store::TokenStore;
use keyfob::{ErrorKind, Profiles, Token, TokenCache};
use keyfob_testkit::platforms::{GitHub, GitHubActions};
use keyfob_testkit::{Expect, ManualClock, Received, ScriptedResponse, Server, json};

use crate::folder::Folder;

fn profiles(text: &str) -> Profiles {
    Profiles::from_text(text).expect("the file has no fault")
}

/// The cache of a profile on this clock.
fn tokens(profiles: &Profiles, name: &str, clock: &ManualClock) -> TokenCache {
    let source = profiles.get(name).and_then(|profile| profile.source());
    TokenCache::builder(source.expect("it can be made"))
        .clock(clock.clone())
        .build()
        .expect("the settings are valid")
}

fn clock() -> ManualClock {
    ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000))
}

fn text(token: Result<Token, keyfob::Error>) -> String {
    token.expect("there is a token").expose().to_owned()
}

fn last(server: &Server) -> Received {
    server.received().pop().expect("there was a request")
}

#[test]
fn an_installation_token_of_a_github_app_serves_a_thousand_requests() {
    let (clock, folder) = (clock(), Folder::new());
    let github = GitHub::start_on(&clock);
    let key = folder.file("app.pem", &github.key().private_pem());
    let profiles = profiles(&format!(
        r#"[profiles.ci]
        base_url = "https://api.github.com/"
        store = "memory"
        token.preset = "github_app"
        token.app = "{}"
        token.installation = {}
        token.private_key = "file:{}"
        token.endpoint = "{}""#,
        GitHub::CLIENT_ID,
        GitHub::INSTALLATION,
        key.display(),
        github.url()
    ));
    let tokens = tokens(&profiles, "ci", &clock);
    let mut served = 0;
    while tokens.status().renewals < 4 {
        for _ in 0..15 {
            tokens.lease_blocking(None).expect("there is a token");
            served += 1;
        }
        while tokens.status().renewing {
            std::thread::sleep(Duration::from_millis(1));
        }
        clock.advance(Duration::from_secs(90));
    }
    assert!(served >= 1000, "{served}");
    assert_eq!(github.accepted(), 4, "{:?}", github.refusals());
    assert_eq!(github.refusals(), [] as [String; 0]);
}

#[test]
fn a_job_of_github_actions_exchanges_its_identity_token() {
    let clock = clock();
    let (actions, server) = (GitHubActions::start_on(&clock), Server::start());
    server.expect(Expect::post("/token").respond_with(|_| {
        ScriptedResponse::json(
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}),
        )
    }));
    let folder = Folder::new();
    let request_token = folder.file("request-token", GitHubActions::REQUEST_TOKEN);
    let profiles = profiles(&format!(
        r#"[profiles.deploy]
        base_url = "https://cloud.example.com/"
        store = "memory"
        [profiles.deploy.token]
        grant = "client_credentials"
        token_endpoint = "{}"
        client_assertion = {{ preset = "github_actions", audience = "cloud", endpoint = "{}", request_token = "file:{}" }}"#,
        server.url_for("/token"),
        actions.url_for(GitHubActions::REQUEST_PATH),
        request_token.display(),
    ));
    let tokens = tokens(&profiles, "deploy", &clock);
    assert_eq!(text(tokens.get_valid_token_blocking()), "t");
    assert_eq!(actions.accepted(), 1, "{:?}", actions.refusals());
    let asked = last(&server);
    let assertion = asked.form_value("client_assertion").expect("it is sent");
    assert!(assertion.starts_with("eyJ"), "{assertion}");
    assert_eq!(asked.form_value("client_id"), None);
}

#[test]
fn a_reference_shares_the_cache_of_the_other_profile() {
    let server = Server::start();
    server.expect(
        Expect::post("/login").respond_with(|_| {
            ScriptedResponse::json(json!({"token": "shared", "expires_in": 3600}))
        }),
    );
    server.expect(Expect::post("/exchange").respond_with(|asked| {
        let subject = asked.form_value("subject_token").unwrap_or_default();
        ScriptedResponse::json(
            json!({"access_token": format!("for-{subject}"), "token_type": "Bearer", "expires_in": 60}),
        )
    }));
    let exchange = |name: &str| {
        format!(
            r#"[profiles.{name}]
            base_url = "https://{name}.example.com/"
            store = "memory"
            [profiles.{name}.token]
            grant = "token_exchange"
            token_endpoint = "{}"
            subject_token = "profile:login"
            "#,
            server.url_for("/exchange")
        )
    };
    let profiles = profiles(&format!(
        r#"{}{}[profiles.login]
        origins = []
        store = "memory"
        token = {{ source = "http", url = "{}", json = {{ role = "ci" }}, token_pointer = "/token" }}
        [profiles.alias]
        base_url = "https://alias.example.com/"
        token = {{ source = "profile:login", header = "x-token" }}
        "#,
        exchange("a"),
        exchange("b"),
        server.url_for("/login"),
    ));
    for name in ["a", "b", "alias", "login"] {
        let tokens = profiles.get(name).and_then(|profile| profile.tokens());
        let token = tokens.and_then(|tokens| tokens.get_valid_token_blocking());
        let expected = match name {
            "a" | "b" => "for-shared",
            _ => "shared",
        };
        assert_eq!(text(token), expected);
    }
    let logins = server.received();
    let logins = logins.iter().filter(|asked| asked.path == "/login").count();
    assert_eq!(logins, 1);
    // It names no server, so it can be a link and no more.
    let login = profiles.get("login").expect("there is one");
    let error = login.session().expect_err("it names no server");
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("names no server"), "{error}");
}

#[test]
fn another_process_finds_the_token_of_a_link_in_the_store() {
    let (folder, server) = (Folder::new(), Server::start());
    server.expect(
        Expect::post("/login").respond_with(|_| {
            ScriptedResponse::json(json!({"token": "login", "expires_in": 3600}))
        }),
    );
    server.expect(Expect::post("/exchange").respond_with(|_| {
        ScriptedResponse::json(
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}),
        )
    }));
    let file = format!(
        r#"[profiles.a]
        base_url = "https://a.example.com/"
        store = {{ kind = "file", directory = "{}" }}
        [profiles.a.token]
        grant = "token_exchange"
        token_endpoint = "{}"
        [profiles.a.token.subject_token]
        source = "http"
        url = "{}"
        json = {{ role = "ci" }}
        token_pointer = "/token""#,
        folder.path("store").display(),
        server.url_for("/exchange"),
        server.url_for("/login"),
    );
    let calls = |path: &str| {
        let received = server.received();
        received.iter().filter(|asked| asked.path == path).count()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("it can be made");
    let wait = Duration::from_secs(1);
    // Each has its own caches, as processes have. The outer token is forgotten after each.
    for process in 1..=3 {
        let profiles = profiles(&file);
        let profile = profiles.get("a").expect("there is one");
        let tokens = profile.tokens().expect("the settings are valid");
        assert_eq!(text(tokens.get_valid_token_blocking()), "t");
        assert_eq!((calls("/exchange"), calls("/login")), (process, 1));
        let (store, key) = profile.store().expect("it has one").expect("it has one");
        let forgotten = runtime.block_on(store.forget(&key, wait));
        assert!(forgotten.expect("the folder is ours"));
    }
}

#[test]
fn references_to_no_profile_and_circles_are_errors() {
    let profile = |name: &str, link: &str| {
        format!(
            "[profiles.{name}]\nbase_url = \"https://a.example\"\ntoken = {{ source = \"http\", url = \"https://b.example\", headers = {{ x = \"{link}\" }} }}\n"
        )
    };
    let text = profile("a", "profile:b") + &profile("b", "profile:c") + &profile("c", "profile:a");
    let error = Profiles::from_text(&text)
        .expect_err("it is a circle")
        .to_string();
    assert!(error.contains(":3:"), "{error}");
    assert!(error.contains("`a` → `b` → `c` → `a`"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let error = Profiles::from_text(&profile("a", "profile:a")).expect_err("it is a circle");
    assert!(error.to_string().contains("`a` → `a`"), "{error}");
    let text = profile("main", "profile:logn") + &profile("login", "env:X");
    let error = Profiles::from_text(&text).expect_err("there is no such profile");
    assert!(
        error.to_string().contains("did you mean `login`?"),
        "{error}"
    );
}

#[test]
fn an_error_names_each_link_down_to_the_setting() {
    let folder = Folder::new();
    let key = folder.file(
        "key",
        "-----BEGIN EC PRIVATE KEY-----\nno\n-----END EC PRIVATE KEY-----\n",
    );
    let text = format!(
        r#"[profiles.ci]
        base_url = "https://api.github.com/"
        store = "memory"
        token = {{ preset = "github_app", app = 1, installation = 2, private_key = "file:{}" }}"#,
        key.display()
    );
    let profiles = profiles(&text);
    let tokens = profiles.get("ci").and_then(|profile| profile.tokens());
    let error = tokens.and_then(|tokens| tokens.get_valid_token_blocking());
    let error = error.expect_err("the key is none").to_string();
    let start = format!(
        "the installation token of the profile `ci`: the JWT of the app: the private key in the file {}: ",
        key.display()
    );
    assert!(error.starts_with(&start), "{error}");
}

#[test]
fn mistakes_in_the_settings_of_a_link_have_their_place() {
    for (token, says) in [
        (r#"{ preset = "github_ap" }"#, "did you mean `github_app`?"),
        (
            r#"{ preset = "github_app", app = 1, installation = 2 }"#,
            "`private_key` is missing",
        ),
        (
            r#"{ preset = "github_app", app = 1, installation = "x", private_key = "env:K" }"#,
            "`installation` is a number",
        ),
        (
            r#"{ preset = "github_app", app = 1, installation = 2, private_key = "env:K", scopes = "a" }"#,
            "unknown key `scopes`",
        ),
        (
            r#"{ source = "http", url = "https://b.example", headers = { authorization = "Bearer s3cret" } }"#,
            "holds a secret",
        ),
        (
            r#"{ source = "http", url = "https://b.example", form = { a = "b" }, json = { a = "b" } }"#,
            "exclude each other",
        ),
        (
            r#"{ source = "http", url = "https://b.example", token_pointer = "$.token" }"#,
            "RFC 6901",
        ),
        (
            r#"{ source = "http", url = "https://b.example", expiry_form = "seconds" }"#,
            "`expiry_pointer`",
        ),
        (
            r#"{ source = "signed_jwt", private_key = "env:K", claims = { exp = 1 } }"#,
            "does not belong in `claims`",
        ),
        (
            r#"{ source = "signed_jwt", private_key = "profile:a" }"#,
            "names a profile",
        ),
        (
            r#"{ grant = "jwt_bearer", token_endpoint = "https://b.example", assertion = { grant = "device_code", client_id = "a", issuer = "https://b.example" } }"#,
            "a profile of its own",
        ),
        (
            r#"{ grant = "client_credentials", token_endpoint = "https://b.example", client_assertion = { source = "http", header = "x", url = "https://b.example" } }"#,
            "`header` does not go with",
        ),
    ] {
        let file = format!("[profiles.a]\nbase_url = \"https://a.example\"\ntoken = {token}");
        let error = Profiles::from_text(&file).expect_err(token).to_string();
        assert!(error.contains(says), "{token}: {error}");
        assert!(error.starts_with("keyfob.toml:3:"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn each_part_of_an_http_request_can_be_a_reference_or_a_link() {
    let (folder, server) = (Folder::new(), Server::start());
    let secret = folder.file("secret", "s3cr3t\n");
    server.expect(
        Expect::post("/login")
            .header("x-plain", "plain")
            .header("x-secret", "s3cr3t")
            .header("authorization", "Bearer s3cr3t")
            .json(json!({"auth": {"jwt": "s3cr3t", "ttl": 5, "roles": ["a"]}, "name": "ci"}))
            .respond(ScriptedResponse::json(
                json!({"data": {"token": "t", "expires_on": "1900003600"}}),
            )),
    );
    let profiles = profiles(&format!(
        r#"[profiles.a]
        base_url = "https://a.example.com/"
        store = "memory"
        [profiles.a.token]
        source = "http"
        url = "{url}"
        headers = {{ x-plain = "plain", x-secret = "file:{file}", authorization = {{ token = "file:{file}", prefix = "Bearer " }} }}
        json.auth.jwt = "file:{file}"
        json.auth.ttl = 5
        json.auth.roles = ["a"]
        json.name = "ci"
        token_pointer = "/data/token"
        expiry_pointer = "/data/expires_on"
        expiry_form = "unix_seconds""#,
        url = server.url_for("/login"),
        file = secret.display(),
    ));
    let clock = clock();
    let tokens = tokens(&profiles, "a", &clock);
    assert_eq!(text(tokens.get_valid_token_blocking()), "t");
    assert_eq!(tokens.status().expires_in, Some(Duration::from_secs(3600)));
    server.verify();
}

/// The findings of a check, each as one line.
fn checked(profiles: &Profiles, name: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let profile = profiles.get(name).expect("there is one");
    let findings = runtime.expect("it can be made").block_on(profile.check());
    let line = |finding: &keyfob::profile::Finding| match finding.outcome() {
        Ok(found) => format!("ok {} {found}", finding.what()),
        Err(error) => format!("failed {}: {error}", finding.what()),
    };
    findings.iter().map(line).collect()
}

#[test]
fn a_check_says_for_each_link_what_it_found_and_stops_at_one_that_fails() {
    let folder = Folder::new();
    let github = GitHub::start();
    let key = folder.file("app.pem", &github.key().private_pem());
    let text = |app: &str| {
        format!(
            r#"[profiles.ci]
            base_url = "https://api.github.com/"
            store = "memory"
            token = {{ preset = "github_app", app = "{app}", installation = {}, private_key = "file:{}", endpoint = "{}" }}"#,
            GitHub::INSTALLATION,
            key.display(),
            github.url()
        )
    };
    let lines = checked(&profiles(&text(GitHub::CLIENT_ID)), "ci");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[1].starts_with("ok the JWT of the app came from a JWT signed with the key in"),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("ok a new token came from the GitHub API at"),
        "{lines:?}"
    );
    let lines = checked(&profiles(&text("other-app")), "ci");
    let last = lines.last().expect("there is one");
    assert!(
        last.starts_with(
            "failed a new token: the installation token of the profile `ci`: the GitHub API at"
        ),
        "{last}"
    );
    assert!(last.contains("404"), "{last}");
    std::fs::write(&key, "no key").expect("the folder is ours");
    let lines = checked(&profiles(&text(GitHub::CLIENT_ID)), "ci");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[1].starts_with("failed the JWT of the app: the private key in the file"),
        "{lines:?}"
    );
}
