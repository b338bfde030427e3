//! Tokens from OAuth 2.0 servers, against the test kit.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a test may panic where it stands"
)]

mod answers;
mod authorization_code;
mod client_authentication;
mod desk;
mod device_code;
mod discovery;
mod grants;
mod keys;
#[path = "../session/listener.rs"]
mod listener;
mod refresh;
mod secrets;
mod server_questions;
mod store_keys;
