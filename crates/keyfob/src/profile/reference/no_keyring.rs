//! This build cannot ask the keyring.

use zeroize::Zeroizing;

use crate::error::Error;

pub(super) fn read(_: &str, _: &str) -> Result<Zeroizing<String>, Error> {
    Err(Error::input(
        "a secret is kept in the keyring, which this build of keyfob cannot ask; build it with the feature `keyring`",
    ))
}
