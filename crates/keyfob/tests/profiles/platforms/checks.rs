//! The examples of presets on the page, as written, pass `profile check`. Those of other presets are with their other tests.

use keyfob_testkit::platforms::{
    AppStoreConnect, Auth0, Entra, Epic, Keycloak, Okta, Salesforce, Zoom,
};

use crate::folder::Folder;
use crate::platforms::clients::{auth0, epic, keycloak, okta, salesforce, zoom};
use crate::platforms::entra::entra;
use crate::platforms::lives::{check, profile};
use crate::platforms::page::example;
use crate::platforms::signed::app_store_connect;

async fn assert_passes(text: &str, name: &str) {
    let findings = check(&profile(text, name)).await.expect("each step works");
    assert!(
        findings.iter().any(|line| line.contains("token")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn app_store_connect_passes_the_check() {
    let (folder, fake) = (Folder::new(), AppStoreConnect::start());
    assert_passes(&app_store_connect(&fake, &folder, fake.team_key()), "apple").await;
}

#[tokio::test]
async fn salesforce_jwt_passes_the_check() {
    let (folder, fake) = (Folder::new(), Salesforce::start());
    assert_passes(&salesforce(&fake, &folder, fake.key()), "salesforce").await;
    assert_eq!(fake.accepted_at(Salesforce::TOKEN_PATH), 1);
}

#[tokio::test]
async fn okta_private_key_jwt_passes_the_check() {
    let (folder, fake) = (Folder::new(), Okta::start());
    assert_passes(&okta(&fake, &folder), "okta").await;
    assert_eq!(fake.accepted_at(Okta::TOKEN_PATH), 1);
}

#[tokio::test]
async fn keycloak_passes_the_check() {
    let (folder, fake) = (Folder::new(), Keycloak::start());
    let secret = folder.file("secret", Keycloak::CLIENT_SECRET);
    let secret = format!("file:{}", secret.display());
    let (text, _api) = keycloak(&fake, 0, ("file:/run/secrets/keycloak", &secret));
    assert_passes(&text, "orders").await;
    assert_eq!(fake.accepted_at(Keycloak::TOKEN_PATH), 1);
}

#[tokio::test]
async fn auth0_passes_the_check() {
    let (folder, fake) = (Folder::new(), Auth0::start());
    let (text, _api) = auth0(&fake, &folder);
    assert_passes(&text, "api").await;
    assert_eq!(fake.accepted_at(Auth0::TOKEN_PATH), 1);
}

#[tokio::test]
async fn entra_passes_the_check() {
    let (folder, fake) = (Folder::new(), Entra::start());
    let secret = folder.file("secret", Entra::CLIENT_SECRET);
    let secret = format!("file:{}", secret.display());
    let (text, _api) = entra(&fake, 0, ("file:/run/secrets/entra", &secret));
    assert_passes(&text, "graph").await;
    assert_eq!(fake.accepted_at(Entra::TOKEN_PATH), 1);
}

#[tokio::test]
async fn epic_backend_services_passes_the_check() {
    let (folder, fake) = (Folder::new(), Epic::start());
    assert_passes(&epic(&fake, &folder), "epic").await;
    assert_eq!(fake.accepted_at(Epic::TOKEN_PATH), 1);
}

#[tokio::test]
async fn zoom_server_to_server_passes_the_check() {
    let (folder, fake) = (Folder::new(), Zoom::start());
    let (text, _api) = zoom(&fake, &folder);
    assert_passes(&text, "zoom").await;
    assert_eq!(fake.accepted_at(Zoom::TOKEN_PATH), 1);
}

#[tokio::test]
async fn api_key_passes_the_check() {
    let folder = Folder::new();
    let key = folder.file("key", "s3cret");
    let text = example(
        "api_key",
        &[(
            "file:/run/secrets/tracker",
            &format!("file:{}", key.display()),
        )],
    );
    assert_passes(&text, "tracker").await;
}
