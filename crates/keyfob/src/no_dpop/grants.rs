//! The same for requests to token endpoints.

use std::time::SystemTime;

use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;

use crate::error::Error;
use crate::no_dpop::DpopProver;

impl DpopProver {
    pub(crate) fn prove_grant(&self, _url: &str, _now: SystemTime) -> Result<HeaderValue, Error> {
        match *self {}
    }

    pub(crate) fn learn_from_issuer(&self, _url: &str, _status: StatusCode, _headers: &HeaderMap) {
        match *self {}
    }
}
