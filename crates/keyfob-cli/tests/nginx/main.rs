//! The command line against a real nginx. The server is in `server.rs`; each other file is one group of tests.

mod answers;
mod helpers;
#[path = "../program/keyfob.rs"]
mod keyfob;
mod revoked;
mod server;
mod smoke;
mod verbose;
