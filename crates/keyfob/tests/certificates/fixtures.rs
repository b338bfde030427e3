//! Certificates in files, and servers that ask for them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyfob::oauth::ClientBuilder;
use keyfob::session::SessionBuilder;
use keyfob::{ClientCertificate, Session};
use keyfob_testkit::{ClientCertificates, Leaf, Pair, TestAuthority, TlsServer, json};
use tempfile::TempDir;

/// A folder with the files of an authority and of a client certificate.
pub(crate) struct Folder {
    pub(crate) authority: TestAuthority,
    directory: TempDir,
}

impl Folder {
    /// With a client certificate of the authority.
    pub(crate) fn new() -> Self {
        let folder = Self {
            authority: TestAuthority::new(),
            directory: tempfile::tempdir().unwrap(),
        };
        folder.write("ca.pem", folder.authority.pem());
        folder.renew();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file by renaming, as programs that write certificates do.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        std::fs::write(&new, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::rename(&new, &path).unwrap();
        path
    }

    pub(crate) fn write_pair(&self, pair: &Pair) {
        self.write("tls.crt", &pair.certificate);
        self.write("tls.key", &pair.key);
    }

    /// Puts a new certificate into the files.
    pub(crate) fn renew(&self) {
        self.write_pair(&self.authority.issue(Leaf::default().name("client")));
    }

    pub(crate) fn certificate(&self) -> ClientCertificate {
        ClientCertificate::from_files(self.path("tls.crt"), self.path("tls.key")).unwrap()
    }

    /// A server that responds with the thumbprint that it saw.
    pub(crate) fn server(&self, client_certificates: ClientCertificates) -> TlsServer {
        TlsServer::builder(&self.authority)
            .client_certificates(client_certificates)
            .start(|request| {
                let body = json!({ "presented": request.certificate, "on": request.connection });
                (200, body)
            })
    }

    /// A token endpoint that issues tokens which are bound to the certificate of the request, `THUMBPRINT:NUMBER`.
    pub(crate) fn token_endpoint(&self) -> TlsServer {
        let number = Arc::new(AtomicUsize::new(0));
        TlsServer::builder(&self.authority)
            .client_certificates(ClientCertificates::Demanded)
            .start(move |request| {
                let number = number.fetch_add(1, Ordering::SeqCst);
                let bound_to = request.certificate.as_deref().unwrap_or_default();
                let token = format!("{bound_to}.{number}");
                let body =
                    json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 });
                (200, body)
            })
    }

    /// An API that accepts only tokens which are bound to the certificate of the request.
    pub(crate) fn api(&self) -> TlsServer {
        TlsServer::builder(&self.authority)
            .client_certificates(ClientCertificates::Demanded)
            .start(|request| {
                let token = request.authorization.as_deref().unwrap_or_default();
                let token = token.trim_start_matches("Bearer ");
                let bound_to = token.split_once('.').unwrap_or_default().0;
                match request.certificate.as_deref() == Some(bound_to) {
                    true => (200, json!({ "presented": bound_to })),
                    false => (401, json!({ "error": "invalid_token" })),
                }
            })
    }

    /// A session at this server that trusts the authority and presents the certificate.
    pub(crate) fn session(
        &self,
        server: &TlsServer,
        tokens: impl Into<keyfob::TokenCache>,
    ) -> SessionBuilder {
        Session::builder(tokens)
            .base_url(server.url())
            .ca_file(self.path("ca.pem"))
            .client_certificate(&self.certificate())
    }

    /// A client of this token endpoint that trusts the authority and presents the certificate.
    pub(crate) fn client(&self, server: &TlsServer) -> ClientBuilder {
        keyfob::oauth::Client::builder("reports")
            .token_endpoint(format!("{}/token", server.url()))
            .authentication(keyfob::oauth::ClientAuthentication::tls_client_auth())
            .ca_file(self.path("ca.pem"))
            .client_certificate(&self.certificate())
    }
}

/// A hook with a token that never changes.
pub(crate) fn fixed() -> keyfob::TokenCache {
    keyfob::hook(|_| async { Ok::<_, std::io::Error>("t0ken") }).into()
}
