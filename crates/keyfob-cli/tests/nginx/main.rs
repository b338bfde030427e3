//! The command line against a real nginx. The server is in `server.rs`; each other file is one group of tests.

mod server;
mod smoke;
