//! The profile of the tutorial, as a new user copies it, with the provider and during its outage.

use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::keyfob::{Finished, Folder, Keyfob};
use crate::server::Provider;

const LIFETIME: Duration = Duration::from_secs(6);

#[test]
fn the_profile_of_the_tutorial_makes_a_request_succeed() {
    let (folder, provider) = (Folder::new(), Provider::start(60));
    let here = format!("http://127.0.0.1:{}", provider.port());
    folder.file("keyfob.toml", &profiles_at(&here, &here));
    let done = run(
        &folder,
        &[
            "request",
            "--profile=demo",
            ".well-known/openid-configuration",
            "--fail",
        ],
    );
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains(&here), "{done:?}");
    let checked = run(&folder, &["profile", "check", "demo"]);
    assert_eq!(checked.code, 0, "{checked:?}");
}

#[test]
fn t3_requests_succeed_in_an_outage_until_the_token_expires_and_recover_later() {
    let (folder, api) = (Folder::new(), Server::start());
    api.expect(Expect::get("/x").always(ScriptedResponse::text("ok")));
    let mut provider = Provider::start(LIFETIME.as_secs());
    let here = format!("http://127.0.0.1:{}", provider.port());
    folder.file("keyfob.toml", &profiles_at(&api.url(), &here));
    let request = || run(&folder, &["request", "--profile=demo", "x"]);

    let before = Instant::now();
    let first = request();
    assert_eq!(first.code, 0, "{first:?}");
    let after = Instant::now();
    provider.kill();
    let mut succeeded = 0;
    let failed = loop {
        let start = Instant::now();
        let done = request();
        if done.code != 0 {
            break done;
        }
        assert!(start < after + LIFETIME, "an expired token was used");
        succeeded += 1;
    };
    assert_eq!(failed.code, 3, "{failed:?}");
    assert!(
        succeeded > 0 && before.elapsed() > LIFETIME - Duration::from_secs(1),
        "{failed:?}"
    );
    let sent = api.calls();
    assert_eq!(request().code, 3);
    assert_eq!(api.calls(), sent, "without a token nothing is sent");

    provider.start_again();
    let deadline = Instant::now() + Duration::from_secs(30);
    while request().code != 0 {
        assert!(Instant::now() < deadline, "it does not recover");
        sleep(Duration::from_millis(100));
    }
}

/// The profiles of the tutorial, for an API and a provider at these addresses.
fn profiles_at(api: &str, issuer: &str) -> String {
    // Not one after the other: a port such as 40005 begins with the port that is replaced next.
    let parts = tutorial().replace(API, "API").replace(ISSUER, "ISSUER");
    parts.replace("API", api).replace("ISSUER", issuer)
}

/// The profiles that the tutorial tells users to copy, and that `cargo xtask provider` prints.
fn tutorial() -> String {
    let page = include_str!("../../../../docs/tutorial/README.md");
    let profiles = page.split("```toml\n").nth(1);
    let profiles = profiles.and_then(|rest| rest.split("```").next());
    let profiles = profiles.expect("the tutorial has profiles").to_owned();
    let printed = include_str!("../../../keyfob/tests/real_servers/oidc-provider/keyfob.toml");
    assert_eq!(profiles, printed);
    assert!(
        profiles.contains(API) && profiles.contains(ISSUER),
        "{profiles}"
    );
    profiles
}

fn run(folder: &Folder, arguments: &[&str]) -> Finished {
    let path = |name: &str| folder.path(name).display().to_string();
    Keyfob::new(arguments)
        .env("KEYFOB_CONFIG", &path("keyfob.toml"))
        .env("XDG_STATE_HOME", &path("state"))
        .env("DEMO_SECRET", "demo-secret")
        .run()
}

/// The addresses at which `cargo xtask provider` starts its servers.
const ISSUER: &str = "http://127.0.0.1:4000";
const API: &str = "http://127.0.0.1:4001";
