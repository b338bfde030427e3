//! Web pages in Chromium must not get through the proxy, and must not read anything there (P3).
//!
//! Most of these proxies ask for no secret, so that nothing but the checks of what a browser sends keeps the pages out.
//! `cargo xtask test browser` installs Chromium and runs these tests.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfob::TokenCache;
use keyfob::proxy::{
    AccessLog, Admission, Arrival, ClientSecrets, Limits, Listener, Metrics, Proxy, ReverseRules,
    ReverseServer, Route, Stop,
};
use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server, Value};
use url::Url;

use crate::browser::chromium;

/// A proxy for one upstream, with a log.
struct Proxied {
    upstream: Server,
    address: SocketAddr,
    log: PathBuf,
    _folder: tempfile::TempDir,
    _stop: Stop,
}

impl Proxied {
    /// Without a secret.
    fn start(socket: TcpListener) -> Self {
        Self::with(socket, Admission::without_secret)
    }

    fn with(socket: TcpListener, admission: impl FnOnce(&Listener) -> Admission) -> Self {
        let upstream = Server::start();
        upstream.expect(Expect::any().always(ScriptedResponse::text(ANSWER)));
        let tokens = TokenCache::new(keyfob::hook_blocking(|_| Ok::<_, keyfob::Error>("t0ken")));
        let route = Route::new("api", upstream.url(), tokens).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let address = socket.local_addr().unwrap();
        let listener = Listener::from_tcp(socket).unwrap();
        let rules = ReverseRules {
            proxy: Proxy::new([route]).unwrap(),
            admission: admission(&listener),
            arrival: Arrival::on_route("api"),
            log: Some(Arc::new(
                AccessLog::new(File::create(&log).unwrap()).unwrap(),
            )),
        };
        let reverse = Arc::new(ReverseServer::new(rules, Arc::new(Metrics::default())));
        let stop = Stop::new();
        let stopping = stop.watch();
        tokio::spawn(async move {
            let server = keyfob::proxy::Server::new(Limits::default());
            reverse.serve(&server, listener, stopping).await;
        });
        Self {
            upstream,
            address,
            log,
            _folder: folder,
            _stop: stop,
        }
    }

    /// The requests in the log: their paths and the statuses of their responses.
    ///
    /// One is left out: for a window that shows a refusal, the browser itself asks for an icon. No page chooses that path.
    fn requests(&self) -> Vec<(String, u64)> {
        let lines = BufReader::new(File::open(&self.log).unwrap()).lines();
        lines
            .filter_map(|line| serde_json::from_str::<Value>(&line.unwrap()).ok())
            .map(|entry| {
                let path = entry["path"].as_str().unwrap_or_default().to_owned();
                (path, entry["status"].as_u64().unwrap_or_default())
            })
            .filter(|(path, _)| path != ICON)
            .collect()
    }

    /// Waits until a request for this path has come.
    fn wait_for(&self, path: &str) {
        wait_until(path, || {
            self.requests().iter().any(|(other, _)| other == path)
        });
    }

