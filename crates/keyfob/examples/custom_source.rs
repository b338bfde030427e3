//! A token source of one's own: a type that implements `TokenSource`.
//!
//! `cargo run -p keyfob --example custom_source` runs against an API on this machine that checks tokens.

use std::sync::Mutex;

use keyfob::error::BoxError;
use keyfob::runtime::BoxFuture;
use keyfob::source::{Reason, TokenRequest};
use keyfob::{Error, Session, Token, TokenSource};
use keyfob_testkit::{Api, Issuer};

/// A client of an imaginary vault. It logs in again each time the API rejected a token.
struct Vault {
    issuer: Issuer,
    logins: Mutex<u32>,
}

impl Vault {
    async fn log_in(&self) -> Result<(), Error> {
        // An error of the kind `refused` is permanent. Use `Error::unavailable` if a later call may succeed.
        let mut logins = self
            .logins
            .lock()
            .map_err(|_| Error::refused("a login panicked"))?;
        *logins += 1;
        println!("login number {logins}");
        Ok(())
    }
}

impl TokenSource for Vault {
    /// The cache makes one call at a time. It drops the future if the call takes longer than the fetch timeout.
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            println!("the cache needs a token: {}", request.reason().name());
            if matches!(request.reason(), Reason::Missing | Reason::Rejected) {
                self.log_in().await?;
            }
            let issued = self.issuer.issue();
            let token = Token::new(issued.token)?;
            Ok(match issued.expires_in {
                Some(lifetime) => token.expires_in(lifetime),
                None => token,
            })
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = Issuer::new();
    let api = Api::start(issuer.clone());
    let vault = Vault {
        issuer: issuer.clone(),
        logins: Mutex::new(0),
    };
    let session = Session::new(api.url(), vault)?;

    println!("{}", session.get("reports").send().await?.status());
    issuer.revoke_current();
    println!("{}", session.get("reports").send().await?.status());
    // A renewal that a caller forces needs no new login here.
    session.tokens().renew().await?;
    println!("{}", session.get("reports").send().await?.status());
    Ok(())
}
