//! A token in the formats that other programs read.

use clap::ValueEnum;
use keyfob::cache::Lease;

use crate::credential::{Credential, requested_api_version};
use crate::output::error::CliError;

/// The output format.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The token alone on one line
    Plain,
    /// A token response of an OAuth 2.0 server (RFC 6749 section 5.1)
    Json,
    /// Header lines, for `curl --header @-`
    Header,
    /// The output of a credential helper of Bazel or EngFlow
    Bazel,
    /// The output of an exec plugin of Kubernetes (ExecCredential)
    K8s,
}

impl Format {
    /// Checks what the program that reads the output asks for, before a token is fetched.
    pub(super) fn check(self) -> Result<(), CliError> {
        match self {
            Self::K8s => requested_api_version().map(drop),
            _ => Ok(()),
        }
    }

    /// The text to print. Token and expiry are those of one lease, because the cache may renew the token meanwhile.
    pub(super) fn text(self, lease: &Lease) -> Result<String, CliError> {
        let credential = Credential::of_lease(lease);
        Ok(match self {
            Self::Plain => credential.text().to_owned(),
            Self::Json => credential.json()?.to_string(),
            Self::Header => credential.header_lines()?,
            Self::Bazel => credential.bazel()?.to_string(),
            Self::K8s => credential.k8s(requested_api_version()?)?.to_string(),
        })
    }
}
