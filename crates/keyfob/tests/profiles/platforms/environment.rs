//! What the platform sets in the environment: without further keys, the presets find it there.

use std::ffi::OsStr;

use keyfob::{Error, Token};
use keyfob_testkit::platforms::{
    AzureManagedIdentity, Entra, Fake, GcpMetadata, GcpServiceAccount, GitHubActions, Kubernetes,
    Platform,
};

use crate::folder::Folder;
use crate::own_process::run_alone;
use crate::platforms::lives::profile;
use crate::platforms::page::{examples, section};

/// Gets one token with the first example of a preset, as it is on the page, in a process with these variables.
fn get_a_token(preset: &str, variables: &[(&str, &str)]) {
    run_example("alone_a_token_comes", preset, variables);
}

fn run_example(test: &str, preset: &str, variables: &[(&str, &str)]) {
    let text = &examples(section(preset))[0];
    let mut environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, OsStr::new(*value)))
        .collect();
    environment.push(("KEYFOB_TEST_PROFILE", OsStr::new(text)));
    run_alone(&format!("platforms::environment::{test}"), &environment);
}

#[test]
#[ignore = "needs variables; run by the tests below"]
fn alone_a_token_comes() {
    let token = token_of_example();
    assert!(token.is_ok(), "{token:?}");
}

fn token_of_example() -> Result<Token, Error> {
    let text = std::env::var("KEYFOB_TEST_PROFILE").expect("the test above sets it");
    let name = text
        .split(['.', ']'])
        .nth(1)
        .expect("it begins with `[profiles.NAME]`");
    let tokens = profile(&text, name)
        .tokens()
        .expect("the settings are good");
    tokens.get_valid_token_blocking()
}

fn assert_one_call<P: Platform>(fake: &Fake<P>) {
    assert_eq!((fake.accepted(), fake.refusals()), (1, Vec::new()));
}

#[test]
fn github_actions_finds_the_variables_of_a_job() {
    let fake = GitHubActions::start();
    let url = fake.url_for(GitHubActions::REQUEST_PATH);
    get_a_token(
        "github_actions",
        &[
            ("ACTIONS_ID_TOKEN_REQUEST_URL", &url),
            (
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                GitHubActions::REQUEST_TOKEN,
            ),
        ],
    );
    assert_one_call(&fake);
}

#[test]
fn gcp_metadata_finds_the_host_and_uses_no_proxy() {
    let fake = GcpMetadata::start();
    let host = fake.server().address().to_string();
    get_a_token(
        "gcp_metadata",
        &[
            ("GCE_METADATA_HOST", &host),
            ("HTTP_PROXY", "http://127.0.0.1:9"),
            ("http_proxy", "http://127.0.0.1:9"),
        ],
    );
    assert_one_call(&fake);
}

#[test]
fn gcp_service_account_finds_the_key_file() {
    let (folder, fake) = (Folder::new(), GcpServiceAccount::start());
    let file = folder.file("robot.json", &fake.key_file(&fake.url_for("/token")));
    let text = examples(section("gcp_service_account"))[0]
        .replace("token.key_file = \"file:~/keys/robot.json\"\n", "");
    let variables = [
        ("GOOGLE_APPLICATION_CREDENTIALS", file.as_os_str()),
        ("KEYFOB_TEST_PROFILE", OsStr::new(&text)),
    ];
    run_alone("platforms::environment::alone_a_token_comes", &variables);
    assert_one_call(&fake);
}

#[test]
fn azure_managed_identity_finds_the_token_service_of_app_service() {
    let fake = AzureManagedIdentity::app_service();
    let url = fake.url_for(AzureManagedIdentity::APP_SERVICE_PATH);
    get_a_token(
        "azure_managed_identity",
        &[
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", AzureManagedIdentity::IDENTITY_HEADER),
            ("AZURE_CLIENT_ID", AzureManagedIdentity::ASSIGNED_CLIENT_ID),
        ],
    );
    assert_one_call(&fake);
    let received = &fake.server().received()[0];
    let id = received.query_value("client_id");
    assert_eq!(
        id.as_deref(),
        Some(AzureManagedIdentity::ASSIGNED_CLIENT_ID)
    );
}

#[test]
fn azure_managed_identity_says_before_a_request_that_azure_arc_is_not_supported() {
    let fake = AzureManagedIdentity::app_service();
    let url = fake.url_for(AzureManagedIdentity::APP_SERVICE_PATH);
    let variables = [("IDENTITY_ENDPOINT", &*url)];
    run_example("alone_arc_is_named", "azure_managed_identity", &variables);
    assert_eq!(fake.server().calls(), 0);
}

#[test]
#[ignore = "needs variables; run by the test above"]
fn alone_arc_is_named() {
    let error = token_of_example().unwrap_err();
    assert!(error.to_string().contains("Azure Arc"), "{error}");
}

#[cfg(unix)]
#[test]
fn azure_workload_identity_finds_the_variables_of_a_pod() {
    let (folder, entra, kubernetes) = (Folder::new(), Entra::start(), Kubernetes::start());
    entra.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    let file = kubernetes
        .project(&folder.path("azure"), Entra::ASSERTION_AUDIENCE)
        .expect("the folder is ours");
    get_a_token(
        "azure_workload_identity",
        &[
            ("AZURE_FEDERATED_TOKEN_FILE", &file.display().to_string()),
            ("AZURE_CLIENT_ID", Entra::CLIENT_ID),
            ("AZURE_TENANT_ID", Entra::TENANT),
            // The webhook writes a slash at the end.
            ("AZURE_AUTHORITY_HOST", &format!("{}/", entra.url())),
        ],
    );
    assert_one_call(&entra);
}
