use std::error::Error;

use reqwest::Client;

pub async fn run() -> Result<(), Box<dyn Error>> {
    let request = Client::new().get("https://api.example.com/reports");
    let request = request.bearer_auth(std::env::var("API_TOKEN")?);
    println!("{}", request.send().await?.status());
    Ok(())
}
