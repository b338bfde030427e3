//! The settings of `keyfob proxy`, as the file describes them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;

use crate::profile::errors::{FileErrors, suggestion};
use crate::profile::key::{Key, Kind, TableKeys};
use crate::profile::schema::route_subject::{
    POOL, RoutePool, RouteSubject, read_pool, read_subjects,
};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};

/// The table `[proxy]` of a file: where `keyfob proxy` listens, for whom, and which routes it has.
///
/// [`Profiles`](crate::Profiles) reads it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ProxySettings {
    /// Where all routes listen that have no address of their own.
    pub place: ProxyPlace,
    /// Where health and metrics are.
    pub status_listen: Option<SocketAddr>,
    /// Whether addresses are allowed that other machines can reach.
    pub allow_other_machines: bool,
    /// Further names by which clients may call the proxy.
    pub hosts: Vec<String>,
    /// Users, by name or number, whose connections to a socket from systemd are taken as well.
    pub users: Vec<String>,
    /// The file of the access log, or `-` for standard output.
    pub access_log: Option<PathBuf>,
    /// How long requests in progress may take after the proxy was told to stop.
    pub drain: Option<Duration>,
    /// What clients may cost the proxy.
    pub limits: ProxyLimits,
    /// The routes, by name.
    pub routes: BTreeMap<String, RouteSettings>,
    pub(in crate::profile) clients: BTreeMap<String, SecretRef>,
}

/// Where a proxy or a route listens; nowhere if both are `None`.
///
/// [`Profiles`](crate::Profiles) reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyPlace {
    /// The path of a unix socket.
    pub socket: Option<PathBuf>,
    /// A TCP address.
    pub listen: Option<SocketAddr>,
}

/// One route of a proxy.
///
/// [`Profiles`](crate::Profiles) reads it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RouteSettings {
    /// The profile whose token and server it has.
    pub profile: String,
    /// Where it listens, if it does not share the address of the proxy.
    pub place: ProxyPlace,
    /// The methods that are allowed; all if there are none.
    pub methods: Vec<Method>,
    /// The paths that are allowed, with those below them; all if there are none.
    pub paths: Vec<String>,
    /// The clients that may use it; all if there are none.
    pub clients: Vec<String>,
    /// Whose token each client uses; all clients share that of the profile if it is `None`.
    pub subjects: Option<BTreeMap<String, RouteSubject>>,
    /// How many of these tokens it keeps, and for how long.
    pub pool: RoutePool,
}

/// What clients may cost a proxy. What is `None` has its default.
///
/// [`Profiles`](crate::Profiles) reads it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ProxyLimits {
    /// How many connections a listener has at once.
    pub connections: Option<u32>,
    /// How many requests an HTTP/2 connection has at once.
    pub streams: Option<u32>,
    /// How large the head of a request is, in bytes.
    pub head_bytes: Option<u32>,
    /// How many header fields a request has.
    pub header_fields: Option<u32>,
    /// How long a connection may be without a request.
    pub idle: Option<Duration>,
    /// How long a new connection may take for its first request.
    pub first_request: Option<Duration>,
}

/// A name in the file that has to be that of something else there.
struct Reference {
    name: String,
    at: Range<usize>,
}

/// Reads the table. `profiles` are the names of the profiles, or `None` if not all of them could be read.
pub(super) fn read(
    value: &Value<'_>,
    profiles: Option<&[&str]>,
    errors: &FileErrors<'_>,
) -> Read<ProxySettings> {
    value.table(&KEYS, |table| {
        let clients = table.optional("clients", read_clients).unwrap_or_default();
        let names: Vec<_> = clients.keys().map(String::as_str).collect();
        let mut settings = ProxySettings {
            place: read_place(table),
            status_listen: table.optional("status_listen", read_address),
            allow_other_machines: table
                .optional("allow_other_machines", Value::flag)
                .unwrap_or_default(),
            hosts: table.optional("hosts", read_hosts).unwrap_or_default(),
            users: table.optional("users", read_users).unwrap_or_default(),
            access_log: table.optional("access_log", read_log),
            drain: table.optional("drain", Value::seconds),
            limits: table
                .optional("limits", |value| value.table(&LIMITS, read_limits))
                .unwrap_or_default(),
            ..ProxySettings::default()
        };
        for route in table
            .optional("routes", Value::entries)
            .into_iter()
            .flatten()
        {
            let Ok((read, references)) = read_route(&route) else {
                continue;
            };
            if let Some(profiles) = profiles {
                check(
                    &references.profile,
                    "a profile that is not in this file",
                    profiles,
                    errors,
                );
            }
            for client in &references.clients {
                check(client, "a client that is not in `clients`", &names, errors);
            }
            settings.routes.insert(route.key.to_owned(), read);
        }
        check_places(table, &settings);
        settings.clients = clients;
        Ok(settings)
    })
}

