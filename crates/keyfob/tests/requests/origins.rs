//! R1: a credential goes only to the origins it was given for.

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use keyfob::{ErrorKind, Session, Token};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};

use crate::fixtures::{bearers, builder, fixed, numbered, session};

#[tokio::test]
async fn r1_a_redirect_to_another_origin_loses_the_credential_for_good() {
    let (a, b) = (Server::start(), Server::start());
    for status in [301, 302, 303, 307, 308] {
        a.expect(
            Expect::get("/start").respond(ScriptedResponse::redirect(status, &b.url_for("/there"))),
        )
        .expect(Expect::get("/back").respond(ScriptedResponse::text("fine")));
        b.expect(
            Expect::get("/there").respond(ScriptedResponse::redirect(status, &a.url_for("/back"))),
        );
    }
    let session = session(&a, &ManualClock::default());
    for _ in 0..5 {
        let response = session.get("start").send().await.unwrap();
        assert_eq!(response.url().as_str(), a.url_for("/back"));
        assert_eq!(response.text().await.unwrap(), "fine");
    }
    assert_eq!(bearers(&a), ["t0ken", ""].repeat(5));
    assert_eq!(bearers(&b), [""].repeat(5));
}

#[tokio::test]
async fn r1_a_redirect_within_the_origin_keeps_the_credential() {
    let server = Server::start();
    server
        .expect(Expect::get("/a").respond(ScriptedResponse::redirect(302, "/b?x=1")))
        .expect(Expect::get("/b").respond(ScriptedResponse::redirect(307, &server.url_for("/c"))))
        .expect(Expect::get("/c").respond(ScriptedResponse::status(200)));
    let session = session(&server, &ManualClock::default());
    let response = session.get("a").send().await.unwrap();
    assert_eq!(response.url().path(), "/c");
    assert_eq!(bearers(&server), ["t0ken"; 3]);
}

#[tokio::test]
async fn r1_a_credential_in_a_custom_header_and_its_extra_headers_are_removed_too() {
    let (a, b) = (Server::start(), Server::start());
    a.expect(Expect::get("/start").respond(ScriptedResponse::redirect(307, &b.url_for("/there"))))
        .expect(Expect::get("/back").respond(ScriptedResponse::status(200)));
    b.expect(Expect::get("/there").respond(ScriptedResponse::redirect(307, &a.url_for("/back"))));
    let token = Token::new("t0ken")
        .unwrap()
        .header_name(HeaderName::from_static("x-api-key"))
        .with_header(HeaderName::from_static("x-tenant"), "s3cret tenant")
        .unwrap();
    let session = Session::new(a.url(), fixed(token, &ManualClock::default())).unwrap();
    session
        .get("start")
        .header("x-kept", "yes")
        .header("x-tenant", "the caller's")
        .send()
        .await
        .unwrap();
    let (at_a, at_b) = (a.received(), b.received());
    assert_eq!(at_a[0].header("x-api-key"), Some("t0ken"));
    assert_eq!(at_a[0].header("x-tenant"), Some("s3cret tenant"));
    for bare in [&at_b[0], &at_a[1]] {
        assert_eq!(bare.header("x-api-key"), None);
        assert_eq!(bare.header("x-tenant"), None);
        assert_eq!(bare.header("x-kept"), Some("yes"));
    }
}

