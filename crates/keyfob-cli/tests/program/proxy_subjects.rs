//! T10: a route of the proxy on which each client uses the token of its own subject.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server, json};

use crate::proxy::{Proxy, RawResponse, ask_at, folder, get, keyfob};
use crate::waiting::wait_until;

/// Issues a token for the subject of each assertion, and responds to requests with the credential and `X-User` that they have.
fn server() -> Server {
    let server = Server::start();
    server.expect(Expect::post("/token").respond_with(|received| {
        let assertion = received.form_value("assertion").unwrap_or_default();
        let claims = assertion.split('.').nth(1).unwrap_or_default();
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("it is a JWT");
        let claims: serde_json::Value = serde_json::from_slice(&claims).expect("it is JSON");
        let subject = claims["sub"].as_str().unwrap_or_default().to_owned();
        match subject.as_str() {
            "unknown" => ScriptedResponse::json(json!({"error": "invalid_grant"})).with_status(400),
            subject => ScriptedResponse::json(json!({
                "access_token": format!("token-of-{subject}"), "token_type": "Bearer", "expires_in": 3600,
            })),
        }
    }));
    server.expect(Expect::any().respond_with(|received| {
        let has_user = received.header("x-user").is_some();
        ScriptedResponse::text(format!("{} {has_user}", credential(received)))
    }));
    server
}

fn credential(received: &Received) -> String {
    let value = received.header("authorization").unwrap_or_default();
    value.to_owned()
}

/// The secret of this client.
fn secret(client: &str) -> String {
    format!("the-secret-of-{client}")
}

/// A folder with the key of the profile and the secrets of the clients, and a file for the proxy.
fn settings(server: &Server) -> (tempfile::TempDir, String) {
    let folder = folder();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        path.display().to_string()
    };
    let key = rcgen::KeyPair::generate().expect("the machine has randomness");
    let key = write("key", &key.serialize_pem());
    let clients = ["reports", "billing", "gateway", "guest"]
        .map(|client| format!("{client} = \"file:{}\"", write(client, &secret(client))));
    let config = format!(
        "[profiles.crm]\nbase_url = \"{}\"\nretry = {{ attempts = 1 }}\nstore = \"memory\"\n[profiles.crm.token]\ngrant = \"jwt_bearer\"\n\
         token_endpoint = \"{}\"\nclient_id = \"proxy\"\nprivate_key = \"file:{key}\"\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\nsocket = \"{}\"\nstatus_listen = \"127.0.0.1:0\"\naccess_log = \"-\"\nclients = {{ {} }}\n\
         [proxy.routes.crm.subjects]\nreports = \"anna\"\nbilling = \"bert@example.com\"\ngateway = \"header:X-User\"\n",
        server.url_for("/"),
        server.url_for("/token"),
        folder.path().join("own.sock").display(),
        clients.join(", "),
    );
    (folder, config)
}

/// Asks as this client, with further fields.
fn ask(proxy: &Proxy, client: &str, headers: &str) -> RawResponse {
    let secret = format!("Keyfob-Client-Secret: {}\r\n{headers}", secret(client));
    let request = get("/crm/orders", &secret);
    ask_at(
        &proxy.address(),
        &request.replace("localhost", &proxy.address()),
    )
}

#[test]
fn t10_two_clients_of_the_proxy_never_use_each_others_token() {
    let server = server();
    let (folder, config) = settings(&server);
    let proxy = Proxy::start_in(folder, &[], &config, |keyfob| keyfob);
    for _ in 0..2 {
        for (client, headers, subject) in [
            ("reports", "", "anna"),
            ("billing", "", "bert@example.com"),
            // A client that is not trusted to name a subject does not change whose token it uses.
            ("reports", "X-User: bert@example.com\r\n", "anna"),
            ("gateway", "X-User: anna\r\n", "anna"),
            ("gateway", "x-user: carla\r\n", "carla"),
        ] {
            let response = ask(&proxy, client, headers);
            let expected = format!("Bearer token-of-{subject} false");
            assert_eq!(response.body(), expected, "{client} {headers}");
        }
    }
    let exchanges = server.received();
    let exchanges = exchanges.iter().filter(|request| request.path == "/token");
    assert_eq!(exchanges.count(), 3, "one for each subject");
    let page = |path: &str| {
        let status = proxy.status_address();
        ask_at(&status, &get(path, "").replace("localhost", &status))
    };
    let ready = page("/readyz");
    assert_eq!(ready.status(), 200, "{ready:?}");
    assert!(ready.body().contains("\"entries\":3"), "{ready:?}");
    let metrics = page("/metrics").0;
    assert!(
        metrics.contains("keyfob_proxy_pool_entries{route=\"crm\"} 3\n"),
        "{metrics}"
    );
    for text in [&proxy.stdout(), &proxy.stderr(), &metrics, &ready.0] {
        for hidden in ["anna", "bert", "carla", "token-of", "the-secret-of"] {
            assert!(!text.contains(hidden), "{hidden} is in {text}");
        }
    }
}

