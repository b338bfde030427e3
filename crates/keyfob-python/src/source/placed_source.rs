//! A source whose tokens go elsewhere in a request than in `Authorization: Bearer`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderName;
use keyfob::source::TokenRequest;
use keyfob::{Error, Token, TokenSource};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Where in a request a token goes.
#[derive(Clone)]
pub(crate) enum Placement {
    /// Alone, in the header of this name.
    Header(HeaderName),
    /// In `Authorization`, under this scheme.
    Scheme(String),
}

impl Placement {
    /// The placement that a user set. It fails if both are set, or one is not valid in HTTP.
    pub(crate) fn new(
        py: Python<'_>,
        header: Option<String>,
        scheme: Option<String>,
    ) -> PyResult<Option<Self>> {
        let placement = match (header, scheme) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(PyTypeError::new_err(
                    "`header` and `scheme` exclude each other: a scheme goes into `Authorization`",
                ));
            }
            (Some(name), None) => {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                    PyValueError::new_err("`header` is not the name of a header such as X-Api-Key")
                })?;
                Self::Header(name)
            }
            (None, Some(scheme)) => Self::Scheme(scheme),
        };
        // Finds a scheme that is not valid now, and not with the first token.
        let example = Token::new("example").and_then(|token| placement.apply(token));
        example.map_err(|error| crate::error::exception(py, &error))?;
        Ok(Some(placement))
    }

    pub(crate) fn apply(&self, token: Token) -> Result<Token, Error> {
        match self {
            Self::Header(name) => Ok(token.header_name(name.clone())),
            Self::Scheme(scheme) => token.scheme(scheme),
        }
    }
}

/// A source with the placement of its tokens.
pub(crate) struct PlacedSource {
    pub(crate) source: Arc<dyn TokenSource>,
    pub(crate) placement: Placement,
}

impl TokenSource for PlacedSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let token = self.source.fetch(request).await?;
            self.placement.apply(token)
        })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.source.consumes_refresh_token()
    }
}
