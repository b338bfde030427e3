//! The presets for HashiCorp Vault and OpenBao.

use std::fs;
use std::time::Duration;

use keyfob::ErrorKind;
use keyfob_testkit::platforms::{Fake, Kubernetes, Vault};

use crate::folder::Folder;
use crate::platforms::lives::{
    assert_error, check, clock, error_of, profile, serve_1000_requests_in_4_lives,
    serve_and_prepare,
};
use crate::platforms::page::example;

const LEASE: Duration = Duration::from_secs(600);

fn approle(vault: &Fake<Vault>, folder: &Folder) -> String {
    let secret = folder.file("secret-id", Vault::SECRET_ID);
    example(
        "vault_approle",
        &[
            (
                "https://vault.example.com:8200/v1/",
                &vault.url_for("/v1/secret/"),
            ),
            ("675a50e7-cfe0-be76-e35f-49ec009731ea", Vault::ROLE_ID),
            (
                "file:/run/secrets/vault-secret-id",
                &format!("file:{}", secret.display()),
            ),
        ],
    )
}

#[tokio::test]
async fn vault_approle_passes_the_check() {
    let (folder, vault) = (Folder::new(), Vault::start());
    let found = check(&profile(&approle(&vault, &folder), "vault")).await;
    let found = found.expect("each link works").join("\n");
    assert!(
        found.contains("3599 s") || found.contains("3600 s"),
        "{found}"
    );
    assert!(
        !found.contains("hvs.fake") && !found.contains(Vault::SECRET_ID),
        "{found}"
    );
}

#[test]
fn vault_approle_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let vault = Vault::start_on(&clock);
    vault.set_lifetimes(LEASE, 10 * LEASE);
    let profile = profile(&approle(&vault, &folder), "vault");
    serve_1000_requests_in_4_lives(&profile, &clock, LEASE);
    let calls = [Vault::APPROLE_PATH, Vault::RENEW_PATH].map(|path| vault.accepted_at(path));
    assert_eq!((calls, vault.refusals()), ([1, 3], Vec::new()));
}

#[test]
fn vault_kubernetes_logs_in_with_the_token_of_each_file() {
    let (folder, clock) = (Folder::new(), clock());
    let (vault, kubernetes) = (Vault::start_on(&clock), Kubernetes::start_on(&clock));
    vault.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    vault.set_lifetimes(LEASE, LEASE);
    vault.issue_batch_tokens();
    let project = || {
        let written = kubernetes.project(&folder.path("token"), Vault::AUDIENCE);
        written.expect("the folder is ours")
    };
    let jwt = project();
    let text = example(
        "vault_kubernetes",
        &[(
            "https://vault.example.com:8200/v1/",
            &vault.url_for("/v1/secret/"),
        )],
    );
    let text = format!("{text}token.jwt = \"file:{}\"\n", jwt.display());
    let profile = profile(&text, "vault");
    serve_and_prepare(&profile, &clock, LEASE, || drop(project()));
    assert_eq!((vault.logins(), vault.refusals()), (4, Vec::new()));
}

#[test]
fn vault_says_what_to_change() {
    let (folder, clock) = (Folder::new(), clock());
    let vault = Vault::start_on(&clock);
    let text = approle(&vault, &folder);
    let error = |text: &str| error_of(&profile(text, "vault"), &clock, &[Vault::SECRET_ID]);
    let wrong_role = error(&text.replace(Vault::ROLE_ID, "other"));
    assert_error(
        &wrong_role,
        ErrorKind::Refused,
        &["Vault", "400", "`role_id`", "`secret_id`"],
    );
    let wrong_mount = error(&format!("{text}token.mount = \"other\"\n"));
    assert_error(&wrong_mount, ErrorKind::Refused, &["403", "`mount`"]);
    let namespace = error(&format!("{text}token.namespace = \"team-a\"\n"));
    assert_error(&namespace, ErrorKind::Refused, &["404", "`namespace`"]);
    vault.throttle(30);
    assert_error(&error(&text), ErrorKind::Unavailable, &["429"]);
    vault.go_down();
    assert_error(&error(&text), ErrorKind::Unavailable, &["503"]);
    vault.recover();
    let file = folder.path("secret-id");
    fs::write(&file, "").expect("the folder is ours");
    assert_error(
        &error(&text),
        ErrorKind::Unavailable,
        &["secret-id", "empty"],
    );
    fs::remove_file(&file).expect("the folder is ours");
    assert_error(&error(&text), ErrorKind::Unavailable, &["secret-id"]);
}
