//! The program with the README's profile, against the certified OpenID provider: `cargo xtask test oauth`.

#[path = "../program/keyfob.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod keyfob;
mod outage;
mod server;
