//! The parts that every face is made of, for a face of your own. They may still change in any release.
//!
//! A session, the tower layer and the middleware all do the same around each request: look whether the credential may go
//! there, put it on, send, judge what came of it, and do what the judgement says. [`Authenticator`] does the first two,
//! [`Exchange`] the judging. Neither sends nor waits, so they can be driven from any HTTP client, and from another
//! language. To use keyfob from Rust, take a session or the layer; they drive these parts right.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use http::{HeaderMap, Method, StatusCode, header};
//! use keyfob::custom_client::Authenticator;
//! use keyfob::exchange::{Idempotency, Outcome, Replay, Step};
//! use keyfob::origin::OriginsBuilder;
//! use keyfob::{FixedToken, RetryPolicy, Token, TokenCache};
//! use keyfob::exchange::Failure;
//!
//! # struct Client(u32);
//! # impl Client {
//! #     fn send(&mut self, headers: &HeaderMap) -> Result<(StatusCode, HeaderMap), Failure> {
//! #         assert_eq!(headers[header::AUTHORIZATION], "Bearer t0ken");
//! #         self.0 += 1;
//! #         if self.0 == 1 { return Err(Failure::Connect); }
//! #         Ok((StatusCode::OK, HeaderMap::new()))
//! #     }
//! # }
//! # let mut client = Client(0);
//! let mut binding = OriginsBuilder::default();
//! binding.bind("https://api.example.com".parse());
//! let tokens = TokenCache::new(FixedToken::new(Token::new("t0ken")?));
//! let authenticator = Authenticator::new(tokens, binding.into_origins()?);
//!
//! // One logical request.
//! let (method, url) = (Method::GET, "https://api.example.com/data");
//! authenticator.origins().check(&url.parse()?)?;
//! let mut headers = HeaderMap::new();
//! let mut exchange = authenticator.exchange(
//!     Arc::new(RetryPolicy::default().pauses(Duration::from_millis(1), Duration::from_millis(1))),
//!     Idempotency::of(&method, &headers),
//!     Replay::Possible,
//!     authenticator.now().elapsed,
//! );
//! let mut replacement = None;
//! let result = loop {
//!     let max_wait = exchange.max_wait(authenticator.now().elapsed);
//!     let lease = match replacement.take() {
//!         Some(lease) => lease,
//!         None => authenticator.lease_blocking(max_wait)?,
//!     };
//!     authenticator.credential(&lease, &method, || url)?.apply(&mut headers);
//!     let result = client.send(&headers);
//!     let outcome = match &result {
//!         Ok((status, headers)) => {
//!             authenticator.record_nonce(|| url, *status, headers);
//!             Outcome::Response(*status, headers)
//!         }
//!         Err(failure) => Outcome::Failure(*failure),
//!     };
//!     match exchange.judge(outcome, || authenticator.now()) {
//!         Step::Done => break result,
//!         Step::Wait(pause, cause) => {
//!             authenticator.will_retry(cause, pause);
//!             authenticator.clock().sleep_blocking(pause);
//!         }
//!         Step::Renew(challenges) => {
//!             let max_wait = exchange.max_wait(authenticator.now().elapsed);
//!             replacement = authenticator.replace_blocking(&lease, &challenges, max_wait);
//!             if replacement.is_none() {
//!                 break result;
//!             }
//!         }
//!         Step::Reject(challenges) => {
//!             authenticator.tokens().reject(&lease, &challenges);
//!             break result;
//!         }
//!     }
//! };
//! assert_eq!(result.expect("the second attempt is answered").0, StatusCode::OK);
//! # Ok::<(), keyfob::Error>(())
//! ```

pub use crate::client::authenticator::{Authenticator, Credential};
