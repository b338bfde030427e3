//! azure_core: its policy for bearer tokens, with our credential, and with a last policy that sends nothing.

#![expect(
    elided_lifetimes_in_paths,
    reason = "its traits leave out the lifetime of a context, and those who implement them have to"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::{AUTHORIZATION, Headers, WWW_AUTHENTICATE};
use azure_core::http::policies::auth::{Authorizer, BearerTokenAuthorizationPolicy, OnChallenge};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Method, Request, StatusCode, Url};
use azure_core::time::OffsetDateTime;
use futures_util::future::BoxFuture;
use http::HeaderValue;

use crate::peers::{Due, Peer, RejectionAware, said};
use crate::service::Service;
use crate::source::Source;

pub struct Azure {
    policy: BearerTokenAuthorizationPolicy,
    last: [Arc<dyn Policy>; 1],
    url: Url,
}

impl Peer for Azure {
    const NAME: &'static str = "azure_core";
    // It replaces tokens in their last 5 minutes.
    const DUE: &'static [Due] = &[Due::new(Duration::from_secs(200), Duration::ZERO)];

    async fn start(source: Arc<Source>) -> Result<Self, String> {
        let credential = Arc::new(Credential(source));
        Ok(Self {
            policy: BearerTokenAuthorizationPolicy::new(credential, SCOPES),
            last: [Arc::new(SendsNothing)],
            url: "https://a.example/".parse().map_err(said)?,
        })
    }

    async fn header(&self) -> Result<HeaderValue, String> {
        let mut request = Request::new(self.url.clone(), Method::Get);
        let context = Context::new();
        let sent = self.policy.send(&context, &mut request, &self.last);
        sent.await.map_err(said)?;
        let value = request.headers().get_str(&AUTHORIZATION).map_err(said)?;
        // Its header is a string, which its transport converts like this.
        HeaderValue::from_str(value).map_err(said)
    }
}

struct Credential(Arc<Source>);

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let fetched = self.0.fetch().await;
        let (token, lifetime) = fetched
            .map_err(|_| azure_core::Error::with_message(ErrorKind::Credential, "refused"))?;
        Ok(AccessToken::new(
            token,
            OffsetDateTime::now_utc() + lifetime,
        ))
    }
}

#[derive(Debug)]
struct SendsNothing;

#[async_trait]
impl Policy for SendsNothing {
    async fn send(&self, _: &Context, _: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::Ok,
            Headers::new(),
            "",
        ))
    }
}

impl RejectionAware for Azure {
    fn client(
        self: Arc<Self>,
        service: Arc<Service>,
    ) -> Result<impl Fn() -> BoxFuture<'static, bool>, String> {
        let policy = self.policy.clone().with_on_challenge(Arc::new(Anew));
        let last: [Arc<dyn Policy>; 1] = [Arc::new(Sends(service))];
        let url = self.url.clone();
        Ok(move || -> BoxFuture<'static, bool> {
            let (policy, last, url) = (policy.clone(), last.clone(), url.clone());
            Box::pin(async move {
                let mut request = Request::new(url, Method::Get);
                let sent = policy.send(&Context::new(), &mut request, &last).await;
                sent.is_ok_and(|answer| answer.status().is_success())
            })
        })
    }
}

/// Authorizes like a first attempt. The policy sends the request again itself.
#[derive(Debug)]
struct Anew;

#[async_trait]
impl OnChallenge for Anew {
    async fn on_challenge(
        &self,
        _: &Context,
        request: &mut Request,
        authorizer: &dyn Authorizer,
        _: &Headers,
    ) -> azure_core::Result<()> {
        let options = TokenRequestOptions::default();
        authorizer.authorize(request, &SCOPES, options).await
    }
}

#[derive(Debug)]
struct Sends(Arc<Service>);

#[async_trait]
impl Policy for Sends {
    async fn send(
        &self,
        _: &Context,
        request: &mut Request,
        _: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let header = request.headers().get_optional_str(&AUTHORIZATION);
        let header = header.and_then(|value| HeaderValue::from_str(value).ok());
        let answer = self.0.respond(header.as_ref()).await;
        let mut headers = Headers::new();
        if let Some(challenge) = answer.headers().get(http::header::WWW_AUTHENTICATE) {
            let challenge = challenge.to_str().unwrap_or_default().to_owned();
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        Ok(AsyncRawResponse::from_bytes(
            answer.status().as_u16().into(),
            headers,
            "",
        ))
    }
}

const SCOPES: [&str; 1] = ["scope"];
