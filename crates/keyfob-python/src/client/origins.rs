//! The origins that may receive a session's credential.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{PoisonError, RwLock};

use keyfob::Origin;
use keyfob::origin::Origins as CoreOrigins;
use pyo3::prelude::*;

use crate::error::{origin_error, origin_error_with_text};
use crate::source::source::Source;

/// The origins of one session or auth object. Until one is bound, these are all https origins that the caller names.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Origins(RwLock<CoreOrigins>);

#[pymethods]
impl Origins {
    /// The origins of a source, if it has any.
    #[new]
    #[pyo3(signature = (source=None))]
    fn new(source: Option<&Source>) -> Self {
        let origins = source.map(|source| source.origins.clone());
        Self::with(origins.unwrap_or_default())
    }

    /// Binds the credential to the origin of a URL, in addition to those that are already bound.
    fn bind(&self, py: Python<'_>, url: &str) -> PyResult<()> {
        let origin = parse(py, url)?;
        let mut origins = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut bound = origins.clone();
        bound.bind(origin);
        let checked = bound.check_all();
        if checked.is_ok() {
            *origins = bound;
        }
        drop(origins);
        checked.map_err(|error| origin_error(py, &error))
    }

    /// Binds the credential to the origin of a URL, even if that is plain http to another host.
    fn allow_plain_http(&self, py: Python<'_>, url: &str) -> PyResult<()> {
        let origin = parse(py, url)?;
        let mut origins = self.0.write().unwrap_or_else(PoisonError::into_inner);
        origins.allow_plain_http(origin.clone());
        origins.bind(origin);
        Ok(())
    }

    /// The bound origins.
    #[getter]
    fn bound(&self) -> Vec<String> {
        self.current().iter().map(Origin::to_string).collect()
    }

    /// Whether no origin is bound.
    #[getter]
    fn unbound(&self) -> bool {
        self.current().is_unbound()
    }
}

impl Origins {
    pub(crate) fn with(mut origins: CoreOrigins) -> Self {
        origins.pin_local_names();
        Self(RwLock::new(origins))
    }

    /// A copy, so that no lock is held while Python code makes an exception.
    pub(crate) fn current(&self) -> CoreOrigins {
        let origins = self.0.read().unwrap_or_else(PoisonError::into_inner);
        origins.clone()
    }
}

impl Origins {
    /// Refuses plain http to a name below `localhost`, unless that was allowed: the clients of Python ask the system for its
    /// address, and the system may ask DNS (RFC 6761 §6.3 leaves that to each application).
    pub(crate) fn check_name(&self, py: Python<'_>, origin: &Origin) -> PyResult<()> {
        let is_below = local_name(origin).is_some_and(|name| name != "localhost");
        if !is_below || self.current().allows_plain_http_to(origin) {
            return Ok(());
        }
        Err(origin_error_with_text(
            py,
            format!(
                "the system may look up the host of {origin} in DNS, so plain http could leave this machine; \
                 use http://localhost, or allow it for this origin with `allow_plain_http`"
            ),
        ))
    }
}

/// The host of plain http to this machine, if it is a name and not an address.
pub(crate) fn local_name(origin: &Origin) -> Option<String> {
    if origin.is_https() || !origin.is_loopback() {
        return None;
    }
    let text = origin.to_string();
    let (_, server) = text.split_once("://")?;
    let (host, _) = host_and_port(server);
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    (!is_address).then(|| host.to_owned())
}

/// The origin that an HTTP client connects to for this URL, or an `OriginError` if clients may differ.
///
/// `requests`, `urllib3`, `httpx`, proxies and the URL standard read odd URLs in different ways: a backslash, a tab or a second
/// `@` can move the host. So the part before the path must have no odd bytes, and the host must be in normal form.
pub(crate) fn of_request(py: Python<'_>, url: &str) -> PyResult<Origin> {
    let origin = parse(py, url)?;
    if is_read_alike(url, &origin) {
        return Ok(origin);
    }
    Err(origin_error_with_text(
        py,
        "HTTP clients read the host of this URL in different ways; write it plainly, such as https://api.example.com/path"
            .to_owned(),
    ))
}

fn is_read_alike(url: &str, origin: &Origin) -> bool {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, server) = authority.rsplit_once('@').unwrap_or(("", authority));
    let server = server.to_ascii_lowercase();
    let default_port = if origin.is_https() { "443" } else { "80" };
    let (host, port) = host_and_port(&server);
    let text = origin.to_string();
    let (origin_scheme, origin_server) = text.split_once("://").unwrap_or_default();
    let (origin_host, origin_port) = host_and_port(origin_server);
    let or_default = |port: Option<&str>| match port {
        None | Some("") => default_port.to_owned(),
        Some(port) => port.to_owned(),
    };
    scheme.eq_ignore_ascii_case(origin_scheme)
        && user.bytes().all(is_user_information)
        && (host == origin_host || ipv6(host).is_some_and(|host| Some(host) == ipv6(origin_host)))
        && or_default(port) == or_default(origin_port)
}

/// The host and the port of `host:port`; IPv6 addresses are in brackets.
fn host_and_port(server: &str) -> (&str, Option<&str>) {
    match server.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (server, None),
    }
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// RFC 3986 §3.2.1
fn is_user_information(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:".contains(&byte)
}

/// The origin of a URL.
fn parse(py: Python<'_>, url: &str) -> PyResult<Origin> {
    url.parse().map_err(|error| origin_error(py, &error))
}
