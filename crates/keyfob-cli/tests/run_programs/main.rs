//! Real programs, unmodified, behind `keyfob run --proxy`; and a search for the token in what they can see.
//!
//! `cargo xtask test programs` installs the programs and runs these tests.

mod canary;
#[path = "../host_programs/installed.rs"]
mod installed;
#[path = "../program/keyfob.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod keyfob;
mod programs;
mod service;
