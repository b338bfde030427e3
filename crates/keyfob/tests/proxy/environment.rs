//! Upstreams that are reached through the proxy of the environment.

use std::env;
use std::net::SocketAddr;
use std::path::Path;

use keyfob::Session;
use keyfob_testkit::{Leaf, TestAuthority, TlsServer, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::fixtures::{OK, RawUpstream, Running, route, tls_config, tokens};
use crate::own_process::run_alone;

/// The request that a process of its own sends, and the words that its response has.
const UPSTREAM: &str = "KEYFOB_TEST_UPSTREAM";
const CA_FILE: &str = "KEYFOB_TEST_CA_FILE";
const EXPECTED: &str = "KEYFOB_TEST_EXPECTED";

#[tokio::test]
#[ignore = "runs in a process of its own, with another environment"]
async fn a_request() {
    let Ok(upstream) = env::var(UPSTREAM) else {
        return;
    };
    let route = match env::var_os(CA_FILE) {
        Some(file) => route(upstream).ca_file(file),
        None => route(upstream).allow_plain_http(),
    };
    let proxy = Running::route(route.build().unwrap()).await;
    let response = proxy.get("/data").await;
    let expected = env::var(EXPECTED).unwrap();
    assert!(response.contains(&expected), "{response}");
}

#[tokio::test]
#[ignore = "runs in a process of its own, with another environment"]
async fn a_request_of_a_session() {
    let Ok(upstream) = env::var(UPSTREAM) else {
        return;
    };
    let session = Session::builder(tokens(&["t0ken"]))
        .base_url(upstream)
        .ca_file(env::var_os(CA_FILE).unwrap());
    let response = session.build().unwrap().get("data").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    assert!(text.contains("Bearer t0ken"), "{text}");
}

/// Sends a request through a route in a process with these variables.
async fn send(variables: &[(&'static str, String)]) {
    run("a_request", variables).await;
}

/// Runs a test in a process with these variables.
async fn run(test: &str, variables: &[(&'static str, String)]) {
    let test = format!("environment::{test}");
    let cleared = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];
    let mut environment: Vec<_> = cleared.map(|name| (name, String::new())).to_vec();
    environment.extend_from_slice(variables);
    let test = move || run_alone(&test, &environment);
    tokio::task::spawn_blocking(test).await.unwrap();
}

/// Waits for one request to a proxy, and connects it to a server. Returns the head of the request.
async fn tunnel(proxy: &RawUpstream, server: SocketAddr) -> String {
    let mut client = proxy.accept().await;
    let head = client.read_until("\r\n\r\n").await;
    client.send("HTTP/1.1 200 Connected\r\n\r\n").await;
    let mut server = TcpStream::connect(server).await.unwrap();
    // The client may close its side at any time.
    _ = copy_bidirectional(&mut client.0, &mut server).await;
    head
}

/// Accepts connections with TLS, and connects them to a server without.
async fn with_tls(authority: &TestAuthority, behind: SocketAddr) -> SocketAddr {
    let acceptor = TlsAcceptor::from(tls_config(authority));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust the certificate ends the handshake.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut server = TcpStream::connect(behind).await.unwrap();
                _ = copy_bidirectional(&mut stream, &mut server).await;
            }
        }
    });
    address
}

fn https_server(folder: &Path) -> TlsServer {
    let authority = TestAuthority::new();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    TlsServer::builder(&authority)
        .certificate(authority.issue(Leaf::default().name("api.test")))
        .start(|request| {
            let authorization = request.authorization.clone();
            (200, json!({ "authorization": authorization }))
        })
}

fn to_api_test(folder: &Path, expected: &str) -> Vec<(&'static str, String)> {
    vec![
        (UPSTREAM, "https://api.test".to_owned()),
        (CA_FILE, folder.join("ca.pem").display().to_string()),
        (EXPECTED, expected.to_owned()),
    ]
}

#[tokio::test]
async fn r1_https_is_a_tunnel_in_which_the_proxy_sees_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = https_server(folder.path());
    for name in ["HTTPS_PROXY", "ALL_PROXY"] {
        let proxy = RawUpstream::start().await;
        let mut variables = to_api_test(folder.path(), "Bearer one");
        let url = format!("http://user:pass@{}", proxy.address);
        variables.push((name, url));
        let ((), head) = tokio::join!(send(&variables), tunnel(&proxy, server.address()));
        assert!(head.starts_with("CONNECT api.test:443 HTTP/1.1\r\n"));
        assert!(head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"));
        assert!(!head.contains("Bearer"), "{head}");
    }
}

