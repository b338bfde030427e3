//! The presets for GitHub.

use keyfob_testkit::platforms::{GitHub, GitHubActions, JwtRules, ReadJwt};

use crate::folder::Folder;
use crate::platforms::lives::{api, check, clock, profile, serve_1000_requests_in_4_lives};
use crate::platforms::page::example;

#[test]
fn github_app_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let github = GitHub::start_on(&clock);
    let key = folder.file("app.pem", &github.private_key_pem());
    let issuer = github.issuer().clone();
    let api = api(move |token| issuer.is_valid(token));
    let text = example(
        "github_app",
        &[
            ("https://api.github.com/", &api.url()),
            ("file:~/keys/my-app.pem", &format!("file:{}", key.display())),
        ],
    );
    let text = format!("{text}token.endpoint = \"{}\"\n", github.url());
    let profile = profile(&text, "github");
    serve_1000_requests_in_4_lives(&profile, &clock, GitHub::TOKEN_LIFETIME);
    assert_eq!((github.accepted(), github.refusals()), (4, Vec::new()));
}

#[tokio::test]
async fn github_app_passes_the_check() {
    let (folder, github) = (Folder::new(), GitHub::start());
    let key = folder.file("app.pem", &github.private_key_pem());
    let key = format!("file:{}", key.display());
    let text = example("github_app", &[("file:~/keys/my-app.pem", &key)]);
    let text = format!("{text}token.endpoint = \"{}\"\n", github.url());
    let lines = check(&profile(&text, "github")).await;
    assert!(lines.is_ok(), "{lines:?}");
    assert_eq!((github.accepted(), github.refusals()), (1, Vec::new()));
}

#[test]
fn github_actions_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let actions = GitHubActions::start_on(&clock);
    let request_token = folder.file("request-token", GitHubActions::REQUEST_TOKEN);
    let (key, now) = (actions.key().clone(), clock.clone());
    let api = api(move |token| {
        let rules = JwtRules::new(&["RS256"]).audience("https://deploy.example.com");
        ReadJwt::read(token).is_some_and(|jwt| rules.check(&jwt, &key, &(&now).into()).is_ok())
    });
    let text = example(
        "github_actions",
        &[("https://deploy.example.com/", &api.url())],
    );
    let text = format!(
        "{text}token.endpoint = \"{}\"\ntoken.request_token = \"file:{}\"\n",
        actions.url_for(GitHubActions::REQUEST_PATH),
        request_token.display()
    );
    let profile = profile(&text, "deploy");
    serve_1000_requests_in_4_lives(&profile, &clock, GitHubActions::TOKEN_LIFETIME);
    assert_eq!((actions.accepted(), actions.refusals()), (4, Vec::new()));
}
