//! TLS: client certificates (RFC 8705), and what errors of the handshake say.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]

mod broken_servers;
#[path = "../requests/captured_log.rs"]
mod captured_log;
#[path = "../oauth/error_texts.rs"]
mod error_texts;
mod errors;
mod files;
mod fixtures;
mod rotation;
mod sessions;
mod tls_alerts;
mod token_endpoint;
