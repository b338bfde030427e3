use std::error::Error;

use reqwest::Client;
use reqwest_middleware::ClientBuilder;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;

pub async fn run() -> Result<(), Box<dyn Error>> {
    let policy = ExponentialBackoff::builder().build_with_max_retries(3);
    let retries = RetryTransientMiddleware::new_with_policy(policy);
    let client = ClientBuilder::new(Client::new()).with(retries).build();
    let request = client.get("https://api.example.com/reports");
    let request = request.bearer_auth(std::env::var("API_TOKEN")?);
    println!("{}", request.send().await?.status());
    Ok(())
}
