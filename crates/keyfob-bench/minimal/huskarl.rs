use std::error::Error;

use http::{Method, Uri};
use huskarl::authorizer::HttpAuthorizer;
use huskarl::cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache};
use huskarl::core::client_auth::NoAuth;
use huskarl::grant::client_credentials::{ClientCredentialsGrant, ClientCredentialsGrantParameters};
use huskarl_reqwest::ReqwestClient;

pub async fn run() -> Result<(), Box<dyn Error>> {
    let grant = ClientCredentialsGrant::builder()
        .client_id("client")
        .client_auth(NoAuth)
        .token_endpoint("https://auth.example.com/token".parse()?)
        .http_client(ReqwestClient::builder().build().await?)
        .build();
    let source = GrantTokenSource::builder()
        .grant(grant)
        .grant_parameters(ClientCredentialsGrantParameters::builder().build())
        .refresh_store(InMemoryRefreshTokenStore::default())
        .build();
    let cache = InMemoryTokenCache::builder().source(source).build();
    let authorizer = HttpAuthorizer::builder().cache(cache).build();
    let uri = Uri::from_static("https://api.example.com/reports");
    println!("{:?}", authorizer.get_headers(&Method::GET, &uri).await?);
    Ok(())
}
