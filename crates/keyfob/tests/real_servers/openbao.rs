//! Tokens of OpenBao, and the fake of Vault compared with it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob::http::Method;
use keyfob::oauth::{ExpiryForm, RequestText};
use keyfob::{HttpToken, Profile, Profiles, TokenCache};
use keyfob_testkit::platforms::{Kubernetes, Vault};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::openbao_server::{OpenBao, Responded, send};

/// The role id and the secret id of each server, and its URL.
struct Side {
    url: String,
    role: String,
    secret: String,
}

impl Side {
    async fn log_in(&self, body: Value) -> Responded {
        let url = format!("{}{}", self.url, Vault::APPROLE_PATH);
        send(Method::POST, &url, "", Some(body)).await
    }

    /// What a client can see of each kind of request, in a form in which two servers can be compared.
    async fn responses(&self) -> Vec<String> {
        let good = json!({"role_id": self.role, "secret_id": self.secret});
        let (status, body) = self.log_in(good).await;
        let token = body["auth"]["client_token"].as_str().unwrap().to_owned();
        let mut seen = vec![described(&(status, body))];
        for body in [
            json!({"role_id": self.role, "secret_id": "wrong"}),
            json!({"role_id": "wrong", "secret_id": self.secret}),
            json!({"role_id": self.role}),
            json!({}),
        ] {
            seen.push(described(&self.log_in(body).await));
        }
        for (method, path, token) in [
            (Method::POST, "/v1/auth/other/login", ""),
            (Method::POST, Vault::RENEW_PATH, token.as_str()),
            (Method::POST, Vault::RENEW_PATH, "wrong"),
            (Method::GET, Vault::SECRET_PATH, token.as_str()),
            (Method::GET, Vault::SECRET_PATH, "wrong"),
        ] {
            let body = (method == Method::POST).then(|| json!({}));
            let url = format!("{}{path}", self.url);
            seen.push(described(&send(method, &url, token, body).await));
        }
        seen
    }
}

fn described((status, body): &Responded) -> String {
    let auth = &body["auth"];
    format!(
        "{status} errors={} lease={} renewable={} type={} data={}",
        body["errors"],
        auth["lease_duration"],
        auth["renewable"],
        auth["token_type"],
        body["data"]["data"]
    )
}

