//! A test kit for programs that call APIs: servers on loopback, in the test's process, that respond as scripted.
//!
//! - [`Server`] responds as its [`Expect`]ations say. It fails the test if a request is unexpected or missing.
//! - [`ScriptedResponse`] is one response: a status, headers and a body, or a fault such as a reset, a hang or a truncated body.
//! - [`Gate`] holds responses back until the test opens it, so that the order of events is certain.
//! - [`TokenEndpoint`] hands out the numbered tokens of an [`Issuer`], and refuses, delays and fails as scripted.
//! - [`Api`] accepts the tokens of that [`Issuer`] until they expire or are revoked, and counts its responses.
//! - [`platforms`] has fakes of GitHub, Google Cloud and other platforms that issue tokens (feature `platforms`).
//! - [`ManualClock`] stands still until the test moves it.
//! - [`ScriptedSource`] is a source of tokens with prepared results. [`GatedSource`] waits until the test gives the result.
//! - `TlsServer` (feature `tls`) asks for client certificates, which a `TestAuthority` issues.
//!
//! The servers need no certain HTTP client and no async runtime. They run on their own threads, which end when the servers are
//! dropped.
//!
//! ```
//! use keyfob_testkit::{ScriptedResponse, Expect, Server, json};
//!
//! let server = Server::start();
//! server.expect(
//!     Expect::get("/data")
//!         .bearer("token-1")
//!         .respond(ScriptedResponse::unavailable().header("retry-after", "1"))
//!         .respond(ScriptedResponse::json(json!({"value": 42}))),
//! );
//! // … let your client fetch `server.url_for("/data")` …
//! # use std::io::{Read, Write};
//! # let mut client = std::net::TcpStream::connect(server.address()).unwrap();
//! # let get = "GET /data HTTP/1.1\r\nhost: test\r\nauthorization: Bearer token-1\r\n";
//! # write!(client, "{get}\r\n{get}connection: close\r\n\r\n").unwrap();
//! # client.read_to_string(&mut String::new()).unwrap();
//! server.verify();
//! ```

mod clock;
mod issuer;
mod lock;
#[cfg(feature = "platforms")]
pub mod platforms;
mod server;
mod source;
#[cfg(feature = "tls")]
mod tls;

pub use serde_json::{Value, json};

pub use crate::clock::ManualClock;
pub use crate::issuer::api::Api;
pub use crate::issuer::issuer::{Issued, Issuer};
pub use crate::issuer::token_endpoint::{RefreshTokens, TokenEndpoint};
pub use crate::issuer::token_response::TokenResponse;
pub use crate::server::checksum::checksum;
pub use crate::server::expect::Expect;
pub use crate::server::gate::Gate;
pub use crate::server::received::Received;
pub use crate::server::response::ScriptedResponse;
pub use crate::server::server::{Server, ServerBuilder};
pub use crate::source::{Call, GatedSource, ScriptedSource};
#[cfg(feature = "tls")]
pub use crate::tls::authority::{Leaf, Pair, TestAuthority};
#[cfg(feature = "tls")]
pub use crate::tls::server::{ClientCertificates, TlsRequest, TlsServer, TlsServerBuilder};
