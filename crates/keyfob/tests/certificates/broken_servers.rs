//! Servers with which the TLS handshake fails, and what errors have to say. Tests of other interfaces use this file too.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use keyfob_testkit::{ClientCertificates, Leaf, Pair, TestAuthority, TlsServer, json};

/// A server that no request reaches.
pub(crate) struct BrokenServer {
    pub(crate) url: String,
    /// The certificate of the client, if it has one.
    pub(crate) client: Option<Pair>,
    /// What each error says.
    pub(crate) words: &'static str,
}

/// Servers whose clients trust this authority and no other.
pub(crate) fn broken_servers(authority: &TestAuthority) -> Vec<BrokenServer> {
    let with = |pair, words| {
        let server = TlsServer::builder(authority).certificate(pair);
        broken(server.start(respond).url(), None, words)
    };
    let issued = |leaf| authority.issue(leaf);
    let demanding = |client: Option<Pair>, words| {
        let server = TlsServer::builder(authority);
        let server = server.client_certificates(ClientCertificates::Demanded);
        broken(server.start(respond).url(), client, words)
    };
    let demanding_tls12 = |client: Option<Pair>, words| {
        let server = TlsServer::builder(authority).only_tls12();
        let server = server.client_certificates(ClientCertificates::Demanded);
        broken(server.start(respond).url(), client, words)
    };
    let foreign = || Some(TestAuthority::new().issue(Leaf::default()));
    let expired = || Some(issued(Leaf::valid([-20, -10])));
    let tls = TlsServer::builder(authority).start(respond);
    vec![
        with(
            issued(Leaf::valid([-20, -10])),
            "of the server has expired at 20",
        ),
        with(
            issued(Leaf::valid([10, 20])),
            "of the server is not valid before 20",
        ),
        with(
            issued(Leaf::default().name("other.example")),
            "is not for 127.0.0.1 but for other.example",
        ),
        with(TestAuthority::new().issue(Leaf::default()), "`--cacert`"),
        with(
            TestAuthority::self_signed(Leaf::default()),
            "is self-signed",
        ),
        demanding(
            None,
            "demands a client certificate; name one: `client_certificate`",
        ),
        demanding_tls12(None, "demands a client certificate"),
        demanding(foreign(), "an authority that the server does not trust"),
        demanding_tls12(foreign(), "an authority that the server does not trust"),
        demanding(expired(), "accept the client certificate: it has expired"),
        demanding_tls12(expired(), "accept the client certificate: it has expired"),
        broken(
            format!("https://{}", answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
            None,
            "begins with `http://`",
        ),
        broken(
            format!("http://{}", tls.address()),
            None,
            "begins with `https://`",
        ),
        // The alert `protocol_version` of a server that speaks TLS 1.0 only.
        broken(
            format!("https://{}", answering(&[21, 3, 1, 0, 2, 2, 70])),
            None,
            "no version of TLS in common",
        ),
    ]
}

fn broken(url: String, client: Option<Pair>, words: &'static str) -> BrokenServer {
    BrokenServer { url, client, words }
}

fn respond(_: &keyfob_testkit::TlsRequest) -> (u16, keyfob_testkit::Value) {
    (
        200,
        json!({ "access_token": "t0ken", "token_type": "Bearer" }),
    )
}

/// The address of a server that sends these bytes, whatever it receives.
fn answering(bytes: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(bytes);
        }
    });
    address
}
