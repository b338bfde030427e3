use std::error::Error;

use middle::{Authorizer, BasicClientCredentialAuthorizer};

pub async fn run() -> Result<(), Box<dyn Error>> {
    let url = "https://auth.example.com/token".parse()?;
    let builder = BasicClientCredentialAuthorizer::basic_builder("client", "secret", url);
    let authorizer = builder.build().await?;
    println!("{:?}", authorizer.authorization_header()?);
    Ok(())
}
