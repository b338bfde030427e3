//! git clones over https with a token that expires every three seconds.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use keyfob_testkit::{Received, ScriptedResponse};

use crate::sandbox::{Ended, Sandbox, run};

#[test]
fn git_clones_and_fetches_across_the_expiry_of_its_token() {
    let sandbox = with_repository();
    let cloned = git(
        &sandbox,
        &["clone", "--quiet", &sandbox.url("/x.git"), "copy"],
    );
    assert!(cloned.success, "{cloned:?}");
    let text = fs::read_to_string(sandbox.path("copy/file")).expect("it was cloned");
    assert_eq!(text, "content\n");
    sleep(Duration::from_millis(3200));
    let listed = git(&sandbox, &["-C", "copy", "ls-remote", "origin"]);
    assert!(
        listed.success && listed.stdout.contains("HEAD"),
        "{listed:?}"
    );
    assert!(sandbox.endpoint.calls() >= 2);
    // git's first request has no credential; it is refused, and git asks keyfob.
    assert_eq!(sandbox.count(401), 2);
}

#[test]
fn r3_a_revoked_token_is_renewed_within_one_run_of_git() {
    let sandbox = with_repository();
    sandbox
        .endpoint
        .issuer()
        .set_lifetime(Duration::from_secs(3600));
    let url = sandbox.url("/x.git");
    assert!(git(&sandbox, &["ls-remote", &url]).success);
    sandbox.endpoint.issuer().revoke_current();
    let listed = git(&sandbox, &["ls-remote", &url]);
    let old_git = listed.stderr.contains("Authentication failed");
    assert!(
        listed.success || (old_git && !knows_state(&sandbox)),
        "{listed:?}"
    );
    // An older git has told keyfob with `erase`, so its next run has a new token.
    assert!(git(&sandbox, &["ls-remote", &url]).success);
    assert_eq!(sandbox.endpoint.calls(), 2);
}

#[test]
fn r2_git_asks_no_person_and_sends_no_password_without_a_token() {
    let sandbox = with_repository();
    fs::remove_file(sandbox.path("secret")).expect("it is there");
    let listed = git(&sandbox, &["ls-remote", &sandbox.url("/x.git")]);
    assert!(!listed.success, "{listed:?}");
    assert!(listed.stderr.contains("told us to quit"), "{listed:?}");
    assert!(listed.stderr.contains("keyfob: "), "{listed:?}");
    assert_eq!(sandbox.count(200), 0);
    assert_eq!(sandbox.count(401), 1);
}

#[test]
fn an_account_without_rights_costs_one_renewal_and_no_more() {
    let sandbox = with_repository();
    sandbox
        .endpoint
        .issuer()
        .set_lifetime(Duration::from_secs(3600));
    sandbox
        .api
        .every(1, ScriptedResponse::unauthorized("Bearer realm=\"x\""));
    let listed = git(&sandbox, &["ls-remote", &sandbox.url("/x.git")]);
    assert!(!listed.success, "{listed:?}");
    assert!(
        sandbox.endpoint.calls() <= 2,
        "{}",
        sandbox.endpoint.calls()
    );
}

/// A repository of one commit, which the API serves with git's own program for that.
fn with_repository() -> Sandbox {
    let sandbox = Sandbox::new(|_| ScriptedResponse::status(404));
    let root = sandbox.path("served").join("x.git").display().to_string();
    for words in [
        &["init", "--quiet", "work"][..],
        &["-C", "work", "add", "file"],
        &[
            "-C",
            "work",
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.com",
            "commit",
            "--quiet",
            "-m",
            "x",
        ],
        &["clone", "--quiet", "--bare", "work", &root],
    ] {
        if words.contains(&"add") {
            fs::write(sandbox.path("work/file"), "content\n").expect("it is our folder");
        }
        let done = git(&sandbox, words);
        assert!(done.success, "{done:?}");
    }
    sandbox.set_up("git");
    let served = sandbox.path("served");
    sandbox
        .api
        .respond_with(move |received| backend(&served, received));
    sandbox
}

/// The response of `git http-backend`, which speaks CGI.
fn backend(root: &Path, received: &Received) -> ScriptedResponse {
    let mut cgi = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env(
            "GIT_PROTOCOL",
            received.header("git-protocol").unwrap_or_default(),
        )
        .env("REQUEST_METHOD", received.method.as_str())
        .env("PATH_INFO", &received.path)
        .env(
            "QUERY_STRING",
            received.query.as_deref().unwrap_or_default(),
        )
        .env(
            "CONTENT_TYPE",
            received.header("content-type").unwrap_or_default(),
        )
        .env(
            "HTTP_CONTENT_ENCODING",
            received.header("content-encoding").unwrap_or_default(),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    let mut stdin = cgi.stdin.take().expect("it is piped");
    stdin.write_all(&received.body).expect("git reads it");
    drop(stdin);
    let output = cgi.wait_with_output().expect("it ends").stdout;
    let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = output.split_at(end.expect("a head") + 4);
    let head = String::from_utf8_lossy(head);
    let kind = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Type: "));
    let response = ScriptedResponse::bytes(body.to_vec());
    response.header("content-type", kind.unwrap_or("text/plain"))
}

fn knows_state(sandbox: &Sandbox) -> bool {
    let version = git(sandbox, &["--version"]).stdout;
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty());
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (next(), next()) >= (Some(2), Some(46))
}

fn git(sandbox: &Sandbox, words: &[&str]) -> Ended {
    run(command(sandbox).args(words))
}

fn command(sandbox: &Sandbox) -> Command {
    let mut git = sandbox.command("git");
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_SSL_CAINFO", sandbox.authority())
        .env("GIT_TERMINAL_PROMPT", "0");
    git
}
