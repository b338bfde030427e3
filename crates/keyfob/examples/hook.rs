//! A session whose token comes from an async function of the program.
//!
//! `cargo run -p keyfob --example hook` runs against an API on this machine that checks tokens.

use std::time::Duration;

use keyfob::Session;
use keyfob::error::BoxError;
use keyfob_testkit::{Api, Issuer};

/// A call to a vault or an identity provider in your program. It returns a token and its lifetime.
async fn fetch_token(issuer: Issuer) -> Result<(String, Duration), BoxError> {
    let issued = issuer.issue();
    let lifetime = issued.expires_in.ok_or("the token does not expire")?;
    println!("the hook fetched {}", issued.token);
    Ok((issued.token, lifetime))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = Issuer::new();
    let api = Api::start(issuer.clone());

    let for_hook = issuer.clone();
    let source = keyfob::hook(move |_| fetch_token(for_hook.clone()));
    let session = Session::new(api.url(), source)?;

    // The first request needs a token, so the session calls the hook. The second request uses the same token.
    for _ in 0..2 {
        let response = session.get("reports").send().await?;
        println!("{} {}", response.status(), response.text().await?);
    }

    // The API rejects the token now. The session renews it and sends the request once more.
    issuer.revoke_current();
    let response = session.get("reports").send().await?;
    println!("{} {}", response.status(), response.text().await?);
    Ok(())
}
