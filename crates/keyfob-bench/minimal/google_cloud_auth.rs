use std::error::Error;

use google_cloud_auth::credentials::Builder;
use http::Extensions;

pub async fn run() -> Result<(), Box<dyn Error>> {
    let credentials = Builder::default().build()?;
    println!("{:?}", credentials.headers(Extensions::new()).await?);
    Ok(())
}
