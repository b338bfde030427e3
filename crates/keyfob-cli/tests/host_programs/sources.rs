//! Real helpers and a real password manager give keyfob its tokens.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::sandbox::{Ended, KEYFOB, Sandbox, run};

#[test]
fn the_first_line_of_an_entry_of_pass_is_the_token() {
    let sandbox = Sandbox::serving_files();
    let gpg = run(sandbox.command("gpg").args([
        "--batch",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
        "--quick-generate-key",
        "x@example.com",
        "default",
        "default",
        "never",
    ]));
    assert!(gpg.success, "{gpg:?}");
    assert!(run(sandbox.command("pass").args(["init", "x@example.com"])).success);
    give(
        &sandbox,
        "pass",
        &["insert", "--multiline", "work/my token"],
        "t0ken\nuser: me\n",
    );
    let helper = "helper = { protocol = \"pass\", for = \"work/my token\" }";
    configure(&sandbox, "pass", helper);
    assert_eq!(token(&sandbox).stdout, "t0ken\n");
    configure(&sandbox, "pass", &helper.replace("my token", "none"));
    let missing = token(&sandbox);
    assert!(
        !missing.success && missing.stderr.contains("is not in the password"),
        "{missing:?}"
    );
    // The agent that gpg started would hold the folder.
    run(sandbox.command("gpgconf").args(["--kill", "all"]));
}

#[test]
fn t8_a_stored_credential_of_git_is_erased_only_if_the_user_wants_it() {
    let sandbox = Sandbox::serving_files();
    let stored = format!(
        "protocol=https\nhost={}\nusername=me\npassword=t0ken\n\n",
        sandbox.host()
    );
    let program = git_helper(&sandbox);
    let give_it = || give(&sandbox, &program, &["store"], &stored);
    configure(&sandbox, &program, "helper = \"git\"");
    let none = token(&sandbox);
    assert!(
        !none.success && none.stderr.contains("git credential approve"),
        "{none:?}"
    );
    give_it();
    assert_eq!(token(&sandbox).stdout, "t0ken\n");
    // The API does not know the token.
    assert!(!request(&sandbox).success);
    assert_eq!(token(&sandbox).stdout, "t0ken\n");
    configure(
        &sandbox,
        &program,
        "helper = { protocol = \"git\", erase_rejected = true }",
    );
    let rejected = request(&sandbox);
    assert!(
        rejected.stderr.contains("git credential approve"),
        "{rejected:?}"
    );
    assert!(!token(&sandbox).success);
}

/// The program that git itself runs for `credential.helper = store`.
fn git_helper(sandbox: &Sandbox) -> String {
    let folder = run(sandbox.command("git").arg("--exec-path")).stdout;
    format!("{}/git-credential-store", folder.trim())
}

fn configure(sandbox: &Sandbox, program: &str, helper: &str) {
    let text = format!(
        "[profiles.a]\nbase_url = \"{}\"\nca_file = \"{}\"\n[profiles.a.token]\nsource = \"command:{program}\"\n{helper}\n",
        sandbox.url(""),
        sandbox.authority().display()
    );
    fs::write(sandbox.path("keyfob.toml"), text).expect("the folder of the test can be written");
}

fn give(sandbox: &Sandbox, program: &str, words: &[&str], text: &str) {
    let mut child = sandbox
        .command(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("`cargo xtask test programs` installs it");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

fn token(sandbox: &Sandbox) -> Ended {
    run(sandbox.command(KEYFOB).args(["token", "--profile=a"]))
}

fn request(sandbox: &Sandbox) -> Ended {
    run(sandbox
        .command(KEYFOB)
        .args(["request", "--fail", "--profile=a", "x"]))
}
