//! Collects the origins that a session, layer or middleware is configured with.

use crate::error::error::Error;
use crate::origin::origin::LocalNames;
use crate::origin::origin::{Origin, Origins};

/// Collects the origins of a credential, and reports the first invalid one at the end.
///
/// Setters of a builder cannot return errors, so the error is kept until [`into_origins`](Self::into_origins).
///
/// ```
/// use keyfob::origin::OriginsBuilder;
///
/// let mut builder = OriginsBuilder::default();
/// builder.bind("https://api.example.com".parse());
/// let origins = builder.into_origins()?;
/// assert!(origins.check(&"https://other.example".parse()?).is_err());
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct OriginsBuilder {
    origins: Origins,
    scope: Scope,
    first_error: Option<Error>,
}

/// Where the credential may go if no origin is named.
#[derive(Debug, Default, PartialEq, Eq)]
enum Scope {
    #[default]
    Nothing,
    AnyHttps,
}

impl OriginsBuilder {
    /// Binds the credential to one more origin, or records the error.
    pub fn bind(&mut self, origin: Result<Origin, Error>) {
        if let Some(origin) = self.accept(origin) {
            self.origins.bind(origin);
        }
    }

    /// Lets the credential go to any https origin, unless an origin is named.
    pub fn allow_any_https(&mut self) {
        self.scope = Scope::AnyHttps;
    }

    /// Binds the credential to an origin, even if that is plain http to another host.
    pub fn allow_plain_http(&mut self, origin: Result<Origin, Error>) {
        if let Some(origin) = self.accept(origin) {
            self.origins.bind(origin.clone());
            self.origins.allow_plain_http(origin);
        }
    }

    /// As [`Origins::pin_local_names`].
    pub fn pin_local_names(&mut self) {
        self.origins.pin_local_names();
    }

    /// Records which names the client resolves to loopback addresses.
    pub(crate) fn set_local_names(&mut self, names: LocalNames) {
        self.origins.set_local_names(names);
    }

    /// Returns the value; for an error returns `None`, and records the error if it is the first.
    pub(crate) fn accept<T>(&mut self, value: Result<T, Error>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.first_error.get_or_insert(error);
                None
            }
        }
    }

    /// Returns the origins, if all are valid and there is at least one.
    ///
    /// # Errors
    ///
    /// The first error that was recorded, or [`ErrorKind::Origin`](crate::ErrorKind::Origin) if no origin was named.
    pub fn into_origins(self) -> Result<Origins, Error> {
        if let Some(error) = self.first_error {
            return Err(error);
        }
        if self.origins.is_unbound() && self.scope == Scope::Nothing {
            return Err(Error::origin(
                "the credential is bound to no origin; name a base URL or an `origin`, \
                 or allow `any_https_origin`",
            ));
        }
        self.origins.check_all()?;
        Ok(self.origins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::error::ErrorKind;

    #[test]
    fn r1_an_origin_must_be_named_unless_any_https_origin_is_allowed() {
        assert_eq!(
            OriginsBuilder::default().into_origins().unwrap_err().kind(),
            ErrorKind::Origin
        );
        let mut any = OriginsBuilder::default();
        any.allow_any_https();
        assert!(any.into_origins().is_ok());
    }

    #[test]
    fn the_first_error_is_reported() {
        let mut builder = OriginsBuilder::default();
        builder.bind("ftp://a.example".parse());
        builder.bind("/relative".parse());
        let error = builder.into_origins().unwrap_err();
        assert!(error.to_string().contains("`ftp`"), "{error}");
    }
}
