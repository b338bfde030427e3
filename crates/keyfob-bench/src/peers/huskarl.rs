//! huskarl: its authorizer over its cache over a client credentials grant.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, StatusCode, Uri};
use huskarl::authorizer::HttpAuthorizer;
use huskarl::cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache};
use huskarl::core::client_auth::NoAuth;
use huskarl::grant::client_credentials::{
    ClientCredentialsGrant, ClientCredentialsGrantParameters,
};
use huskarl_reqwest::ReqwestClient;
use keyfob_testkit::Server;

use crate::peers::{Due, Peer, RejectionAware, said};
use crate::service::Service;
use crate::source::Source;

pub struct Huskarl {
    authorizer: HttpAuthorizer,
    uri: Uri,
    _endpoint: Server,
}

impl Peer for Huskarl {
    const NAME: &'static str = "huskarl";
    // It drops tokens 30 s before they expire, or after half of a short lifetime. It renews them at a random point in the last tenth before.
    const DUE: &'static [Due] = &[
        Due::new(Duration::from_secs(60), Duration::from_millis(26_800)),
        Due::new(Duration::from_secs(8), Duration::from_secs(4)).rule(", in its margin"),
    ];

    async fn start(source: Arc<Source>) -> Result<Self, String> {
        let endpoint = source.endpoint();
        let client = ReqwestClient::builder().build().await.map_err(said)?;
        let grant = ClientCredentialsGrant::builder()
            .client_id("client")
            .client_auth(NoAuth)
            .token_endpoint(endpoint.url().parse().map_err(said)?)
            .http_client(client)
            .build();
        let source = GrantTokenSource::builder()
            .grant(grant)
            .grant_parameters(ClientCredentialsGrantParameters::builder().build())
            .refresh_store(InMemoryRefreshTokenStore::default())
            .build();
        let cache = InMemoryTokenCache::builder().source(source).build();
        Ok(Self {
            authorizer: HttpAuthorizer::builder().cache(cache).build(),
            uri: Uri::from_static("https://a.example/"),
            _endpoint: endpoint,
        })
    }

    async fn header(&self) -> Result<HeaderValue, String> {
        let headers = self.authorizer.get_headers(&Method::GET, &self.uri).await;
        let header = headers.map_err(said)?.remove(AUTHORIZATION);
        header.ok_or_else(|| "no header".to_owned())
    }
}

impl RejectionAware for Huskarl {
    fn client(
        self: Arc<Self>,
        service: Arc<Service>,
    ) -> Result<impl Fn() -> BoxFuture<'static, bool>, String> {
        Ok(move || -> BoxFuture<'static, bool> {
            let (peer, service) = (Arc::clone(&self), Arc::clone(&service));
            Box::pin(async move {
                match peer.sent(&service).await {
                    Ok(StatusCode::UNAUTHORIZED) => peer.sent(&service).await,
                    first => first,
                }
                .is_ok_and(|status| status.is_success())
            })
        })
    }
}

impl Huskarl {
    /// A request whose response is passed to the authorizer.
    async fn sent(&self, service: &Service) -> Result<StatusCode, String> {
        let headers = self.authorizer.get_headers(&Method::GET, &self.uri).await;
        let headers = headers.map_err(said)?;
        let answer = service.respond(headers.get(AUTHORIZATION)).await;
        self.authorizer
            .process_response(&self.uri, answer.headers());
        Ok(answer.status())
    }
}