/// What a route refers to.
struct References {
    profile: Reference,
    clients: Vec<Reference>,
}

fn read_route(value: &Value<'_>) -> Read<(RouteSettings, References)> {
    // Clients take `.` and `..` out of a path (RFC 3986 §5.2.4).
    if !is_name(value.key) || matches!(value.key, "." | "..") {
        value.key_error("the name of a route may have only letters, digits, `-`, `_` and `.`, and is not `.` or `..`, because it is in the paths of requests");
    }
    value.table(&ROUTE, |table| {
        let profile = match table.get("profile") {
            Some(value) => read_reference(&value)?,
            // Without the key, the route has the name of its profile.
            None => Reference {
                name: value.key.to_owned(),
                at: value.key_place(),
            },
        };
        let clients = table.optional("clients", |value| value.list(NAMES_WANTED, read_reference));
        let mut clients = clients.unwrap_or_default();
        let subjects = table.optional("subjects", read_subjects);
        let has_subjects = table.get("subjects").is_some();
        let pool = table.optional("pool", |value| read_pool(value, has_subjects));
        let (with_subject, subjects) = subjects.unzip();
        let settings = RouteSettings {
            profile: profile.name.clone(),
            place: read_place(table),
            methods: table.optional("methods", read_methods).unwrap_or_default(),
            paths: table.optional("paths", read_paths).unwrap_or_default(),
            clients: clients.iter().map(|client| client.name.clone()).collect(),
            subjects,
            pool: pool.unwrap_or_default(),
        };
        let with_subject = with_subject.into_iter().flatten();
        clients.extend(with_subject.map(|(name, at)| Reference { name, at }));
        Ok((settings, References { profile, clients }))
    })
}

fn read_reference(value: &Value<'_>) -> Read<Reference> {
    let name = value.text()?;
    match is_name(&name) {
        true => Ok(Reference {
            name,
            at: value.place(),
        }),
        false => Err(value.error(format!(
            "`{}` takes a name: letters, digits, `-`, `_` and `.`",
            value.key
        ))),
    }
}

fn check(reference: &Reference, what: &str, known: &[&str], errors: &FileErrors<'_>) {
    if !known.contains(&&*reference.name) {
        let suggestion = suggestion(&reference.name, known.iter().copied());
        errors.add(&reference.at, format!("this names {what}{suggestion}"));
    }
}

/// Reports an address that two listeners would have. Port 0 is a new one each time.
fn check_places(table: &Table<'_>, settings: &ProxySettings) {
    let routes = settings.routes.values().map(|route| &route.place);
    let places: Vec<_> = std::iter::once(&settings.place).chain(routes).collect();
    let sockets = places.iter().filter_map(|place| place.socket.as_ref());
    let sockets: Vec<_> = sockets.collect();
    let addresses = places.iter().filter_map(|place| place.listen);
    let addresses = addresses.chain(settings.status_listen);
    let addresses: Vec<_> = addresses.filter(|address| address.port() != 0).collect();
    let twice = |count: usize, distinct: usize| count != distinct;
    let distinct_sockets: std::collections::BTreeSet<_> = sockets.iter().collect();
    let distinct: std::collections::BTreeSet<_> = addresses.iter().collect();
    if twice(sockets.len(), distinct_sockets.len()) || twice(addresses.len(), distinct.len()) {
        table.error("two listeners have the same address; give each its own, or leave it out for routes that share one");
    }
}

fn read_place(table: &Table<'_>) -> ProxyPlace {
    ProxyPlace {
        socket: table.optional("socket", Value::path),
        listen: table.optional("listen", read_address),
    }
}

