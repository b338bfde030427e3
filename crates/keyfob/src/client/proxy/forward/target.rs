//! The server that a program asks the proxy for, read strictly.

use http::Method;
use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, Uri};

use crate::client::proxy::forward::refusal::Refusal;
use crate::origin::origin::Origin;

/// The server that a `CONNECT` names (RFC 9110 §9.3.6), as an https origin.
pub(super) fn of_connect(head: &Parts) -> Result<Origin, Refusal> {
    let odd =
        || Refusal::bad_request("CONNECT takes a host and a port, such as api.example.com:443");
    let uri = &head.uri;
    let (host, port) = uri.authority().and_then(host_and_port).ok_or_else(odd)?;
    let has_more = uri.scheme().is_some() || uri.path_and_query().is_some();
    // A port is required, and zero is none.
    let port = port.filter(|port| *port > 0 && !has_more).ok_or_else(odd)?;
    let target = origin("https", host, Some(port))?;
    check_host(head, &target)?;
    Ok(target)
}

/// The server of a request in absolute form (RFC 9112 §3.2.2), which must be plain http.
pub(super) fn of_absolute(head: &Parts) -> Result<Origin, Refusal> {
    let uri = &head.uri;
    match uri.scheme_str() {
        Some("http") => (),
        Some("https") => {
            return Err(Refusal::bad_request(
                "this proxy takes requests for https servers inside of a CONNECT only",
            ));
        }
        _ => {
            return Err(Refusal::bad_request(
                "this is a proxy; a request names its server with CONNECT or with an http URL",
            ));
        }
    }
    let target = of_uri(uri)?;
    check_host(head, &target)?;
    Ok(target)
}

/// Checks that a request inside of an opened connection is for the server of the connection.
pub(super) fn check_inside(head: &Parts, target: &Origin) -> Result<(), Refusal> {
    if let Some(authority) = head.uri.authority() {
        let scheme = scheme_of(target);
        let is_scheme = head.uri.scheme_str().is_none_or(|own| own == scheme);
        if !is_scheme || !is_same(authority, target, None) {
            return Err(Refusal::misdirected(target));
        }
    }
    check_host(head, target)?;
    let has_host = head.uri.authority().is_some() || head.headers.contains_key(HOST);
    match has_host {
        true => Ok(()),
        false => Err(Refusal::bad_request("the request has no Host")),
    }
}

/// Checks `Host`, if there is one: HTTP/1.0 has none, and proxies of HTTP/1.1 ignore it, but one that differs is a trick.
fn check_host(head: &Parts, target: &Origin) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), more) = (hosts.next(), hosts.next()) else {
        return Ok(());
    };
    let named: Option<Authority> = host.to_str().ok().and_then(|host| host.parse().ok());
    let Some(authority) = named.filter(|_| more.is_none()) else {
        return Err(Refusal::bad_request("the request's Host cannot be read"));
    };
    // Some programs leave out the port of a CONNECT in its Host.
    let default_port = (head.method == Method::CONNECT).then(|| target.port());
    let is_target = is_same(&authority, target, None) || is_same(&authority, target, default_port);
    match is_target {
        true => Ok(()),
        false => Err(Refusal::misdirected(target)),
    }
}

fn is_same(authority: &Authority, target: &Origin, default_port: Option<u16>) -> bool {
    host_and_port(authority).is_some_and(|(host, port)| {
        let named = Origin::from_parts(scheme_of(target), host, port.or(default_port));
        named.is_ok_and(|named| named == *target)
    })
}

/// The two parts of an authority; `None` if it has a user, or a port that is not a number of 16 bits.
pub(super) fn host_and_port(authority: &Authority) -> Option<(&str, Option<u16>)> {
    let host = authority.host();
    match authority.as_str().strip_prefix(host)? {
        "" => Some((host, None)),
        _ => Some((host, Some(authority.port_u16()?))),
    }
}

fn scheme_of(target: &Origin) -> &'static str {
    match target.is_https() {
        true => "https",
        false => "http",
    }
}

fn of_uri(uri: &Uri) -> Result<Origin, Refusal> {
    let has_user = uri
        .authority()
        .is_some_and(|all| all.as_str().contains('@'));
    if has_user {
        return Err(Refusal::bad_request(
            "the URL has a user or a password, which a request must not have",
        ));
    }
    match Origin::from_uri(uri) {
        Ok(Some(origin)) => Ok(origin),
        Ok(None) => Err(Refusal::bad_request("the request names no server")),
        Err(error) => Err(Refusal::bad_request(error.to_string())),
    }
}

fn origin(scheme: &str, host: &str, port: Option<u16>) -> Result<Origin, Refusal> {
    Origin::from_parts(scheme, host, port).map_err(|error| Refusal::bad_request(error.to_string()))
}
