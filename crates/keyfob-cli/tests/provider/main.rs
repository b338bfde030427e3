//! The program with the profile of the README, against the certified OpenID provider: `cargo xtask test oauth`.

#[path = "../program/keyfob.rs"]
mod keyfob;
mod outage;
mod server;
