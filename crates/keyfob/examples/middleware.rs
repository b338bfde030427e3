//! The middleware, in a `reqwest-middleware` client that has a middleware of its own.
//!
//! `cargo run -p keyfob --example middleware --features middleware` runs against an API on this machine.

use async_trait::async_trait;
use http::Extensions;
use keyfob::error::BoxError;
use keyfob::middleware::AuthenticationMiddleware;
use keyfob::{RetryPolicy, Token};
use keyfob_testkit::{Expect, ScriptedResponse, ScriptedSource, Server};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next};

/// Prints each request that is sent.
struct Print;

#[async_trait]
impl Middleware for Print {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let line = format!("{} {}", request.method(), request.url().path());
        let response = next.run(request, extensions).await?;
        println!("{line}: {}", response.status());
        Ok(response)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = Server::start();
    let rejected = ScriptedResponse::unauthorized("Bearer error=\"invalid_token\"");
    server.expect(Expect::get("/reports").bearer("one").respond(rejected));
    server.expect(
        Expect::get("/reports")
            .bearer("two")
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::text("42 reports")),
    );

    // The builder makes the middleware and the client together, because the client must not follow redirects.
    let source = ScriptedSource::new([Token::new("one"), Token::new("two")]);
    let (client, authentication) = AuthenticationMiddleware::builder(source.clone())
        .origin(server.url())
        .retry(RetryPolicy::default())
        .build(reqwest::Client::builder())?;
    // `Print` comes last, so it sees each attempt with its credential.
    let client = ClientBuilder::new(client)
        .with(authentication)
        .with(Print)
        .build();

    let response = client.get(server.url_for("/reports")).send().await?;
    println!("{}", response.text().await?);
    Ok(())
}
