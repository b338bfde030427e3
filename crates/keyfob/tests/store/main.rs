//! What the contract promises of tokens that many share, with each kind of store.

#![expect(
    clippy::unwrap_used,
    reason = "what these tests share is test code, too"
)]

mod files;
mod rotation;
mod sharing;
mod world;
