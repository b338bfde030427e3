//! The parts for a client of your own: over another HTTP library, or for another language.
//!
//! From Rust, prefer a session, the tower layer or the middleware: they drive these parts correctly. This API may change in
//! any release.
//!
//! * [`Authenticator`] checks that the credential may go where a request goes, and begins an
//!   [`Exchange`](crate::exchange::Exchange) for it. It provides the credential of each attempt.
//! * The exchange is the state of one request. Each outcome of an attempt is judged with it, and leads to a
//!   [`Step`](crate::exchange::Step).
//! * [`OriginsBuilder`](crate::origin::OriginsBuilder) collects the origins that may receive the credential.
//!
//! None of them sends anything. What they cannot see is up to your client:
//!
//! * The origin that is checked must be the one that is connected to. If your client parses URLs itself, make the origin
//!   with [`Origin::from_parts`](crate::Origin::from_parts).
//! * Plain http to this machine must not go through a proxy, because that would get the credential in clear.
//! * If your client resolves `localhost` and every name below it to loopback addresses itself, say so with
//!   [`pin_local_names`](crate::origin::OriginsBuilder::pin_local_names). Otherwise plain http to these names is refused.
//! * If your client lets another library follow redirects, report each with
//!   [`Exchange::redirected`](crate::exchange::Exchange::redirected), and send again what was sent last.
//!
//! Your client sends the attempts, and does what each step says. This is a complete loop for a
//! client that blocks and follows redirects; an async one uses [`Authenticator::lease`] and [`Authenticator::replace`]:
//!
//! ```
//! use std::sync::Arc;
//!
//! use http::{HeaderMap, Method, StatusCode, header};
//! use keyfob::custom_client::Authenticator;
//! use keyfob::exchange::{Failure, Idempotency, OnRedirect, Outcome, Replay, Step};
//! use keyfob::origin::OriginsBuilder;
//! use keyfob::{Error, FixedToken, RetryPolicy, Token, TokenCache};
//!
//! # use http::HeaderValue;
//! # struct Client(u32);
//! # impl Client {
//! #     fn send(&mut self, _: &Method, url: &url::Url, headers: &HeaderMap) -> Result<(StatusCode, HeaderMap), Failure> {
//! #         self.0 += 1;
//! #         let carried = headers.contains_key(header::AUTHORIZATION);
//! #         assert_eq!(carried, url.host_str() == Some("api.example.com"));
//! #         match self.0 {
//! #             1 => Err(Failure::Connect),
//! #             2 => Ok((StatusCode::FOUND, HeaderMap::from_iter([
//! #                 (header::LOCATION, HeaderValue::from_static("https://files.example.com/1")),
//! #             ]))),
//! #             _ => Ok((StatusCode::OK, HeaderMap::new())),
//! #         }
//! #     }
//! # }
//! # let mut client = Client(0);
//! let mut origins = OriginsBuilder::default();
//! origins.bind("https://api.example.com".parse());
//! let tokens = TokenCache::new(FixedToken::new(Token::new("t0ken")?));
//! let authenticator = Authenticator::new(tokens, origins.into_origins()?);
//! let policy = Arc::new(RetryPolicy::default());
//! # use std::time::Duration;
//! # let policy = Arc::new(RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO));
//!
//! // One request. `begin` fails if the credential may not go there.
//! let (mut method, mut url) = (Method::GET, "https://api.example.com/data".parse()?);
//! let mut headers = HeaderMap::new();
//! let idempotency = Idempotency::of(&method, &headers);
//! let mut exchange = authenticator.begin(&url, &policy, idempotency, Replay::Possible)?;
//! let mut lease = authenticator.lease_blocking(&exchange)?;
//! let response = loop {
//!     // Each attempt has headers of its own, so that the credential never stays on the request.
//!     let mut attempt = headers.clone();
//!     if let Some(lease) = &lease {
//!         authenticator.credential(lease, &method, || &url)?.apply(&mut attempt);
//!     }
//!     let result = client.send(&method, &url, &attempt);
//!     let outcome = match &result {
//!         Ok((status, headers)) => Outcome::Response(*status, headers),
//!         Err(failure) => Outcome::Failure(*failure),
//!     };
//!     if let (Outcome::Response(status, headers), Some(_)) = (outcome, &lease) {
//!         authenticator.record_nonce(|| &url, status, headers);
//!     }
//!     match authenticator.judge(&mut exchange, outcome, OnRedirect::Follow(&method, &url))? {
//!         Step::Done => break result,
//!         Step::Wait(pause, _) => {
//!             authenticator.clock().sleep_blocking(pause);
//!             match authenticator.lease_blocking(&exchange) {
//!                 Ok(next) => lease = next,
//!                 Err(error) => {
//!                     authenticator.will_not_retry(&error);
//!                     break result;
//!                 }
//!             }
//!         }
//!         Step::Renew(challenges) => {
//!             let rejected = lease.as_ref().expect("only a token that was sent is rejected");
//!             let max_wait = authenticator.max_wait(&exchange);
//!             lease = authenticator.replace_blocking(rejected, &challenges, max_wait);
//!             if lease.is_none() {
//!                 break result;
//!             }
//!         }
//!         Step::Reject(challenges) => {
//!             let rejected = lease.as_ref().expect("only a token that was sent is rejected");
//!             let max_wait = authenticator.max_wait(&exchange);
//!             authenticator.reject_blocking(rejected, &challenges, max_wait);
//!             break result;
//!         }
//!         Step::Follow(redirect) => {
//!             redirect.apply(&mut headers, lease.as_ref().map_or(&[], |lease| lease.headers()));
//!             (method, url) = (redirect.method().clone(), redirect.url().clone());
//!             lease = authenticator.lease_blocking(&exchange)?;
//!         }
//!     }
//! };
//! assert_eq!(response.expect("the server responds").0, StatusCode::OK);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::client::authenticator::{Authenticator, Credential, Target};