#[tokio::test]
async fn r1_credentials_set_by_the_caller_are_removed_too() {
    let (a, b) = (Server::start(), Server::start());
    a.expect(Expect::get("/start").respond(ScriptedResponse::redirect(302, &b.url_for("/there"))));
    b.expect(Expect::get("/there").respond(ScriptedResponse::status(200)));
    session(&a, &ManualClock::default())
        .get("start")
        .header(AUTHORIZATION, "Basic Y2FsbGVyOnM=")
        .header(COOKIE, "session=1")
        .header("proxy-authorization", "Basic eDp5")
        .send()
        .await
        .unwrap();
    assert_eq!(a.received()[0].header("cookie"), Some("session=1"));
    let headers = &b.received()[0].headers;
    for name in ["authorization", "cookie", "proxy-authorization", "referer"] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn r1_a_401_from_another_origin_renews_nothing() {
    let (a, b) = (Server::start(), Server::start());
    a.expect(Expect::get("/start").respond(ScriptedResponse::redirect(302, &b.url_for("/there"))));
    b.expect(Expect::get("/there").respond(ScriptedResponse::unauthorized("Bearer")));
    let (hook, calls) = numbered();
    let session = Session::new(a.url(), hook).unwrap();
    let response = session.get("start").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn r1_a_retry_after_a_foreign_redirect_has_no_credential() {
    let (a, b) = (Server::start(), Server::start());
    a.expect(Expect::get("/start").respond(ScriptedResponse::redirect(302, &b.url_for("/there"))));
    b.expect(
        Expect::get("/there")
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::reset())
            .respond(ScriptedResponse::status(200)),
    );
    let session = session(&a, &ManualClock::default());
    let response = session.get("start").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(bearers(&b), ["", "", ""]);
}

#[tokio::test]
async fn r1_a_redirect_to_another_bound_origin_removes_the_credential() {
    let (a, b) = (Server::start(), Server::start());
    a.expect(Expect::get("/start").respond(ScriptedResponse::redirect(302, &b.url_for("/there"))));
    b.expect(Expect::get("/there").respond(ScriptedResponse::status(200)))
        .expect(Expect::get("/asked").respond(ScriptedResponse::status(200)));
    let session = builder(&ManualClock::default())
        .base_url(a.url())
        .origin(b.url())
        .build()
        .unwrap();
    session.get("start").send().await.unwrap();
    session.get(b.url_for("/asked")).send().await.unwrap();
    assert_eq!(bearers(&b), ["", "t0ken"]);
}

#[tokio::test]
async fn r1_another_port_host_or_scheme_is_another_origin() {
    let (a, b) = (Server::start(), Server::start());
    let session = session(&a, &ManualClock::default());
    let port = a.address().port();
    for url in [
        b.url_for("/x"),
        format!("http://localhost:{port}/x"),
        format!("https://127.0.0.1:{port}/x"),
        format!("//localhost:{port}/x"),
        format!("http://127.0.0.1:{port}@localhost/x"),
        "http://127.0.0.1/x".to_owned(),
    ] {
        let error = session.get(&url).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin, "{url}");
    }
    assert_eq!((a.connections(), b.connections()), (0, 0));
}

#[tokio::test]
async fn r1_userinfo_in_a_location_does_not_become_a_credential() {
    let (a, b) = (Server::start(), Server::start());
    let with_userinfo =
        |server: &Server, path: &str| format!("http://user:pass@{}{path}", server.address());
    a.expect(
        Expect::get("/start").respond(ScriptedResponse::redirect(302, &with_userinfo(&a, "/next"))),
    )
    .expect(Expect::get("/next").respond(ScriptedResponse::redirect(
        302,
        &with_userinfo(&b, "/there"),
    )));
    b.expect(Expect::get("/there").respond(ScriptedResponse::status(200)));
    let session = session(&a, &ManualClock::default());
    let response = session.get("start").send().await.unwrap();
    assert_eq!(response.url().as_str(), b.url_for("/there"));
    assert_eq!(bearers(&a), ["t0ken", "t0ken"]);
    assert_eq!(b.received()[0].header("authorization"), None);
}

#[tokio::test]
async fn r1_a_redirect_loop_ends_with_an_error() {
    let server = Server::start();
    server.expect(
        Expect::get("/loop")
            .respond(ScriptedResponse::redirect(302, "/loop"))
            .times(11),
    );
    let session = session(&server, &ManualClock::default());
    let error = session.get("loop").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
    assert!(!error.is_authentication());
}

#[tokio::test]
async fn r1_without_redirects_the_redirect_is_the_response() {
    let server = Server::start();
    server.expect(
        Expect::get("/moved").respond(ScriptedResponse::redirect(302, "/next").body("there")),
    );
    let session = builder(&ManualClock::default())
        .base_url(server.url())
        .redirects(0)
        .build()
        .unwrap();
    let response = session.get("moved").send().await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.text().await.unwrap(), "there");
}

#[tokio::test]
async fn r1_a_redirect_that_cannot_be_followed_is_the_response() {
    let server = Server::start();
    for location in ["ftp://127.0.0.1/x", "http://", "javascript:alert(1)"] {
        server.expect(Expect::get("/moved").respond(ScriptedResponse::redirect(302, location)));
    }
    server.expect(Expect::get("/bare").respond(ScriptedResponse::status(302)));
    let session = session(&server, &ManualClock::default());
    for path in ["moved", "moved", "moved", "bare"] {
        assert_eq!(session.get(path).send().await.unwrap().status(), 302);
    }
}

