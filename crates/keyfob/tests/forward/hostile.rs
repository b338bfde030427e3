//! Requests that must reach no server, each with the status that the program gets; 0 if the connection is closed.

use std::sync::Arc;

use crate::careless::Careless;
use crate::proxy::{Proxied, ask, status};

/// What a program sends to the proxy. In it, `P` is the field with the secret of the run, `A` and `B` are the addresses of two
/// servers with tokens, `O` is that of a server without, and `SA` and `SB` are the stand-ins for the tokens of `A` and `B`.
const TO_PROXY: &[(&str, &str, u16)] = &[
    // Without the secret.
    (
        "no secret",
        "CONNECT api.example.com:443 HTTP/1.1\r\n\r\n",
        407,
    ),
    (
        "no secret, absolute",
        "GET http://{A}/x HTTP/1.1\r\nhost: {A}\r\n\r\n",
        407,
    ),
    (
        "a wrong secret",
        "CONNECT api.example.com:443 HTTP/1.1\r\nproxy-authorization: Basic cnVuOng=\r\n\r\n",
        407,
    ),
    (
        "no password",
        "CONNECT api.example.com:443 HTTP/1.1\r\nproxy-authorization: Basic cnVu\r\n\r\n",
        407,
    ),
    (
        "an empty field",
        "CONNECT api.example.com:443 HTTP/1.1\r\nproxy-authorization:\r\n\r\n",
        407,
    ),
    (
        "the secret in Authorization",
        "CONNECT api.example.com:443 HTTP/1.1\r\nauthorization: {V}\r\n\r\n",
        407,
    ),
    (
        "the secret as a Bearer",
        "CONNECT api.example.com:443 HTTP/1.1\r\nproxy-authorization: Bearer {V}\r\n\r\n",
        407,
    ),
    (
        "a stand-in as the secret",
        "CONNECT api.example.com:443 HTTP/1.1\r\nproxy-authorization: Bearer {SA}\r\n\r\n",
        407,
    ),
    // Targets that are none.
    (
        "no proxy request",
        "GET /x HTTP/1.1\r\nhost: {A}\r\n{P}\r\n",
        400,
    ),
    (
        "asterisk",
        "OPTIONS * HTTP/1.1\r\nhost: {A}\r\n{P}\r\n",
        400,
    ),
    (
        "https in absolute form",
        "GET https://api.example.com/x HTTP/1.1\r\nhost: api.example.com\r\n{P}\r\n",
        400,
    ),
    (
        "another scheme",
        "GET ftp://{A}/x HTTP/1.1\r\nhost: {A}\r\n{P}\r\n",
        400,
    ),
    (
        "CONNECT without a port",
        "CONNECT api.example.com HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "CONNECT with port 0",
        "CONNECT api.example.com:0 HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "CONNECT with a large port",
        "CONNECT api.example.com:65979 HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "CONNECT with a path",
        "CONNECT /x HTTP/1.1\r\nhost: api.example.com:443\r\n{P}\r\n",
        400,
    ),
    (
        "CONNECT with a URL",
        "CONNECT https://api.example.com/ HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "CONNECT with host, port and path",
        "CONNECT api.example.com:443/x HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "CONNECT with a user",
        "CONNECT me@api.example.com:443 HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "a user in a URL",
        "GET http://me:pw@{A}/x HTTP/1.1\r\nhost: {A}\r\n{P}\r\n",
        400,
    ),
    (
        "a bound host as the user",
        "CONNECT api.example.com:443@evil.example:443 HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    // Hosts that can be read in two ways.
    (
        "a decimal address",
        "CONNECT 2130706433:{OP} HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "an octal address",
        "CONNECT 0177.0.0.1:{OP} HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "a hexadecimal address",
        "CONNECT 0x7f.0.0.1:{OP} HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "a short address",
        "CONNECT 127.1:{OP} HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "an address with a dot at its end",
        "CONNECT 127.0.0.1.:{OP} HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "percent encoding",
        "CONNECT api%2eexample.com:443 HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    (
        "an address with a zone",
        "CONNECT [fe80::1%25eth0]:443 HTTP/1.1\r\n{P}\r\n",
        400,
    ),
    // Servers that are no profile's.
    (
        "another host",
        "CONNECT evil.example:443 HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "a subdomain",
        "CONNECT x.api.example.com:443 HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "the domain above",
        "CONNECT example.com:443 HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "a dot at the end",
        "CONNECT api.example.com.:443 HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "another port",
        "CONNECT api.example.com:8443 HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "another port of this machine",
        "CONNECT {O} HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "plain http to this machine",
        "GET http://{O}/x HTTP/1.1\r\nhost: {O}\r\n{P}\r\n",
        403,
    ),
    (
        "localhost for its address",
        "CONNECT localhost:{AP} HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "IPv6 of this machine",
        "CONNECT [::1]:{AP} HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "IPv4 in IPv6",
        "CONNECT [::ffff:127.0.0.1]:{AP} HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "the proxy itself",
        "CONNECT {PROXY} HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "metadata",
        "GET http://169.254.169.254/latest/meta-data/ HTTP/1.1\r\nhost: 169.254.169.254\r\n{P}\r\n",
        403,
    ),
    (
        "metadata of Google",
        "GET http://metadata.google.internal/x HTTP/1.1\r\nhost: metadata.google.internal\r\n{P}\r\n",
        403,
    ),
    (
        "metadata in IPv6",
        "CONNECT [fd00:ec2::254]:80 HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "unspecified",
        "CONNECT 0.0.0.0:{OP} HTTP/1.1\r\n{P}\r\n",
        403,
    ),
    (
        "plain http to an https server",
        "GET http://api.example.com/x HTTP/1.1\r\nhost: api.example.com\r\n{P}\r\n",
        403,
    ),
    // Two servers in one request.
    (
        "another Host at CONNECT",
        "CONNECT api.example.com:443 HTTP/1.1\r\nhost: evil.example:443\r\n{P}\r\n",
        421,
    ),
    (
        "another port in Host",
        "CONNECT api.example.com:443 HTTP/1.1\r\nhost: api.example.com:444\r\n{P}\r\n",
        421,
    ),
    (
        "a large port in Host",
        "CONNECT api.example.com:443 HTTP/1.1\r\nhost: api.example.com:65979\r\n{P}\r\n",
        421,
    ),
    (
        "another Host with a URL",
        "GET http://{A}/x HTTP/1.1\r\nhost: {B}\r\n{P}\r\n",
        421,
    ),
    (
        "an unreadable Host",
        "GET http://{A}/x HTTP/1.1\r\nhost: a b\r\n{P}\r\n",
        400,
    ),
    (
        "two Hosts",
        "GET http://{A}/x HTTP/1.1\r\nhost: {A}\r\nhost: {A}\r\n{P}\r\n",
        400,
    ),
    // Stand-ins where they do not belong.
    (
        "a stand-in on another route",
        "GET http://{B}/x HTTP/1.1\r\nhost: {B}\r\nauthorization: Bearer {SA}\r\n{P}\r\n",
        403,
    ),
    (
        "a stand-in as a password there",
        "GET http://{B}/x HTTP/1.1\r\nhost: {B}\r\nauthorization: Basic {SA64}\r\n{P}\r\n",
        403,
    ),
    (
        "a stand-in in a header there",
        "GET http://{B}/x HTTP/1.1\r\nhost: {B}\r\nx-api-key: {SA}\r\n{P}\r\n",
        403,
    ),
    (
        "a stand-in in a cookie there",
        "GET http://{B}/x HTTP/1.1\r\nhost: {B}\r\ncookie: a=b; t={SA}\r\n{P}\r\n",
        403,
    ),
    (
        "a stand-in in a path there",
        "GET http://{B}/{SA} HTTP/1.1\r\nhost: {B}\r\n{P}\r\n",
        403,
    ),
    (
        "a stand-in in a query there",
        "GET http://{B}/?t={SA} HTTP/1.1\r\nhost: {B}\r\n{P}\r\n",
        403,
    ),
    (
        "two stand-ins",
        "GET http://{B}/ HTTP/1.1\r\nhost: {B}\r\nauthorization: Bearer {SB}\r\nx-key: {SA}\r\n{P}\r\n",
        403,
    ),
    (
        "a stand-in to another host",
        "GET http://{O}/ HTTP/1.1\r\nhost: {O}\r\nauthorization: Bearer {SA}\r\n{P}\r\n",
        403,
    ),
    (
        "a stand-in at CONNECT",
        "CONNECT {B} HTTP/1.1\r\nauthorization: Bearer {SB}\r\n{P}\r\n",
        403,
    ),
    // Heads that are no HTTP/1.1.
    ("garbage", "\u{16}\u{3}\u{1}\r\n\r\n", 400),
    ("HTTP/2 to the proxy", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
];

/// What a program sends inside of a connection to a server over TLS, whose address is `T`.
const INSIDE: &[(&str, &str, u16)] = &[
    (
        "another Host",
        "GET /x HTTP/1.1\r\nhost: evil.example\r\n\r\n",
        421,
    ),
    (
        "another port",
        "GET /x HTTP/1.1\r\nhost: 127.0.0.1:1\r\n\r\n",
        421,
    ),
    ("no Host", "GET /x HTTP/1.1\r\n\r\n", 400),
    (
        "two Hosts",
        "GET /x HTTP/1.1\r\nhost: {T}\r\nhost: evil.example\r\n\r\n",
        400,
    ),
    (
        "another server in absolute form",
        "GET https://evil.example/x HTTP/1.1\r\nhost: {T}\r\n\r\n",
        421,
    ),
    (
        "plain http in absolute form",
        "GET http://{T}/x HTTP/1.1\r\nhost: {T}\r\n\r\n",
        421,
    ),
    (
        "a user in absolute form",
        "GET https://me@{T}/x HTTP/1.1\r\nhost: {T}\r\n\r\n",
        421,
    ),
    (
        "a stand-in of another server",
        "GET /x HTTP/1.1\r\nhost: {T}\r\nauthorization: Bearer {SA}\r\n\r\n",
        403,
    ),
    (
        "CONNECT inside",
        "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n",
        421,
    ),
];

fn filled(proxied: &Proxied, text: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let credentials = proxied.credentials();
    let other = proxied.other.local_addr().expect("it listens");
    let encoded = STANDARD.encode(format!("git:{}", proxied.stand_in_a.expose()));
    [
        ("{P}", format!("proxy-authorization: {credentials}\r\n")),
        ("{V}", credentials.clone()),
        ("{A}", proxied.a.address().to_string()),
        ("{AP}", proxied.a.address().port().to_string()),
        ("{B}", proxied.b.address().to_string()),
        ("{O}", other.to_string()),
        ("{OP}", other.port().to_string()),
        ("{T}", proxied.tls.address().to_string()),
        ("{PROXY}", proxied.address.to_string()),
        ("{SA}", proxied.stand_in_a.expose().to_owned()),
        ("{SB}", proxied.stand_in_b.expose().to_owned()),
        ("{SA64}", encoded),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}

#[test]
fn p8_hostile_requests_to_the_proxy_reach_no_server() {
    let proxied = Proxied::new(|builder, _| builder);
    for (name, text, expected) in TO_PROXY {
        let answer = ask(&mut proxied.connect(), &filled(&proxied, text));
        assert_eq!(status(&answer), *expected, "{name}: {answer}");
        assert!(!answer.contains("real-"), "{name}: {answer}");
        assert_eq!(proxied.received(), 0, "{name}");
    }
}

#[test]
fn p8_hostile_requests_inside_of_a_connection_reach_no_server() {
    let proxied = Proxied::new(|builder, _| builder);
    let target = proxied.tls.address().to_string();
    for (name, text, expected) in INSIDE {
        let mut inside = proxied.open(&target, "127.0.0.1").unwrap();
        let answer = ask(&mut inside, &filled(&proxied, text));
        assert_eq!(status(&answer), *expected, "{name}: {answer}");
        assert_eq!(proxied.received(), 0, "{name}");
    }
}

#[test]
fn p8_tls_for_another_server_than_that_of_the_connect_is_not_opened() {
    let proxied = Proxied::new(|builder, _| builder);
    let ask_as = |name| {
        // The client takes any certificate. The alert may come before or after the first request is written.
        match proxied.open_with("api.example.com:443", name, Arc::new(Careless)) {
            Ok(mut inside) => ask(&mut inside, "GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n"),
            Err(error) => format!("{error}"),
        }
    };
    let opened = ask_as("api.example.com");
    assert_eq!(status(&opened), 421, "{opened}");
    for name in [
        "evil.example",
        "x.api.example.com",
        "API.example.com.evil.example",
    ] {
        let answer = ask_as(name);
        assert!(!answer.contains("HTTP/1.1"), "{name}: {answer}");
    }
    assert_eq!(proxied.received(), 0);
}

#[test]
fn p8_a_name_that_leads_to_this_machine_is_not_followed() {
    // Debian's hosts file has this name, and keyfob does not know it.
    let resolves = std::net::ToSocketAddrs::to_socket_addrs(&("ip6-localhost", 1)).is_ok();
    let named = Proxied::new(|builder, port| builder.allow_host(format!("ip6-localhost:{port}")));
    let public = Proxied::new(|builder, _| builder.allow_other_hosts());
    for (proxied, host) in [
        (&named, "ip6-localhost"),
        (&public, "localhost"),
        (&public, "127.0.0.1"),
    ] {
        let port = proxied.other.local_addr().unwrap().port();
        let head = filled(
            proxied,
            &format!("CONNECT {host}:{port} HTTP/1.1\r\n{{P}}\r\n"),
        );
        let answer = ask(&mut proxied.connect(), &head);
        let expected = match host == "ip6-localhost" && !resolves {
            true => 502,
            false => 403,
        };
        assert_eq!(status(&answer), expected, "{host}: {answer}");
        assert_eq!(proxied.received(), 0);
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let proxied = Proxied::new(|builder, _| builder);
    let long = "x".repeat(200 * 1024);
    let head = filled(
        &proxied,
        &format!("CONNECT api.example.com:443 HTTP/1.1\r\n{{P}}x: {long}"),
    );
    let answer = ask(&mut proxied.connect(), &head);
    assert!([0, 431].contains(&status(&answer)), "{answer}");
    let many = "a: b\r\n".repeat(1000);
    let head = filled(
        &proxied,
        &format!("CONNECT api.example.com:443 HTTP/1.1\r\n{{P}}{many}\r\n"),
    );
    let answer = ask(&mut proxied.connect(), &head);
    assert!([0, 431].contains(&status(&answer)), "{answer}");
    assert_eq!(proxied.received(), 0);
}
