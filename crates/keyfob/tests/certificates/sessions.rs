//! Which servers see the certificate of a session.

use keyfob::{ErrorKind, blocking};
use keyfob_testkit::{ClientCertificates, TlsServer, json};
use serde_json::Value;

use crate::fixtures::{Folder, fixed};

#[tokio::test]
async fn a_session_presents_its_certificate_to_a_server_that_demands_one() {
    let folder = Folder::new();
    let server = folder.server(ClientCertificates::Demanded);
    let session = folder.session(&server, fixed()).build().unwrap();
    for _ in 0..3 {
        let response = session.get("data").send().await.unwrap();
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["presented"], folder.certificate().thumbprint());
    }
    assert_eq!(server.connections(), 1, "the connection is kept");
}

#[test]
fn a_blocking_session_presents_its_certificate_too() {
    let folder = Folder::new();
    let server = folder.server(ClientCertificates::Demanded);
    let session = blocking::Session::builder(fixed())
        .base_url(server.url())
        .ca_file(folder.path("ca.pem"))
        .client_certificate(&folder.certificate())
        .build()
        .unwrap();
    let presented = || {
        let body: Value = session.get("data").send().unwrap().json().unwrap();
        body["presented"].as_str().unwrap().to_owned()
    };
    let before = folder.certificate().thumbprint();
    assert_eq!(presented(), before);
    folder.renew();
    assert_eq!(presented(), folder.certificate().thumbprint());
    assert_ne!(presented(), before);
}

#[tokio::test]
async fn r1_a_server_that_a_redirect_leads_to_does_not_see_the_certificate() {
    let folder = Folder::new();
    let other = folder.server(ClientCertificates::Accepted);
    let target = format!("{}/there", other.url());
    let server = Folder::redirecting(&folder, target);
    let session = folder.session(&server, fixed()).build().unwrap();
    let response = session.get("data").send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["presented"], Value::Null);
    assert!(server.received()[0].certificate.is_some());

    // A server that the credential is bound to sees it.
    let session = folder
        .session(&server, fixed())
        .origin(other.url())
        .build()
        .unwrap();
    let response = session.get(other.url()).send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["presented"], folder.certificate().thumbprint());
}

#[test]
fn a_certificate_and_a_client_of_your_own_exclude_each_other() {
    let folder = Folder::new();
    let server = folder.server(ClientCertificates::Demanded);
    let session = folder.session(&server, fixed());
    let error = session.client(Default::default()).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("client_certificate"), "{error}");
    let client = folder.client(&server).http(Default::default());
    let error = client.build().unwrap_err();
    assert!(error.to_string().contains("client_certificate"), "{error}");
}

impl Folder {
    /// A server that demands a certificate and redirects to this URL.
    fn redirecting(&self, target: String) -> TlsServer {
        TlsServer::builder(&self.authority)
            .client_certificates(ClientCertificates::Demanded)
            .start(move |_| (307, json!({ "location": target })))
    }
}
