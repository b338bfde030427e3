//! Proof of possession, over all faces, against a server that looks at every proof.
//!
//! What signs is `aws-lc-rs`; what verifies is `ring`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod interfaces;
mod keys;
mod nonces;
mod received_proof;
mod resource_server;
mod token_endpoint;
mod tokens;
