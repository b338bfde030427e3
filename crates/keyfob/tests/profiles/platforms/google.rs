//! The presets for Google Cloud.

use std::fs;
use std::time::Duration;

use keyfob_testkit::ManualClock;
use keyfob_testkit::platforms::{
    Fake, GcpMetadata, GcpServiceAccount, GcpWorkloadIdentity, GitHubActions, JwtRules, Kubernetes,
    PlatformKey, ReadJwt,
};

use crate::folder::Folder;
use crate::platforms::lives::{
    api, api_of, check, clock, profile, serve_1000_requests_in_4_lives, serve_and_prepare, wait_for,
};
use crate::platforms::page::{example, examples, replaced, section};

/// Whether a JWT was signed with this key, is valid, and is for this audience.
fn is_identity_token(token: &str, key: &PlatformKey, audience: &str, clock: &ManualClock) -> bool {
    let rules = JwtRules::new(&["RS256"]).audience(audience);
    let jwt = ReadJwt::read(token);
    jwt.is_some_and(|jwt| rules.check(&jwt, key, &clock.into()).is_ok())
}

fn metadata_text(fake: &Fake<GcpMetadata>, api: &str) -> String {
    let endpoint = format!("preset = \"gcp_metadata\", endpoint = \"{}\"", fake.url());
    example(
        "gcp_metadata",
        &[
            ("https://storage.googleapis.com/", api),
            ("preset = \"gcp_metadata\"", &endpoint),
        ],
    )
}

#[tokio::test]
async fn gcp_metadata_passes_the_check() {
    let fake = GcpMetadata::start_on(&clock());
    let api = api_of(fake.issuer());
    let profile = profile(&metadata_text(&fake, &api.url()), "storage");
    let lines = check(&profile).await;
    assert!(lines.is_ok(), "{lines:?}");
    // A metadata source fetches in one round trip.
    assert_eq!(fake.server().calls(), 1);
}

#[test]
fn gcp_metadata_serves_1000_requests_with_one_call_for_each_life() {
    let clock = clock();
    let fake = GcpMetadata::start_on(&clock);
    fake.set_caches(false);
    let api = api_of(fake.issuer());
    let profile = profile(&metadata_text(&fake, &api.url()), "storage");
    serve_1000_requests_in_4_lives(&profile, &clock, GcpMetadata::TOKEN_LIFETIME);
    assert_eq!((fake.accepted(), fake.refusals()), (4, Vec::new()));
}

#[test]
fn gcp_metadata_serves_1000_requests_with_identity_tokens() {
    let clock = clock();
    let fake = GcpMetadata::start_on(&clock);
    let (key, now) = (fake.key().clone(), clock.clone());
    let audience = "https://billing-abcdef-ew.a.run.app";
    let api = api(move |token| is_identity_token(token, &key, audience, &now));
    let text = replaced(
        &examples(section("gcp_metadata"))[1],
        &[(&format!("\"{audience}/\""), &format!("\"{}\"", api.url()))],
    );
    let text = format!("{text}token.endpoint = \"{}\"\n", fake.url());
    let profile = profile(&text, "billing");
    serve_1000_requests_in_4_lives(&profile, &clock, GcpMetadata::TOKEN_LIFETIME);
    assert_eq!((fake.accepted(), fake.refusals()), (4, Vec::new()));
}

#[test]
fn gcp_metadata_is_asked_twice_in_a_life_if_the_server_keeps_the_token() {
    let clock = clock();
    let fake = GcpMetadata::start_on(&clock);
    let profile = profile(&metadata_text(&fake, "http://127.0.0.1:9/"), "storage");
    let tokens = keyfob::TokenCache::builder(profile.source().expect("the settings are good"))
        .clock(clock.clone())
        .build()
        .expect("the settings are good");
    let token = || {
        tokens
            .get_valid_token_blocking()
            .expect("the server has one")
    };
    let first = token();
    // The token is due with 720 s left, and again with 170 s left.
    for (calls, seconds) in [(2, 2880), (3, 550)] {
        clock.advance(Duration::from_secs(seconds));
        let served = token();
        assert_eq!(served.expose(), first.expose());
        wait_for(|| fake.accepted() == calls && tokens.status().renewals == calls as u64);
    }
    assert_ne!(token().expose(), first.expose());
}

fn key_file(folder: &Folder, fake: &Fake<GcpServiceAccount>) -> String {
    let path = folder.file("robot.json", &fake.key_file(&fake.url_for("/token")));
    path.display().to_string()
}

#[tokio::test]
async fn gcp_service_account_passes_the_check() {
    let (folder, fake) = (Folder::new(), GcpServiceAccount::start());
    let text = example(
        "gcp_service_account",
        &[("~/keys/robot.json", &key_file(&folder, &fake))],
    );
    let lines = check(&profile(&text, "storage")).await;
    assert!(lines.is_ok(), "{lines:?}");
    assert_eq!(fake.accepted(), 1);
}

