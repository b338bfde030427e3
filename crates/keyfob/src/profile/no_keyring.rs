//! This build cannot ask the keyring.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::store::store::TokenStore;

pub(super) fn read(_: &str, _: &str) -> Result<Zeroizing<String>, Error> {
    Err(refusal("a secret"))
}

pub(super) fn store() -> Result<Arc<dyn TokenStore>, Error> {
    Err(refusal("the token"))
}

fn refusal(what: &str) -> Error {
    Error::input(format!(
        "{what} is kept in the keyring, which this build of keyfob cannot ask; build it with the feature `keyring`"
    ))
}
