//! Proof of possession, over all faces, against a server that looks at every proof.
//!
//! What signs is `aws-lc-rs`; what verifies is `ring`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faces;
mod issuer;
mod keys;
mod nonces;
mod proof;
mod resource;
mod tokens;