fn read_address(value: &Value<'_>) -> Read<SocketAddr> {
    let text = value.text()?;
    let address = match text.strip_prefix("localhost:") {
        Some(port) => {
            let port = port.parse().ok();
            port.map(|port| SocketAddr::from((IpAddr::from(Ipv4Addr::LOCALHOST), port)))
        }
        None => text.parse().ok(),
    };
    address.ok_or_else(|| {
        value.error(format!(
            "`{}` is an IP address and a port, such as \"127.0.0.1:8125\"",
            value.key
        ))
    })
}

fn read_clients(value: &Value<'_>) -> Read<BTreeMap<String, SecretRef>> {
    let secrets = value.entries()?.map(|entry| {
        if !is_name(entry.key) {
            entry.key_error("the name of a client may have only letters, digits, `-`, `_` and `.`");
        }
        Ok((entry.key.to_owned(), entry.secret()?))
    });
    // All are read before the first error ends this, so that each wrong one is reported.
    let secrets: Vec<Read<_>> = secrets.collect();
    secrets.into_iter().collect()
}

fn read_hosts(value: &Value<'_>) -> Read<Vec<String>> {
    let hosts = value.texts()?;
    let is_host = |host: &String| {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host.as_str(), "0"),
        };
        let is_port =
            !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
        let inner = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let is_name = match inner {
            Some(inner) => inner
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.'),
            None => name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'),
        };
        is_port && is_name && !inner.unwrap_or(name).is_empty()
    };
    match hosts.iter().all(is_host) {
        true => Ok(hosts),
        false => Err(value.error("`hosts` takes names as clients send them in `Host`, such as \"proxy.internal\" or \"proxy.internal:8125\"")),
    }
}

fn read_users(value: &Value<'_>) -> Read<Vec<String>> {
    let users = value.texts()?;
    match users.iter().all(|user| is_name(user)) {
        true => Ok(users),
        false => {
            Err(value.error("`users` takes names or numbers of users of this machine, in quotes"))
        }
    }
}

fn read_log(value: &Value<'_>) -> Read<PathBuf> {
    match value.is("-") {
        true => Ok("-".into()),
        false => value.path(),
    }
}

fn read_methods(value: &Value<'_>) -> Read<Vec<Method>> {
    let methods = value.texts()?;
    let parse = |method: &String| {
        let is_upper = method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        is_upper.then(|| method.parse().ok()).flatten()
    };
    let methods: Option<_> = methods.iter().map(parse).collect();
    methods.ok_or_else(|| {
        value.error("`methods` takes methods in capital letters, such as [\"GET\", \"HEAD\"]")
    })
}

fn read_paths(value: &Value<'_>) -> Read<Vec<String>> {
    let paths = value.texts()?;
    match paths.iter().all(|path| path.starts_with('/')) {
        true => Ok(paths),
        false => Err(value.error("`paths` takes paths that begin with `/`, such as [\"/repos\"]")),
    }
}

fn read_limits(table: &Table<'_>) -> Read<ProxyLimits> {
    let number = |key, most| table.optional(key, |value| value.number(1..=most));
    Ok(ProxyLimits {
        connections: number("connections", MOST_CONNECTIONS),
        streams: number("streams", MOST_STREAMS),
        head_bytes: table.optional("head_bytes", |value| value.number(LEAST_HEAD..=MOST_HEAD)),
        header_fields: number("header_fields", MOST_HEADERS),
        idle: table.optional("idle", Value::seconds),
        first_request: table.optional("first_request", Value::seconds),
    })
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.chars().all(plain)
}

const NAMES_WANTED: &str = "a name in quotes, or a list of names";
const MOST_CONNECTIONS: u32 = 100_000;
const MOST_STREAMS: u32 = 10_000;
const LEAST_HEAD: u32 = 8192;
const MOST_HEAD: u32 = 1024 * 1024;
const MOST_HEADERS: u32 = 1000;

const NAME: &str = "^[0-9A-Za-z._-]+$";
const ADDRESS: &str = "^(localhost|[0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$";
const HOST: &str = "^([0-9A-Za-z.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?$";

/// The table `[proxy]`.
pub(in crate::profile) static KEYS: TableKeys = TableKeys::new(
    "proxy",
    "Where `keyfob proxy` listens, for whom, and which routes it has",
    &[PROXY_KEYS],
);

