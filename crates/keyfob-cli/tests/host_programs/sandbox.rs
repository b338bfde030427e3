//! A machine for one test: an API over TLS that takes short-lived tokens, a profile for it, and a home of its own for other programs.

use std::fmt;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use keyfob_testkit::{
    Api, Expect, Issuer, Leaf, Received, ScriptedResponse, Server, TestAuthority, TokenEndpoint,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::keyfob::Folder;

/// Dropping it removes its folder.
pub(crate) struct Sandbox {
    pub(crate) folder: Folder,
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) api: Api,
    port: u16,
    /// The port of the server behind TLS.
    target: Arc<AtomicU16>,
    _server: Option<Server>,
}

/// What a program printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// With a profile `a` for the API. Tokens expire after three seconds.
    pub(crate) fn new(
        respond: impl Fn(&Received) -> ScriptedResponse + Send + Sync + 'static,
    ) -> Self {
        let endpoint = TokenEndpoint::start();
        endpoint.issuer().set_lifetime(Duration::from_secs(3));
        let api = Api::start(endpoint.issuer().clone());
        api.respond_with(respond);
        Self::of(endpoint, api)
    }

    /// The same, whose API serves the files in the folder `served`.
    pub(crate) fn serving_files() -> Self {
        let sandbox = Self::new(|_| ScriptedResponse::status(404));
        let root = sandbox.path("served");
        sandbox.api.respond_with(move |received| {
            match fs::read(root.join(received.path.trim_start_matches('/'))) {
                Ok(bytes) => ScriptedResponse::bytes(bytes),
                Err(_) => ScriptedResponse::status(404),
            }
        });
        sandbox
    }

    /// The same, whose API is this server. It decides itself which tokens it takes.
    pub(crate) fn with_server(server: Server, expect: impl FnOnce(Issuer) -> Expect) -> Self {
        let sandbox = Self::new(|_| ScriptedResponse::status(404));
        server.expect(expect(sandbox.endpoint.issuer().clone()));
        sandbox
            .target
            .store(server.address().port(), Ordering::Relaxed);
        Self {
            _server: Some(server),
            ..sandbox
        }
    }

    fn of(endpoint: TokenEndpoint, api: Api) -> Self {
        let folder = Folder::new();
        let authority = TestAuthority::new();
        folder.file("authority.pem", authority.pem());
        let target = Arc::new(AtomicU16::new(api.server().address().port()));
        let port = serve_tls(&authority, Arc::clone(&target));
        folder.file("secret", "s3cret");
        let sandbox = Self {
            folder,
            endpoint,
            api,
            port,
            target,
            _server: None,
        };
        sandbox.folder.file(
            "keyfob.toml",
            &format!(
                "[profiles.a]\nbase_url = \"{}\"\norigins = \"{}\"\n[profiles.a.token]\ngrant = \"client_credentials\"\n\
                 token_endpoint = \"{}\"\nclient_id = \"reports\"\nclient_secret = \"file:{}\"\n",
                sandbox.url(""),
                sandbox.url("").replace("127.0.0.1", "localhost"),
                sandbox.endpoint.url(),
                sandbox.path("secret").display()
            ),
        );
        fs::create_dir_all(sandbox.path("bin")).expect("the folder of the test can be written");
        sandbox
    }

    /// The URL of a path of the API.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.host())
    }

    /// The host and the port of the API.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// Makes a program ask keyfob, as a user does.
    pub(crate) fn set_up(&self, program: &str) {
        let mut keyfob = self.command(KEYFOB);
        let done = run(keyfob
            .args([
                "helper",
                "setup",
                program,
                "--profile=a",
                "--write",
                "--links",
            ])
            .arg(self.path("bin")));
        assert!(done.success, "{done:?}");
    }

    /// A run of a program that knows this machine only.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let keyfob = Path::new(KEYFOB).parent().expect("it is in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.path("bin");
        command
            .env_clear()
            .env(
                "PATH",
                format!("{}:{}:{path}", bin.display(), keyfob.display()),
            )
            .env("HOME", self.path(""))
            .env("KEYFOB_CONFIG", self.path("keyfob.toml"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("NO_PROXY", "*")
            .current_dir(self.path(""));
        command
    }

    /// The file with the certificate authority of the API.
    pub(crate) fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// The paths of all requests that the API accepted, or refused.
    pub(crate) fn count(&self, status: u16) -> u64 {
        self.api.count(status)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("port", &self.port).finish()
    }
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `cargo xtask test programs` installs it")
    });
    Ended {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Listens with TLS in front of a server, until the process ends. Returns the port.
fn serve_tls(authority: &TestAuthority, target: Arc<AtomicU16>) -> u16 {
    let pair = authority.issue(Leaf {
        names: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        ..Leaf::default()
    });
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.expect("it is PEM")],
            key.expect("it is PEM"),
        )
        .expect("the key belongs to the certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener =
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    listener.set_nonblocking(true).expect("a socket");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the machine can make one");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a socket");
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                let server = (Ipv4Addr::LOCALHOST, target.load(Ordering::Relaxed));
                tokio::spawn(async move {
                    // A client that does not trust the certificate ends this.
                    let mut client = acceptor.accept(client).await.ok()?;
                    let mut server = TcpStream::connect(server).await.ok()?;
                    copy_bidirectional(&mut client, &mut server).await.ok()
                });
            }
        });
    });
    port
}

pub(crate) const KEYFOB: &str = env!("CARGO_BIN_EXE_keyfob");
