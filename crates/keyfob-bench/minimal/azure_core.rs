use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{ClientOptions, Context, Method, Pipeline, Request};
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::time::OffsetDateTime;

#[derive(Debug)]
struct FromEnvironment;

#[async_trait]
impl TokenCredential for FromEnvironment {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = std::env::var("API_TOKEN").unwrap_or_default();
        let end = OffsetDateTime::now_utc() + Duration::from_secs(3600);
        Ok(AccessToken::new(token, end))
    }
}

pub async fn run() -> Result<(), Box<dyn Error>> {
    let policy = BearerTokenAuthorizationPolicy::new(Arc::new(FromEnvironment), ["scope"]);
    let options = ClientOptions::default();
    let pipeline = Pipeline::new(None, None, options, vec![], vec![Arc::new(policy)], None);
    let mut request = Request::new("https://api.example.com/reports".parse()?, Method::Get);
    let answer = pipeline.send(&Context::new(), &mut request, None).await?;
    println!("{}", answer.status());
    Ok(())
}
