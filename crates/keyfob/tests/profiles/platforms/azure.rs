//! The presets for Azure.

use std::fs;

use keyfob_testkit::platforms::{AzureManagedIdentity, Entra, Fake, Kubernetes};

use crate::folder::Folder;
use crate::platforms::lives::{
    api, api_of, check, clock, profile, serve_1000_requests_in_4_lives, serve_and_prepare,
};
use crate::platforms::page::example;

fn machine_text(fake: &Fake<AzureManagedIdentity>, api: &str) -> String {
    let text = example(
        "azure_managed_identity",
        &[("https://my-vault.vault.azure.net/", api)],
    );
    let endpoint = fake.url_for(AzureManagedIdentity::MACHINE_PATH);
    format!("{text}token.endpoint = \"{endpoint}\"\n")
}

#[tokio::test]
async fn azure_managed_identity_passes_the_check() {
    let fake = AzureManagedIdentity::virtual_machine();
    let api = api_of(fake.issuer());
    let lines = check(&profile(&machine_text(&fake, &api.url()), "vault")).await;
    assert!(lines.is_ok(), "{lines:?}");
    assert_eq!(fake.server().calls(), 1);
}

#[test]
fn azure_managed_identity_serves_1000_requests_with_one_call_for_each_life() {
    let clock = clock();
    let fake = AzureManagedIdentity::virtual_machine_on(&clock);
    let api = api_of(fake.issuer());
    let profile = profile(&machine_text(&fake, &api.url()), "vault");
    serve_1000_requests_in_4_lives(&profile, &clock, AzureManagedIdentity::TOKEN_LIFETIME);
    assert_eq!((fake.accepted(), fake.refusals()), (4, Vec::new()));
}

/// The example with a token file, and what writes a new one.
fn federated(folder: &Folder, entra: &Fake<Entra>, api: &str) -> String {
    let text = example(
        "azure_workload_identity",
        &[("https://graph.microsoft.com/v1.0/", api)],
    );
    format!(
        "{text}token.client_id = \"{}\"\ntoken.tenant = \"{}\"\ntoken.endpoint = \"{}\"\n\
         token.assertion = \"file:{}\"\n",
        Entra::CLIENT_ID,
        Entra::TENANT,
        entra.url(),
        folder.path("assertion").display()
    )
}

#[test]
fn azure_workload_identity_serves_1000_requests_with_one_call_for_each_life() {
    let (folder, clock) = (Folder::new(), clock());
    let (entra, kubernetes) = (Entra::start_on(&clock), Kubernetes::start_on(&clock));
    entra.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    let write = || {
        let token = kubernetes.token(Entra::ASSERTION_AUDIENCE);
        fs::write(folder.path("assertion"), token).expect("the folder is ours");
    };
    write();
    let issuer = entra.issuer().clone();
    let api = api(move |token| issuer.is_valid(token));
    let profile = profile(&federated(&folder, &entra, &api.url()), "graph");
    serve_and_prepare(&profile, &clock, Entra::TOKEN_LIFETIME, write);
    assert_eq!((entra.accepted(), entra.refusals()), (4, Vec::new()));
}

#[tokio::test]
async fn azure_workload_identity_passes_the_check() {
    let (folder, entra, kubernetes) = (Folder::new(), Entra::start(), Kubernetes::start());
    entra.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    folder.file("assertion", &kubernetes.token(Entra::ASSERTION_AUDIENCE));
    let text = federated(&folder, &entra, "https://graph.microsoft.com/v1.0/");
    let lines = check(&profile(&text, "graph")).await;
    assert!(lines.is_ok(), "{lines:?}");
    assert_eq!((entra.accepted(), entra.refusals()), (1, Vec::new()));
}
