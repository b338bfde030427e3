use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{Request, Response};
use keyfob::tower::AuthenticationLayer;
use keyfob::EnvToken;
use tower_layer::Layer;
use tower_service::Service;

/// In a real program, the HTTP client is here.
#[derive(Clone)]
struct Client;

impl Service<Request<String>> for Client {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        ready(Ok(Response::new(format!("{:?}", request.headers()))))
    }
}

pub async fn run() -> Result<(), Box<dyn Error>> {
    let url = "https://api.example.com";
    let layer = AuthenticationLayer::new(url, EnvToken::new("API_TOKEN"))?;
    let request = Request::get(url).body(String::new())?;
    let answer = layer.layer(Client).call(request).await;
    println!("{}", answer.map_err(|error| error.to_string())?.body());
    Ok(())
}