#[tokio::test]
async fn plain_http_that_is_allowed_is_a_tunnel_too() {
    let (proxy, upstream) = (RawUpstream::start().await, RawUpstream::start().await);
    let address = upstream.address;
    let received = upstream.answer(OK);
    let variables = [
        (UPSTREAM, "http://api.test".to_owned()),
        (EXPECTED, "200 OK".to_owned()),
        ("HTTP_PROXY", proxy.url("")),
    ];
    let ((), head) = tokio::join!(send(&variables), tunnel(&proxy, address));
    assert!(head.starts_with("CONNECT api.test:80 HTTP/1.1\r\n"));
    assert!(!head.contains("Bearer"), "{head}");
    let request = received.lock().unwrap().concat();
    assert!(request.starts_with("GET /data HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn no_proxy_names_the_upstreams_that_are_reached_directly() {
    let folder = tempfile::tempdir().unwrap();
    let _server = https_server(folder.path());
    let proxy = RawUpstream::start().await;
    // The name cannot be resolved.
    let mut variables = to_api_test(folder.path(), "502 Bad Gateway");
    variables.extend([
        ("HTTPS_PROXY", proxy.url("")),
        ("NO_PROXY", "other.test, .test".to_owned()),
    ]);
    let ((), is_left_alone) = tokio::join!(send(&variables), proxy.is_left_alone());
    assert!(is_left_alone);
}

#[tokio::test]
async fn r1_what_goes_to_this_machine_does_not_use_a_proxy() {
    let proxy = RawUpstream::start().await;
    for host in ["127.0.0.1", "localhost"] {
        let upstream = RawUpstream::start().await;
        let url = format!("http://{host}:{}", upstream.address.port());
        let received = upstream.answer(OK);
        let variables = [
            (UPSTREAM, url),
            (EXPECTED, "200 OK".to_owned()),
            ("HTTP_PROXY", proxy.url("")),
            ("ALL_PROXY", proxy.url("")),
        ];
        send(&variables).await;
        assert_eq!(received.lock().unwrap().len(), 1);
    }
    assert!(proxy.is_left_alone().await);
}

#[tokio::test]
async fn p1_a_proxy_that_opens_no_tunnel_is_told_in_words() {
    // The route retries at once what may pass.
    for (status, attempts) in [(407, 1), (403, 1), (511, 1), (502, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let proxy = RawUpstream::start().await;
        let url = proxy.url("");
        let words = format!(
            "the proxy {url}, which the environment names, refused a connection to api.test:443 with status {status}; "
        );
        let received = proxy.answer(format!(
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        let _server = https_server(folder.path());
        let mut variables = to_api_test(folder.path(), &words);
        variables.push(("HTTPS_PROXY", url.replace("http://", "http://user:s3cret@")));
        send(&variables).await;
        assert_eq!(received.lock().unwrap().len(), attempts, "{status}");
    }
}

#[tokio::test]
async fn p1_a_proxy_that_is_away_or_not_trusted_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let gone = RawUpstream::start().await.url("");
    let secure = with_tls(&TestAuthority::new(), RawUpstream::start().await.address).await;
    let _server = https_server(folder.path());
    for (url, reason) in [
        (gone, "onnection refused"),
        (
            format!("https://{secure}"),
            "the certificate of the proxy comes from an authority that is not trusted",
        ),
    ] {
        let mut variables = to_api_test(folder.path(), reason);
        variables.push(("HTTPS_PROXY", url));
        send(&variables).await;
    }
}

#[tokio::test]
async fn a_proxy_with_tls_opens_a_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let authority = TestAuthority::new();
    let proxy = RawUpstream::start().await;
    let secure = with_tls(&authority, proxy.address).await;
    let server = TlsServer::builder(&authority)
        .certificate(authority.issue(Leaf::default().name("api.test")))
        .start(|request| (200, json!({ "authorization": request.authorization })));
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let mut variables = to_api_test(folder.path(), "HTTP/1.1 200");
    variables.push(("HTTPS_PROXY", format!("https://user:pass@{secure}")));
    for test in ["a_request", "a_request_of_a_session"] {
        let ((), head) = tokio::join!(run(test, &variables), tunnel(&proxy, server.address()));
        let head = head.to_lowercase();
        assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnz\r\n"));
        assert!(!head.contains("\r\nauthorization"));
    }
}

#[tokio::test]
async fn a_socks_proxy_is_refused_when_the_route_is_made() {
    let variables = [
        (UPSTREAM, "https://api.test".to_owned()),
        ("HTTPS_PROXY", "socks5://127.0.0.1:1".to_owned()),
    ];
    let environment = variables.to_vec();
    let test = move || run_alone("environment::a_route_through_socks", &environment);
    tokio::task::spawn_blocking(test).await.unwrap();
}

#[test]
#[ignore = "runs in a process of its own, with another environment"]
fn a_route_through_socks() {
    if let Ok(upstream) = env::var(UPSTREAM) {
        let error = route(upstream).build().unwrap_err().to_string();
        assert!(error.contains("SOCKS"), "{error}");
    }
}
