//! The program against servers that others wrote: the README's profile with the certified OpenID provider, and a server of the Model
//! Context Protocol. `cargo xtask test oauth` installs both.

#[path = "../program/keyfob.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod keyfob;
mod mcp_server;
mod outage;
#[path = "../program/pending_sign_in.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod pending_sign_in;
mod server;