#[test]
fn gcp_service_account_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = GcpServiceAccount::start_on(&clock);
    let api = api_of(fake.issuer());
    let text = example(
        "gcp_service_account",
        &[
            ("https://storage.googleapis.com/", &api.url()),
            ("~/keys/robot.json", &key_file(&folder, &fake)),
        ],
    );
    serve_1000_requests_in_4_lives(
        &profile(&text, "storage"),
        &clock,
        GcpServiceAccount::TOKEN_LIFETIME,
    );
    assert_eq!((fake.accepted(), fake.refusals()), (4, Vec::new()));
}

#[test]
fn gcp_service_account_gets_identity_tokens_for_a_target_audience() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = GcpServiceAccount::start_on(&clock);
    let (key, now) = (fake.google_key().clone(), clock.clone());
    let api = api(move |token| is_identity_token(token, &key, "https://billing.example.com", &now));
    let text = example(
        "gcp_service_account",
        &[
            ("https://storage.googleapis.com/", &api.url()),
            ("~/keys/robot.json", &key_file(&folder, &fake)),
            (
                "scopes = \"https://www.googleapis.com/auth/devstorage.read_only\"",
                "target_audience = \"https://billing.example.com\"",
            ),
        ],
    );
    serve_1000_requests_in_4_lives(
        &profile(&text, "storage"),
        &clock,
        GcpServiceAccount::TOKEN_LIFETIME,
    );
    assert_eq!((fake.accepted(), fake.refusals()), (4, Vec::new()));
}

#[test]
fn gcp_service_account_signs_its_tokens_without_a_call() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = GcpServiceAccount::start_on(&clock);
    let audience = GcpServiceAccount::API_AUDIENCE;
    let text = example(
        "gcp_service_account",
        &[
            ("https://storage.googleapis.com/", &fake.url()),
            ("~/keys/robot.json", &key_file(&folder, &fake)),
            (
                "scopes = \"https://www.googleapis.com/auth/devstorage.read_only\"",
                &format!("self_signed = \"{audience}\""),
            ),
        ],
    );
    let tokens = profile(&text, "storage");
    let tokens = keyfob::TokenCache::builder(tokens.source().expect("the settings are good"))
        .clock(clock)
        .build()
        .expect("the settings are good");
    let session = keyfob::blocking::Session::new(fake.url(), tokens).expect("it is this machine");
    for _ in 0..100 {
        let response = session.get("api").send().expect("there is a token");
        assert_eq!(response.status(), 200, "{:?}", fake.refusals());
    }
    assert_eq!(fake.accepted_at("/token"), 0);
}

#[test]
fn gcp_workload_identity_serves_1000_requests_with_one_call_for_each_link_and_life() {
    let (folder, clock) = (Folder::new(), clock());
    let (google, kubernetes) = (
        GcpWorkloadIdentity::start_on(&clock),
        Kubernetes::start_on(&clock),
    );
    google.trust(Kubernetes::ISSUER, kubernetes.key());
    let audience = format!("https:{}", GcpWorkloadIdentity::PROVIDER);
    let subject = folder.path("subject");
    // The kubelet replaces the file before the token expires.
    let write = || fs::write(&subject, kubernetes.token(&audience)).expect("it is ours");
    write();
    let issuer = google.impersonated().clone();
    let api = api(move |token| issuer.is_valid(token));
    let text = example(
        "gcp_workload_identity",
        &[
            ("https://storage.googleapis.com/", &api.url()),
            (
                "profile:github-identity",
                &format!("file:{}", subject.display()),
            ),
        ],
    );
    let text = format!(
        "{text}token.endpoint = \"{0}\"\ntoken.iam_endpoint = \"{0}\"\n",
        google.url()
    );
    let profile = profile(&text, "storage");
    serve_and_prepare(&profile, &clock, GcpWorkloadIdentity::TOKEN_LIFETIME, write);
    assert_eq!(google.refusals(), Vec::<String>::new());
    // The federated token is due in the same moment. It is still used while it is renewed in the background.
    assert_eq!(google.accepted_at("/v1/token"), 4);
    assert_eq!(google.accepted(), 8);
}

#[tokio::test]
async fn gcp_workload_identity_takes_the_token_of_another_profile() {
    let (folder, google, actions) = (
        Folder::new(),
        GcpWorkloadIdentity::start(),
        GitHubActions::start(),
    );
    google.trust(GitHubActions::ISSUER, actions.key());
    let request_token = folder.file("request-token", GitHubActions::REQUEST_TOKEN);
    let examples = examples(section("gcp_workload_identity"));
    let text = format!(
        "{}token.endpoint = \"{google}\"\ntoken.iam_endpoint = \"{google}\"\n\
         {}token.endpoint = \"{}\"\ntoken.request_token = \"file:{}\"\n",
        examples[0],
        examples[1],
        actions.url_for(GitHubActions::REQUEST_PATH),
        request_token.display(),
        google = google.url(),
    );
    let lines = check(&profile(&text, "storage")).await;
    assert!(lines.is_ok(), "{lines:?}");
    assert_eq!(
        (actions.refusals(), google.refusals()),
        (Vec::new(), Vec::new())
    );
    // The check asks for the token of each link too.
    assert!(actions.accepted() >= 1 && google.accepted() >= 2);
}
