//! Real programs, unmodified, that get their tokens from `keyfob helper`; and real helpers that give keyfob theirs.
//!
//! `cargo xtask test programs` installs the programs and runs these tests.

mod cargo;
mod curl;
mod docker;
mod git;
mod installed;
#[path = "../program/keyfob.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod keyfob;
mod kubectl;
mod rclone;
mod sandbox;
mod sources;
mod terraform;
