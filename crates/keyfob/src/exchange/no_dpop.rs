//! Without the feature `dpop`, nothing proves possession: there is no prover that could.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

#[cfg(feature = "oauth")]
mod grants;
#[cfg(all(feature = "oauth", feature = "store"))]
mod thumbprint;

use crate::error::error::Error;
use crate::token::token::Token;

#[derive(Clone, Debug)]
pub(crate) enum DpopProver {}

impl DpopProver {
    pub(crate) fn check(&self, _token: &Token) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn prove(
        &self,
        _token: &Token,
        _method: &Method,
        _url: &str,
        _now: SystemTime,
    ) -> Result<HeaderValue, Error> {
        match *self {}
    }

    pub(crate) fn record_nonce(&self, _url: &str, _status: StatusCode, _headers: &HeaderMap) {
        match *self {}
    }
}

pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// No builder has a setter for it.
macro_rules! dpop_setter {
    () => {};
}

pub(crate) use dpop_setter;
