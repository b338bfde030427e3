//! Tokens from OAuth 2.0 servers, against real ones: the certified `oidc-provider`, and `glewlwyd`, which disagrees with it.
//!
//! `cargo xtask test oauth` installs them and runs these.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a test may panic where it stands"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the system's clock bounds how long a server may take to start"
)]

mod against_glewlwyd;
mod against_provider;
mod browser;
mod glewlwyd;
mod pauses;
mod provider;
mod provider_dpop;
mod provider_outage;
mod provider_refresh;
mod provider_sign_in;
