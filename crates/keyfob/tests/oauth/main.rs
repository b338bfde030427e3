//! Tokens from OAuth 2.0 servers, against the test kit.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]

mod authorization_code;
mod broken_exchanges;
mod broken_framing;
mod broken_sign_ins;
#[path = "../requests/captured_log.rs"]
mod captured_log;
mod chains;
mod client_authentication;
mod clocks;
mod device_code;
mod discovery;
mod error_texts;
mod fixtures;
mod grants;
mod http2;
mod http_token;
mod introspection_and_revocation;
mod leases;
mod loopback_listener;
#[path = "../tokens/own_process.rs"]
mod own_process;
mod plain_http;
mod private_keys;
mod protected_resource;
mod pushed_requests;
mod recorded_responses;
mod refresh_runs;
mod refresh_token;
mod registration;
mod secrets;
mod sign_in;
mod store_keys;
mod token_responses;
mod wrong_server;
