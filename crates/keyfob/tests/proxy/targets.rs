//! Which request goes where (P2).

use keyfob::proxy::Route;
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server};

use crate::fixtures::{OK, RawUpstream, Running, route, tokens};

/// The status of the response to a request with this target, with all paths answered by the upstream.
async fn status(proxy: &Running, target: &str) -> u16 {
    let request = format!("GET {target} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n");
    let response = proxy.exchange(request).await;
    response
        .split(' ')
        .nth(1)
        .unwrap_or_else(|| panic!("{response}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn p2_a_path_is_sent_below_the_base_path_as_it_is() {
    for (base, target, sent) in [
        ("", "/", "/"),
        ("/", "/x", "/x"),
        ("/v1", "/x?q=//../a", "/v1/x?q=//../a"),
        ("/v1/", "/x/", "/v1/x/"),
        ("/v1/", "/", "/v1/"),
        ("/v1/", "/projects/a%2Fb/c.d", "/v1/projects/a%2Fb/c.d"),
        ("/v1/", "/@scope%2fname", "/v1/@scope%2fname"),
        ("/v1/", "/.well-known/x..y/...", "/v1/.well-known/x..y/..."),
        ("/v1/", "/a//b;p=1", "/v1/a//b;p=1"),
        ("/v1/", "/100%25%20", "/v1/100%25%20"),
        ("/v1/", "/%", "/v1/%"),
    ] {
        let upstream = RawUpstream::start().await;
        let url = upstream.url(base);
        let received = upstream.answer(OK);
        let proxy = Running::route(route(url).build().unwrap()).await;
        assert_eq!(status(&proxy, target).await, 200, "{base} {target}");
        let received = received.lock().unwrap().concat();
        assert_eq!(received.split(' ').nth(1), Some(sent), "{base} {target}");
    }
}

#[tokio::test]
async fn p2_the_name_of_a_route_may_be_that_of_a_host() {
    let upstream = RawUpstream::start().await;
    let named = |name: &str| route(upstream.url("/v1")).name(name).build();
    let names = ["api.github.com", "v1.2_a-b", "...", ".x"];
    let routes: Vec<_> = names.iter().map(|name| named(name).unwrap()).collect();
    for odd in [
        "", ".", "..", "a/b", "a\\b", "a b", "a%2eb", "a:1", "ä", "a\n",
    ] {
        let error = named(odd).unwrap_err().to_string();
        assert!(error.contains("the name of a route"), "{odd}: {error}");
    }
    let received = upstream.answer(OK);
    let proxy = Running::by_path(routes).await;
    for name in names {
        assert_eq!(status(&proxy, &format!("/{name}/x")).await, 200, "{name}");
        let request = received.lock().unwrap().pop().unwrap();
        assert!(request.starts_with("GET /v1/x HTTP"), "{request}");
    }
    for odd in ["/./x", "/../x", "/api%2Egithub.com/x"] {
        assert_eq!(status(&proxy, odd).await, 404, "{odd}");
    }
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn p2_a_path_that_could_leave_the_base_path_is_refused() {
    let server = Server::start();
    let proxy = Running::route(route(server.url() + "/v1/").build().unwrap()).await;
    for target in [
        "/..",
        "/../",
        "/../x",
        "/a/../b",
        "/a/..",
        "/.",
        "/./x",
        "/a/./b",
        "/%2e%2e/x",
        "/%2E%2e/x",
        "/.%2e/x",
        "/a/%2e%2e%2fb",
        "/..%2f",
        "/..%2fx",
        "/a%2f..%2fb",
        "/..%5cx",
        "/..\\x",
        "/a\\..\\b",
        "/%252e%252e/x",
        "/%252e%252e%252fx",
        "/%25252e%25252e/x",
        "/..;/x",
        "/..;a=b/x",
        "/a/%2e%2e;/b",
        "/..%20/x",
        "/..%09/x",
        "/..%00/x",
        "/x%00",
        "/x%0d%0aHost:evil",
        "/x%7f",
        "//evil.example/x",
        "//",
        "/%2fevil.example",
        "/%2f%2fevil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "/%5c%5cevil.example",
    ] {
        assert_eq!(status(&proxy, target).await, 400, "{target}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn p2_a_target_that_is_no_path_is_refused() {
    let server = Server::start();
    let proxy = Running::route(route(server.url()).build().unwrap()).await;
    let upstream = server.url();
    for request in [
        format!("GET {upstream}/x HTTP/1.1\r\nHost: p\r\n\r\n"),
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
            proxy.url("/x"),
            proxy.address
        ),
        "GET http://evil.example/x HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
        "GET evil.example HTTP/1.1\r\nHost: p\r\n\r\n".to_owned(),
        "GET x HTTP/1.1\r\nHost: p\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: p\r\n\r\n".to_owned(),
        "GET /#x HTTP/1.1\r\nHost: p\r\n\r\n".to_owned(),
    ] {
        let response = proxy.exchange(&request).await;
        assert!(
            response.starts_with("HTTP/1.1 400 "),
            "{request} {response}"
        );
    }
    for method in ["TRACE / HTTP/1.1", "CONNECT evil.example:443 HTTP/1.1"] {
        let response = proxy
            .exchange(format!("{method}\r\nHost: evil.example:443\r\n\r\n"))
            .await;
        assert!(!response.starts_with("HTTP/1.1 2"), "{response}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn p2_the_first_segment_of_a_path_chooses_the_route() {
    let servers = [Server::start(), Server::start()];
    for server in &servers {
        server.expect(Expect::any().always(ScriptedResponse::text("ok")));
    }
    let make = |name: &str, url: String| Route::new(name, url, tokens(&["one"])).unwrap();
    let proxy = Running::by_path([
        make("first", servers[0].url_for("/a/")),
        make("se-c_2", servers[1].url()),
    ])
    .await;
    for target in [
        "/first",
        "/first/",
        "/first/x?y",
        "/first?z",
        "/se-c_2/first/x",
    ] {
        assert_eq!(status(&proxy, target).await, 200, "{target}");
    }
    let targets = |server: &Server| {
        let received = server.received().into_iter();
        let target = |request: Received| match request.query {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path,
        };
        received.map(target).collect::<Vec<_>>()
    };
    assert_eq!(targets(&servers[0]), ["/a/", "/a/", "/a/x?y", "/a/?z"]);
    assert_eq!(targets(&servers[1]), ["/first/x"]);
    for target in [
        "/",
        "/First/x",
        "/firs/x",
        "/first%2fx",
        "/%66irst/x",
        "/other/x",
        "/fırst/x",
        "//first/x",
    ] {
        assert_eq!(status(&proxy, target).await, 404, "{target}");
    }
    let response = proxy.get("/other").await;
    assert!(
        !response.contains("first") && !response.contains("se-c_2"),
        "{response}"
    );
}

#[tokio::test]
async fn p2_only_allowed_methods_and_paths_are_sent() {
    let server = Server::start();
    server.expect(Expect::any().always(ScriptedResponse::text("ok")));
    let allowed = route(server.url_for("/v1/"))
        .methods([http::Method::GET, http::Method::HEAD])
        .paths(["/repos/ours", "/users/"])
        .build()
        .unwrap();
    let proxy = Running::route(allowed).await;
    for (target, expected) in [
        ("/repos/ours", 200),
        ("/repos/ours/", 200),
        ("/repos/ours/x?y", 200),
        ("/users/", 200),
        ("/users/x", 200),
        ("/users", 403),
        ("/repos/ours2", 403),
        ("/repos/Ours", 403),
        ("/repos%2fours", 403),
        ("/repos/our%73", 403),
        ("/", 403),
        ("/x/repos/ours", 403),
        ("/repos/ours/..%2fx", 400),
    ] {
        assert_eq!(status(&proxy, target).await, expected, "{target}");
    }
    let response = proxy
        .exchange("POST /users/x HTTP/1.1\r\nHost: p\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    assert!(response.contains("\r\nallow: GET, HEAD\r\n"), "{response}");
    assert_eq!(server.calls(), 5);
}

#[tokio::test]
async fn p2_location_on_the_bound_origin_is_rewritten_and_any_other_is_not() {
    let server = Server::start();
    let upstream = server.url();
    let route = route(server.url_for("/v1/")).build().unwrap();
    let by_path = Running::by_path([route.clone()]).await;
    let alone = Running::route(route).await;
    for (location, below, of_route) in [
        (format!("{upstream}/v1/y?z#f"), "/api/y?z#f", "/y?z#f"),
        (format!("{upstream}/v1"), "/api/", "/"),
        ("/v1/y".to_owned(), "/api/y", "/y"),
        ("y".to_owned(), "/api/d/y", "/d/y"),
        ("../y".to_owned(), "/api/y", "/y"),
        ("?q".to_owned(), "/api/d/x?q", "/d/x?q"),
        ("/v2/y".to_owned(), "{upstream}/v2/y", "{upstream}/v2/y"),
        ("/v10/y".to_owned(), "{upstream}/v10/y", "{upstream}/v10/y"),
        ("../../y".to_owned(), "{upstream}/y", "{upstream}/y"),
        (
            "//evil.example/v1/y".to_owned(),
            "http://evil.example/v1/y",
            "http://evil.example/v1/y",
        ),
        (
            "https://evil.example/v1/y".to_owned(),
            "https://evil.example/v1/y",
            "https://evil.example/v1/y",
        ),
        (
            "HTTPS://Evil.example".to_owned(),
            "HTTPS://Evil.example",
            "HTTPS://Evil.example",
        ),
        (
            "http://127.0.0.1:1/v1/y".to_owned(),
            "http://127.0.0.1:1/v1/y",
            "http://127.0.0.1:1/v1/y",
        ),
        // As a path alone, it would be read as another host, and the proxy refuses it in a request.
        (
            format!("{upstream}/v1//evil.example/y"),
            "{upstream}/v1//evil.example/y",
            "{upstream}/v1//evil.example/y",
        ),
        (
            "/v1/.//evil.example/y".to_owned(),
            "{upstream}/v1//evil.example/y",
            "{upstream}/v1//evil.example/y",
        ),
        (
            "/v1/\\evil.example/y".to_owned(),
            "{upstream}/v1//evil.example/y",
            "{upstream}/v1//evil.example/y",
        ),
        ("mailto:a@b".to_owned(), "mailto:a@b", "mailto:a@b"),
        ("http://[bad".to_owned(), "http://[bad", "http://[bad"),
    ] {
        for (proxy, path, expected) in [(&by_path, "/api/d/x", below), (&alone, "/d/x", of_route)] {
            let expected = expected.replace("{upstream}", &upstream);
            server.expect(
                Expect::get("/v1/d/x")
                    .respond(
                        ScriptedResponse::redirect(302, &location)
                            .header("content-location", &location),
                    )
                    .times(1),
            );
            let response = proxy.get(path).await;
            for name in ["location", "content-location"] {
                let line = format!("\r\n{name}: {expected}\r\n");
                assert!(response.contains(&line), "{location} {line} {response}");
            }
        }
    }
}
