//! The URL of a server, a cluster or sentinels, and how they prove who they are.

use std::sync::Arc;

use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, TlsCertificates, TlsMode,
};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::store::redis::connection::Server;

impl Server {
    /// Reads a URL. Without authorities, the roots of the system are trusted.
    pub(super) fn parse(url: &str, authorities: Option<&[u8]>) -> Result<Self, Error> {
        let certificates = authorities.map(|authorities| TlsCertificates {
            client_tls: None,
            root_cert: Some(authorities.to_owned()),
        });
        // No error of the client is passed on, because it may quote the password in the URL.
        open(url, certificates).ok_or_else(unusable)
    }
}

fn open(url: &str, certificates: Option<TlsCertificates>) -> Option<Server> {
    let (scheme, rest) = url.split_once("://")?;
    match scheme.split_once('+') {
        Some((scheme, "sentinel")) => {
            let (scheme, rest) = (scheme.to_owned(), Zeroizing::new(rest.to_owned()));
            let make_client = move || {
                let nodes = Nodes::parse(&scheme, &rest);
                let client = nodes.and_then(|nodes| sentinel(&nodes, certificates.clone()));
                client.ok_or_else(|| (ErrorKind::InvalidClientConfig, "unusable URL").into())
            };
            make_client().ok()?;
            Some(Server::Sentinel(Arc::new(make_client)))
        }
        Some((scheme, "cluster")) => {
            let nodes = Nodes::parse(scheme, rest)?;
            if !nodes.path.is_empty() || !nodes.query.is_empty() {
                return None;
            }
            let mut builder = ClusterClientBuilder::new(nodes.each(DEFAULT_PORT)?);
            if let Some(certificates) = certificates {
                builder = builder.certs(certificates);
            }
            Some(Server::Cluster(Box::new(builder.build().ok()?)))
        }
        _ => {
            let client = match certificates {
                Some(certificates) => Client::build_with_tls(url, certificates),
                None => Client::open(url),
            };
            Some(Server::Single(Box::new(client.ok()?)))
        }
    }
}

/// A URL that names several nodes: `SCHEME://USER@HOST:PORT,HOST:PORT/PATH?QUERY`.
struct Nodes<'a> {
    scheme: &'a str,
    /// With the `@` at its end; empty without a user.
    user: &'a str,
    hosts: Vec<&'a str>,
    path: Vec<&'a str>,
    query: Vec<(String, String)>,
}

impl<'a> Nodes<'a> {
    fn parse(scheme: &'a str, rest: &'a str) -> Option<Self> {
        // A fragment would turn off the checks of the certificate.
        if rest.contains('#') {
            return None;
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        Some(Self {
            scheme,
            user,
            hosts: hosts.split(',').collect(),
            path: segments.collect(),
            query: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        })
    }

    /// How to connect to each node, with this port if the URL names none.
    fn each(&self, default_port: u16) -> Option<Vec<ConnectionInfo>> {
        let hosts = self.hosts.iter();
        hosts.map(|host| self.node(host, default_port)).collect()
    }

    fn node(&self, host: &str, default_port: u16) -> Option<ConnectionInfo> {
        // In an IPv6 address, colons are in brackets.
        let has_port = host.rsplit(']').next()?.contains(':');
        let port = match has_port {
            true => String::new(),
            false => format!(":{default_port}"),
        };
        let url = format!("{}://{}{host}{port}", self.scheme, self.user);
        url.as_str().into_connection_info().ok()
    }
}

/// A client that asks sentinels for the master: `redis+sentinel://USER:PASSWORD@HOST,HOST/MASTER/DATABASE`.
///
/// The user is that of the master. The sentinels often have none, so theirs is in the query.
fn sentinel(nodes: &Nodes<'_>, certificates: Option<TlsCertificates>) -> Option<SentinelClient> {
    let (name, database) = match nodes.path[..] {
        [name] => (name, 0),
        [name, database] => (name, database.parse().ok()?),
        _ => return None,
    };
    let sentinels = nodes.each(DEFAULT_SENTINEL_PORT)?;
    let user = sentinels.first()?.redis_settings();
    let addresses: Vec<_> = sentinels.iter().map(|node| node.addr().clone()).collect();
    let uses_tls = matches!(addresses.first()?, ConnectionAddr::TcpTls { .. });
    let kind = SentinelServerType::Master;
    let mut builder = SentinelClientBuilder::new(addresses, name, kind)
        .ok()?
        .set_client_to_redis_db(database);
    if let Some(name) = user.username() {
        builder = builder.set_client_to_redis_username(name);
    }
    if let Some(password) = user.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    for (key, value) in &nodes.query {
        builder = match key.as_str() {
            "sentinel_username" => builder.set_client_to_sentinel_username(value),
            "sentinel_password" => builder.set_client_to_sentinel_password(value),
            _ => return None,
        };
    }
    if uses_tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_sentinel_certificates(certificates.clone())
            .set_client_to_redis_certificates(certificates);
    }
    builder.build().ok()
}

