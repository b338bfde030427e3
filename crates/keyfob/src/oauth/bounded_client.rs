//! Requests to servers that an untrusted server named.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use crate::clock::clock::Clock;
use crate::error::error::Error;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::http_client::{HttpClient, HttpSettings, default_client};
use crate::oauth::sent_request::SentFlag;
use crate::origin::ca_file::Trust;
use crate::origin::loopback::EnvironmentProxies;
use crate::origin::network::{AddressesFrom, Network};

/// The settings of a [`BoundedClient`].
pub(crate) struct BoundedSettings {
    pub(crate) trust: Option<Arc<Trust<reqwest::ClientBuilder>>>,
    pub(crate) timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

/// An HTTP client that sends nothing into a network in which the server is not that named the URL.
///
/// No redirect is followed, and a response is limited in length and time, as with every [`HttpClient`].
pub(crate) struct BoundedClient {
    /// For plain http to this machine, and for a proxy, which resolves names itself.
    usual: HttpClient,
    bounded: HttpClient,
    proxies: EnvironmentProxies,
    /// The network of the server that names URLs.
    network: Network,
}

/// The head of a response whose body is not read.
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The address that the client was connected to: that of the server, or of a proxy.
    pub(crate) peer: Option<IpAddr>,
}

impl HttpClient {
    /// Asks for a document, and reads only the head of the response, because its body may never end.
    async fn get_head(&self, endpoint: &Endpoint) -> Result<ResponseHead, Error> {
        let request = self.request(Method::GET, endpoint, HeaderMap::new());
        let mut response = self.open(endpoint, request, &SentFlag::default()).await?;
        Ok(ResponseHead {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            peer: response.remote_addr().map(|peer| peer.ip()),
        })
    }
}

impl BoundedSettings {
    fn http_client(&self, custom: Option<reqwest::ClientBuilder>) -> Result<HttpClient, Error> {
        let trust = self.trust.clone().map(|trust| {
            let trust: Trust<reqwest::ClientBuilder> = Box::new(move |client| trust(client));
            trust
        });
        HttpClient::new(HttpSettings {
            custom,
            trust,
            certificate: None,
            timeout: self.timeout,
            clock: Arc::clone(&self.clock),
        })
    }
}

impl BoundedClient {
    /// A client for what the server at this endpoint names, and the response of that server to a GET.
    pub(crate) async fn of_server(
        settings: &BoundedSettings,
        server: &Endpoint,
    ) -> Result<(Self, ResponseHead), Error> {
        let usual = settings.http_client(None)?;
        let proxies = EnvironmentProxies::read();
        let head = usual.get_head(server).await?;
        let network = match head.peer {
            // The address of the connection: no name server can change it afterwards.
            Some(peer) if !proxies.get(&server.url) => Network::of(peer),
            _ => Network::of_host(&server.url).unwrap_or(Network::Public),
        };
        let resolver = AddressesFrom::shared(network);
        let bounded =
            settings.http_client(Some(default_client().no_proxy().dns_resolver(resolver)))?;
        let client = Self {
            usual,
            bounded,
            proxies,
            network,
        };
        Ok((client, head))
    }

    /// The client for an endpoint that the server named.
    pub(crate) async fn client_for(&self, endpoint: &Endpoint) -> Result<&HttpClient, Error> {
        self.check(endpoint).await?;
        match self.proxies.get(&endpoint.url) || endpoint.origin.is_plain_loopback() {
            true => Ok(&self.usual),
            false => Ok(&self.bounded),
        }
    }

    /// Fails if the server may not name this endpoint, also if a browser or another client is to use it.
    pub(crate) async fn check(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let is_name = Network::of_host(&endpoint.url).is_none();
        // The proxy resolves the name, perhaps in another way.
        match is_name && self.proxies.get(&endpoint.url) {
            true => Ok(()),
            false => self.network.check(&endpoint.url).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system::SystemClock;
    use crate::error::error::ErrorKind;

    #[tokio::test]
    async fn r1_a_name_that_resolves_into_another_network_gets_no_connection() {
        // The check before the request is left out: a name server can change its answer after it.
        let settings = BoundedSettings {
            trust: None,
            timeout: Duration::from_secs(20),
            clock: Arc::new(SystemClock),
        };
        let client = default_client().dns_resolver(AddressesFrom::shared(Network::Public));
        let http = settings.http_client(Some(client)).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint::parse("issuer", &format!("https://localhost:{port}/")).unwrap();
        let error = http.get(&endpoint).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Origin, "{error}");
        assert!(listener.accept().is_err());
    }
}
