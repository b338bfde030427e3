//! Tests of the kit from the client's side of the socket.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is a report")]

mod api;
mod client;
mod expectations;
mod faults;
#[cfg(feature = "platforms")]
mod platforms;
#[cfg(feature = "program")]
mod program;
mod server;
mod token_endpoint;
