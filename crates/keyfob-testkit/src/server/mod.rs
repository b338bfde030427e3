//! A scripted HTTP server: what it expects, how it responds, and what it received.

pub(crate) mod checksum;
pub(crate) mod expect;
pub(crate) mod gate;
mod http_response;
mod log;
mod payload;
pub(crate) mod received;
pub(crate) mod response;
mod script;
pub(crate) mod server;
mod service;
mod steps;
mod thread;
mod wire;
