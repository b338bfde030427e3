//! The origins that a credential is bound to, as the settings of a session, layer or middleware name them.

use crate::error::error::{Error, ErrorKind};
use crate::origin::origin::{Origin, Origins};

/// Origins while they are being named; the first one that cannot be used is reported at the end.
#[derive(Debug, Default)]
pub struct OriginsBuilder {
    origins: Origins,
    scope: Scope,
    fault: Option<Error>,
}

/// What the credential is for if no origin is named.
#[derive(Debug, Default, PartialEq, Eq)]
enum Scope {
    #[default]
    Nothing,
    AnyHttps,
}

impl OriginsBuilder {
    /// Binds the credential to one more origin, or remembers why that cannot be.
    pub fn bind(&mut self, origin: Result<Origin, Error>) {
        if let Some(origin) = self.unless_faulty(origin) {
            self.origins.bind(origin);
        }
    }

    /// Lets the credential go to any https origin, if none is named.
    pub fn allow_any_https(&mut self) {
        self.scope = Scope::AnyHttps;
    }

    /// Binds the credential to an origin, also if that is plain http to another host.
    pub fn allow_plain_http(&mut self, origin: Result<Origin, Error>) {
        if let Some(origin) = self.unless_faulty(origin) {
            self.origins.bind(origin.clone());
            self.origins.allow_plain_http(origin);
        }
    }

    /// The value, or `None` and its fault kept, if it is the first.
    pub(crate) fn unless_faulty<T>(&mut self, value: Result<T, Error>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fault.get_or_insert(fault);
                None
            }
        }
    }

    /// The origins, if each can be served and there is at least one.
    ///
    /// # Errors
    ///
    /// The first fault that was found, or [`ErrorKind::Origin`] if no origin was named.
    pub fn into_origins(self) -> Result<Origins, Error> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.origins.is_unbound() && self.scope == Scope::Nothing {
            return Err(Error::new(
                ErrorKind::Origin,
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

    #[test]
    fn r1_nothing_is_bound_unless_it_is_named() {
        assert_eq!(
            OriginsBuilder::default().into_origins().unwrap_err().kind(),
            ErrorKind::Origin
        );
        let mut any = OriginsBuilder::default();
        any.allow_any_https();
        assert!(any.into_origins().is_ok());
    }

    #[test]
    fn the_first_fault_is_the_one_that_is_reported() {
        let mut binding = OriginsBuilder::default();
        binding.bind("ftp://a.example".parse());
        binding.bind("/relative".parse());
        let error = binding.into_origins().unwrap_err();
        assert!(error.to_string().contains("`ftp`"), "{error}");
    }
}
