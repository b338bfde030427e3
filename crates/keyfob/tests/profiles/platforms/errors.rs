//! Each documented error names the platform, the setting and what to do, and no secret.

use std::fs;
use std::time::Duration;

use keyfob::ErrorKind::{Input, Malformed, Origin, Refused, Unavailable};
use keyfob_testkit::platforms::{
    AzureManagedIdentity, Entra, Fake, GcpMetadata, GcpServiceAccount, GcpWorkloadIdentity, GitHub,
    Kubernetes, PlatformKey,
};
use keyfob_testkit::{ScriptedResponse, json};

use crate::folder::Folder;
use crate::platforms::lives::{assert_error, clock, error_of, profile};

/// A profile with this preset and these keys.
fn preset(name: &str, keys: &str) -> keyfob::Profile {
    let text = format!(
        "[profiles.a]\nbase_url = \"http://127.0.0.1:9/\"\n[profiles.a.token]\npreset = \"{name}\"\n{keys}\n"
    );
    profile(&text, "a")
}

fn app(github: &Fake<GitHub>, app: &str, installation: &str, key: &str) -> keyfob::Profile {
    let keys = format!(
        "app = \"{app}\"\ninstallation = \"{installation}\"\nprivate_key = \"file:{key}\"\nendpoint = \"{}\"",
        github.url()
    );
    preset("github_app", &keys)
}

#[test]
fn s1_errors_of_github_app_name_the_setting() {
    let (folder, clock, github) = (Folder::new(), clock(), GitHub::start());
    let pem = github.private_key_pem();
    let file = |name: &str, text: &str| folder.file(name, text).display().to_string();
    let (key, other) = (
        file("key", &pem),
        file("other", &PlatformKey::rsa("other").private_pem()),
    );
    let (curve, empty) = (
        file("curve", &PlatformKey::p256("curve").private_pem()),
        file("empty", ""),
    );
    let (id, installation) = (GitHub::CLIENT_ID, GitHub::INSTALLATION);
    let secrets = ["BEGIN", pem.lines().nth(1).unwrap(), "eyJ"];
    for (kind, says, found) in [
        (
            Refused,
            &["GitHub API", "401", "private_key"][..],
            app(&github, id, installation, &other),
        ),
        (
            Refused,
            &["404", "`app`"],
            app(&github, "Iv23liother", installation, &key),
        ),
        (
            Refused,
            &["404", "`installation`"],
            app(&github, id, "1", &key),
        ),
        (
            Input,
            &["curve", "RS256"],
            app(&github, id, installation, &curve),
        ),
        (
            Unavailable,
            &["empty"],
            app(&github, id, installation, &empty),
        ),
        (
            Unavailable,
            &["does not exist"],
            app(&github, id, installation, "/no/such/key.pem"),
        ),
    ] {
        assert_error(&error_of(&found, &clock, &secrets), kind, says);
    }
    let good = || app(&github, id, installation, &key);
    github.set_suspended(true);
    assert_error(
        &error_of(&good(), &clock, &secrets),
        Refused,
        &["403", "suspended"],
    );
    github.set_suspended(false);
    github.throttle(30);
    assert_error(&error_of(&good(), &clock, &secrets), Unavailable, &["403"]);
    github.go_down();
    assert_error(&error_of(&good(), &clock, &secrets), Unavailable, &["503"]);
    github.recover();
    for ahead in [600, -600] {
        github.clock().set_ahead(ahead);
        assert_error(
            &error_of(&good(), &clock, &secrets),
            Refused,
            &["clock of this machine", "set it right"],
        );
    }
}

#[test]
fn errors_outside_of_the_platform_say_which_platform_is_missing() {
    let clock = clock();
    for (kind, name, keys, says) in [
        (
            Unavailable,
            "github_actions",
            "audience = \"a\"",
            &["ACTIONS_ID_TOKEN_REQUEST", "id-token: write"][..],
        ),
        (
            Unavailable,
            "gcp_metadata",
            "endpoint = \"http://127.0.0.1:9\"",
            &["there is no metadata server: this machine is not on Google Cloud"],
        ),
        (
            Unavailable,
            "azure_managed_identity",
            "resource = \"r\"\nendpoint = \"http://127.0.0.1:9/token\"",
            &["there is no metadata service: this machine is not on Azure"],
        ),
        (
            Unavailable,
            "azure_workload_identity",
            "scopes = \"r/.default\"\nclient_id = \"c\"",
            &["AZURE_", "no pod with Azure Workload Identity"],
        ),
        (
            Unavailable,
            "gcp_service_account",
            "scopes = \"s\"",
            &["GOOGLE_APPLICATION_CREDENTIALS", "`key_file`"],
        ),
        (
            Unavailable,
            "kubernetes_service_account",
            "path = \"/no/such/token\"",
            &["/no/such/token", "does not exist"],
        ),
        (
            Origin,
            "gcp_metadata",
            "endpoint = \"http://metadata.example.com\"",
            &["metadata.example.com", "plain http"],
        ),
    ] {
        assert_error(&error_of(&preset(name, keys), &clock, &[]), kind, says);
    }
}