const DEFAULT_PORT: u16 = 6379;

const DEFAULT_SENTINEL_PORT: u16 = 26379;

fn unusable() -> Error {
    Error::input(
        "the URL of the token store cannot be used, or the CA file has no certificate; give one as \
         `rediss://user:password@host:port`, `rediss+sentinel://user:password@host,host/master` or \
         `rediss+cluster://user:password@host,host`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(url: &str) -> &'static str {
        match open(url, None) {
            Some(Server::Single(_)) => "single",
            Some(Server::Cluster(_)) => "cluster",
            Some(Server::Sentinel(_)) => "sentinel",
            None => "unusable",
        }
    }

    #[test]
    fn a_url_names_a_server_a_cluster_or_sentinels() {
        for (url, expected) in [
            ("redis://127.0.0.1", "single"),
            ("rediss://user:p@redis.example.com:6380/1", "single"),
            ("redis+cluster://a", "cluster"),
            ("rediss+cluster://user:p@a:1,[::1],c:3", "cluster"),
            ("redis+sentinel://a/main", "sentinel"),
            ("valkeys+sentinel://user:p@a:1,[::1]/main/2", "sentinel"),
            (
                "rediss+sentinel://a/main?sentinel_username=u&sentinel_password=p%40",
                "sentinel",
            ),
        ] {
            assert_eq!(kind(url), expected, "{url}");
        }
    }

    #[test]
    fn s1_a_redis_url_that_cannot_be_used_is_not_quoted() {
        for url in [
            "",
            "redis+sentinel://:s3cr3t@a",
            "redis+sentinel://:s3cr3t@a/main/x",
            "redis+sentinel://:s3cr3t@/main",
            "redis+sentinel://:s3cr3t@a,/main",
            "redis+sentinel://:s3cr3t@a/main?sentinel_pasword=s3cr3t",
            "rediss+sentinel://:s3cr3t@a/main#insecure",
            "redis+cluster://:s3cr3t@a/1",
            "redis+other://:s3cr3t@a",
            "http+sentinel://:s3cr3t@a/main",
        ] {
            let error = Server::parse(url, None).err();
            let error = error.unwrap_or_else(|| panic!("{url} was accepted"));
            assert!(!format!("{error:?}").contains("s3cr3t"), "{url}");
        }
    }

    #[test]
    fn a_node_without_a_port_has_the_default_one() {
        let nodes = Nodes::parse("redis", "u@a,[::1],b:5").unwrap();
        let found = nodes.each(DEFAULT_SENTINEL_PORT).unwrap();
        let found: Vec<_> = found.iter().map(|node| node.addr().to_string()).collect();
        assert_eq!(found, ["a:26379", "::1:26379", "b:5"]);
    }
}