    /// Panics if a request of the browser was not refused, or if one without its fields is.
    fn assert_only_programs_get_through(&self) {
        let passed: Vec<_> = self
            .requests()
            .into_iter()
            .filter(|(_, status)| ![400, 401, 403, 421].contains(status))
            .collect();
        assert!(passed.is_empty(), "{passed:?}");
        let mut received = self.upstream.received();
        received.retain(|received| received.path != ICON);
        assert!(received.is_empty(), "{received:?}");
        let mut program = TcpStream::connect(self.address).unwrap();
        let host = self.address;
        write!(
            program,
            "GET /x HTTP/1.1\r\nHost: {host}\r\nKeyfob-Client-Secret: {SECRET}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        program.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(ANSWER), "{answer}");
    }
}

/// Chromium, for which each name that ends with `.example` is this machine.
struct Browser {
    process: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let process = chromium(profile.path())
            .args([
                // Keeps it open after the page was loaded.
                "--remote-debugging-port=0",
                "--host-resolver-rules=MAP *.example 127.0.0.1",
                // What the browser itself would stop must be stopped by the proxy.
                "--disable-features=HttpsUpgrades,LocalNetworkAccessChecks",
            ])
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium is installed: `cargo xtask test browser` does that");
        Self {
            process,
            _profile: profile,
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// The server of the pages, which also takes what they report.
fn pages(page: &str) -> Server {
    let pages = Server::start();
    let page = ScriptedResponse::text(page).header("content-type", "text/html");
    pages.expect(Expect::get("/").always(page));
    let worker = ScriptedResponse::text(SERVICE_WORKER).header("content-type", "text/javascript");
    pages.expect(Expect::get("/worker.js").always(worker));
    pages.expect(Expect::path("/redirect").respond_with(|received| {
        let to = received.query_value("to").unwrap();
        ScriptedResponse::redirect(307, &to)
    }));
    pages.expect(Expect::any().always(ScriptedResponse::text("")));
    pages
}

/// What the pages said about this, or about all that they could read.
fn reports(pages: &Server, what: Option<&str>) -> Vec<String> {
    let reports = pages
        .received()
        .into_iter()
        .filter(|received| received.path == "/report");
    reports
        .filter_map(|report| Some((report.query_value("what")?, report.query_value("read")?)))
        .filter(|(about, _)| what.map_or(about != "attempts", |what| about == what))
        .map(|(about, read)| format!("{about}: {read}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_no_page_in_a_browser_gets_through_the_proxy() {
    let proxied = Proxied::start(TcpListener::bind("127.0.0.1:0").unwrap());
    let pages = pages(include_str!("hostile_page.html"));
    let (own, port) = (pages.address().port(), proxied.address.port());
    // A page of this machine first, then one of another name, which at last leads the whole window to the proxy.
    let plan = |name: &str, host: &str, next: &str| {
        let plan = [("name", name), ("proxy", &port.to_string()), ("next", next)];
        Url::parse_with_params(&format!("http://{host}:{own}/"), plan).unwrap()
    };
    let window = format!("http://{}/window", proxied.address);
    let second = plan("name", "evil.example", &window);
    let url = plan("machine", "127.0.0.1", second.as_str());
    let browser = Browser::open(url.as_str());
    proxied.wait_for("/window");
    drop(browser);
    assert_eq!(reports(&pages, None), Vec::<String>::new());
    let attempts = reports(&pages, Some("attempts"));
    assert_eq!(attempts.len(), 2);
    let paths: Vec<_> = attempts
        .iter()
        .zip(["machine", "name"])
        .flat_map(|(attempts, page)| {
            let kinds = attempts.trim_start_matches("attempts: ").split(',');
            kinds.flat_map(move |kind| {
                ["address", "localhost", "rebound"].map(|to| format!("/{page}-{to}-{kind}"))
            })
        })
        .collect();
    assert!(paths.len() > 150, "{paths:?}");
    let requests = proxied.requests();
    let missing: Vec<_> = paths
        .iter()
        .filter(|path| requests.iter().all(|(other, _)| other != *path))
        .collect();
    assert!(missing.is_empty(), "the proxy never saw {missing:?}");
    proxied.assert_only_programs_get_through();
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_page_whose_name_is_rebound_to_the_proxy_reads_refusals_only() {
    // The page comes from the port at which the proxy listens afterwards. So to the browser, both are one site.
    let page = pages(REBOUND_PAGE);
    let (own, gate) = (page.address(), Gate::new());
    let reports_to = Server::start();
    let readable = || ScriptedResponse::text("").header("access-control-allow-origin", "*");
    reports_to.expect(Expect::get("/go").always(readable().when(&gate)));
    reports_to.expect(Expect::any().always(readable()));
    let to = reports_to.address().port().to_string();
    let url = format!("http://evil.example:{}/?to={to}", own.port());
    let browser = Browser::open(&url);
    wait_until("the page runs", || reports_to.calls() > 0);
    drop(page);
    let proxied = Proxied::start(TcpListener::bind(own).unwrap());
    gate.open();
    proxied.wait_for("/window");
    drop(browser);
    let read = reports(&reports_to, None);
    assert_eq!(read.len(), REBOUND_KINDS, "{read:?}");
    for read in &read {
        assert!(read.contains(": 421 "), "{read}");
        assert!(!read.contains(ANSWER), "{read}");
    }
    proxied.assert_only_programs_get_through();
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_an_address_that_a_person_opens_needs_the_secret() {
    let proxied = Proxied::with(TcpListener::bind("127.0.0.1:0").unwrap(), |listener| {
        let mut clients = ClientSecrets::default();
        clients.add("program", SECRET).unwrap();
        Admission::new(listener).clients(clients)
    });
    let pages = pages("");
    // Chromium says that no site has caused this request, though another one redirects to it. So only the secret is left.
    let (own, to) = (pages.address().port(), proxied.address);
    let browser = Browser::open(&format!(
        "http://evil.example:{own}/redirect?to=http://{to}/opened"
    ));
    proxied.wait_for("/opened");
    drop(browser);
    assert_eq!(proxied.requests(), [("/opened".to_owned(), 401)]);
    proxied.assert_only_programs_get_through();
}

/// Waits for what has to happen, or panics.
fn wait_until(what: &str, has_happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !has_happened() {
        assert!(start.elapsed() < LONG, "{what} is still awaited");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks what a page tells it to, as a page of its own.
const SERVICE_WORKER: &str =
    "onmessage = (event) => event.waitUntil(fetch(event.data).then((r) => r.text())
  .then((read) => event.ports[0].postMessage(read), () => event.ports[0].postMessage('')));";

const ICON: &str = "/favicon.ico";

/// What a program sends, also where it is not asked for.
const SECRET: &str = "a-secret-of-the-program";

/// What the upstream says.
const ANSWER: &str = "for programs only";

/// Waits until the proxy has the port of this page, and then asks as one of its own.
const REBOUND_PAGE: &str = r#"<script>
const to = `http://127.0.0.1:${new URLSearchParams(location.search).get('to')}`;
const ask = async (what, options) => {
  const response = await fetch('/' + what, options);
  const read = encodeURIComponent(`${response.status} ${await response.text()}`);
  await fetch(`${to}/report?what=${what}&read=${read}`);
};
(async () => {
  await fetch(`${to}/go`);
  await ask('get', {});
  await ask('post', {method: 'POST', body: 'a=b'});
  await ask('delete', {method: 'DELETE'});
  await ask('authorization', {headers: {authorization: 'Bearer of-the-page'}});
  location = '/window';
})();
</script>"#;

/// How many requests it tries to read.
const REBOUND_KINDS: usize = 4;

/// Longer than Chromium takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);