#[test]
fn no_other_source_may_use_a_metadata_address() {
    let text = "[profiles.a]\nbase_url = \"http://127.0.0.1:9/\"\n[profiles.a.token]\nsource = \"http\"\n\
                url = \"http://169.254.169.254/latest\"\n";
    let found = error_of(&profile(text, "a"), &clock(), &[]);
    assert_error(&found, Origin, &["plain http", "preset"]);
}

#[test]
fn errors_of_the_metadata_services_name_the_setting() {
    let clock = clock();
    let google = GcpMetadata::start_on(&clock);
    let keys = |keys: &str| format!("endpoint = \"{}\"\n{keys}", google.url());
    let other = preset("gcp_metadata", &keys("account = \"other@my-project.iam\""));
    assert_error(
        &error_of(&other, &clock, &[]),
        Refused,
        &["404", "`account`"],
    );
    google.throttle(5);
    let good = || preset("gcp_metadata", &keys(""));
    assert_error(&error_of(&good(), &clock, &[]), Unavailable, &["429"]);
    let azure = AzureManagedIdentity::virtual_machine_on(&clock);
    let url = azure.url_for(AzureManagedIdentity::MACHINE_PATH);
    let machine = |keys: &str| {
        preset(
            "azure_managed_identity",
            &format!("endpoint = \"{url}\"\n{keys}"),
        )
    };
    let good = || machine("resource = \"https://vault.azure.net\"");
    for (kind, says, found) in [
        (
            Refused,
            &["invalid_request", "`client_id`"][..],
            machine("resource = \"r\"\nclient_id = \"other\""),
        ),
        (
            Refused,
            &["invalid_resource", "`resource`"],
            machine("resource = \"https://a.unknown.example\""),
        ),
    ] {
        assert_error(&error_of(&found, &clock, &[]), kind, says);
    }
    azure.throttle(5);
    assert_error(&error_of(&good(), &clock, &[]), Unavailable, &["429"]);
    for status in [404, 410, 500] {
        azure.next([ScriptedResponse::status(status)]);
        assert_error(
            &error_of(&good(), &clock, &[]),
            Unavailable,
            &[&status.to_string()],
        );
    }
    let token = json!({"access_token": "s3cret-token", "expires_on": "soon"});
    azure.next([ScriptedResponse::json(token)]);
    let found = error_of(&good(), &clock, &["s3cret-token"]);
    assert_error(&found, Malformed, &["/expires_on", "seconds since 1970"]);
}

fn account(file: &str, keys: &str) -> keyfob::Profile {
    preset(
        "gcp_service_account",
        &format!("key_file = \"file:{file}\"\n{keys}"),
    )
}

#[test]
fn s1_errors_of_gcp_service_account_name_the_setting() {
    let (folder, clock, google) = (Folder::new(), clock(), GcpServiceAccount::start());
    let text = google.key_file(&google.url_for("/token"));
    let file = |name: &str, text: &str| folder.file(name, text).display().to_string();
    let good = file("good", &text);
    let other = GcpServiceAccount::start().key_file(&google.url_for("/token"));
    let user = r#"{"type": "authorized_user", "refresh_token": "s3cret"}"#;
    let secrets = ["BEGIN", "s3cret", "eyJ"];
    for (kind, says, found) in [
        (
            Refused,
            &["invalid_grant", "`key_file`"][..],
            account(&file("other", &other), "scopes = \"s\""),
        ),
        (
            Input,
            &["user.json", "not the kind of file"],
            account(&file("user.json", user), "scopes = \"s\""),
        ),
        (
            Input,
            &["not the kind of file"],
            account(&file("text", "s3cret"), "scopes = \"s\""),
        ),
        (
            Unavailable,
            &["does not exist"],
            account("/no/such/key.json", "scopes = \"s\""),
        ),
    ] {
        assert_error(&error_of(&found, &clock, &secrets), kind, says);
    }
    google.clock().set_ahead(-600);
    let found = error_of(&account(&good, "scopes = \"s\""), &clock, &secrets);
    assert_error(&found, Refused, &["invalid_grant", "set it right"]);
}

