//! Proof of possession with all interfaces, against a server that checks every proof.
//!
//! `aws-lc-rs` signs the proofs, and `ring` verifies them.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]

mod interfaces;
mod keys;
mod nonces;
mod received_proof;
mod resource_server;
mod token_endpoint;
mod tokens;