#[test]
fn t10_a_request_without_a_subject_is_refused_and_reaches_no_server() {
    let server = server();
    let (folder, config) = settings(&server);
    let socket = folder.path().join("own.sock");
    let proxy = Proxy::start_in(folder, &[], &config, |keyfob| keyfob);
    let long = format!("X-User: {}\r\n", "a".repeat(3000));
    let cases = [
        ("guest", "", 403, "client"),
        ("guest", "X-User: anna\r\n", 403, "client"),
        ("gateway", "", 400, "subject"),
        ("gateway", "X-User:\r\n", 400, "subject"),
        ("gateway", "X-User:  \r\n", 400, "subject"),
        ("gateway", "X-User: an\tna\r\n", 400, "subject"),
        ("gateway", &long, 400, "subject"),
        ("gateway", "X-User: anna\r\nX-User: bert\r\n", 400, "twice"),
        ("stranger", "X-User: anna\r\n", 401, "wrong_secret"),
    ];
    for (client, headers, status, kind) in cases {
        let response = ask(&proxy, client, headers);
        assert_eq!(response.status(), status, "{client} {headers} {response:?}");
        assert!(
            response.0.contains("application/problem+json"),
            "{response:?}"
        );
        assert!(
            response.body().contains(&format!("\"kind\":\"{kind}\"")),
            "{response:?}"
        );
    }
    // The socket takes requests without a secret, but not for a route whose token depends on the client.
    let wire = std::os::unix::net::UnixStream::connect(socket).expect("the proxy listens");
    let response = crate::proxy::ask(wire, &get("/crm/orders", "X-User: anna\r\n"));
    assert_eq!(response.status(), 401, "{response:?}");
    assert_eq!(server.calls(), 0);
    wait_until("each refusal is logged", || {
        let text = proxy.stdout();
        let lines = text.lines().filter(|line| line.contains("\"error\":"));
        (lines.count() == cases.len() + 1 && text.contains("\"error\":\"subject\"")).then_some(())
    });
    // One that the server does not know is the failure of that subject alone.
    let response = ask(&proxy, "gateway", "X-User: unknown\r\n");
    assert_eq!(response.status(), 502, "{response:?}");
    assert_eq!(ask(&proxy, "reports", "").status(), 200);
}

#[test]
fn t10_a_route_keeps_as_many_tokens_as_the_file_says() {
    let server = server();
    let proxy = with_limit(&server, "max_entries = 10");
    for number in 0..50 {
        ask_for(&proxy, &format!("user-{number}"));
    }
    let entries = entries(&proxy);
    assert!((1..=10).contains(&entries), "{entries}");
}

#[test]
fn t10_a_route_keeps_unused_tokens_as_long_as_the_file_says() {
    let server = server();
    let proxy = with_limit(&server, "idle_timeout = 0.2");
    for number in 0..20 {
        ask_for(&proxy, &format!("user-{number}"));
    }
    // The idle ones are looked for at each new subject, but at most four times in the idle time.
    let mut subjects = 0..;
    wait_until("the idle tokens are gone", || {
        sleep(Duration::from_millis(60));
        ask_for(&proxy, &format!("late-{}", subjects.next()?));
        (entries(&proxy) < 15).then_some(())
    });
}

/// A proxy whose route keeps tokens within this limit.
fn with_limit(server: &Server, limit: &str) -> Proxy {
    let (folder, config) = settings(server);
    let config = format!("{config}[proxy.routes.crm.pool]\n{limit}\n");
    Proxy::start_in(folder, &[], &config, |keyfob| keyfob)
}

fn ask_for(proxy: &Proxy, subject: &str) {
    let response = ask(proxy, "gateway", &format!("X-User: {subject}\r\n"));
    assert_eq!(response.status(), 200, "{response:?}");
}

/// How many tokens the route has, by its metrics.
fn entries(proxy: &Proxy) -> u32 {
    let status = proxy.status_address();
    let metrics = get("/metrics", "").replace("localhost", &status);
    let metrics = ask_at(&status, &metrics).0;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("keyfob_proxy_pool_entries{route=\"crm\"} "));
    let number = line.and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("the entries are not in {metrics}"))
}

#[test]
fn subjects_that_cannot_be_used_end_the_proxy_with_a_message() {
    let server = server();
    let (folder, config) = settings(&server);
    let change = |from: &str, to: &str| config.replace(from, to);
    for (config, words) in [
        (
            change("reports = \"anna\"", "reprts = \"anna\""),
            "a client that is not in `clients`; did you mean `reports`",
        ),
        (change("\"anna\"", "\" \""), "a subject is empty"),
        (change("\"anna\"", "\"an\\nna\""), "control character"),
        (change("X-User", "X User"), "not allowed"),
        (
            change("X-User", "Authorization"),
            "has a meaning of its own",
        ),
        (
            format!("{config}[proxy.routes.crm.pool]\nmax_entries = 0\n"),
            "`max_entries` is out of range; give a number from 1 to",
        ),
        (
            format!("{config}[proxy.routes.crm.pool]\nidle_timeout = 0\n"),
            "`idle_timeout` is a time in seconds; give a number above 0",
        ),
        (
            format!("{config}[proxy.routes.crm.pool]\nmax_keys = 5\n"),
            "max_keys",
        ),
        (
            change(
                "[proxy.routes.crm.subjects]",
                "[proxy.routes.crm.pool]\nmax_entries = 5\n[proxy.unused]",
            ),
            "the route has no `subjects`",
        ),
        (
            change("grant = \"jwt_bearer\"", "grant = \"client_credentials\""),
            "no token for each subject",
        ),
    ] {
        let done = keyfob(&folder, &[], &config).run();
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(words), "{words:?} is not in {done:?}");
    }
}
