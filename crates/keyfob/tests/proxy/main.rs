//! The reverse proxy, between raw clients and raw upstreams, so that each byte is seen.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]

mod environment;
mod fails_closed;
mod fixtures;
#[path = "../tower/grpc_server.rs"]
mod grpc_server;
mod heads;
mod http2;
mod http2_service;
#[path = "../tokens/own_process.rs"]
mod own_process;
mod parsing;
mod pools;
mod replay;
mod streams;
mod targets;
mod tls;
mod upgrades;
