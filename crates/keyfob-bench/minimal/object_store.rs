use std::error::Error;

use object_store::ObjectStoreExt;
use object_store::azure::MicrosoftAzureBuilder;

pub async fn run() -> Result<(), Box<dyn Error>> {
    let store = MicrosoftAzureBuilder::from_env().build()?;
    println!("{:?}", store.head(&"reports".into()).await?);
    Ok(())
}
