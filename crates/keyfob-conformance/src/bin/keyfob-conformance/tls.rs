//! Https in front of a scripted server, with a certificate that all drivers trust.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::CertifiedKey;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The certificate of one run, and the runtime of its https servers.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    runtime: Runtime,
    folder: TempDir,
}

impl Tls {
    pub(crate) fn new() -> Result<Self, String> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(NAMES.map(String::from))
                .map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .map_err(|error| error.to_string())?;
        let tls = Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            runtime: Runtime::new().map_err(|error| error.to_string())?,
            folder: tempfile::tempdir().map_err(|error| error.to_string())?,
        };
        std::fs::write(tls.certificate(), cert.pem()).map_err(|error| error.to_string())?;
        Ok(tls)
    }

    /// A folder for the files of a run. It is the home of the drivers too.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the certificate is.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn front_of(&self, behind: SocketAddr) -> io::Result<TlsFront> {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let acceptor = self.acceptor.clone();
        let task = self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), stream, behind));
            }
        });
        Ok(TlsFront { address, task })
    }
}

/// Https in front of one server. Dropping it ends the listener.
pub(crate) struct TlsFront {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsFront {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// It ends when either side closes the connection.
async fn serve(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    if let Ok(mut server) = TcpStream::connect(behind).await {
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }
}

const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];
