//! GitHub: installation tokens of an app, and identity tokens of a job.

use keyfob_testkit::platforms::{Fake, GitHub, GitHubActions, PlatformKey, ReadJwt};
use keyfob_testkit::{ManualClock, json};

use crate::client::{Seen, request};
use crate::platforms::{json_of, now};

fn ask(github: &Fake<GitHub>, jwt: &str, installation: &str) -> Seen {
    let path = format!("/app/installations/{installation}/access_tokens");
    let headers = [
        ("authorization", &*format!("Bearer {jwt}")),
        ("accept", "application/vnd.github+json"),
        ("user-agent", "test"),
    ];
    request(github.server().address(), "POST", &path, &headers, "")
}

#[test]
fn github_issues_a_token_for_a_correct_jwt() {
    let clock = ManualClock::default();
    let github = GitHub::start_on(&clock);
    let now = now(&clock);
    let claims = json!({"iss": GitHub::CLIENT_ID, "iat": now - 60, "exp": now + 540});
    let seen = ask(
        &github,
        &github.key().sign(&json!({}), &claims),
        GitHub::INSTALLATION,
    );
    assert_eq!(seen.status(), 201, "{:?}", github.refusals());
    let body = json_of(&seen);
    assert_eq!(body["token"], "ghs_fake-1");
    assert_eq!(body["expires_at"], "2030-01-01T01:00:00Z");
    assert!(github.issuer().is_valid("ghs_fake-1"));
    let date = seen.header("date");
    assert_eq!(date.as_deref(), Some("Tue, 01 Jan 2030 00:00:00 GMT"));
    assert_eq!(github.accepted(), 1);
}

#[test]
fn github_refuses_a_jwt_with_one_fault() {
    let clock = ManualClock::default();
    let github = GitHub::start_on(&clock);
    let now = now(&clock);
    let (app, key) = (GitHub::CLIENT_ID, github.key());
    let other = PlatformKey::rsa("other");
    for (status, message, jwt) in [
        (
            401,
            "could not be decoded",
            other.sign(
                &json!({}),
                &json!({"iss": app, "iat": now, "exp": now + 60}),
            ),
        ),
        (401, "could not be decoded", "not-a-jwt".to_owned()),
        (
            401,
            "'Issued at' claim ('iat')",
            key.sign(
                &json!({}),
                &json!({"iss": app, "iat": now + 600, "exp": now + 600}),
            ),
        ),
        (
            401,
            "'Expiration time' claim ('exp') must be",
            key.sign(
                &json!({}),
                &json!({"iss": app, "iat": now - 900, "exp": now - 300}),
            ),
        ),
        (
            401,
            "is too far in the future",
            key.sign(
                &json!({}),
                &json!({"iss": app, "iat": now, "exp": now + 601}),
            ),
        ),
        (
            404,
            "Integration not found",
            key.sign(
                &json!({}),
                &json!({"iss": "other", "iat": now, "exp": now + 60}),
            ),
        ),
    ] {
        let seen = ask(&github, &jwt, GitHub::INSTALLATION);
        let body = json_of(&seen);
        let text = body["message"].as_str().unwrap();
        assert!(text.contains(message), "{text}");
        assert_eq!(seen.status(), status, "{text}");
    }
    assert_eq!(github.accepted(), 0);
    assert_eq!(github.refusals().len(), 6);
}

#[test]
fn a_platform_is_throttled_down_scripted_and_works_again() {
    let github = GitHub::start();
    github.throttle(7);
    let seen = ask(&github, "any", GitHub::INSTALLATION);
    assert_eq!(
        (seen.status(), seen.header("retry-after")),
        (403, Some("7".to_owned()))
    );
    github.go_down();
    assert_eq!(ask(&github, "any", GitHub::INSTALLATION).status(), 503);
    github.next([keyfob_testkit::ScriptedResponse::status(418)]);
    assert_eq!(ask(&github, "any", GitHub::INSTALLATION).status(), 418);
    assert_eq!(ask(&github, "any", GitHub::INSTALLATION).status(), 401);
    github.recover();
    assert_eq!(ask(&github, "any", GitHub::INSTALLATION).status(), 401);
}

#[test]
fn a_github_job_gets_a_token_for_its_audience() {
    let clock = ManualClock::default();
    let actions = GitHubActions::start_on(&clock);
    let token = format!("bearer {}", GitHubActions::REQUEST_TOKEN);
    let get = |query: &str, token: &str| {
        let path = format!("{}{query}", GitHubActions::REQUEST_PATH);
        let address = actions.server().address();
        request(address, "GET", &path, &[("authorization", token)], "")
    };
    let body = json_of(&get("&audience=api", &token));
    let value = body["value"].as_str().unwrap();
    let jwt = ReadJwt::read(value).unwrap();
    assert_eq!(jwt.audiences(), ["api"]);
    assert_eq!(jwt.claims["exp"], now(&clock) + 300);
    assert_eq!(get("", "bearer other").status(), 401);
    assert_eq!(actions.accepted(), 1);
}
