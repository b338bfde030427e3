//! What a redirect does to a credential.

use crate::origin::origin::Origin;

/// A redirect leads to another origin, and the request goes there without its credential.
pub(crate) fn credential_withheld(origin: &Origin) {
    tracing::debug!(target: "keyfob", %origin, "redirected to another origin; the credential stays behind");
}