const PROXY_KEYS: &[Key] = &[
    Key::new("socket", Kind::Path, "the unix socket of all routes that have no address of their own")
        .default("keyfob/proxy.sock in $XDG_RUNTIME_DIR, if `listen` is not set either"),
    Key::new("listen", Kind::Plain(ADDRESS), "the TCP address of the same routes; it needs `clients`").default("none"),
    Key::new("status_listen", Kind::Plain(ADDRESS), "the TCP address of `/healthz`, `/readyz` and `/metrics`").default("none"),
    Key::new(
        "allow_other_machines",
        Kind::Flag,
        "true to allow addresses that other machines can reach, without encryption",
    )
    .default("false"),
    Key::new("hosts", Kind::Plains(HOST), "a further name, or a list of names, by which clients may call the proxy").default("none"),
    Key::new(
        "users",
        Kind::Plains(NAME),
        "a user, or a list of users, that may connect to a unix socket from systemd, by name or number",
    )
    .default("the own user and root"),
    Key::new("access_log", Kind::Plain("^(-$|/|~/|[A-Za-z]:[/\\\\])"), "the file of the access log, or \"-\" for standard output").default("none"),
    Key::new("drain", Kind::Seconds, "how long requests in progress may take when the proxy stops, in seconds").default("30"),
    Key::new("clients", Kind::SecretsByName, "references to the clients' secrets, each under the name of its client").default("none"),
    Key::new("routes", Kind::TablesByName(&ROUTE), "the routes, each under its name: letters, digits, `-`, `_` and `.`"),
    Key::new("limits", Kind::Table(&LIMITS), "what clients may cost the proxy"),
];

pub(in crate::profile) static ROUTE: TableKeys =
    TableKeys::new("proxy_route", "One route of the proxy", &[ROUTE_KEYS]);

const ROUTE_KEYS: &[Key] = &[
    Key::new(
        "profile",
        Kind::Plain(NAME),
        "the profile whose token and server the route has",
    )
    .default("that of the route's name"),
    Key::new("socket", Kind::Path, "a unix socket of the route alone")
        .default("that of the proxy, where its path is `/NAME/`"),
    Key::new(
        "listen",
        Kind::Plain(ADDRESS),
        "a TCP address of the route alone",
    )
    .default("that of the proxy"),
    Key::new(
        "methods",
        Kind::Plains("^[A-Z-]+$"),
        "a method, or a list of methods, that are allowed",
    )
    .default("all"),
    Key::new(
        "paths",
        Kind::Plains("^/"),
        "a path, or a list of paths, that are allowed with all below them",
    )
    .default("all"),
    Key::new(
        "clients",
        Kind::Plains(NAME),
        "a client, or a list of clients, that may use the route",
    )
    .default("all"),
    Key::new(
        "subjects",
        Kind::TextsByName,
        "a table with the subject whose token each client uses, or `header:NAME` for a client that is trusted to name it",
    )
    .default("none: all clients share one token"),
    Key::new(
        "pool",
        Kind::Table(&POOL),
        "how many tokens of `subjects` the route keeps, and for how long",
    )
    .needs("subjects"),
];

pub(in crate::profile) static LIMITS: TableKeys = TableKeys::new(
    "proxy_limits",
    "What clients may cost the proxy",
    &[LIMIT_KEYS],
);

const LIMIT_KEYS: &[Key] = &[
    Key::new(
        "connections",
        Kind::Number(1, MOST_CONNECTIONS),
        "how many connections a listener has at once",
    )
    .default("1024"),
    Key::new(
        "streams",
        Kind::Number(1, MOST_STREAMS),
        "how many requests an HTTP/2 connection has at once",
    )
    .default("128"),
    Key::new(
        "head_bytes",
        Kind::Number(LEAST_HEAD, MOST_HEAD),
        "how large the head of a request is, in bytes",
    )
    .default("65536"),
    Key::new(
        "header_fields",
        Kind::Number(1, MOST_HEADERS),
        "how many header fields a request has",
    )
    .default("100"),
    Key::new(
        "idle",
        Kind::Seconds,
        "how long a connection may be without a request, in seconds",
    )
    .default("60"),
    Key::new(
        "first_request",
        Kind::Seconds,
        "how long a new connection may take for its first request, in seconds",
    )
    .default("10"),
];