fn federated(
    google: &Fake<GcpWorkloadIdentity>,
    provider: &str,
    account: &str,
    subject: &str,
) -> keyfob::Profile {
    let keys = format!(
        "provider = \"{provider}\"\nservice_account = \"{account}\"\nsubject_token = \"file:{subject}\"\n\
         endpoint = \"{0}\"\niam_endpoint = \"{0}\"",
        google.url()
    );
    preset("gcp_workload_identity", &keys)
}

/// A token of the cluster in a file of the folder.
fn token_file(folder: &Folder, kubernetes: &Fake<Kubernetes>, audience: &str) -> String {
    let name = format!("token-{}", audience.len());
    let path = folder.file(&name, &kubernetes.token(audience));
    path.display().to_string()
}

#[test]
fn s1_errors_of_gcp_workload_identity_name_the_link_and_the_setting() {
    let (folder, clock) = (Folder::new(), clock());
    let (google, kubernetes) = (
        GcpWorkloadIdentity::start_on(&clock),
        Kubernetes::start_on(&clock),
    );
    google.trust(Kubernetes::ISSUER, kubernetes.key());
    let (provider, account) = (GcpWorkloadIdentity::PROVIDER, GcpWorkloadIdentity::ACCOUNT);
    let good = token_file(&folder, &kubernetes, &format!("https:{provider}"));
    let other = token_file(&folder, &kubernetes, "other");
    let wrong = provider.replace("/github", "/gitlab");
    for (says, found) in [
        (
            &["the federated token", "invalid_grant", "`subject_token`"],
            federated(&google, provider, account, &other),
        ),
        (
            &["the federated token", "invalid_target", "`provider`"],
            federated(&google, &wrong, account, &good),
        ),
        (
            &["IAM", "PERMISSION_DENIED", "`service_account`"],
            federated(&google, provider, "other@p.iam", &good),
        ),
    ] {
        assert_error(&error_of(&found, &clock, &["eyJ"]), Refused, says);
    }
    clock.advance(Duration::from_secs(3601));
    let found = error_of(
        &federated(&google, provider, account, &good),
        &clock,
        &["eyJ"],
    );
    assert_error(&found, Refused, &["invalid_grant", "has expired"]);
}

fn entra_profile(entra: &Fake<Entra>, tenant: &str, scope: &str, file: &str) -> keyfob::Profile {
    let keys = format!(
        "scopes = \"{scope}\"\nclient_id = \"{}\"\ntenant = \"{tenant}\"\nendpoint = \"{}\"\nassertion = \"file:{file}\"",
        Entra::CLIENT_ID,
        entra.url()
    );
    preset("azure_workload_identity", &keys)
}

#[test]
fn s1_errors_of_azure_workload_identity_have_the_number_and_the_setting() {
    let (folder, clock) = (Folder::new(), clock());
    let (entra, kubernetes) = (Entra::start_on(&clock), Kubernetes::start_on(&clock));
    entra.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
    let good = token_file(&folder, &kubernetes, Entra::ASSERTION_AUDIENCE);
    let other = token_file(&folder, &kubernetes, "other");
    let (tenant, scope) = (Entra::TENANT, "https://graph.microsoft.com/.default");
    for (says, found) in [
        (
            &["AADSTS700212", "`assertion`"],
            entra_profile(&entra, tenant, scope, &other),
        ),
        (
            &["AADSTS1002012", "/.default"],
            entra_profile(&entra, tenant, "openid", &good),
        ),
        (
            &["AADSTS90002", "`tenant`"],
            entra_profile(&entra, "other", scope, &good),
        ),
    ] {
        assert_error(&error_of(&found, &clock, &["eyJ"]), Refused, says);
    }
    // The file is old: the token in it has expired.
    clock.advance(Duration::from_secs(3600 + 301));
    let found = error_of(
        &entra_profile(&entra, tenant, scope, &good),
        &clock,
        &["eyJ"],
    );
    assert_error(&found, Refused, &["AADSTS700024", "has expired"]);
    fs::write(&good, "").expect("the folder is ours");
    let found = error_of(
        &entra_profile(&entra, tenant, scope, &good),
        &clock,
        &["eyJ"],
    );
    assert_error(&found, Unavailable, &["is empty"]);
}
