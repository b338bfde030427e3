use std::error::Error;

pub async fn run() -> Result<(), Box<dyn Error>> {
    let provider = gcp_auth::provider().await?;
    println!("{}", provider.token(&["scope"]).await?.as_str().len());
    Ok(())
}
