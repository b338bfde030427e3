//! A profile whose token comes from the credential helper of another program.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keyfob::{Error, Profiles};

use crate::folder::Folder;

#[tokio::test]
async fn a_helper_is_asked_in_its_protocol_for_the_server_of_the_profile() {
    for (helper, asked) in [
        (
            "'bazel'",
            r#"get|{"uri":"https://api.example.com:8443/v1/"}||"#,
        ),
        ("'docker'", "get|api.example.com:8443||"),
        (
            "'git'",
            "get|capability[]=authtype protocol=https host=api.example.com:8443  ||",
        ),
        (
            "{ protocol = 'git', with_path = true }",
            "get|capability[]=authtype protocol=https host=api.example.com:8443 path=v1/  ||",
        ),
        (
            "{ protocol = 'git', for = 'https://other.example.com/x' }",
            "get|capability[]=authtype protocol=https host=other.example.com  ||",
        ),
        ("'terraform'", "get api.example.com:8443|||"),
        ("{ protocol = 'google', for = 'pool' }", "||pool|"),
        ("{ protocol = 'pass', for = 'a b' }", "show a b|||"),
    ] {
        let folder = Folder::new();
        let token = fetch(&folder, helper).await.unwrap();
        assert_eq!(token, "t0ken");
        let log = fs::read_to_string(folder.path("log")).unwrap();
        assert_eq!(log, asked, "{helper}");
    }
    let folder = Folder::new();
    fetch(&folder, "'kubernetes'").await.unwrap();
    let log = fs::read_to_string(folder.path("log")).unwrap();
    assert!(
        log.contains(r#""server":"https://api.example.com:8443/v1/""#),
        "{log}"
    );
    let folder = Folder::new();
    fetch(&folder, "'cargo'").await.unwrap();
    let log = fs::read_to_string(folder.path("log")).unwrap();
    assert!(
        log.contains(r#""index-url":"sparse+https://api.example.com:8443/v1/""#),
        "{log}"
    );
}

#[tokio::test]
async fn a_command_may_run_for_as_long_as_the_profile_says() {
    let file = in_memory(&profile("command:sleep 60", "fetch_timeout = 0.2"));
    let profile = Profiles::from_text(&file)
        .unwrap()
        .get("a")
        .unwrap()
        .clone();
    let begin = std::time::Instant::now();
    let error = profile
        .tokens()
        .unwrap()
        .get_valid_token()
        .await
        .unwrap_err();
    assert!(begin.elapsed().as_secs() < 20, "{error}");
}

#[test]
fn a_helper_that_cannot_be_asked_is_a_mistake_in_the_file() {
    for (source, helper, part) in [
        ("command:x", "helper = 'dockr'", "docker"),
        ("command:x", "helper = 'google'", "`for` is missing"),
        ("command:x", "helper = 'pass'", "`for` is missing"),
        ("command:x", "helper = {}", "`protocol` is missing"),
        (
            "command:x",
            "helper = { protocol = 'git', for = 'no URL' }",
            "URL",
        ),
        (
            "command:x",
            "helper = { protocol = 'docker', with_path = true }",
            "with_path",
        ),
        (
            "command:x",
            "helper = { protocol = 'docker', erase_rejected = true }",
            "only helpers of git",
        ),
        (
            "command:x",
            "helper = { protocol = 'pass', for = '-x' }",
            "`-`",
        ),
        (
            "command:x",
            "helper = { protocol = 'git', nonsense = 1 }",
            "nonsense",
        ),
        ("env:X", "helper = 'git'", "command:"),
    ] {
        let error = Profiles::from_text(&profile(source, helper)).unwrap_err();
        assert!(error.to_string().contains(part), "{helper}: {error}");
    }
}

fn profile(source: &str, key: &str) -> String {
    format!(
        "[profiles.a]\nbase_url = 'https://api.example.com:8443/v1'\n[profiles.a.token]\nsource = \"{source}\"\n{key}\n"
    )
}

/// The token of a helper that writes down what it is asked.
async fn fetch(folder: &Folder, helper: &str) -> Result<String, Error> {
    let script = folder.path("helper");
    let log = folder.path("log");
    let lines = format!(
        "#!/bin/sh\nprintf '%s|%s|%s|%s' \"$*\" \"$(tr '\\n' ' ')\" \"$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE\" \\\n  \
         \"$KUBERNETES_EXEC_INFO\" > '{}'\necho t0ken\n",
        log.display()
    );
    fs::write(&script, lines).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its mode");
    let source = format!("command:{}", script.display());
    let file = in_memory(&profile(&source, &format!("helper = {helper}")));
    let profiles = Profiles::from_text(&file)?;
    let token = profiles.get("a")?.tokens()?.get_valid_token().await?;
    Ok(token.expose().to_owned())
}

/// The same file, without a store in the home directory.
fn in_memory(file: &str) -> String {
    file.replace(
        "[profiles.a.token]",
        "store = \"memory\"\n[profiles.a.token]",
    )
}
