//! The presets for GitHub.

use keyfob_testkit::platforms::GitHub;

use crate::folder::Folder;
use crate::platforms::lives::{api, clock, profile, serve_1000_requests_in_4_lives};
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
