//! Tokens that the certified provider binds to the client's certificate (RFC 8705).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob::oauth::{ClientAuthentication, ClientCredentials};
use keyfob::{ClientCertificate, ErrorKind, FixedToken, Session, TokenCache};
use keyfob_testkit::{ClientCertificates, Leaf, TestAuthority, TlsServer, json};
use serde_json::Value;
use tempfile::TempDir;

use crate::provider_server::Provider;

/// Files of certificates that one authority issues.
struct Files {
    authority: TestAuthority,
    directory: TempDir,
}

impl Files {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, &path).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a new certificate for this name into the files.
    fn renew(&self, name: &str) -> ClientCertificate {
        let pair = self.authority.issue(Leaf::default().name(name));
        self.write("tls.crt", &pair.certificate);
        self.write("tls.key", &pair.key);
        ClientCertificate::from_files(self.path("tls.crt"), self.path("tls.key")).unwrap()
    }
}

fn start() -> (Provider, Files) {
    let files = Files {
        authority: TestAuthority::new(),
        directory: tempfile::tempdir().unwrap(),
    };
    files.write("ca.pem", files.authority.pem());
    let server = files.authority.issue(Leaf::default());
    let provider = Provider::start(json!({
        "mtls": { "cert": server.certificate, "key": server.key, "ca": files.authority.pem() },
        "clients": [{
            "client_id": "robot",
            "token_endpoint_auth_method": "tls_client_auth",
            "tls_client_auth_san_dns": "robot.example",
            "tls_client_certificate_bound_access_tokens": true,
            "grant_types": ["client_credentials"],
        }],
    }));
    (provider, files)
}

fn tokens(provider: &Provider, files: &Files, certificate: &ClientCertificate) -> TokenCache {
    let client = provider
        .builder("robot", ClientAuthentication::tls_client_auth())
        .ca_file(files.path("ca.pem"))
        .client_certificate(certificate)
        .build()
        .unwrap();
    TokenCache::new(ClientCredentials::new(client).resource("https://api.example.com"))
}

/// The thumbprint that a token is bound to (RFC 8705 §3.1).
fn bound_to(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims["cnf"]["x5t#S256"].as_str()?.to_owned())
}

/// An API that accepts a token only with the certificate that it is bound to.
fn api(authority: &TestAuthority) -> TlsServer {
    TlsServer::builder(authority)
        .client_certificates(ClientCertificates::Demanded)
        .start(|request| {
            let token = request.authorization.as_deref().unwrap_or_default();
            let bound_to = bound_to(token.trim_start_matches("Bearer "));
            match bound_to.is_some() && bound_to == request.certificate {
                true => (200, json!({ "presented": bound_to })),
                false => (401, json!({})),
            }
        })
}

#[tokio::test]
async fn a_token_is_bound_to_the_certificate_and_goes_on_after_the_files_change() {
    let (provider, files) = start();
    let certificate = files.renew("robot.example");
    let (api, tokens) = (
        api(&files.authority),
        tokens(&provider, &files, &certificate),
    );
    let session = |tokens: TokenCache, certificate: &ClientCertificate| {
        let session = Session::builder(tokens).base_url(api.url());
        let session = session.ca_file(files.path("ca.pem"));
        session.client_certificate(certificate).build().unwrap()
    };
    let ours = session(tokens.clone(), &certificate);
    for _ in 0..3 {
        let response = ours.get("data").send().await.unwrap();
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["presented"], certificate.thumbprint());
        let token = tokens.get_valid_token().await.unwrap();
        assert_eq!(bound_to(token.expose()), Some(certificate.thumbprint()));
        // Between two renewals, with the old token and with a new one.
        files.renew("robot.example");
    }
    tokens.renew().await.unwrap();
    assert_eq!(ours.get("data").send().await.unwrap().status(), 200);

    // With the token alone, another client cannot use it.
    let token = tokens.get_valid_token().await.unwrap();
    let other = files.authority.issue(Leaf::default().name("robot.example"));
    let file = files.write("other.pem", &format!("{}{}", other.certificate, other.key));
    let other = ClientCertificate::from_files(&file, &file).unwrap();
    let theirs = session(TokenCache::new(FixedToken::new(token)), &other);
    assert_eq!(theirs.get("data").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn t2_a_certificate_of_another_name_does_not_authenticate_the_client() {
    let (provider, files) = start();
    let certificate = files.renew("somebody.example");
    let tokens = tokens(&provider, &files, &certificate);
    let error = tokens.get_valid_token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("invalid_client"), "{error}");
}
