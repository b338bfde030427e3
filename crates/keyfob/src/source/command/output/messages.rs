//! What is said of output in which no credential was found.

use crate::error::error::Error;

/// The helper works, and has nothing to give.
pub(super) fn none() -> Error {
    Error::unavailable("it has no credential for this; log in with the helper's own tool")
}

/// What would have been understood.
pub(super) const ACCEPTED: &str = "print the token alone on one line, git's `name=value` lines, or the JSON of OAuth \
    (`access_token`), a Bazel credential helper (`headers`), Kubernetes (`ExecCredential`), Cargo (`Ok`), \
    Docker (`Secret`), Terraform (`token`), Azure CLI (`accessToken`) or a Google executable (`success`)";