#[tokio::test]
async fn r1_plain_http_is_refused_with_an_error_that_says_how_to_allow_it() {
    let error = Session::new("http://api.example.com/", numbered().0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
    assert!(error.to_string().contains("allow_plain_http"), "{error}");

    let unbound = Session::builder(numbered().0)
        .any_https_origin()
        .build()
        .unwrap();
    let error = unbound
        .get("http://api.example.com/")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
    assert!(!unbound.authenticated());
}

#[tokio::test]
async fn r1_plain_http_that_was_allowed_is_served() {
    let server = Server::start();
    server.expect(Expect::get("/v1/data").respond(ScriptedResponse::status(200)));
    let port = server.address().port();
    let client = reqwest::Client::builder().resolve("api.test", server.address());
    let session = builder(&ManualClock::default())
        .client(client)
        .allow_plain_http(format!("http://api.test:{port}"))
        .base_url(format!("http://api.test:{port}/v1"))
        .build()
        .unwrap();
    session.get("data").send().await.unwrap();
    assert_eq!(bearers(&server), ["t0ken"]);
}

#[tokio::test]
async fn r1_a_session_needs_an_origin_or_an_explicit_permission() {
    let error = Session::builder(numbered().0).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
    assert!(error.to_string().contains("`any_https_origin`"), "{error}");
}

#[tokio::test]
async fn r1_a_relative_url_is_resolved_against_the_base_with_or_without_a_slash() {
    let server = Server::start();
    server.expect(Expect::any().always(ScriptedResponse::status(200)));
    for base in ["/v1", "/v1/", "/v1?tenant=7#top"] {
        let session = builder(&ManualClock::default())
            .base_url(server.url_for(base))
            .build()
            .unwrap();
        for (relative, path) in [
            ("data", "/v1/data"),
            ("", "/v1/"),
            ("?x=1", "/v1/"),
            ("/data", "/data"),
            ("../data", "/data"),
            ("a/b", "/v1/a/b"),
        ] {
            let response = session.get(relative).send().await.unwrap();
            assert_eq!(response.url().path(), path, "{base} {relative}");
        }
    }
}

#[tokio::test]
async fn r1_an_unusable_url_is_an_error_that_does_not_quote_it() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    let unbound = Session::builder(numbered().0)
        .any_https_origin()
        .build()
        .unwrap();
    for (session, url) in [
        (&unbound, "data?key=s3cret"),
        (&unbound, "ftp://api.example.com/s3cret"),
        (&unbound, "https://"),
        (&unbound, "https://s3cret host/"),
        (&session, "ftp://127.0.0.1/s3cret"),
        (&session, "http://[s3cret/"),
        (&session, "mailto:s3cret@example.com"),
        (&session, "data:s3cret"),
    ] {
        let error = session.get(url).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{url}");
        let texts = crate::error_texts::error_texts(&error);
        assert!(!texts.contains("s3cret"), "{texts}");
    }
    for base in ["ftp://api.example.com/", "/v1", "https://", "data:,x"] {
        let error = Session::new(base, numbered().0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{base}");
    }
}

/// No name server is asked: the name has no address there.
#[tokio::test]
async fn r1_a_name_below_localhost_is_pinned_to_loopback_addresses() {
    let server = Server::start();
    let port = server.address().port();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::status(200))
            .times(3),
    );
    let own = numbered().0;
    let url = format!("http://keyfob-test.api.localhost:{port}/");
    let session = Session::new(&url, own.clone()).unwrap();
    assert_eq!(session.get("data").send().await.unwrap().status(), 200);
    let clients = Session::builder(own.clone()).client(reqwest::Client::builder().no_proxy());
    let session = clients.base_url(&url).build().unwrap();
    assert_eq!(session.get("data").send().await.unwrap().status(), 200);
    let sent = tokio::task::spawn_blocking(move || {
        let session = keyfob::blocking::Session::new(&url, own).unwrap();
        session.get("data").send().unwrap().status()
    });
    assert_eq!(sent.await.unwrap(), 200);
    assert_eq!(bearers(&server).len(), 3);
}

#[tokio::test]
async fn r1_a_name_below_localhost_that_is_not_pinned_is_refused() {
    let unbound = Session::builder(numbered().0)
        .client(reqwest::Client::builder())
        .any_https_origin()
        .build()
        .unwrap();
    let error = unbound.get("http://x.localhost/").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}
