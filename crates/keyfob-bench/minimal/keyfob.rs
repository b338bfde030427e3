use std::error::Error;

use keyfob::{EnvToken, Session};

pub async fn run() -> Result<(), Box<dyn Error>> {
    let session = Session::new("https://api.example.com", EnvToken::new("API_TOKEN"))?;
    println!("{}", session.get("/reports").send().await?.status());
    Ok(())
}
