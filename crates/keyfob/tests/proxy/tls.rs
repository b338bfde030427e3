//! What a route trusts, and what it presents.

use keyfob::ClientCertificate;
use keyfob::Profiles;
use keyfob::proxy::Route;
use keyfob_testkit::{ClientCertificates, Leaf, TestAuthority, TlsServer, json};
use tempfile::TempDir;

use crate::fixtures::{Running, route};

/// A server that says which certificate it saw, and a folder with the files for a client.
fn server() -> (TlsServer, TestAuthority, TempDir) {
    let authority = TestAuthority::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    issue(&authority, &folder);
    let server = TlsServer::builder(&authority)
        .client_certificates(ClientCertificates::Demanded)
        .start(|request| (200, json!({ "presented": request.certificate })));
    (server, authority, folder)
}

fn issue(authority: &TestAuthority, folder: &TempDir) {
    let pair = authority.issue(Leaf::default().name("client"));
    for (name, text) in [("tls.crt", &pair.certificate), ("tls.key", &pair.key)] {
        let (path, new) = (folder.path().join(name), folder.path().join("new"));
        std::fs::write(&new, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::rename(&new, &path).unwrap();
    }
}

fn certificate(folder: &TempDir) -> ClientCertificate {
    let file = |name| folder.path().join(name);
    ClientCertificate::from_files(file("tls.crt"), file("tls.key")).unwrap()
}

#[tokio::test]
async fn a_route_presents_the_certificate_that_is_in_the_files_now() {
    let (server, authority, folder) = server();
    let certificate = certificate(&folder);
    let route = route(server.url())
        .ca_file(folder.path().join("ca.pem"))
        .client_certificate(&certificate);
    let proxy = Running::route(route.build().unwrap()).await;
    let mut thumbprints = Vec::new();
    for _ in 0..2 {
        let response = proxy.get("/").await;
        assert!(response.contains(&certificate.thumbprint()), "{response}");
        thumbprints.push(certificate.thumbprint());
        issue(&authority, &folder);
    }
    assert_ne!(thumbprints[0], thumbprints[1]);
}

#[tokio::test]
async fn p1_a_certificate_that_is_not_trusted_is_told_in_words() {
    let (server, _, folder) = server();
    let untrusting = route(server.url()).client_certificate(&certificate(&folder));
    let without = route(server.url()).ca_file(folder.path().join("ca.pem"));
    for (route, words) in [
        (untrusting, "comes from an authority that is not trusted"),
        (without, "demands a client certificate"),
    ] {
        let proxy = Running::route(route.build().unwrap()).await;
        let response = proxy.get("/").await;
        assert!(
            response.starts_with("HTTP/1.1 502 ") && response.contains(words),
            "{response}"
        );
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_route_of_a_profile_has_the_profiles_settings() {
    let (server, _, folder) = server();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let profiles = Profiles::from_text(&format!(
        "[profiles.api]\nbase_url = '{}'\ntoken = 'file:{}'\nca_file = '{}'\n\
         client_certificate = {{ certificate = '{}', key = '{}' }}\n\
         [profiles.two]\norigins = ['https://a.example', 'https://b.example']\ntoken = 'env:X'\n\
         [profiles.plain]\nbase_url = 'http://localhost:1/v1'\ntoken = 'env:X'\n",
        server.url(),
        file("token"),
        file("ca.pem"),
        file("tls.crt"),
        file("tls.key"),
    ))
    .unwrap();
    std::fs::write(folder.path().join("token"), "from-file").unwrap();
    let proxy = Running::route(profiles.get("api").unwrap().route().unwrap()).await;
    let response = proxy.get("/").await;
    assert!(
        response.contains(&certificate(&folder).thumbprint()),
        "{response}"
    );
    assert_eq!(
        server.received()[0].authorization.as_deref(),
        Some("Bearer from-file")
    );
    let two = profiles.get("two").unwrap();
    assert!(
        two.route()
            .unwrap_err()
            .to_string()
            .contains("several origins")
    );
    let to = |origin: &str| two.route_builder_to(&origin.parse().unwrap());
    let to_b: Route = to("https://b.example").unwrap().build().unwrap();
    assert_eq!(to_b.base_url().as_str(), "https://b.example/");
    assert!(
        to("https://c.example")
            .unwrap_err()
            .to_string()
            .contains("not bound")
    );
    let plain = profiles.get("plain").unwrap().route().unwrap();
    assert_eq!(plain.base_url().as_str(), "http://localhost:1/v1/");
}
