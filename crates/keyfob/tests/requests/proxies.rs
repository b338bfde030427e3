//! R1 with a proxy from the environment: requests to this machine do not leave it.

use std::error::Error as _;

use keyfob::error::FailedStep;
use keyfob::{Error, ErrorKind, Session};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};

use crate::fixtures::{TARGET, bearers, builder, numbered, promptly, target};
use crate::own_process::run_alone;

#[test]
fn r1_plain_http_to_this_machine_does_not_use_a_proxy() {
    let (server, proxy) = (Server::start(), Server::start());
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::status(200))
            .times(3),
    );
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        let environment = [
            (name, &*proxy.url()),
            (TARGET, &*server.url()),
            ("NO_PROXY", ""),
        ];
        run_alone("proxies::a_request_to_this_machine", &environment);
    }
    assert_eq!(proxy.connections(), 0);
    assert_eq!(bearers(&server), ["token-1"; 3]);
}

#[tokio::test]
#[ignore = "runs in a process of its own, with another environment"]
async fn a_request_to_this_machine() {
    let Some(server) = target() else {
        return;
    };
    let session = Session::builder(numbered().0)
        .any_https_origin()
        .build()
        .unwrap();
    let response = session.get(format!("{server}/data")).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn r1_blocking_plain_http_to_this_machine_does_not_use_a_proxy() {
    let (server, proxy) = (Server::start(), Server::start());
    server.expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
    let environment = [
        ("http_proxy", &*proxy.url()),
        (TARGET, &*server.url()),
        ("NO_PROXY", ""),
    ];
    run_alone("proxies::a_blocking_request_to_this_machine", &environment);
    assert_eq!(proxy.connections(), 0);
}

#[test]
#[ignore = "runs in a process of its own, with another environment"]
fn a_blocking_request_to_this_machine() {
    let Some(server) = target() else {
        return;
    };
    let session = keyfob::blocking::Session::new(server, numbered().0).unwrap();
    assert_eq!(session.get("data").send().unwrap().status(), 200);
}

#[test]
fn r1_plain_http_to_this_machine_is_refused_if_a_proxy_would_get_it() {
    let (server, proxy) = (Server::start(), Server::start());
    let url = server.url();
    for test in ["a_client_of_the_users_own", "a_middleware"] {
        let test = format!("proxies::{test}");
        for (name, no_proxy) in [("http_proxy", ""), ("ALL_PROXY", "example.com")] {
            let environment = [
                (name, &*proxy.url()),
                (TARGET, &*url),
                ("NO_PROXY", no_proxy),
                ("KEYFOB_TEST_REFUSED", "1"),
            ];
            run_alone(&test, &environment);
        }
        server.expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
        let allowed = [
            ("http_proxy", &*proxy.url()),
            (TARGET, &*url),
            ("NO_PROXY", "127.0.0.1"),
        ];
        run_alone(&test, &allowed);
    }
    assert_eq!(proxy.connections(), 0);
    assert_eq!(bearers(&server), ["token-1"; 2]);
}

/// Checks the result of a request that the environment may have caused to be refused.
fn check(result: Result<u16, &Error>) {
    match (result, std::env::var_os("KEYFOB_TEST_REFUSED").is_some()) {
        (Ok(status), false) => assert_eq!(status, 200),
        (Err(error), true) => assert!(error.to_string().contains("NO_PROXY"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own, with another environment"]
async fn a_client_of_the_users_own() {
    let Some(server) = target() else {
        return;
    };
    let session = Session::builder(numbered().0)
        .client(reqwest::Client::builder())
        .base_url(server)
        .build()
        .unwrap();
    let sent = session.get("data").send().await;
    check(sent.as_ref().map(|response| response.status().as_u16()));
}

#[cfg(feature = "middleware")]
#[tokio::test]
#[ignore = "runs in a process of its own, with another environment"]
async fn a_middleware() {
    let Some(server) = target() else {
        return;
    };
    let builder = keyfob::middleware::AuthenticationMiddleware::builder(numbered().0);
    let (client, middleware) = builder
        .origin(&server)
        .build(reqwest::Client::builder())
        .unwrap();
    let client = reqwest_middleware::ClientBuilder::new(client);
    let client = client.with(middleware).build();
    let sent = client.get(format!("{server}/data")).send().await;
    let result = sent.as_ref().map(|response| response.status().as_u16());
    check(result.map_err(|error| Error::find(error).expect("an error of keyfob")));
}

#[test]
fn other_hosts_are_reached_through_the_proxy() {
    let proxy = Server::start();
    proxy.expect(
        Expect::any()
            .header("host", "api.test")
            .respond(ScriptedResponse::status(200)),
    );
    let environment = [
        ("http_proxy", &*proxy.url()),
        (TARGET, "http://api.test"),
        ("NO_PROXY", ""),
    ];
    run_alone("proxies::a_request_to_another_host", &environment);
}

#[tokio::test]
#[ignore = "runs in a process of its own, with another environment"]
async fn a_request_to_another_host() {
    let Some(server) = target() else {
        return;
    };
    let session = builder(&ManualClock::default())
        .allow_plain_http(&server)
        .build()
        .unwrap();
    let response = session.get(format!("{server}/data")).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn r9_a_netrc_file_is_not_read() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .bearer("token-1")
            .respond(ScriptedResponse::status(200)),
    );
    let folder = std::env::temp_dir().join(format!("keyfob-netrc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let netrc = folder.join(".netrc");
    std::fs::write(&netrc, "default login netrc password s3cret\n").unwrap();
    let environment = [
        ("HOME", folder.to_str().unwrap()),
        ("NETRC", netrc.to_str().unwrap()),
        (TARGET, &*server.url()),
    ];
    run_alone("proxies::a_request_to_this_machine", &environment);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The status with which a proxy refuses, for a test in a process of its own.
const REFUSAL: &str = "KEYFOB_TEST_REFUSAL";

#[test]
fn a_proxy_that_refuses_a_tunnel_is_named_with_its_status() {
    // One request of a session and, where the client does not know the status, one more to find that out. A status that may
    // pass is retried.
    for (status, requests) in [(407, 1), (403, 2), (302, 2), (502, 8)] {
        for test in ["a_refused_tunnel", "a_refused_tunnel_of_a_blocking_session"] {
            let proxy = Server::start();
            proxy.expect(Expect::any().always(ScriptedResponse::status(status)));
            let environment = [
                (
                    "https_proxy",
                    &*proxy.url().replace("http://", "http://me:s3cret@"),
                ),
                (TARGET, &*proxy.url()),
                ("NO_PROXY", ""),
                (REFUSAL, &*status.to_string()),
            ];
            run_alone(&format!("proxies::{test}"), &environment);
            assert_eq!(proxy.calls(), requests, "{status} {test}");
            for request in proxy.received() {
                assert_eq!(request.header("authorization"), None);
                assert!(request.header("proxy-authorization").is_some());
            }
        }
    }
}

fn check_refusal(error: &Error) {
    let (proxy, status) = (target().unwrap(), std::env::var(REFUSAL).unwrap());
    assert_eq!(error.failed_step(), Some(FailedStep::Tunnel));
    assert_eq!(error.kind(), ErrorKind::Transport);
    let text = format!("{error}: {}", error.source().unwrap());
    let named = format!(
        "the proxy {proxy}, which the environment names, refused a connection to api.test:443 with status {status}; "
    );
    assert!(text.contains(&named), "{text}");
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
#[ignore = "runs in a process of its own, with another environment"]
async fn a_refused_tunnel() {
    if target().is_none() {
        return;
    }
    let session = builder(&ManualClock::default()).origin("https://api.test");
    let session = session.build().unwrap();
    check_refusal(
        &session
            .post("https://api.test/data")
            .send()
            .await
            .unwrap_err(),
    );
}

#[test]
#[ignore = "runs in a process of its own, with another environment"]
fn a_refused_tunnel_of_a_blocking_session() {
    if target().is_none() {
        return;
    }
    let session = keyfob::blocking::Session::builder(numbered().0)
        .origin("https://api.test")
        .retry(promptly())
        .build()
        .unwrap();
    check_refusal(&session.post("https://api.test/data").send().unwrap_err());
}
