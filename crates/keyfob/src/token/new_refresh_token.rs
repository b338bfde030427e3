//! A new refresh token in a response that is an error otherwise.

use std::error::Error as StdError;
use std::fmt;

use crate::error::error::{Error, causes};
use crate::token::secret::Secret;

/// The cause of an error that carries the new refresh token, so that it is kept (T9).
///
/// The server has replaced the old one, whatever is wrong with the rest of its response.
#[derive(Clone, Debug)]
pub(crate) struct NewRefreshToken(Secret);

impl NewRefreshToken {
    /// Adds the refresh token to an error.
    pub(crate) fn add_to(error: Error, newest: Secret) -> Error {
        error.caused_by(Self(newest))
    }

    /// The refresh token that an error carries.
    pub(crate) fn in_error(error: &Error) -> Option<&Secret> {
        causes(error).find_map(|cause| cause.downcast_ref().map(|Self(newest)| newest))
    }
}

impl fmt::Display for NewRefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response also had a new refresh token")
    }
}

impl StdError for NewRefreshToken {}

#[cfg(all(test, feature = "oauth"))]
mod tests {
    use super::*;

    #[test]
    fn t9_an_error_carries_the_new_refresh_token_and_shows_no_part_of_it() {
        let newest = Secret::new("s3cr3t".to_owned()).unwrap();
        let error = NewRefreshToken::add_to(Error::malformed("no"), newest);
        let outer = Error::unavailable("outer").caused_by(error);
        assert_eq!(
            NewRefreshToken::in_error(&outer).unwrap().expose(),
            "s3cr3t"
        );
        assert!(!format!("{outer:?}").contains("s3cr3t"));
    }
}
