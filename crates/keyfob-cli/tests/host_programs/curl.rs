//! curl sends nothing without a token.

use keyfob_testkit::ScriptedResponse;

use crate::sandbox::{Ended, Sandbox, run};

#[test]
fn r2_curl_gets_url_and_token_together_or_not_at_all() {
    let sandbox = Sandbox::new(|_| ScriptedResponse::text("the report"));
    let sent = curl(&sandbox, "/reports");
    assert_eq!(sent.stdout, "the report", "{sent:?}");
    std::fs::remove_file(sandbox.path("secret")).expect("it is there");
    std::fs::remove_dir_all(sandbox.path("state")).expect("it is there");
    let failed = curl(&sandbox, "/reports");
    assert!(!failed.success && failed.stdout.is_empty(), "{failed:?}");
    assert_eq!((sandbox.count(200), sandbox.count(401)), (1, 0));
}

/// Runs the line that docs/how-to/helpers.md shows.
fn curl(sandbox: &Sandbox, path: &str) -> Ended {
    let page = include_str!("../../../../docs/how-to/helpers.md");
    let line = page.lines().find(|line| line.contains("| curl --config -"));
    let line = line.expect("the page shows it").trim();
    let line = line.replace("https://api.example.com/reports", &sandbox.url(path));
    let line = line.replace(
        "--config -",
        "--silent --show-error --cacert authority.pem --config -",
    );
    run(sandbox.command("sh").args(["-c", &line]))
}
