//! The tower layer, over `hyper-util` with HTTP/1.1 and HTTP/2, over `tonic`, and over services without a network.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]

mod bodies;
mod fixtures;
mod grpc;
mod grpc_server;
mod origins;
mod readiness;
mod renewal_after_401;
mod requests;
mod retries;
