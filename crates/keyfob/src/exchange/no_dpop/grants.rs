//! The same for requests to token endpoints.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::error::error::Error;
use crate::exchange::no_dpop::DpopProver;

impl DpopProver {
    pub(crate) fn prove_grant(&self, _url: &str, _now: SystemTime) -> Result<HeaderValue, Error> {
        match *self {}
    }

    pub(crate) fn record_issuer_nonce(
        &self,
        _url: &str,
        _status: StatusCode,
        _headers: &HeaderMap,
    ) {
        match *self {}
    }
}
