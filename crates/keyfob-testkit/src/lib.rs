//! A test kit for programs that call APIs: servers that answer as scripted, on loopback, in the test's process.
//!
//! - [`Server`] answers what its [`Expect`]ations say, and fails the test on any request that is unexpected or missing.
//! - [`ScriptedResponse`] is one answer: a status, headers and a body, or a fault such as a reset, a hang or a body cut short.
//! - [`ManualClock`] stands still until the test moves it.
//! - [`GatedSource`] and [`ScriptedSource`] are sources of tokens that the test answers, at once or beforehand.
//! - [`Gate`] holds answers back until the test opens it, so that the order of events is certain.
//! - [`TokenEndpoint`] hands out the numbered tokens of an [`Issuer`], refuses, delays and fails as scripted.
//! - [`Api`] lets the tokens of that [`Issuer`] in, until they expire or are revoked, and counts what it answered.
//!
//! Nothing here asks for a certain HTTP client or async runtime: the servers run on threads of their own, which end
//! when the servers are dropped.
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

mod api;
mod checksum;
mod clock;
mod expect;
mod gate;
mod host;
mod issuer;
mod lock;
mod log;
mod payload;
mod received;
mod reply;
mod response;
mod script;
mod server;
mod service;
mod source;
mod steps;
mod token_endpoint;
mod token_response;
mod wire;

pub use api::Api;
pub use checksum::checksum;
pub use clock::ManualClock;
pub use expect::Expect;
pub use gate::Gate;
pub use issuer::{Issued, Issuer};
pub use received::Received;
pub use response::ScriptedResponse;
pub use serde_json::json;
pub use server::{Server, ServerBuilder};
pub use source::{Call, GatedSource, ScriptedSource};
pub use token_endpoint::{RefreshTokens, TokenEndpoint};
pub use token_response::TokenResponse;