#[tokio::test]
async fn the_fake_of_vault_responds_as_openbao_does() {
    let (server, fake) = (OpenBao::start().await, Vault::start());
    let (role, secret) = server.approle(600, 1500).await;
    fake.set_lifetimes(Duration::from_secs(600), Duration::from_secs(1500));
    let real = Side {
        url: server.url_for(""),
        role,
        secret,
    };
    let fake = Side {
        url: fake.url(),
        role: Vault::ROLE_ID.to_owned(),
        secret: Vault::SECRET_ID.to_owned(),
    };
    assert_eq!(real.responses().await, fake.responses().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_an_approle_is_renewed_and_replaced_while_it_is_used() {
    let server = OpenBao::start().await;
    let (role, secret) = server.approle(4, 9).await;
    let renewal = HttpToken::builder(server.url_for(Vault::RENEW_PATH))
        .method(Method::POST)
        .header("x-vault-token", RequestText::previous_token());
    let source = HttpToken::builder(server.url_for(Vault::APPROLE_PATH))
        .json("/role_id", role)
        .json("/secret_id", secret)
        .token("/auth/client_token")
        .expiry("/auth/lease_duration", ExpiryForm::SecondsOrNever)
        .renewal(renewal)
        .renewable("/auth/renewable");
    let tokens = TokenCache::new(source.build().unwrap());
    let url = server.url_for(Vault::SECRET_PATH);
    let (begun, mut seen) = (Instant::now(), Vec::new());
    // Longer than the maximum lifetime of one token.
    while begun.elapsed() < Duration::from_secs(13) {
        let token = tokens.get_valid_token().await.unwrap();
        let (status, body) = send(Method::GET, &url, token.expose(), None).await;
        assert_eq!(
            (status.as_u16(), &body["data"]["data"]["a"]),
            (200, &json!("b"))
        );
        if seen.last().is_none_or(|last| last != token.expose()) {
            seen.push(token.expose().to_owned());
        }
        sleep(Duration::from_millis(100));
    }
    // Each lived through at least one renewal.
    let renewals = tokens.status().renewals;
    assert!(seen.len() == 2 || seen.len() == 3, "{} tokens", seen.len());
    assert!(renewals > seen.len() as u64, "{renewals} renewals");
}

/// The example of a preset on the page on platforms, with the address of the server, and with what differs in the test.
fn profile(server: &OpenBao, preset: &str, replacements: &[(&str, &str)]) -> Profile {
    let page = include_str!("../../../../docs/how-to/platforms.md");
    let (_, section) = page.split_once(&format!("\n## {preset}\n")).unwrap();
    let (_, example) = section.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let store = "store = \"memory\"\ntoken.preset";
    let mut text = example.replacen("token.preset", store, 1);
    let address = ("https://vault.example.com:8200/", server.url_for("/"));
    text = text.replace(address.0, &address.1);
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    Profiles::from_text(&text)
        .unwrap()
        .get("vault")
        .unwrap()
        .clone()
}

async fn assert_reads_a_secret(server: &OpenBao, profile: &Profile) {
    let findings = profile.check().await;
    for finding in &findings {
        finding
            .outcome()
            .unwrap_or_else(|error| panic!("{}: {error}", finding.what()));
    }
    let session = profile.session().unwrap();
    let response = session.get("secret/data/app").send().await.unwrap();
    assert_eq!(response.status(), 200, "{}", server.url_for(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preset_for_an_approle_reads_a_secret() {
    let server = OpenBao::start().await;
    let (role, secret) = server.approle(600, 1500).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), secret).unwrap();
    let place = format!("file:{}", file.path().display());
    let replacements = [
        ("675a50e7-cfe0-be76-e35f-49ec009731ea", role.as_str()),
        ("file:/run/secrets/vault-secret-id", &place),
    ];
    let profile = profile(&server, "vault_approle", &replacements);
    assert_reads_a_secret(&server, &profile).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preset_for_kubernetes_reads_a_secret() {
    let (server, kubernetes) = (OpenBao::start().await, Kubernetes::start());
    // The part of the API of the cluster that checks tokens.
    let cluster = Server::start();
    cluster.expect(
        Expect::post("/apis/authentication.k8s.io/v1/tokenreviews").respond(
            ScriptedResponse::json(json!({
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "status": {
                    "authenticated": true,
                    "user": {"username": Kubernetes::SUBJECT, "uid": "0123", "groups": []},
                    "audiences": ["vault"],
                },
            }))
            .with_status(201),
        ),
    );
    server.approle(600, 1500).await;
    server
        .configure("/v1/sys/auth/kubernetes", json!({"type": "kubernetes"}))
        .await;
    let authority = rcgen::generate_simple_self_signed(["cluster".to_owned()]).unwrap();
    let config = json!({
        "kubernetes_host": cluster.url(),
        "kubernetes_ca_cert": authority.cert.pem(),
        "disable_local_ca_jwt": true,
        "token_reviewer_jwt": kubernetes.token("reviewer"),
    });
    server.configure("/v1/auth/kubernetes/config", config).await;
    let role = json!({
        "bound_service_account_names": "checkout",
        "bound_service_account_namespaces": "shop",
        "audience": "vault",
        "token_policies": "app",
    });
    server
        .configure("/v1/auth/kubernetes/role/orders", role)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let file = kubernetes.project(folder.path(), "vault").unwrap();
    let jwt = format!(
        "token.role = \"orders\"\ntoken.jwt = \"file:{}\"",
        file.display()
    );
    let profile = profile(
        &server,
        "vault_kubernetes",
        &[("token.role = \"orders\"", &jwt)],
    );
    assert_reads_a_secret(&server, &profile).await;
}
