//! The command line against a real nginx, which `server.rs` starts.

mod helpers;
#[path = "../program/keyfob.rs"]
mod keyfob;
mod responses;
mod revoked;
mod server;
mod smoke;
mod verbose;
