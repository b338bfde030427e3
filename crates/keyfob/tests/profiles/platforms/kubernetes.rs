//! The preset for Kubernetes, and its tokens as the credential at other servers.

use std::fs;
use std::path::Path;

use keyfob::Profiles;
use keyfob_testkit::platforms::{Entra, Keycloak, Kubernetes};

use crate::folder::Folder;
use crate::own_process::run_alone;
use crate::platforms::lives::{check, clock, profile, serve_and_prepare};
use crate::platforms::page::example;

#[test]
fn kubernetes_service_account_serves_1000_requests_with_the_token_of_each_file() {
    let (folder, clock) = (Folder::new(), clock());
    let kubernetes = Kubernetes::start_on(&clock);
    let project = || {
        let written = kubernetes.project(&folder.path("token"), Kubernetes::ISSUER);
        written.expect("the folder is ours")
    };
    let path = project();
    let text = example(
        "kubernetes_service_account",
        &[
            (
                "https://kubernetes.default.svc/",
                &format!("{}/api/", kubernetes.url()),
            ),
            (
                "preset = \"kubernetes_service_account\"",
                &format!(
                    "preset = \"kubernetes_service_account\", path = \"{}\"",
                    path.display()
                ),
            ),
            (
                "ca_file = \"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt\"\n",
                "",
            ),
        ],
    );
    let profile = profile(&text, "cluster");
    serve_and_prepare(&profile, &clock, Kubernetes::TOKEN_LIFETIME, || {
        drop(project());
    });
    assert_eq!(kubernetes.refusals(), Vec::<String>::new());
}

#[tokio::test]
async fn kubernetes_service_account_passes_the_check_until_the_file_is_gone() {
    let (folder, kubernetes) = (Folder::new(), Kubernetes::start());
    let path = kubernetes.project(&folder.path("token"), Kubernetes::ISSUER);
    let path = path.expect("the folder is ours");
    let preset = "preset = \"kubernetes_service_account\"";
    let with_path = format!("{preset}, path = \"{}\"", path.display());
    let ca_file = "ca_file = \"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt\"\n";
    let text = example(
        "kubernetes_service_account",
        &[(preset, &with_path), (ca_file, "")],
    );
    let profile = profile(&text, "cluster");
    let lines = check(&profile).await;
    assert!(lines.is_ok(), "{lines:?}");
    fs::remove_file(path).expect("the folder is ours");
    assert!(check(&profile).await.is_err());
}

#[test]
fn s2_a_projected_token_leaves_no_secret_on_disk_at_keycloak_and_at_entra() {
    let (home, pod) = (Folder::new(), Folder::new());
    let (kubernetes, entra, keycloak) = (Kubernetes::start(), Entra::start(), Keycloak::start());
    entra.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    keycloak.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    let realm = keycloak.url_for(Keycloak::REALM_PATH);
    let project = |folder: &str, audience: &str| {
        let file = kubernetes.project(&pod.path(folder), audience);
        file.expect("the folder is ours").display().to_string()
    };
    let at_entra = project("entra", Entra::ASSERTION_AUDIENCE);
    let at_keycloak = project("keycloak", &realm);
    let config = home.file(
        "keyfob.toml",
        &format!(
            "[profiles.graph]\nbase_url = \"https://graph.microsoft.com/\"\ntoken.preset = \"azure_workload_identity\"\n\
             token.scopes = \"https://graph.microsoft.com/.default\"\ntoken.client_id = \"{}\"\ntoken.tenant = \"{}\"\n\
             token.endpoint = \"{}\"\ntoken.assertion = \"file:{at_entra}\"\n\
             [profiles.orders]\nbase_url = \"https://orders.example.com/\"\ntoken.grant = \"client_credentials\"\n\
             token.issuer = \"{realm}\"\ntoken.client_id = \"{}\"\ntoken.client_assertion = \"file:{at_keycloak}\"\n",
            Entra::CLIENT_ID,
            Entra::TENANT,
            entra.url(),
            Keycloak::CLIENT_ID,
        ),
    );
    let folder = home.path("");
    let mut environment = vec![("KEYFOB_CONFIG", config.as_os_str())];
    for name in [
        "HOME",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "TMPDIR",
    ] {
        environment.push((name, folder.as_os_str()));
    }
    run_alone(
        "platforms::kubernetes::alone_each_profile_gets_a_token",
        &environment,
    );
    assert_eq!((entra.accepted(), entra.refusals()), (1, Vec::new()));
    assert_eq!(keycloak.accepted_at(Keycloak::TOKEN_PATH), 1);
    let secrets = [
        fs::read_to_string(&at_entra).expect("it is ours"),
        fs::read_to_string(&at_keycloak).expect("it is ours"),
        entra.issuer().current().expect("it was issued").token,
        keycloak.issuer().current().expect("it was issued").token,
    ];
    assert!(scan(&folder, &secrets) > 0);
}

#[test]
#[ignore = "needs a home of its own; run by the test above"]
fn alone_each_profile_gets_a_token() {
    let profiles = Profiles::from_default_file().expect("the file has no fault");
    assert_eq!(profiles.iter().count(), 2);
    for profile in profiles.iter() {
        let tokens = profile.tokens().expect("the settings are good");
        let token = tokens.get_valid_token_blocking();
        assert!(token.is_ok(), "{token:?}");
    }
}

/// Checks that no file in the folder holds one of the secrets. Returns how many files there are.
fn scan(folder: &Path, secrets: &[String]) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("the folder is ours") {
        let path = entry.expect("the folder is ours").path();
        if path.is_dir() {
            files += scan(&path, secrets);
            continue;
        }
        files += 1;
        let text = fs::read(&path).expect("the file is ours");
        let text = String::from_utf8_lossy(&text);
        for secret in secrets {
            assert!(
                !text.contains(secret.trim()),
                "{} holds a secret",
                path.display()
            );
        }
    }
    files
}
