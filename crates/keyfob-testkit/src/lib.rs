//! A test kit for programs that call APIs: servers that answer as scripted, on loopback, in the test's process.
//!
//! - [`Server`] answers what its [`Expect`]ations say, and fails the test on any request that is unexpected or missing.
//! - [`Answer`] is one answer: a status, headers and a body, or a fault such as a reset, a hang or a body cut short.
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
//! use keyfob_testkit::{Answer, Expect, Server, json};
//!
//! let server = Server::start();
//! server.expect(
//!     Expect::get("/data")
//!         .bearer("token-1")
//!         .answer(Answer::unavailable().header("retry-after", "1"))
//!         .answer(Answer::json(json!({"value": 42}))),
//! );
//! // … let your client fetch `server.url_for("/data")` …
//! # use std::io::{Read, Write};
//! # let mut client = std::net::TcpStream::connect(server.address()).unwrap();
//! # let get = "GET /data HTTP/1.1\r\nhost: test\r\nauthorization: Bearer token-1\r\n";
//! # write!(client, "{get}\r\n{get}connection: close\r\n\r\n").unwrap();
//! # client.read_to_string(&mut String::new()).unwrap();
//! server.verify();
//! ```

mod answer;
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
mod script;
mod server;
mod service;
mod source;
mod steps;
mod token_answer;
mod token_endpoint;
mod wire;

pub use answer::Answer;
pub use api::Api;
pub use checksum::checksum;
pub use clock::ManualClock;
pub use expect::Expect;
pub use gate::Gate;
pub use issuer::{Issued, Issuer};
pub use received::Received;
pub use serde_json::json;
pub use server::{Server, ServerBuilder};
pub use source::Call;
pub use source::GatedSource;
pub use source::ScriptedSource;
pub use token_answer::TokenAnswer;
pub use token_endpoint::{RefreshTokens, TokenEndpoint};
